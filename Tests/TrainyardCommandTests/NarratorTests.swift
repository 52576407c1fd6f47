import Encoding
import Testing

@testable import TrainyardCommand

@Suite struct `Telling a run` {
    private static let pool = "//container.googleapis.com/projects/p/locations/l/clusters/c/nodePools/ty-0a1b"

    private func story(_ observations: [(JobView, [PodView])], hasLiveBar: Bool = false) -> [String] {
        var narrator = Narrator(hasLiveBar: hasLiveBar)
        return observations.flatMap { narrator.lines(for: $0.0, pods: $0.1) }.map { "\($0.topic): \($0.text)" }
    }

    @Test func `a run that is stocked out once is told fact by fact`() {
        let running: JSONValue = [
            "run": ["id": "fashion-mnist-1a2b3-r1"],
            "capacity": [
                "current": "spot", "zone": "us-central1-b",
                "attempts": [
                    attempt("spot", "us-central1-a", "StockedOut", code: "GCE_STOCKOUT"),
                    attempt("spot", "us-central1-b", "Acquired"),
                ],
            ],
            "nodes": ["desired": 1, "ready": 1],
            "resources": [["externalRef": .string(Self.pool), "state": "RUNNING"]],
            "cost": ["currencyCode": "USD", "accrued": "0.0031"],
            "conditions": [
                condition("CapacityAcquired", true, "CapacityAcquired"),
                condition("Ready", false, "Training", "trains"),
            ],
        ]
        var complete = running
        complete["resources"] = []
        complete["outputs"] = [
            "files": [["path": "metrics.json", "sizeBytes": 212, "crc32c": "yZRlqg==", "verified": true]]
        ]
        complete["conditions"] = [
            condition("Complete", true, "Succeeded", "outputs verified"),
            condition("ComputeReleased", true, "Released"),
            condition("OutputsVerified", true, "Verified", "1 file, 1 assertion"),
            condition("Ready", true, "Succeeded"),
        ]
        let pending: JSONValue = [
            "run": ["id": "fashion-mnist-1a2b3-r1"], "capacity": ["current": "spot", "zone": "us-central1-a"],
            "conditions": [condition("Ready", false, "Provisioning")],
        ]
        let pod = PodView(name: "fashion-mnist-0", phase: "Running", node: "gke-1")
        let first = epoch(1, train: 0.45123, test: 0.3312, accuracy: 88.214)
        let lines = story([
            (job(), []),
            (job(status: pending), []),
            (job(status: running), []),
            (job(status: running), [PodView(name: "fashion-mnist-0", phase: "Pending", node: "gke-1")]),
            (job(status: running).training(percent: 3, epoch: 0), [pod]),
            (job(status: running).training(percent: 24, epoch: 0), [pod]),
            (job(status: running).training(percent: 26, epoch: 0), [pod]),
            (job(status: running).training(percent: 50, epoch: 1, history: [first]), [pod]),
            (job(status: running).training(percent: 50, epoch: 1, history: [first]), [pod]),
            (job(status: complete).training(percent: 100, epoch: 1, history: [first]), [pod]),
        ])
        #expect(
            lines == [
                "run: fashion-mnist-1a2b3-r1",
                "capacity: spot in us-central1-a: asked for nodes",
                "capacity: spot in us-central1-a: stocked out (GCE_STOCKOUT)",
                "capacity: spot in us-central1-b: acquired",
                "nodes: 1 of 1 ready",
                "pod: fashion-mnist-0 starts",
                "pod: fashion-mnist-0 runs",
                "training: 24 %, loss 0.4321, 1,012 images/s, ETA 01:02, 0.0031 USD",
                "epoch: 1 of 2, train loss 0.4512, test loss 0.3312, accuracy 88.21 %, 1,012 images/s, "
                    + "0.0031 USD",
                "output: metrics.json, 212 B, verified (CRC32C yZRlqg==)",
                "verified: 1 file, 1 assertion",
                "complete: outputs verified",
                "release: node pool ty-0a1b is deleted",
            ])
    }

    @Test func `a live bar replaces the lines within an epoch`() {
        #expect(story([(job().training(percent: 40, epoch: 0), [])], hasLiveBar: true) == [])
    }

    @Test func `waiting for somebody else is told once`() {
        let status: JSONValue = [
            "conditions": [condition("Ready", false, "WaitingForInputs", "waits for the GCSArtifact data")]
        ]
        #expect(
            story([(job(status: status), []), (job(status: status), [])])
                == ["waiting: waits for the GCSArtifact data"])
    }

    @Test func `another sentence under the same reason is told too`() {
        func waiting(_ message: String) -> JSONValue {
            ["conditions": [condition("Ready", false, "WaitingForInputs", message)]]
        }
        #expect(
            story([
                (job(status: waiting("data is not ready")), []), (job(status: waiting("data holds no objects")), []),
            ]) == ["waiting: data is not ready", "waiting: data holds no objects"])
    }

    @Test func `what the user must do is told`() {
        let status: JSONValue = [
            "conditions": [
                condition("Ready", false, "InvalidSpec", "no such type"), condition("Stalled", true, "InvalidSpec"),
            ]
        ]
        #expect(story([(job(status: status), [])]) == ["stalled: no such type"])
    }

    @Test func `a restart and a second suspension are told`() {
        let suspended: JSONValue = ["conditions": [condition("Suspended", true, "Suspended", "suspended")]]
        let restarted: JSONValue = [
            "restarts": 1, "lastFailure": ["reason": "Preempted"],
            "conditions": [condition("Suspended", false, "Resumed")],
        ]
        #expect(
            story([(job(status: suspended), []), (job(status: restarted), []), (job(status: suspended), [])]) == [
                "suspended: suspended", "restart: number 1 after Preempted, from the last checkpoint",
                "suspended: suspended",
            ])
    }

    @Test func `a preemption is told with its step, and from where the run goes on`() {
        let first: JSONValue = ["number": 1, "fromStep": 0]
        let ended: JSONValue = ["number": 1, "cause": "Preempted", "fromStep": 0, "toStep": 1214]
        let second: JSONValue = ["number": 2, "fromStep": 1214]
        let statuses: [JSONValue] = [
            ["attempts": [first]], ["attempts": [ended], "restarts": 1],
            ["attempts": [ended, second], "restarts": 1], ["attempts": [ended, second], "restarts": 1],
        ]
        #expect(
            story(statuses.map { (job(status: $0), []) }) == [
                "restart: number 1 after Preempted at step 1,214, from the last checkpoint",
                "attempt: 2 goes on from step 1,214",
            ])
    }

    @Test func `a plan is told once`() {
        let planned: JSONValue = [
            "plan": ["summary": "2 candidates; nothing stands in the way"],
            "conditions": [condition("Ready", true, "Planned", "2 candidates; nothing stands in the way")],
        ]
        #expect(
            story([(job(status: planned), []), (job(status: planned), [])])
                == ["plan: 2 candidates; nothing stands in the way"])
    }

    @Test(arguments: [
        ("StockedOut", "stocked out"), ("OOMKilled", "OOM killed"), ("QuotaExceeded", "quota exceeded"), ("", ""),
        ("TPU", "TPU"), ("Acquired", "acquired"), ("ABTest", "AB test"),
    ])
    func `reasons become words`(_ reason: String, _ words: String) {
        #expect(Phrases.words(reason) == words)
    }
}

@Suite struct `Progress bar` {
    private static let acquired: JSONValue = [
        "conditions": [condition("CapacityAcquired", true, "CapacityAcquired"), condition("Ready", false, "Training")],
        "cost": ["currencyCode": "USD", "accrued": "0.0031"],
    ]

    @Test(arguments: [
        (
            120,
            "01:05  epoch 1/2 [==========>             ]  45 %  loss 0.4321  1,012 images/s  ETA 01:02  0.0031 USD"
        ),
        (80, "01:05  epoch 1/2 [==========>             ]  45 %  loss 0.4321  1,012 images/s"),
        (20, "01:05  epoch 1/2 [=…"),
    ])
    func `fits the terminal`(_ width: Int, _ line: String) {
        let job = job(status: Self.acquired).training(percent: 45, epoch: 0)
        #expect(ProgressBar.line(for: job, elapsed: .seconds(65), width: width) == line)
    }

    @Test func `before the training it says what is waited for`() {
        let status: JSONValue = ["conditions": [condition("Ready", false, "Provisioning", "waiting for the node pool")]]
        #expect(
            ProgressBar.line(for: job(status: status), elapsed: .seconds(4), width: 80)
                == "00:04  waiting for the node pool")
    }

    @Test(arguments: [
        (-5, "[>                       ]   0 %"), (0, "[>                       ]   0 %"),
        (50, "[============>           ]  50 %"), (100, "[========================] 100 %"),
        (130, "[========================] 100 %"),
    ])
    func `stays within its ends`(_ percent: Int, _ bar: String) {
        #expect(ProgressBar.bar(percent) == bar)
    }
}
