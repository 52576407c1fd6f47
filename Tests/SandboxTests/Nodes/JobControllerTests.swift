import Encoding
import HTTP
import Testing

@testable import Sandbox

@Suite struct JobControllerTests {
    private let now = Sample.now
    private static let ignoreDisruption: JSONValue = [
        "action": "Ignore", "onPodConditions": [["type": "DisruptionTarget", "status": "True"]],
    ]

    @Test func `an indexed job gets one pod per missing index up to its parallelism`() {
        var controller = JobController(seed: 1)
        let job = Sample.job(["completionMode": "Indexed", "completions": 4, "parallelism": 2])
        let changes = controller.changes(
            jobs: [job], pods: [Sample.pod("train-0-abcde", phase: "Running", index: 0)], now: now)
        #expect(changes.createdPods.count == 1)
        #expect(changes.createdPods.first?.hasPrefix("train-1-") == true)
        #expect(changes.statusPatch?["active"] == 2)
        #expect(changes.statusPatch?["startTime"] == Sample.time)
    }

    @Test func `a pod of an indexed job knows its index, its host name and its owner`() {
        let job = Sample.job([:], template: ["containers": [["name": "main", "image": "i"]], "subdomain": "svc"])
        let pod = JobPod.object(for: job, index: 3, suffix: "abcde")
        let key = "batch.kubernetes.io/job-completion-index"
        #expect(pod.value(at: ["metadata", "name"]) == "train-3-abcde")
        #expect(pod.value(at: ["spec", "hostname"]) == "train-3")
        #expect(pod.value(at: ["metadata", "annotations", key]) == "3")
        #expect(pod.value(at: ["metadata", "labels", "job-name"]) == "train")
        let path = "metadata.annotations['\(key)']"
        let environment: JSONValue = [
            ["name": "JOB_COMPLETION_INDEX", "valueFrom": ["fieldRef": ["fieldPath": .string(path)]]]
        ]
        #expect(pod.value(at: ["spec", "containers"])?[0]?["env"] == environment)
        #expect(PodView(object: pod).controllerUID == "job-uid")
    }

    @Test func `a job is complete when every index has succeeded`() {
        var controller = JobController(seed: 1)
        let job = Sample.job(["completionMode": "Indexed", "completions": 3, "parallelism": 3])
        let pods = [0, 1, 2].map { (index: Int) in Sample.ended("train-\(index)-abcde", exitCode: 0, index: index) }
        let changes = controller.changes(jobs: [job], pods: pods, now: now)
        #expect(changes.statusPatch?["succeeded"] == 3)
        #expect(changes.statusPatch?["completedIndexes"] == "0-2")
        #expect(changes.statusPatch?["completionTime"] == Sample.time)
        #expect(
            changes.statusPatch?["conditions"]?.arrayValue?.map { $0["type"] } == ["SuccessCriteriaMet", "Complete"])
        #expect(changes.events.map(\.reason) == ["Completed"])
    }

    @Test func `a failure beyond the backoff limit fails the job`() {
        var controller = JobController(seed: 1)
        let job = Sample.job(["backoffLimit": 0])
        let changes = controller.changes(jobs: [job], pods: [Sample.ended("train-abcde", exitCode: 1)], now: now)
        let failed = changes.statusPatch?["conditions"]?.arrayValue?.last
        #expect(failed?["type"] == "Failed")
        #expect(failed?["reason"] == "BackoffLimitExceeded")
        #expect(changes.statusPatch?["failed"] == 1)
        #expect(changes.createdPods == [])
    }

    @Test func `after a failure the next pod waits ten seconds and then comes`() {
        var controller = JobController(seed: 1)
        let pods = [Sample.ended("train-abcde", exitCode: 1)]
        let job = Sample.job(["backoffLimit": 3])
        #expect(controller.changes(jobs: [job], pods: pods, now: now).createdPods == [])
        #expect(controller.changes(jobs: [job], pods: pods, now: now + .seconds(9)).createdPods == [])
        #expect(controller.changes(jobs: [job], pods: pods, now: now + .seconds(10)).createdPods.count == 1)
    }

    @Test func `a rule on exit codes fails the job at once and says why`() {
        var controller = JobController(seed: 1)
        let failJob: JSONValue = [
            "action": "FailJob", "onExitCodes": ["containerName": "main", "operator": "In", "values": [64, 65]],
        ]
        let job = Sample.job([
            "backoffLimit": 6, "podFailurePolicy": ["rules": .array([Self.ignoreDisruption, failJob])],
        ])
        let changes = controller.changes(jobs: [job], pods: [Sample.ended("train-abcde", exitCode: 65)], now: now)
        let failed = changes.statusPatch?["conditions"]?.arrayValue?.last
        #expect(failed?["reason"] == "PodFailurePolicy")
        #expect(
            failed?["message"]
                == "Container main for pod ml/train-abcde failed with exit code 65 matching FailJob rule at index 1")
    }

    @Test func `a disrupted pod is replaced at once and counts for nothing`() {
        var controller = JobController(seed: 1)
        let job = Sample.job([
            "backoffLimit": 0, "podFailurePolicy": ["rules": .array([Self.ignoreDisruption])],
        ])
        let pod = Sample.ended(
            "train-abcde", exitCode: 143, conditions: [["type": "DisruptionTarget", "status": "True"]])
        let changes = controller.changes(jobs: [job], pods: [pod], now: now)
        #expect(changes.createdPods.count == 1)
        #expect(changes.statusPatch?["failed"] == nil)
    }

    @Test func `a suspended job deletes its pods, and their end is no failure`() {
        var controller = JobController(seed: 1)
        let running = Sample.pod("train-abcde", phase: "Running", node: "node-a")
        let job = Sample.job(["suspend": true, "backoffLimit": 0], status: ["startTime": Sample.time])
        let changes = controller.changes(jobs: [job], pods: [running], now: now)
        #expect(
            changes.requests == [
                "DELETE /api/v1/namespaces/ml/pods/train-abcde", "PATCH /apis/batch/v1/namespaces/ml/jobs/train/status",
            ])
        #expect(changes.statusPatch?["conditions"]?[0]?["type"] == "Suspended")
        #expect(changes.statusPatch?["startTime"] == .null)
        let after = controller.changes(jobs: [job], pods: [Sample.ended("train-abcde", exitCode: 75)], now: now)
        #expect(after.statusPatch?["failed"] == nil)
    }

    @Test func `a pod that vanished before its end was seen has failed`() {
        var controller = JobController(seed: 1)
        let job = Sample.job(["backoffLimit": 0])
        _ = controller.changes(jobs: [job], pods: [Sample.pod("train-abcde", phase: "Running")], now: now)
        let changes = controller.changes(jobs: [job], pods: [], now: now)
        #expect(changes.statusPatch?["failed"] == 1)
    }

    @Test func `with a failure policy a terminating pod keeps its place until it has ended`() {
        var controller = JobController(seed: 1)
        let terminating = [Sample.pod("train-abcde", phase: "Running", isDeleting: true)]
        let patient = Sample.job(["podFailurePolicy": ["rules": []]])
        #expect(controller.changes(jobs: [patient], pods: terminating, now: now).createdPods == [])
        #expect(controller.changes(jobs: [Sample.job()], pods: terminating, now: now).createdPods.count == 1)
    }

    @Test func `a job past its deadline stops its pods and fails when they are gone`() {
        var controller = JobController(seed: 1)
        let job = Sample.job(["activeDeadlineSeconds": 60], status: ["startTime": Sample.time])
        let pod = Sample.pod("train-abcde", phase: "Running")
        let changes = controller.changes(jobs: [job], pods: [pod], now: now + .seconds(60))
        #expect(changes.requests.first == "DELETE /api/v1/namespaces/ml/pods/train-abcde")
        #expect(changes.statusPatch?["conditions"]?.arrayValue?.first?["type"] == "FailureTarget")
    }

    @Test func `a finished job is deleted when its time to live has passed`() {
        var controller = JobController(seed: 1)
        let job = Sample.job(
            ["ttlSecondsAfterFinished": 30],
            status: ["conditions": [["type": "Complete", "status": "True", "lastTransitionTime": Sample.time]]])
        #expect(controller.changes(jobs: [job], pods: [], now: now + .seconds(29)).isEmpty)
        #expect(
            controller.changes(jobs: [job], pods: [], now: now + .seconds(30)).requests
                == ["DELETE /apis/batch/v1/namespaces/ml/jobs/train"])
    }

    @Test func `nothing is written when nothing changed`() {
        var controller = JobController(seed: 1)
        let pods = [Sample.pod("train-abcde", phase: "Running")]
        let status = controller.changes(jobs: [Sample.job()], pods: pods, now: now).statusPatch ?? [:]
        let again = controller.changes(jobs: [Sample.job(status: status)], pods: pods, now: now + .seconds(60))
        #expect(again == ClusterChanges())
    }

    @Test(arguments: [([0, 1, 2, 5], "0-2,5"), ([0, 1], "0,1"), ([], ""), ([7], "7")] as [([Int], String)])
    func `completed indexes are written as ranges`(indexes: [Int], text: String) {
        #expect(CompletionIndexes.text(Set(indexes)) == text)
    }
}
