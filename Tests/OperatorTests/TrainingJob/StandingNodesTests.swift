import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes
import Testing

@testable import Operator

/// Nodes that the operator does not make: `Existing` and `ComputeClass`.
@Suite struct StandingNodesTests {
    private func job(
        _ change: @escaping (inout TrainingJob.Backend.NodePool) -> Void, status: TrainingJob.Status? = nil
    ) -> TrainingJob {
        trainingJob(
            { spec in
                spec.capacity = nil
                var pool = TrainingJob.Backend.NodePool(policy: .existing)
                pool.selector = .init(matchLabels: ["team": "ml"])
                change(&pool)
                spec.backend.gke = .init(nodePool: pool)
            }, status: status)
    }

    private func toClass(_ pool: inout TrainingJob.Backend.NodePool) {
        pool.policy = .computeClass
        pool.selector = nil
        pool.computeClassName = "l4-first"
    }

    @Test func `an attempt begins at once, and nothing is bought`() {
        var job = job { _ in }
        job.status = status(run: run(job))
        var seen = observation(job)
        let begun = TrainingJobPlan.plan(seen)
        #expect(begun.steps == [])
        #expect(begun.status.resources == [])
        #expect(begun.status.capacity?.current == "existing-nodes")
        #expect(begun.status.attempts.map(\.number) == [1])
        #expect(begun.status.conditions.first { $0.type == "ComputeReleased" }?.reason == "NothingCreated")
        seen.job.status = begun.status
        let running = TrainingJobPlan.plan(seen)
        let kinds = running.steps.map { step in
            if case .apply(let manifest) = step { manifest.type.kind } else { "another step" }
        }
        #expect(kinds == ["Service", "Job"])
        // Long after: no pool is missed.
        seen.now = moment(600)
        #expect(TrainingJobPlan.plan(seen).status.attempts.last?.endTime == nil)
    }

    @Test func `pods find their nodes by the labels that the spec names`() {
        func selection(_ change: @escaping (inout TrainingJob.Backend.NodePool) -> Void) -> (JSONValue, [JSONValue]) {
            let spec = RunSpec(job(change).spec)
            return (NodeSelection.selector(pool: "unused", spec), NodeSelection.tolerations(spec))
        }
        let existing = selection { pool in
            pool.tolerations = [.init(key: "team", operator: .equal, value: "ml", effect: .noExecute)]
        }
        #expect(existing.0 == ["team": "ml"])
        #expect(
            existing.1 == [
                ["key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"],
                ["key": "cloud.google.com/gke-spot", "operator": "Exists", "effect": "NoSchedule"],
                ["key": "team", "operator": "Equal", "value": "ml", "effect": "NoExecute"],
            ])
        let byClass = selection(toClass)
        #expect(
            byClass.0 == [
                "cloud.google.com/compute-class": "l4-first", "cloud.google.com/gke-accelerator": "nvidia-l4",
            ])
        #expect(byClass.1.last?["key"] == "cloud.google.com/compute-class")
        var tpu = RunSpec(job(toClass).spec)
        tpu.accelerator = .init(tpu: .init(type: "tpu-v6e-slice", topology: "4x4", slices: 1))
        #expect(
            NodeSelection.selector(pool: "", tpu) == [
                "cloud.google.com/compute-class": "l4-first", "cloud.google.com/gke-tpu-accelerator": "tpu-v6e-slice",
                "cloud.google.com/gke-tpu-topology": "4x4",
            ])
    }

    @Test func `pods that find no node say why, and wait as long as the user does`() {
        var job = job { _ in }
        job.spec.pendingDeadlineSeconds = 3600
        var status = status(run: run(job))
        status.capacity = TrainingJob.CapacityStatus()
        status.capacity?.current = "existing-nodes"
        var attempt = TrainingJob.Attempt(number: 1)
        attempt.startTime = start
        attempt.candidate = "existing-nodes"
        attempt.zone = ""
        status.attempts = [attempt]
        status.attemptCount = 1
        job.status = status
        let why = "0/3 nodes are available: 3 node(s) had untolerated taint {team: vision}."
        var pod = attemptPod(phase: "Pending")
        pod.spec?.nodeName = nil
        pod.status?.conditions = [ObjectCondition(type: "PodScheduled", status: .false, message: why)]
        func world(_ second: Int) -> TrainingJobObservation {
            var seen = observation(job, now: moment(second))
            seen.jobs = [attemptJob()]
            seen.pods = [pod]
            seen.services = [run(job).id]
            return seen
        }
        let waiting = TrainingJobPlan.plan(world(3599))
        #expect(waiting.steps == [])
        #expect(waiting.status.run?.result == nil)
        #expect(waiting.status.conditions.first { $0.type == "Ready" }?.message.hasSuffix(why) == true)
        let ended = TrainingJobPlan.plan(world(3601))
        #expect(ended.status.run?.reason == "PodsNotStarted")
        #expect(ended.status.lastFailure?.message?.hasSuffix(why) == true)
        job.spec.pendingDeadlineSeconds = nil
        #expect(TrainingJobPlan.plan(world(901)).status.run?.reason == "PodsNotStarted")
    }
}

/// A pool that waits for the next run of its object.
@Suite struct KeptPoolTests {
    private static let pool = poolName("spot", "us-central1-b")

    private func seen(_ second: Int, _ change: (inout TrainingJob.Spec) -> Void = { _ in }) -> TrainingJobObservation {
        let base = trainingJob { spec in
            spec.backend.gke = .init(nodePool: .init(policy: .createPerRun, keepIdleSeconds: 600))
        }
        var status = succeededStatus()
        status.run = run(base)
        status.run?.result = "Succeeded"
        status.run?.reason = "Succeeded"
        status.run?.completionTime = start
        var job = base
        job.status = status
        change(&job.spec)
        job.metadata.generation = job.spec == base.spec ? 1 : 2
        var seen = observation(job, now: moment(second))
        var pool = nodePool(Self.pool)
        pool.config?.machineType = "g2-standard-4"
        pool.config?.accelerators = [
            .init(
                acceleratorType: "nvidia-l4", acceleratorCount: 1,
                gpuDriverInstallationConfig: .init(gpuDriverVersion: "DEFAULT"))
        ]
        seen.pools = [pool]
        seen.nodes = [node(Self.pool)]
        return seen
    }

    private func state(_ plan: Plan<TrainingJob.Status, TrainingJobAction>) -> String {
        let released = plan.status.conditions.first { $0.type == "ComputeReleased" }
        return
            "\(plan.status.state ?? "") \(plan.steps.count) \(released?.status.rawValue ?? "") \(released?.reason ?? "")"
    }

    @Test func `it stays for so long, says until when, and goes then`() {
        let kept = TrainingJobPlan.plan(seen(599))
        #expect(state(kept) == "Idle 0 False KeepingIdle")
        #expect(kept.next == .after(.seconds(1)))
        #expect(
            kept.status.conditions.first { $0.type == "ComputeReleased" }?.message
                == "node pool \(Self.pool) is kept until \(moment(600)) for the next run, and billed")
        let gone = TrainingJobPlan.plan(seen(600))
        #expect(state(gone) == "Releasing 1 False ReleasingCompute")
        #expect(state(TrainingJobPlan.plan(seen(10) { $0.suspend = true })) == "Releasing 1 False ReleasingCompute")
        #expect(
            state(TrainingJobPlan.plan(seen(10) { $0.backend.gke?.nodePool?.keepIdleSeconds = nil }))
                == "Releasing 1 False ReleasingCompute")
        var broken = seen(10)
        broken.pools[0].status = .runningWithError
        #expect(state(TrainingJobPlan.plan(broken)) == "Releasing 1 False ReleasingCompute")
    }

    @Test func `the next run takes it over without a create`() {
        var world = seen(10) { $0.rerunToken = "2" }
        let recorded = TrainingJobPlan.plan(world)
        #expect(recorded.steps == [])
        #expect(recorded.status.run?.number == 2)
        #expect(recorded.status.resources.map(\.name) == [Self.pool])
        #expect(recorded.status.capacity?.poolRun == 1)
        var status = recorded.status
        status.run?.image = "mine"
        world.job.status = status
        let taken = TrainingJobPlan.plan(world)
        #expect(taken.steps == [])
        #expect(taken.status.attempts.map(\.zone) == ["us-central1-b"])
        world.job.status = taken.status
        let running = TrainingJobPlan.plan(world)
        #expect(running.status.attempts.last?.endTime == nil)
        guard case .apply(let job) = running.steps.last else {
            Issue.record("no Job")
            return
        }
        let selector = job.body.value(at: ["spec", "template", "spec", "nodeSelector"])
        #expect(selector == ["cloud.google.com/gke-nodepool": .string(Self.pool)])
    }

    @Test func `a next run that needs other machines deletes it first`() {
        var world = seen(10) { $0.accelerator?.gpu?.count = 2 }
        let recorded = TrainingJobPlan.plan(world)
        #expect(recorded.status.run?.number == 2)
        var status = recorded.status
        status.run?.image = "mine"
        world.job.status = status
        #expect(
            TrainingJobPlan.plan(world).steps == [.cloud(.deleteNodePool(name: Self.pool, owner: world.owner))])
        world.pools = []
        world.nodes = []
        let cleared = TrainingJobPlan.plan(world)
        #expect(cleared.status.resources == [])
        #expect(cleared.status.capacity?.current == nil)
        world.job.status = cleared.status
        let next = TrainingJobPlan.plan(world)
        #expect(next.status.capacity?.current == "spot")
        #expect(next.status.capacity?.poolRun == nil)
        #expect(next.status.resources.map(\.name) == [poolName("spot", "us-central1-a", run: 2)])
    }

    @Test func `how long it is kept is not part of what a run executes`() {
        let kept = trainingJob { spec in
            spec.backend.gke = .init(nodePool: .init(policy: .createPerRun, keepIdleSeconds: 600))
        }
        #expect(SpecHash.hash(RunSpec(kept.spec)) == SpecHash.hash(RunSpec(trainingJob().spec)))
    }
}
