import Encoding
import HTTP
import Sandbox
import Testing

/// The role of the chart is what the operator needs, and no more.
@Suite(.serialized, .timeLimit(.minutes(3))) struct LeastPrivilegeTests {
    /// Rights that no request shows: who takes one out of this list shows a use of it.
    private static let unseen: [String: String] = [
        "update trainingjobs.trainyard.dev/finalizers": "the plugin OwnerReferencesPermissionEnforcement asks for it",
        "update gcsartifacts.trainyard.dev/finalizers": "the plugin OwnerReferencesPermissionEnforcement asks for it",
    ]

    @Test func `every right of the operator's role is used`() async throws {
        try await Story.run { story in
            try await story.createArtifacts()
            try await story.create(Manifests.job())
            try await story.waitForJob("Complete and ComputeReleased") { $0.isDone }
            try await story.call(.delete, Story.collection("TrainingJob") + "/train")
            try await story.waitForDeletion()
            for name in ["runs", "data"] {
                try await story.call(.delete, Story.collection("GCSArtifact") + "/" + name)
            }
            let rules = try BuiltProducts.documents("charts/trainyard/files/clusterrole-rules.yaml").first
            let granted = ClusterGrant.all(in: rules?["rules"]?.arrayValue ?? [])
            let used = story.world.cluster.usedGrants(of: Story.operatorName)
            let unused = granted.subtracting(used).filter { Self.unseen[$0.description] == nil }
            #expect(unused.sorted().map(\.description) == [], "used: \(used.sorted().map(\.description))")
            #expect(Self.unseen.keys.filter { key in !granted.contains { $0.description == key } } == [])
        }
    }
}
