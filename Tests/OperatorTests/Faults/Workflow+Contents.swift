import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes
import Sandbox

@testable import Operator

/// What an artifact's contents live through.
extension Workflow {
    static let artifactContents: [Workflow] = [
        Workflow(
            name: "copy a source", setting: "artifact", make: artifactWorld,
            story: { world in
                _ = try await world.storage.insertBucket(
                    BucketConfiguration(name: "their-bucket", location: "us-central1"), project: "sandbox-project")
                for name in ["set/a", "set/b"] {
                    try world.world.cloud.putObject(bucket: "their-bucket", name: name, bytes: [1])
                }
                try await world.createArtifact(
                    spec: [
                        "bucket": ["name": "runs-bucket", "location": "us-central1"],
                        "source": ["type": "URI", "uri": ["uri": "gs://their-bucket/set/"]],
                    ])
                try await world.expectArtifact("a version") {
                    $0?.status?.versionCount == 1 && $0?.status?.transfer?.phase == "Complete"
                }
            }),
        Workflow(
            name: "keep the last", setting: "artifact", make: artifactWorld,
            story: { world in
                try await world.createArtifact(
                    spec: [
                        "bucket": [
                            "name": "runs-bucket", "location": "us-central1", "versioning": ["enabled": true],
                        ],
                        "source": ["type": "Upload", "upload": ["markerFile": "_SUCCESS"]],
                        "versionRetention": ["keepLast": 1],
                    ])
                for version in ["v1", "v2"] {
                    try await world.expectArtifact("ready") { $0?.status?.conditions.isTrue("Ready") == true }
                    for name in ["a", "b", "_SUCCESS"] {
                        try world.world.cloud.putObject(
                            bucket: "runs-bucket", name: "\(version)/\(name)", bytes: Array(version.utf8))
                    }
                    try await world.expectArtifact("version \(version)") {
                        $0?.status?.latestVersion?.name == version
                    }
                }
                try await world.expectArtifact("one version") {
                    $0?.status?.retention?.removedCount == 1 && $0?.status?.versions.map(\.name) == ["v2"]
                }
            }),
        Workflow(
            name: "sign a URL", setting: "artifact", make: artifactWorld,
            story: { world in
                try await world.createArtifact()
                let url: JSONValue = ["name": "a", "path": "x", "expiresInSeconds": 604_800, "secretName": "url"]
                try await world.patchArtifact(["spec": ["access": ["signedURLs": [url]]]])
                try await world.expectArtifact("signed") { $0?.status?.conditions.isTrue("URLsSigned") == true }
                let other: JSONValue = ["name": "a", "path": "y", "expiresInSeconds": 604_800, "secretName": "url"]
                try await world.patchArtifact(["spec": ["access": ["signedURLs": [other]]]])
                try await world.expectArtifact("signed anew") {
                    $0?.status?.conditions.isTrue("URLsSigned") == true && $0?.status?.observedGeneration == 3
                }
                try await world.deleteArtifact()
                try await world.expectArtifact("nothing") { $0 == nil }
            }),
        Workflow(
            name: "notify and stop", setting: "artifact", make: artifactWorld,
            story: { world in
                try await world.createArtifact()
                let notification: JSONValue = [
                    "name": "a", "event": "ObjectFinalized", "topic": "projects/sandbox-project/topics/t",
                ]
                try await world.patchArtifact(["spec": ["notifications": [notification]]])
                try await world.expectArtifact("configured") {
                    $0?.status?.conditions.isTrue("NotificationsConfigured") == true
                }
                try await world.deleteArtifact()
                try await world.expectArtifact("nothing") { $0 == nil }
                let left = try await world.storage.notifications(in: "runs-bucket")
                if !left.isEmpty { throw Stuck(description: "notifications are left: \(left)") }
            }),
    ]
}

extension FaultWorld {
    func createArtifact(spec: JSONValue) async throws {
        let object = try await admin.create(
            GCSArtifact.resourceType,
            ["metadata": ["name": "runs", "namespace": .string(namespace)], "spec": spec])
        know(object, "runs")
    }
}
