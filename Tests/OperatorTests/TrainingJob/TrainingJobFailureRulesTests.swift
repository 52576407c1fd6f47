import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes
import Testing
import TrainingContract

@testable import Operator

/// What the user's rules make of a failure, and what a user reads of it.
@Suite struct TrainingJobFailureRulesTests {
    private typealias Policy = TrainingJob.FailurePolicy

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var rules: [TrainingJob.FailurePolicy.Rule]
        var exitCode: Int32 = 1
        var reason: String?
        var conditions: [ObjectCondition]?
        var action: String
        var end: String?
        var counted = 0
        var keepsMachines = true
        var testDescription: String { name }
    }

    private static func onCode(
        _ code: Int, _ action: Policy.Action, _ comparison: Policy.ExitCodes.Comparison = .isIn
    ) -> Policy.Rule {
        .init(
            name: "code-\(code)", onExitCodes: .init(operator: comparison, values: [code]), action: action)
    }

    private static func onReason(_ reason: Reason, _ action: Policy.Action) -> Policy.Rule {
        .init(name: reason.rawValue.lowercased(), onReasons: [reason.rawValue], action: action)
    }

    private static let disrupted = [ObjectCondition(type: "DisruptionTarget", status: .true)]

    static let cases: [Case] = [
        Case(name: "no rule", rules: [], action: "Restart", counted: 1),
        Case(
            name: "fail by code", rules: [onCode(1, .fail)], action: "Fail", end: "ContainerFailed"),
        Case(name: "another code", rules: [onCode(2, .fail)], action: "Restart", counted: 1),
        Case(
            name: "any other code", rules: [onCode(2, .fail, .isNotIn)], action: "Fail", end: "ContainerFailed"),
        Case(
            name: "the first that matches decides", rules: [onCode(1, .restartIgnoringLimit), onCode(1, .fail)],
            action: "RestartIgnoringLimit"),
        Case(
            name: "wrong usage may be tried again", rules: [onCode(64, .restart)], exitCode: 64, action: "Restart",
            counted: 1),
        Case(
            name: "other machines", rules: [onCode(79, .replaceNode)], exitCode: 79, action: "ReplaceNode",
            counted: 1, keepsMachines: false),
        Case(
            name: "by reason", rules: [onReason(.oomKilled, .fail)], exitCode: 137, reason: "OOMKilled",
            action: "Fail", end: "OOMKilled"),
        Case(
            name: "a reclaim never counts", rules: [onReason(.preempted, .restart)], exitCode: 143,
            conditions: disrupted, action: "Restart", keepsMachines: false),
        Case(
            name: "a reclaim may end the run", rules: [onReason(.preempted, .fail)], exitCode: 143,
            conditions: disrupted, action: "Fail", end: "Preempted"),
    ]

    @Test(arguments: cases) func `the first rule that matches decides`(row: Case) {
        let pod = attemptPod(phase: "Failed", exitCode: row.exitCode, reason: row.reason, conditions: row.conditions)
        let seen = trainingObservation(attemptJob(condition: "Failed"), pods: [pod]) { job in
            job.spec.failurePolicy = .init(maxRestarts: 3, rules: row.rules)
        }
        let plan = TrainingJobPlan.plan(seen)
        #expect(plan.steps == [])
        #expect(plan.status.attempts.last?.action == row.action)
        #expect(plan.status.run?.reason == row.end)
        #expect(plan.status.restartsCountTowardsMax ?? 0 == row.counted)
        #expect((plan.status.capacity?.current != nil) == row.keepsMachines)
    }

    @Test func `beyond the limit the run ends, but not where the limit is to be ignored`() {
        func end(_ rules: [Policy.Rule]) -> String? {
            let pod = attemptPod(phase: "Failed", exitCode: 1)
            let seen = trainingObservation(attemptJob(condition: "Failed"), pods: [pod]) { job in
                job.spec.failurePolicy = .init(maxRestarts: 0, rules: rules)
            }
            return TrainingJobPlan.plan(seen).status.run?.reason
        }
        #expect(end([]) == "RestartLimitExceeded")
        #expect(end([Self.onCode(1, .replaceNode)]) == "RestartLimitExceeded")
        #expect(end([Self.onCode(1, .restartIgnoringLimit)]) == nil)
    }

    @Test func `machines that are to be replaced are deleted before others are looked for`() {
        let pod = attemptPod(phase: "Failed", exitCode: 79)
        var seen = trainingObservation(attemptJob(condition: "Failed"), pods: [pod]) { job in
            job.spec.failurePolicy = .init(maxRestarts: 3, rules: [Self.onCode(79, .replaceNode)])
        }
        seen.job.status = TrainingJobPlan.plan(seen).status
        let pool = poolName("spot", "us-central1-b")
        #expect(TrainingJobPlan.plan(seen).steps == [.cloud(.deleteNodePool(name: pool, owner: seen.owner))])
    }

    @Test func `failures that the limit ignores are tried again ever more slowly`() {
        func delay(_ count: Int) -> Duration? {
            var status = trainingStatus()
            status.attempts = (1...count).map { number in
                var attempt = TrainingJob.Attempt(number: number)
                attempt.startTime = start
                attempt.endTime = start
                attempt.cause = "ContainerFailed"
                attempt.action = "RestartIgnoringLimit"
                return attempt
            }
            return TrainingJobCapacity.restartDelay(observation(trainingJob(status: status), now: start))
        }
        #expect([delay(1), delay(2), delay(10)] == [.seconds(5), .seconds(10), .seconds(300)])
    }

    // MARK: Disruptions

    @Test(arguments: [
        ("a spot machine is reclaimed", true, "TerminationByKubelet", "Terminated", "Preempted"),
        ("a host goes into maintenance", false, "TerminationByKubelet", "Terminated", "HostMaintenance"),
        ("a node does not answer", false, "DeletionByTaintManager", nil, "NodeUnhealthy"),
        ("a node is gone", false, "DeletionByPodGC", nil, "NodeUnhealthy"),
        ("a pod of higher priority", false, "PreemptionByScheduler", nil, "Preempted"),
        ("a drain", false, "EvictionByEvictionAPI", nil, "Preempted"),
        ("the node is short of memory", true, "TerminationByKubelet", "Evicted", "OOMKilled"),
    ]) func `what took a pod's place away is told`(
        name: String, isSpot: Bool, reason: String, podReason: String?, cause: String
    ) {
        var pod = attemptPod(
            phase: "Failed", exitCode: 143,
            conditions: [ObjectCondition(type: "DisruptionTarget", status: .true, reason: reason)],
            podReason: podReason)
        if podReason == "Evicted" { pod.status?.message = "The node was low on resource: memory." }
        var seen = trainingObservation(attemptJob(condition: "Failed"), pods: [pod]) { job in
            if !isSpot { job.spec.capacity?.candidates[0].provisioningModel = .standard }
        }
        if !isSpot { seen.pools[0].config?.spot = nil }
        let plan = TrainingJobPlan.plan(seen)
        #expect(plan.status.attempts.last?.cause == cause)
        let counts = cause == "OOMKilled" ? 1 : 0
        #expect(plan.status.restartsCountTowardsMax == counts)
    }

    @Test func `who lost its peers is not the cause, whenever it ended`() {
        var lost = attemptPod(phase: "Failed", exitCode: 77)
        lost.metadata.name = "first"
        lost.status?.containerStatuses?[0].state?.terminated?.finishedAt = moment(1)
        let cause = attemptPod(phase: "Failed", exitCode: 65)
        var seen = trainingObservation(attemptJob(condition: "Failed"), pods: [lost, cause])
        #expect(TrainingJobPlan.plan(seen).status.attempts.last?.exitCode == 65)
        // Alone it counts, unless a machine goes whose pod has not told yet.
        seen.pods = [lost]
        let alone = TrainingJobPlan.plan(seen).status
        #expect(alone.attempts.last?.cause == "ContainerFailed" && alone.restartsCountTowardsMax == 1)
        seen.nodes = [node(poolName("spot", "us-central1-b"), isReady: false)]
        let reclaimed = TrainingJobPlan.plan(seen).status
        #expect(reclaimed.attempts.last?.cause == "Preempted" && reclaimed.restartsCountTowardsMax == 0)
    }

    @Test func `machines whose time is over are no failure`() {
        var seen = trainingObservation(now: moment(7200))
        seen.pools[0].config?.maxRunDuration = "7200s"
        seen.pools[0].status = .stopping
        let plan = TrainingJobPlan.plan(seen)
        #expect(plan.status.attempts.last?.cause == "MaxRunDurationReached")
        #expect(plan.status.restartsCountTowardsMax == 0)
    }

    // MARK: Gang

    private func pods(_ phases: [String]) -> [Pod] {
        phases.enumerated().map { index, phase in
            var pod = attemptPod(phase: phase)
            pod.metadata.name = "pod-\(index)"
            return pod
        }
    }

    private func gang(_ pods: [Pod], after seconds: Int) -> TrainingJobObservation {
        var seen = trainingObservation(attemptJob(), pods: pods, now: moment(seconds)) { job in
            job.spec.trainer?.image = "mine"
            job.spec.trainer?.numNodes = 3
            let own = run(job)
            job.status?.run = own
        }
        let pool = poolName("spot", "us-central1-b")
        seen.nodes = (0..<3).map { node(pool, index: $0) }
        return seen
    }

    @Test func `pods that wait for others in vain are stopped and started once more`() {
        let waiting = TrainingJobPlan.plan(gang(pods(["Running", "Running", "Pending"]), after: 900))
        #expect(
            waiting.status.conditions.first { $0.type == "Ready" }?.message
                == "attempt 1: 2 of 3 pods are running")
        let plan = TrainingJobPlan.plan(gang(pods(["Running", "Running", "Pending"]), after: 901))
        #expect(plan.status.attempts.last?.cause == "PodsNotStarted")
        #expect(plan.status.lastFailure?.message == "2 of 3 pods started within 900 s")
        #expect(plan.status.run?.reason == nil)
        #expect(plan.status.restartsCountTowardsMax == 1)
    }

    @Test func `a pod that fetches its inputs has started`() {
        var fetching = pods(["Running", "Running", "Pending"])
        fetching[2].status?.initContainerStatuses = [
            ContainerStatus(name: "download-input-0", state: ContainerState(running: .init()))
        ]
        #expect(TrainingJobPlan.plan(gang(fetching, after: 7200)).status.attempts.last?.cause == nil)
    }

    @Test func `a failed download is told as such`() {
        var pod = attemptPod(phase: "Failed")
        pod.status?.containerStatuses = nil
        pod.status?.initContainerStatuses = [
            ContainerStatus(
                name: "download-input-0",
                state: ContainerState(
                    terminated: .init(
                        exitCode: 66, message: #"{"error.message":"no objects below gs://b/x/"}"#,
                        finishedAt: moment(5))))
        ]
        let plan = TrainingJobPlan.plan(trainingObservation(attemptJob(condition: "Failed"), pods: [pod]))
        #expect(plan.status.run?.reason == "ContainerFailed")
        #expect(plan.status.lastFailure?.component == "Download")
        #expect(
            plan.status.lastFailure?.message
                == "download-input-0 of pod \(pod.metadata.name) exited with 66: no objects below gs://b/x/")
    }

    // MARK: Slices

    private func twoSlices(_ jobs: [Job], pods: [Pod]) -> TrainingJobObservation {
        var seen = trainingObservation(attemptJob(), pods: pods) { job in
            job.spec.trainer = .init(image: "jax", terminationGracePeriodSeconds: 25)
            job.spec.accelerator = .init(tpu: .init(type: "tpu-v6e-slice", topology: "2x2", slices: 2))
            let own = run(job)
            job.status?.run = own
        }
        seen.jobs = jobs
        let second = Naming.nodePool(
            uid: uid, run: 1, candidate: "spot", zone: "us-central1-b", slice: 1)
        seen.pools.append(nodePool(second))
        seen.nodes.append(node(second))
        return seen
    }

    private func sliceJob(_ slice: Int, condition: String? = nil) -> Job {
        var job = attemptJob(condition: condition)
        job.metadata.name = Naming.attemptJob(runID: run().id, attempt: 1, slice: slice)
        job.metadata.uid = "job-s\(slice)"
        return job
    }

    @Test func `each slice gets its Job, and one that is missing is made`() {
        let none = TrainingJobPlan.plan(twoSlices([], pods: []))
        #expect(none.steps.count == 2)
        let half = TrainingJobPlan.plan(twoSlices([sliceJob(0)], pods: []))
        guard case .apply(let manifest)? = half.steps.first else {
            Issue.record("\(half.steps)")
            return
        }
        #expect(half.steps.count == 1 && manifest.name == "\(run().id)-a1-s1")
    }

    @Test func `the failure of one slice ends the attempt of all`() {
        var pod = attemptPod(phase: "Failed", exitCode: 1)
        pod.metadata.ownerReferences?[0].uid = "job-s1"
        var seen = twoSlices([sliceJob(0), sliceJob(1, condition: "Failed")], pods: [pod])
        let plan = TrainingJobPlan.plan(seen)
        #expect(plan.status.attempts.last?.cause == "ContainerFailed")
        #expect(plan.steps == [])
        seen.job.status = plan.status
        #expect(TrainingJobPlan.plan(seen).steps == [.delete(ObjectReference(sliceJob(0)))])
    }

    @Test func `success is the success of every slice`() {
        let half = TrainingJobPlan.plan(twoSlices([sliceJob(0, condition: "Complete"), sliceJob(1)], pods: []))
        #expect(half.status.attempts.last?.endTime == nil)
        let all = TrainingJobPlan.plan(
            twoSlices([sliceJob(0, condition: "Complete"), sliceJob(1, condition: "Complete")], pods: []))
        #expect(all.status.attempts.last?.cause == "Succeeded")
    }

    // MARK: The report

    @Test func `a failure is told with signal, log, and the next larger machine`() throws {
        let pod = attemptPod(phase: "Failed", exitCode: 137, reason: "OOMKilled")
        let plan = TrainingJobPlan.plan(trainingObservation(attemptJob(condition: "Failed"), pods: [pod]))
        let failure = try #require(plan.status.lastFailure)
        #expect(failure.signal == 9 && failure.exitCode == 137 && failure.node == "node-0")
        #expect(failure.zone == "us-central1-b" && failure.class == "UserCode" && failure.component == "Trainer")
        #expect(
            failure.hint
                == "It used all of g2-standard-4 (16 GB): set machineType: g2-standard-8 (32 GB), or take a smaller batch."
        )
        let url = try #require(failure.logURL)
        #expect(
            url.hasPrefix("https://console.cloud.google.com/logs/query;query=resource.type%3D%22k8s_container%22%0A"))
        #expect(url.contains("resource.labels.pod_name%3D%22\(pod.metadata.name)%22"))
        #expect(url.hasSuffix("?project=test-project") && url.count <= 1024)
    }

    @Test func `what the trainer had used is told, and of CPUs the next size`() throws {
        let pod = attemptPod(phase: "Failed", exitCode: 137, reason: "OOMKilled")
        var seen = trainingObservation(attemptJob(condition: "Failed"), pods: [pod])
        seen.progress = report()
        seen.progress?.memoryPeakBytes = 15_260_000_000
        #expect(
            TrainingJobPlan.plan(seen).status.lastFailure?.hint
                == "It used all of g2-standard-4 (16 GB), at step 100 rank 0 had used 15.3 GB: set machineType: "
                + "g2-standard-8 (32 GB), or take a smaller batch.")
        seen.progress?.attempt = 7
        #expect(TrainingJobPlan.plan(seen).status.lastFailure?.hint?.contains("rank 0") == false)
        #expect(TrainingJobFailureReport.largerCPU(than: "e2-standard-4") == "e2-standard-8")
        #expect(TrainingJobFailureReport.largerCPU(than: "n2-highcpu-8") == "n2-standard-8")
        #expect(TrainingJobFailureReport.largerCPU(than: "n2-standard-32") == "n2-highmem-32")
        #expect(TrainingJobFailureReport.largerCPU(than: "e2-standard-32") == nil)
        #expect(TrainingJobFailureReport.largerCPU(than: "n2-custom-4-8192") == nil)
    }

    @Test func `a limit of the user's own is named`() {
        let pod = attemptPod(phase: "Failed", exitCode: 137, reason: "OOMKilled")
        let seen = trainingObservation(attemptJob(condition: "Failed"), pods: [pod]) { job in
            job.spec.trainer?.resourcesPerNode = .init(limits: ["memory": "8Gi"])
            let own = run(job)
            job.status?.run = own
        }
        #expect(
            TrainingJobPlan.plan(seen).status.lastFailure?.hint
                == "It hit its limit: raise resourcesPerNode.limits.memory (8Gi; g2-standard-4 has 16 GB), or take a "
                + "smaller batch.")
    }
}
