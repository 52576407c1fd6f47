import ControllerRuntime
import Encoding
import Kubernetes
import Testing

@testable import Operator

/// Pods that do not stop by themselves hold no machine for ever.
@Suite struct TrainingJobPodEndTests {
    private static let pool = poolName("spot", "us-central1-b")

    /// A run that has failed at second 100, with these pods left.
    private func ended(_ pods: [Pod], jobs: [Job] = [], now: Int) -> TrainingJobObservation {
        var status = trainingStatus()
        status.attempts[0].endTime = moment(100)
        status.attempts[0].cause = "ContainerFailed"
        status.run?.result = "Failed"
        status.run?.reason = "ContainerFailed"
        status.run?.completionTime = moment(100)
        var seen = trainingObservation(pods: pods, now: moment(now)) { $0.status = status }
        seen.jobs = jobs
        return seen
    }

    private static let orphan = {
        var pod = attemptPod()
        pod.metadata.ownerReferences = nil
        return pod
    }()

    private static func deleted(_ pod: Pod, at second: Int) -> Pod {
        var pod = pod
        pod.metadata.deletionTimestamp = moment(second)
        return pod
    }

    private func steps(_ seen: TrainingJobObservation) -> [String] {
        TrainingJobPlan.plan(seen).steps.map { step in
            switch step {
            case .apply(let manifest): "apply \(manifest.name)"
            case .delete(let reference): "delete \(reference.type.kind) \(reference.uid ?? "")"
            case .deleteAtOnce(let reference): "delete at once \(reference.type.kind) \(reference.uid ?? "")"
            case .cloud(.deleteNodePool): "delete pool"
            case .cloud: "cloud"
            }
        }
    }

    @Test func `a pod that lost its owner is deleted by uid, and the pool only afterwards`() {
        #expect(steps(ended([Self.orphan], now: 101)) == ["delete Pod pod-1"])
        #expect(steps(ended([Self.deleted(Self.orphan, at: 126)], now: 110)) == [])
        #expect(steps(ended([], now: 130)) == ["delete pool"])
    }

    @Test func `a pod that Kubernetes should collect gets its time, then it is deleted`() {
        #expect(steps(ended([attemptPod()], now: 150)) == [])
        #expect(steps(ended([attemptPod()], now: 161)) == ["delete Pod pod-1"])
        // A Job that is there is asked first.
        #expect(steps(ended([attemptPod()], jobs: [attemptJob()], now: 161)) == ["delete Job job-1"])
    }

    @Test func `a pod whose node is gone is removed when its grace is over`() {
        var seen = ended([Self.deleted(attemptPod(), at: 126)], now: 120)
        #expect(steps(seen) == [])
        seen.now = moment(127)
        #expect(steps(seen) == ["delete at once Pod pod-1"])
        var node = node(Self.pool)
        node.metadata.name = "node-0"
        seen.nodes = [node]
        #expect(steps(seen) == [])
    }

    @Test func `pods that never go do not keep the pool, nor the object`() {
        var node = node(Self.pool)
        node.metadata.name = "node-0"
        // Nobody takes the delete: it has no deletion time however long that lasts.
        var seen = ended([Self.orphan], now: 100 + 625)
        seen.nodes = [node]
        #expect(steps(seen) == ["delete Pod pod-1"])
        seen.now = moment(100 + 626)
        #expect(steps(seen) == ["delete pool", "delete Pod pod-1"])
        seen.pools = []
        #expect(steps(seen) == ["delete Pod pod-1"])
        seen.now = moment(100 + 1251)
        let plan = TrainingJobPlan.plan(seen)
        #expect(plan.steps == [])
        #expect(plan.status.resources == [])
    }

    @Test func `a further attempt waits for the pods of the earlier one`() {
        var status = trainingStatus()
        status.attempts[0].endTime = moment(10)
        status.attempts[0].cause = "ContainerFailed"
        var second = TrainingJob.Attempt(number: 2)
        second.startTime = moment(20)
        second.candidate = "spot"
        second.zone = "us-central1-b"
        status.attempts.append(second)
        status.attemptCount = 2
        var seen = trainingObservation(now: moment(30)) { $0.status = status }
        seen.jobs = []
        #expect(steps(seen) == [])
        seen.pods = []
        #expect(steps(seen) == ["apply mnist-a1b2c-r1-a2"])
    }

    @Test func `pods have their time from when their Job was made`() {
        var job = attemptJob()
        var seen = trainingObservation(job, pods: [attemptPod(phase: "Pending")], now: moment(1000))
        #expect(TrainingJobPlan.plan(seen).status.attempts.last?.cause == "PodsNotStarted")
        job.metadata.creationTimestamp = moment(900)
        seen.jobs = [job]
        #expect(TrainingJobPlan.plan(seen).status.attempts.last?.cause == nil)
    }

    @Test func `a revision that cannot be read is told and looked at slowly, not written again`() {
        var seen = observation()
        let name = seen.revisions.keys.first ?? ""
        seen.revisions = [:]
        seen.unreadableRevisions = [name: "spec.backend is missing"]
        let plan = TrainingJobPlan.plan(seen)
        #expect(plan.steps == [])
        #expect(plan.next == .after(.seconds(60)))
        let ready = plan.status.conditions.first { $0.type == "Ready" }
        #expect(ready?.reason == "RevisionUnreadable")
        #expect(ready?.message == "ControllerRevision \(name) cannot be used: spec.backend is missing")
        #expect(plan.status.conditions.isTrue("Stalled"))
    }

    @Test func `a run whose revision became unreadable keeps its pods, and loses machines that nothing runs on`() {
        var seen = trainingObservation()
        let name = seen.revisions.keys.first ?? ""
        seen.revisions = [:]
        seen.unreadableRevisions = [name: "no object"]
        #expect(steps(seen) == [])
        #expect(TrainingJobPlan.plan(seen).status.run?.result == nil)
        seen.jobs = []
        seen.pods = []
        #expect(steps(seen) == ["delete pool"])
    }
}
