import ControllerRuntime
import Encoding
import Kubernetes
import Testing

@testable import Operator

/// `failurePolicy.restartScope: FailedNodes`: which pods start again, and what counts.
@Suite struct TrainingJobPodRestartTests {
    private static let key = "batch.kubernetes.io/job-completion-index"

    /// Three pods, two of which run; of the second what is given.
    private func observation(
        _ second: [Pod], rendezvous: TrainingJob.Trainer.Rendezvous.Kind = .torch, maxRestarts: Int = 3,
        rules: [TrainingJob.FailurePolicy.Rule]? = nil, counted: [String]? = nil, restartsBefore: Int? = nil,
        seconds: Int = 60
    ) -> TrainingJobObservation {
        func change(_ spec: inout TrainingJob.Spec) {
            spec.trainer?.image = "example.com/torch:1"
            spec.trainer?.numNodes = 3
            spec.trainer?.rendezvous = .init(type: rendezvous)
            spec.failurePolicy = .init(maxRestarts: maxRestarts, restartScope: .failedNodes, rules: rules)
        }
        let job = trainingJob(change)
        var status = trainingStatus()
        status.run = run(job)
        status.attempts[0].restartScope = "FailedNodes"
        status.attempts[0].restartedPods = counted
        status.restartsCountTowardsMax = restartsBefore
        status.restarts = restartsBefore
        var seen = trainingObservation(
            attemptJob(), pods: [pod("a", rank: 0), pod("c", rank: 2)] + second, now: moment(seconds)
        ) { $0 = trainingJob(change, status: status) }
        let pool = poolName("spot", "us-central1-b")
        seen.nodes = (0..<3).map { node(pool, index: $0) }
        return seen
    }

    private func pod(
        _ name: String, rank: Int, phase: String = "Running", exitCode: Int32? = nil, isDisrupted: Bool = false,
        createdAt: Int = 0
    ) -> Pod {
        var pod = attemptPod(
            phase: phase, exitCode: exitCode,
            conditions: isDisrupted ? [ObjectCondition(type: "DisruptionTarget", status: .true)] : nil)
        pod.metadata.name = "rank-\(rank)-\(name)"
        pod.metadata.labels?[Self.key] = String(rank)
        pod.metadata.creationTimestamp = moment(createdAt)
        return pod
    }

    private var broken: Pod { pod("b", rank: 1, phase: "Failed", exitCode: 1) }

    @Test func `a pod that failed is counted once, and the attempt goes on`() {
        let plan = TrainingJobPlan.plan(observation([broken]))
        #expect(plan.steps == [])
        #expect(plan.status.attempts[0].endTime == nil)
        #expect(plan.status.attempts[0].restartedPods == ["rank-1-b"])
        #expect(plan.status.restarts == 1 && plan.status.restartsCountTowardsMax == 1)
        #expect(plan.status.lastFailure?.reason == "ContainerFailed")
        #expect(plan.events.map(\.reason) == ["ContainerFailed"])
        #expect(plan.events.first?.message.hasSuffix("the pod is started again, the others go on") == true)
        let after = TrainingJobPlan.plan(observation([broken], counted: ["rank-1-b"], restartsBefore: 1))
        #expect(after.status.restarts == 1 && after.status.restartsCountTowardsMax == 1)
    }

    @Test func `a machine that was taken away does not count`() {
        let plan = TrainingJobPlan.plan(
            observation([pod("b", rank: 1, phase: "Failed", exitCode: 143, isDisrupted: true)]))
        #expect(plan.status.restarts == 1 && plan.status.restartsCountTowardsMax == 0)
        #expect(plan.status.lastFailure?.reason == "Preempted")
        #expect(plan.status.attempts[0].endTime == nil && plan.status.capacity?.current == "spot")
    }

    @Test func `what cannot go on without the others ends the attempt`() {
        func ends(_ seen: TrainingJobObservation) -> String? {
            let plan = TrainingJobPlan.plan(seen)
            return plan.status.attempts[0].cause.map { "\($0) \(plan.status.run?.reason ?? "-")" }
        }
        // torchrun's agents meet in the first pod; with Plain the code knows.
        let first = pod("x", rank: 0, phase: "Failed", exitCode: 1)
        #expect(ends(observation([first])) == "ContainerFailed -")
        #expect(ends(observation([first], rendezvous: .plain)) == nil)
        #expect(
            ends(observation([broken], maxRestarts: 1, restartsBefore: 1)) == "ContainerFailed RestartLimitExceeded")
        let usage = pod("b", rank: 1, phase: "Failed", exitCode: 64)
        #expect(ends(observation([usage])) == "ContainerFailed ContainerFailed")
        let replace = TrainingJob.FailurePolicy.Rule(
            name: "gpu", onExitCodes: .init(operator: .isIn, values: [1]), action: .replaceNode)
        #expect(ends(observation([broken], rules: [replace])) == "ContainerFailed -")
        let crowd = (0..<33).map { pod("b\($0)", rank: 1, phase: "Failed", exitCode: 1) }
        #expect(ends(observation(crowd)) == "ContainerFailed -")
    }

    @Test func `a pod that finds no machine is waited for, and not for ever`() {
        let waiting = pod("d", rank: 1, phase: "Pending", createdAt: 1000)
        func plan(_ seconds: Int, nodes: Int) -> Plan<TrainingJob.Status, TrainingJobAction> {
            var seen = observation([broken, waiting], counted: ["rank-1-b"], restartsBefore: 1, seconds: seconds)
            seen.nodes = Array(seen.nodes.prefix(nodes))
            return TrainingJobPlan.plan(seen)
        }
        #expect(plan(1900, nodes: 2).status.attempts[0].cause == nil)
        let lost = plan(1901, nodes: 2)
        #expect(lost.status.attempts[0].cause == "Preempted" && lost.status.restartsCountTowardsMax == 1)
        #expect(lost.status.lastFailure?.message?.contains("no machine came within 900 s") == true)
        let misfit = plan(1901, nodes: 3)
        #expect(misfit.status.attempts[0].cause == "PodsNotStarted" && misfit.status.restartsCountTowardsMax == 2)
    }

    @Test func `only where the framework takes ranks back`() {
        func scope(_ change: (inout TrainingJob.Spec) -> Void) -> String? {
            let job = trainingJob { spec in
                spec.trainer?.image = "example.com/torch:1"
                spec.trainer?.numNodes = 3
                spec.trainer?.rendezvous = .init(type: .torch)
                spec.failurePolicy = .init(maxRestarts: 3, restartScope: .failedNodes)
                change(&spec)
            }
            var seen = builtObservation(job)
            seen.job.status = status(run: run(job))
            return TrainingJobPodRestart.scope(seen)?.rawValue
        }
        #expect(scope { _ in } == "FailedNodes")
        #expect(scope { $0.trainer?.rendezvous = nil } == "FailedNodes")
        #expect(scope { $0.failurePolicy?.restartScope = .allNodes } == nil)
        #expect(scope { $0.failurePolicy = nil } == nil)
        #expect(scope { $0.trainer?.rendezvous = .init(type: .jax) } == nil)
        #expect(scope { $0.trainer?.rendezvous = .init(type: .mpi) } == nil)
        #expect(scope { $0.trainer?.numNodes = 1 } == nil)
        #expect(scope { $0.trainer?.image = nil } == nil)
        #expect(
            scope { spec in
                spec.trainer?.numNodes = nil
                spec.accelerator = .init(tpu: .init(type: "tpu-v6e-slice", topology: "4x4", slices: 1))
            } == nil)
    }

    /// The builder, not the method of this suite.
    private func builtObservation(_ job: TrainingJob) -> TrainingJobObservation {
        OperatorTests.observation(job)
    }

    @Test func `the Job replaces pods, and torchrun's agents meet anew`() throws {
        let seen = observation([])
        let attempt = try #require(seen.status.attempts.first)
        let spec = try #require(seen.runSpec)
        let run = try #require(seen.status.run)
        let slice = try #require(TrainingJobSlice.all(run, attempt, spec, seen).first)
        let body = TrainingJobPods.job(slice).body
        #expect(body.value(at: ["spec", "backoffLimit"]) == 1000)
        let rules = body.value(at: ["spec", "podFailurePolicy", "rules"])?.arrayValue ?? []
        #expect(rules.map { $0["action"] } == ["Ignore"])
        let variables = body.value(at: ["spec", "template", "spec", "containers"])?[0]?["env"]?.arrayValue ?? []
        func variable(_ name: String) -> String? {
            variables.first { $0["name"] == .string(name) }?["value"]?.stringValue
        }
        #expect(variable("PET_RDZV_BACKEND") == "c10d" && variable("PET_RDZV_ID") == seen.status.run?.id)
        #expect(variable("PET_RDZV_ENDPOINT") == variable("ML_COORDINATOR") && variable("PET_MAX_RESTARTS") == "3")
    }
}
