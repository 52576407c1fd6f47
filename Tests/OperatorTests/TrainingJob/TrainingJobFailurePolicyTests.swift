import ControllerRuntime
import Encoding
import Kubernetes
import Testing

@testable import Operator

/// What ends an attempt, and what follows.
@Suite struct TrainingJobFailurePolicyTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var job: Job
        var pods: [Pod]
        var seconds = 60
        /// The attempt's cause; nil: it goes on.
        var cause: String?
        /// The run's end; nil: it is tried again.
        var end: String?
        var counted = 0
        var testDescription: String { name }
    }

    private static let failed = attemptJob(condition: "Failed")

    static let cases: [Case] = [
        Case(name: "it runs", job: attemptJob(), pods: [attemptPod()]),
        Case(
            name: "exit 1 is tried again", job: failed, pods: [attemptPod(phase: "Failed", exitCode: 1)],
            cause: "ContainerFailed", counted: 1),
        Case(
            name: "wrong usage ends the run", job: failed, pods: [attemptPod(phase: "Failed", exitCode: 64)],
            cause: "ContainerFailed", end: "ContainerFailed"),
        Case(
            name: "bad data ends the run", job: failed, pods: [attemptPod(phase: "Failed", exitCode: 65)],
            cause: "ContainerFailed", end: "ContainerFailed"),
        Case(
            name: "a missing input ends the run", job: failed, pods: [attemptPod(phase: "Failed", exitCode: 66)],
            cause: "ContainerFailed", end: "ContainerFailed"),
        Case(
            name: "an unsuitable machine ends the run", job: failed, pods: [attemptPod(phase: "Failed", exitCode: 71)],
            cause: "ContainerFailed", end: "ContainerFailed"),
        Case(
            name: "the bucket was away", job: failed, pods: [attemptPod(phase: "Failed", exitCode: 69)],
            cause: "ContainerFailed", counted: 1),
        Case(
            name: "out of memory", job: failed,
            pods: [attemptPod(phase: "Failed", exitCode: 137, reason: "OOMKilled")], cause: "OOMKilled", counted: 1),
        Case(
            name: "the pod was disrupted", job: failed,
            pods: [
                attemptPod(
                    phase: "Failed", exitCode: 143,
                    conditions: [ObjectCondition(type: "DisruptionTarget", status: .true)])
            ], cause: "Preempted"),
        Case(
            name: "the node shut down", job: failed,
            pods: [attemptPod(phase: "Failed", exitCode: 137, podReason: "Terminated")], cause: "Preempted"),
        Case(
            name: "stopped by a signal after a checkpoint", job: failed,
            pods: [attemptPod(phase: "Failed", exitCode: 75)], cause: "Preempted"),
        Case(
            name: "the pods are gone, the Job says disruption",
            job: attemptJob(
                condition: "Failed",
                message: "Pod ml/x has condition DisruptionTarget matching FailJob rule at index 0"),
            pods: [], cause: "Preempted"),
        Case(
            name: "the pods are gone, the Job says an exit code",
            job: attemptJob(
                condition: "Failed",
                message: "Container trainer for pod ml/x failed with exit code 65 matching FailJob rule at index 1"),
            pods: [], cause: "ContainerFailed", end: "ContainerFailed"),
        Case(
            name: "the pods are gone, nobody says why", job: attemptJob(condition: "Failed"), pods: [],
            cause: "NodeUnhealthy"),
        Case(
            name: "the image cannot be pulled yet", job: attemptJob(),
            pods: [attemptPod(phase: "Pending", waiting: .init(reason: "ImagePullBackOff", message: "no"))]),
        Case(
            name: "the image cannot be pulled for long", job: attemptJob(),
            pods: [attemptPod(phase: "Pending", waiting: .init(reason: "ImagePullBackOff", message: "no"))],
            seconds: 121, cause: "ImagePullFailed", end: "ImagePullFailed"),
        Case(
            name: "the image's name is wrong", job: attemptJob(),
            pods: [attemptPod(phase: "Pending", waiting: .init(reason: "InvalidImageName", message: "no"))],
            cause: "ImagePullFailed", end: "ImagePullFailed"),
        Case(
            name: "no node fits the pod yet", job: attemptJob(), pods: [attemptPod(phase: "Pending")], seconds: 900),
        Case(
            name: "no node fits the pod for long", job: attemptJob(), pods: [attemptPod(phase: "Pending")],
            seconds: 901, cause: "PodsNotStarted", end: "PodsNotStarted"),
        Case(
            name: "the Job never gets a pod", job: attemptJob(), pods: [], seconds: 901, cause: "PodsNotStarted",
            end: "PodsNotStarted"),
    ]

    @Test(arguments: cases)
    func `an attempt's end has a cause and a consequence`(row: Case) {
        let seen = trainingObservation(row.job, pods: row.pods, now: moment(row.seconds))
        let plan = TrainingJobPlan.plan(seen)
        #expect(plan.status.attempts.last?.cause == row.cause)
        #expect(plan.status.run?.reason == row.end)
        #expect(plan.status.restartsCountTowardsMax ?? 0 == row.counted)
        if row.cause != nil {
            // Facts first: nothing is done in the round that writes them.
            #expect(plan.steps == [])
            #expect(plan.status.attempts.last?.endTime == moment(row.seconds))
        }
        let keepsPool = row.cause == nil || row.end != nil || row.counted > 0
        #expect((plan.status.capacity?.current != nil) == keepsPool)
    }

    @Test func `while a pod does not start, the condition says why, and so does the end`() {
        let pod = attemptPod(
            phase: "Pending",
            conditions: [
                ObjectCondition(
                    type: "PodScheduled", status: .false, reason: "Unschedulable",
                    message: "0/1 nodes are available: 1 Insufficient memory.")
            ])
        let waiting = TrainingJobPlan.plan(trainingObservation(attemptJob(), pods: [pod], now: moment(60)))
        #expect(
            waiting.status.conditions.first { $0.type == "Ready" }?.message
                == "attempt 1: a pod does not start: 0/1 nodes are available: 1 Insufficient memory.")
        let end = TrainingJobPlan.plan(trainingObservation(attemptJob(), pods: [pod], now: moment(901)))
        #expect(
            end.status.lastFailure?.message
                == "0 of 1 pods started within 900 s: 0/1 nodes are available: 1 Insufficient memory.")
    }

    @Test(arguments: [
        ("plain\nlast line\n\n", "last line"),
        (
            #"{"message":"data read"}"# + "\n" + #"{"error.message":"epochs is \"abc\"","message":"stopped"}"# + "\n",
            #"epochs is "abc""#
        ),
        (#"{"message":"stopped"}"#, "stopped"), ("{broken", "{broken"), (" \n", nil), ("", nil),
    ]) func `of a container's log the last sentence is told`(log: String, words: String?) {
        #expect(TrainingJobEvidence.lastWords(log) == words)
    }

    @Test func `a pool that vanished under the pods is a reclaim on spot`() {
        var seen = trainingObservation()
        seen.pools = []
        seen.nodes = []
        let plan = TrainingJobPlan.plan(seen)
        #expect(plan.status.attempts.last?.cause == "Preempted")
        #expect(plan.status.restarts == 1)
        #expect(plan.status.restartsCountTowardsMax == 0)
    }

    @Test func `nodes that a lagging watch does not show are not missed while the pods run`() {
        var seen = trainingObservation(now: moment(600))
        seen.nodes = []
        #expect(TrainingJobPlan.plan(seen).status.attempts.last?.cause == nil)
        seen.pods = [attemptPod(phase: "Pending")]
        #expect(TrainingJobPlan.plan(seen).status.attempts.last?.cause == "Preempted")
    }

    @Test func `pauses between restarts double up to five minutes`() {
        func delay(_ count: Int, after seconds: Int) -> Duration? {
            var status = trainingStatus()
            status.attempts[0].endTime = start
            status.attempts[0].cause = "ContainerFailed"
            status.restartsCountTowardsMax = count
            return TrainingJobCapacity.restartDelay(observation(trainingJob(status: status), now: moment(seconds)))
        }
        #expect(delay(1, after: 0) == .seconds(5))
        #expect(delay(2, after: 0) == .seconds(10))
        #expect(delay(7, after: 0) == .seconds(300))
        #expect(delay(900, after: 100) == .seconds(200))
        #expect(delay(1, after: 5) == nil)
    }

    @Test func `machines that are lost again and again are bought ever more slowly`() {
        func delay(_ count: Int, cause: String = "Preempted", lasting seconds: Int = 30) -> Duration? {
            var status = trainingStatus()
            status.attempts = (1...count).map { number in
                var attempt = TrainingJob.Attempt(number: number)
                attempt.startTime = start
                attempt.endTime = moment(seconds)
                attempt.cause = cause
                return attempt
            }
            return TrainingJobCapacity.restartDelay(
                observation(trainingJob(status: status), now: moment(seconds)))
        }
        #expect(delay(1) == nil)
        #expect(delay(2) == .seconds(10))
        #expect(delay(3) == .seconds(20))
        #expect(delay(10) == .seconds(300))
        #expect(delay(10, lasting: 600) == nil)
        #expect(delay(10, cause: "Suspended") == nil)
    }
}
