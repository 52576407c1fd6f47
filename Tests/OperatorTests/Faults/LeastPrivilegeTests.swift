import Encoding
import Sandbox
import Testing

@testable import Operator

/// The operator's role holds what the operator uses: the simulated cluster notes each right that a request needs.
@Suite(.timeLimit(.minutes(5))) struct LeastPrivilegeTests {
    /// Used by what no story runs: watches (`EndToEndTests` has them over a socket), the election, what the
    /// API server asks for itself, and the end of pods that lost their Job (`TrainingJobPodEndTests`).
    private static let elsewhere: Set<String> = [
        "watch trainingjobs.trainyard.dev", "watch gcsartifacts.trainyard.dev",
        "watch modelendpoints.trainyard.dev", "list jobs.batch", "watch jobs.batch",
        "list services", "watch services", "watch pods", "list nodes", "watch nodes",
        "get leases.coordination.k8s.io", "create leases.coordination.k8s.io", "update leases.coordination.k8s.io",
        "update trainingjobs.trainyard.dev/finalizers", "update gcsartifacts.trainyard.dev/finalizers",
        "update modelendpoints.trainyard.dev/finalizers",
        "list provisioningrequests.autoscaling.x-k8s.io", "watch provisioningrequests.autoscaling.x-k8s.io",
        "delete pods", "get pods", "list workloads.kueue.x-k8s.io", "watch workloads.kueue.x-k8s.io",
    ]

    @Test func `every right of the roles is used, in the cluster and in the cloud`() async throws {
        let role = try Repository.yaml("charts/trainyard/files/clusterrole-rules.yaml")
        let granted = ClusterGrant.all(in: try #require(role.first?["rules"]?.arrayValue))
        var used: Set<ClusterGrant> = []
        var permissions: Set<String> = []
        let stories =
            Workflow.trainingJobs + Workflow.queued + Workflow.money + Workflow.artifacts
            + Workflow.capacity.filter { $0.name == "queued machines" }
            + Workflow.artifactContents.filter { $0.name == "sign a URL" } + Workflow.whole + Workflow.endpoints
            + Workflow.artifactSettings
        for workflow in stories {
            let world = try await workflow.make()
            try await workflow.story(world)
            used.formUnion(world.world.cluster.usedGrants(of: "operator"))
            permissions.formUnion(world.world.cloud.usedPermissions)
        }
        try CloudPrivilegeTests.expect(used: permissions)
        let unused = granted.subtracting(used).map(\.description)
        #expect(unused.sorted() == Self.elsewhere.sorted())
    }

    /// What was deleted is read again until it is gone: without the right to, its object would wait for ever.
    @Test func `what may be deleted may be read`() throws {
        let role = try Repository.yaml("charts/trainyard/files/clusterrole-rules.yaml")
        let granted = Set(
            ClusterGrant.all(in: try #require(role.first?["rules"]?.arrayValue)).map(\.description))
        let deletable = granted.filter { $0.hasPrefix("delete ") }
        #expect(deletable.count >= 3)
        for right in deletable { #expect(granted.contains("get" + right.dropFirst("delete".count)), "\(right)") }
    }
}
