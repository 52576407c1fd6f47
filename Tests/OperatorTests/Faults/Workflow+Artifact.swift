import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes
import Sandbox

@testable import Operator

/// What a bucket's settings live through.
extension Workflow {
    static let artifactSettings: [Workflow] = [
        Workflow(
            name: "drift and lock", setting: "artifact", make: artifactWorld,
            story: { world in
                try await world.createArtifact()
                try await world.expectArtifact("ready") { $0?.status?.conditions.isTrue("Ready") == true }
                let bucket = try await world.storage.bucket("runs-bucket")
                _ = try await world.storage.patchBucket(
                    "runs-bucket", BucketPatch(versioning: .init(enabled: false)),
                    ifMetagenerationMatch: bucket.metageneration)
                try await world.patchArtifact(["spec": ["aliases": [["name": "best", "policy": "LatestVerified"]]]])
                try await world.expectArtifact("corrected") { $0?.status?.drift.first?.action == "Corrected" }
                try await world.patchArtifact(
                    ["spec": ["bucket": ["retention": ["retentionSeconds": 1, "locked": true]]]])
                try await world.expectArtifact("locked") {
                    $0?.status?.conditions.isTrue("Ready") == true && $0?.status?.observedGeneration == 3
                }
            }),
        Workflow(
            name: "upload", setting: "artifact", make: artifactWorld,
            story: { world in
                let object = try await world.admin.create(
                    GCSArtifact.resourceType,
                    [
                        "metadata": ["name": "runs", "namespace": .string(world.namespace)],
                        "spec": [
                            "bucket": ["name": "runs-bucket", "location": "us-central1"],
                            "source": ["type": "Upload", "upload": ["markerFile": "_SUCCESS"]],
                        ],
                    ])
                world.know(object, "runs")
                try await world.expectArtifact("ready") { $0?.status?.conditions.isTrue("Ready") == true }
                for name in ["v1/a", "v1/b", "v1/_SUCCESS"] {
                    try world.world.cloud.putObject(bucket: "runs-bucket", name: name, bytes: [1])
                }
                try await world.expectArtifact("a version") { $0?.status?.versionCount == 1 }
                try await world.deleteArtifact()
                try await world.expectArtifact("nothing") { $0 == nil }
            }),
        Workflow(
            name: "grant and take back", setting: "artifact", make: artifactWorld,
            story: { world in
                try await world.createArtifact()
                let member = "serviceAccount:reader@sandbox-project.iam.gserviceaccount.com"
                let binding: JSONValue = ["role": "roles/storage.objectViewer", "members": [.string(member)]]
                try await world.patchArtifact(["spec": ["access": ["bindings": [binding]]]])
                try await world.expectArtifact("granted") { $0?.status?.conditions.isTrue("AccessGranted") == true }
                try await world.deleteArtifact()
                try await world.expectArtifact("nothing") { $0 == nil }
                let left = try await world.storage.policy(ofBucket: "runs-bucket").bindings ?? []
                if !left.isEmpty { throw Stuck(description: "access is left: \(left)") }
            }),
    ]
}

extension FaultWorld {
    func patchArtifact(_ patch: JSONValue, of name: String = "runs") async throws {
        try await admin.mergePatch(reference(GCSArtifact.resourceType, name), patch)
    }
}
