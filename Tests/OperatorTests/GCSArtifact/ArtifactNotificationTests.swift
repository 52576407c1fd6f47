import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes
import Sandbox
import Testing

@testable import Operator

/// Messages about objects: made, kept, taken back; those of others stay.
@Suite(.timeLimit(.minutes(2))) struct ArtifactNotificationTests {
    private static let topic = "//pubsub.googleapis.com/projects/sandbox-project/topics/models"
    private static let foreign = BucketNotification(topic: topic, eventTypes: ["OBJECT_DELETE"])

    private static func manifest(_ topic: String = "projects/sandbox-project/topics/models") -> String {
        """
        apiVersion: trainyard.dev/v1alpha1
        kind: GCSArtifact
        metadata: {name: runs}
        spec:
          artifactType: Model
          layout: Flat
          bucket: {name: runs-bucket, location: us-central1}
          prefix: models/
          notifications:
          - {name: new, event: ObjectFinalized, prefix: a/, topic: \(topic)}
          - {name: gone, event: ObjectDeleted, topic: \(topic)}
        """
    }

    private func told(_ world: ArtifactWorld) async throws -> String? {
        try await world.artifact()?.status?.conditions.first(ofType: "NotificationsConfigured").map {
            "\($0.status.rawValue)/\($0.reason): \($0.message)"
        }
    }

    private func names(_ world: ArtifactWorld) async throws -> [String] {
        try await world.storage.notifications(in: "runs-bucket").map {
            "\($0.customAttributes?["trainyard-name"] ?? "foreign") \($0.eventTypes ?? []) \($0.objectNamePrefix ?? "")"
        }.sorted()
    }

    private static let ours = [
        #"gone ["OBJECT_DELETE"] models/"#, #"new ["OBJECT_FINALIZE"] models/a/"#,
    ]
    private static let other = #"foreign ["OBJECT_DELETE"] "#

    @Test func `they are made once, made again, changed and taken back, and others stay`() async throws {
        let world = try ArtifactWorld()
        try await world.apply(Self.manifest())
        try await world.settle()
        #expect(try await names(world) == Self.ours)
        #expect(try await told(world) == "True/Configured: 2 as described")
        _ = try await world.storage.insertNotification(Self.foreign, in: "runs-bucket")
        world.crash.clear()
        try await world.settle(horizon: .seconds(700))
        #expect(world.crash.log == [])
        // Somebody removes one of ours, and a lost reply made the other twice.
        let found = try await world.storage.notifications(in: "runs-bucket")
        let first = try #require(found.first { $0.customAttributes?["trainyard-name"] == "new" })
        let second = try #require(found.first { $0.customAttributes?["trainyard-name"] == "gone" })
        try await world.storage.deleteNotification(try #require(first.id), in: "runs-bucket")
        _ = try await world.storage.insertNotification(second, in: "runs-bucket")
        try await world.settle(horizon: .seconds(700))
        #expect(try await names(world) == [Self.other] + Self.ours)
        try await world.patch([
            "spec": [
                "notifications": [
                    ["name": "x", "event": "ObjectArchived", "topic": "projects/sandbox-project/topics/other"]
                ]
            ]
        ])
        try await world.settle()
        #expect(try await names(world) == [Self.other, #"x ["OBJECT_ARCHIVE"] models/"#])
        try await world.patch(["spec": ["notifications": nil]])
        try await world.settle()
        #expect(try await names(world) == [Self.other])
        #expect(try await told(world) == nil)
    }

    @Test(arguments: CrashSwitch.Moment.allCases)
    func `a crash anywhere leaves each once, and none behind`(_ moment: CrashSwitch.Moment) async throws {
        func story(_ change: Int?) async throws -> Int {
            let world = try ArtifactWorld()
            if let change { world.crash.arm(change, moment) }
            try await world.apply(Self.manifest())
            try await world.settle()
            #expect(try await names(world) == Self.ours, "change \(change ?? 0)")
            try await world.delete()
            try await world.settle()
            #expect(try await world.artifact() == nil)
            #expect(try await names(world) == [], "change \(change ?? 0)")
            return world.crash.changeCount
        }
        let count = try await story(nil)
        for change in 1...count { _ = try await story(change) }
    }

    @Test func `a topic of another project is refused`() async throws {
        let world = try ArtifactWorld()
        try await world.apply(Self.manifest("projects/evil/topics/models"))
        try await world.settle()
        let stalled = try await world.artifact()?.status?.conditions.first(ofType: "Stalled")
        #expect(stalled?.message == "notifications[new].topic is not in the cluster's project sandbox-project")
        #expect(!world.cloud.bucketExists("runs-bucket"))
    }
}
