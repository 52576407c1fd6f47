import Encoding
import HTTP
import Kubernetes
import Sandbox
import Synchronization

@testable import Operator

extension Workflow {
    /// Three pods of which only those that fail start again.
    @Sendable private static func threePods(_ spec: inout TrainingJob.Spec) {
        spec.trainer?.image = FaultWorld.image
        spec.trainer?.numNodes = 3
        spec.trainer?.rendezvous = .init(type: .torch)
        spec.failurePolicy = .init(maxRestarts: 2, restartScope: .failedNodes)
        spec.capacity?.candidates = [.init(name: "spot", provisioningModel: .spot, zones: ["us-central1-b"])]
    }

    /// The first pod of rank 1 ends as told, its successors and the others do their work.
    private static func world(rankOne: PodResult) -> @Sendable () async throws -> FaultWorld {
        {
            let started = Mutex<Set<String>>([])
            let succeeding = Trainers.succeeding()
            return try await world(program: { context in
                guard context.environment["ML_RANK"] == "1" else { return await succeeding(context) }
                let run = context.environment["ML_RUN_ID"] ?? ""
                guard started.withLock({ $0.insert(run).inserted }) else { return await succeeding(context) }
                return rankOne
            })()
        }
    }

    /// What becomes of a run whose pods come and go one by one.
    static let restarting: [Workflow] = [
        Workflow(
            name: "one pod of three starts again", setting: "three pods, one fails",
            make: world(rankOne: PodResult(exitCode: 1, after: .seconds(5), log: "broken")),
            story: { world in
                try await world.createJob(threePods)
                try await world.expectJob("the end") { $0?.isOver == true }
                let status = try await world.job()?.status
                guard status?.attempts.count == 1, status?.restarts == 1, status?.restartsCountTowardsMax == 1 else {
                    throw Stuck(description: "not one counted restart in one attempt")
                }
            }),
        Workflow(
            name: "one machine of three is reclaimed", setting: "three pods, one is reclaimed",
            make: world(
                rankOne: PodResult(
                    exitCode: 0, after: .seconds(1_000_000), onTerminate: .init(exitCode: 75, after: .seconds(2)))),
            story: { world in
                try await world.createJob(threePods)
                guard let node = try await world.node(ofRank: "1") else {
                    throw Stuck(description: "rank 1 does not run")
                }
                world.world.cloud.preempt(instance: node)
                try await world.expectJob("the end") { $0?.isOver == true }
                let status = try await world.job()?.status
                guard status?.attempts.count == 1, status?.restartsCountTowardsMax == 0 else {
                    throw Stuck(description: "a reclaimed machine ended the attempt, or counted")
                }
            }),
    ]
}

extension FaultWorld {
    /// The node on which the pod of a rank runs; waits for it.
    fileprivate func node(ofRank rank: String) async throws -> String? {
        var node: String?
        _ = try await run {
            let pods = try await admin.list(Pod.self, ObjectSelection(namespace: namespace)).items
            node =
                pods.first { pod in
                    pod.metadata.labels?["batch.kubernetes.io/job-completion-index"] == rank
                        && pod.status?.phase == "Running"
                }?.spec?.nodeName
            return node != nil
        }
        return node
    }
}
