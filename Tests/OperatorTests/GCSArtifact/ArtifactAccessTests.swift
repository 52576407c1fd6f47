import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes
import Sandbox
import Testing

@testable import Operator

/// Bindings of a bucket's policy: ours come and go, others stay as they are.
@Suite(.timeLimit(.minutes(2))) struct ArtifactAccessTests {
    private static let reader = "serviceAccount:reader@sandbox-project.iam.gserviceaccount.com"
    private static let writer = "serviceAccount:writer@sandbox-project.iam.gserviceaccount.com"

    private static func manifest(_ members: String, prefix: String = "") -> String {
        """
        apiVersion: trainyard.dev/v1alpha1
        kind: GCSArtifact
        metadata: {name: runs}
        spec:
          bucket: {name: runs-bucket, location: us-central1}
          \(prefix.isEmpty ? "" : "prefix: \(prefix)")
          access: {bindings: [{role: roles/storage.objectViewer, members: [\(members)]}]}
        """
    }

    /// What somebody else has granted: with and without a condition, to the same member too.
    private static let foreign = [
        IAMPolicy.Binding(role: "roles/storage.admin", members: ["user:boss@example.com"]),
        IAMPolicy.Binding(
            role: "roles/storage.objectViewer", members: [reader, "group:all@example.com"],
            condition: .init(expression: "request.time < timestamp(\"2030-01-01T00:00:00Z\")", title: "until 2030")),
    ]

    private func text(_ world: ArtifactWorld) async throws -> [String] {
        try await (world.storage.policy(ofBucket: "runs-bucket").bindings ?? []).map { binding in
            let members = (binding.members ?? []).map { $0.prefix { $0 != "@" } }.joined(separator: ",")
            return "\(binding.role.dropFirst(14)) \(members) \(binding.condition?.expression ?? "-")"
        }
    }

    @Test func `bindings are added, changed and taken back, and others are kept with their conditions`() async throws {
        let world = try ArtifactWorld()
        try await world.apply(Self.manifest(Self.reader, prefix: "team/a/"))
        try await world.settle()
        #expect(try await world.artifact()?.status?.conditions.isTrue("AccessGranted") == true)
        let place = """
            resource.name.startsWith("projects/_/buckets/runs-bucket/objects/team/a/") || \
            api.getAttribute("storage.googleapis.com/objectListPrefix", "").startsWith("team/a/")
            """
        #expect(try await text(world) == ["objectViewer serviceAccount:reader \(place)"])
        var policy = try await world.storage.policy(ofBucket: "runs-bucket")
        policy.bindings = Self.foreign + (policy.bindings ?? [])
        _ = try await world.storage.setPolicy(policy, ofBucket: "runs-bucket")
        let kept = [
            "admin user:boss -",
            "objectViewer serviceAccount:reader,group:all request.time < timestamp(\"2030-01-01T00:00:00Z\")",
        ]
        let binding: JSONValue = ["role": "roles/storage.objectUser", "members": [.string(Self.writer)]]
        try await world.patch(["spec": ["access": ["bindings": [binding]]]])
        try await world.settle()
        #expect(try await text(world) == kept + ["objectUser serviceAccount:writer \(place)"])
        try await world.patch(["spec": ["access": .null]])
        try await world.settle()
        #expect(try await text(world) == kept)
        #expect(
            try await world.artifact()?.status.map(Artifacts.conditions) == ["Ready=True/Ready"])
        #expect(world.crash.log.filter { $0.hasPrefix("PUT ") && $0.hasSuffix("/iam") }.count == 3)
    }

    @Test func `a binding that somebody took away comes back, and goes with the object though the data stays`()
        async throws
    {
        let world = try ArtifactWorld()
        try await world.apply(Self.manifest(Self.reader))
        try await world.settle()
        var policy = try await world.storage.policy(ofBucket: "runs-bucket")
        policy.bindings = [Self.foreign[0]]
        _ = try await world.storage.setPolicy(policy, ofBucket: "runs-bucket")
        try await world.settle(horizon: .seconds(1300))
        #expect(
            try await text(world) == [
                "admin user:boss -",
                "objectViewer serviceAccount:reader resource.name.startsWith(\"projects/_/buckets/runs-bucket\")",
            ])
        try world.cloud.putObject(bucket: "runs-bucket", name: "precious", bytes: [1])
        try await world.delete()
        try await world.settle()
        #expect(try await world.artifact() == nil)
        #expect(try await text(world) == ["admin user:boss -"])
        #expect(world.cloud.objectNames(bucket: "runs-bucket") == ["precious"])
    }

    @Test(arguments: [
        ("of another project", "serviceAccount:x@other-project.iam.gserviceaccount.com"),
        ("a person that nobody allowed", "user:me@example.com"),
    ]) func `whom the installation does not allow gets nothing`(_ name: String, member: String) async throws {
        let world = try ArtifactWorld()
        try await world.apply(Self.manifest(member))
        try await world.settle()
        let ready = try await world.artifact()?.status?.conditions.first(ofType: "Ready")
        #expect(ready?.reason == "InvalidSpec")
        #expect(ready?.message.contains("--access-members") == true)
        #expect(!world.cloud.bucketExists("runs-bucket"))
    }

    @Test func `everybody is never allowed, and a person whom the operator is told of is`() {
        var configuration = Artifacts.configuration
        configuration.accessMembers = ["ml": ["user:me@example.com", "allUsers"], "other": ["user:you@example.com"]]
        func problem(_ member: String) -> String? {
            var artifact = Artifacts.artifact()
            artifact.spec.access = .init(bindings: [.init(role: "roles/storage.objectViewer", members: [member])])
            return GCSArtifactAccess.problem(
                GCSArtifactObservation(artifact: artifact, configuration: configuration, now: Artifacts.now))
        }
        #expect(problem("user:me@example.com") == nil)
        #expect(problem("user:you@example.com") != nil)
        #expect(problem("allUsers") != nil)
    }

    @Test func `a policy that has our bindings in another order is left as it is`() {
        var artifact = Artifacts.artifact()
        artifact.spec.access = .init(bindings: [
            .init(role: "roles/storage.objectViewer", members: [Self.writer, Self.reader]),
            .init(role: "roles/storage.objectCreator", members: [Self.writer]),
        ])
        let wanted = GCSArtifactAccess.bindings(artifact.spec, bucket: "runs-bucket", uid: Artifacts.uid)
        let dressed = wanted.reversed().map { binding in
            IAMPolicy.Binding(
                role: binding.role, members: (binding.members ?? []).reversed(), condition: binding.condition)
        }
        let policy = IAMPolicy(bindings: Self.foreign + dressed, etag: "e", version: 3)
        #expect(GCSArtifactAccess.merged(policy, wanted, uid: Artifacts.uid) == policy)
        #expect(GCSArtifactAccess.merged(policy, [], uid: Artifacts.uid).bindings == Self.foreign)
        #expect(GCSArtifactAccess.merged(policy, [], uid: "other") == policy)
    }
}
