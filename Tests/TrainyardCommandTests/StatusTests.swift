import Encoding
import Kubernetes
import Testing
import YAML

@testable import TrainyardCommand

@Suite struct `One screen for one object` {
    private static let now = Timestamp("2026-11-22T10:00:00Z") ?? Timestamp(seconds: 0)

    private func text(_ yaml: String, events: String = "[]") throws -> String {
        let events = try YAML.document(events).json.arrayValue ?? []
        return StatusText(try YAML.document(yaml).json, events: events, now: Self.now).text
    }

    @Test func `a run that trains says how far it is, where, and what it costs`() throws {
        let text = try text(
            """
            kind: TrainingJob
            metadata: {name: mnist, namespace: ml, creationTimestamp: "2026-11-22T09:00:00Z"}
            status:
              state: Training
              run: {id: mnist-abcde-r1}
              restarts: 1
              conditions:
              - {type: Ready, status: "False", reason: Training, message: step 450 of 1000, lastTransitionTime: "2026-11-22T09:58:00Z"}
              - {type: Reconciling, status: "True", reason: Training, message: step 450 of 1000}
              trainerStatus: {progress: 45%, eta: 2h13m, rate: 1012 images/s, metrics: [{name: test_accuracy, value: "91.2"}]}
              capacity:
                summary: spot us-central1-b (2 failed)
                attempts: [{candidate: spot, zone: us-central1-a, result: StockedOut, count: 2}]
              nodes: {desired: 1, ready: 1}
              cost: {display: $18.42, hourlyRate: "1.20", projected: "40.00", basis: list price 2026-08-03}
              checkpoint: {latest: {step: 400}, exposureSeconds: 600, exposureCost: "0.20"}
              resources:
              - {externalRef: //container.googleapis.com/projects/p/locations/l/clusters/c/nodePools/x, state: RUNNING}
            """,
            events: """
                - {reason: CapacityAcquired, note: spot in us-central1-b, eventTime: "2026-11-22T09:50:00.000000Z"}
                - {reason: StockedOut, note: spot in us-central1-a, eventTime: "2026-11-22T09:40:00.000000Z",
                   series: {count: 2, lastObservedTime: "2026-11-22T09:45:00.000000Z"}}
                """)
        #expect(
            text == """
                TrainingJob ml/mnist: Training, 1 h 0 min old
                  why           Training: step 450 of 1000 (for 2 min)
                  run           mnist-abcde-r1, 1 restarts
                  progress      45%, 2h13m left, 1012 images/s, test_accuracy 91.2
                  machines      spot us-central1-b (2 failed); 1 of 1 nodes ready
                  search        spot us-central1-a StockedOut ×2
                  cost          $18.42 so far, 1.20 an hour now, 40.00 in the end (list price 2026-08-03)
                  at risk       10 min of work since step 400, 0.20
                  in the cloud  nodePools/x RUNNING
                  next          when the trainer exits its outputs are verified, and the machines go
                  events        10 min ago  CapacityAcquired: spot in us-central1-b
                                15 min ago  StockedOut (2 times): spot in us-central1-a
                """)
    }

    @Test func `an object that waits for somebody says what to do`() throws {
        let text = try text(
            """
            kind: TrainingJob
            metadata: {name: mnist, namespace: ml}
            status:
              state: Failed
              conditions:
              - {type: Ready, status: "False", reason: OOMKilled, message: killed}
              - {type: Stalled, status: "True", reason: OOMKilled, message: the container was killed}
              outputs: {count: 2, verifiedCount: 1, files: [{path: model.safetensors, verified: false, reason: OutputMissing}]}
              lastFailure: {reason: OOMKilled, node: n1, message: exit code 137, hint: Use more memory., time: "2026-11-22T09:59:30Z"}
            """)
        #expect(
            text == """
                TrainingJob ml/mnist: Failed
                  why           OOMKilled: the container was killed
                  outputs       1 of 2 files verified; model.safetensors (OutputMissing)
                  failure       OOMKilled on n1, 30 s ago: exit code 137. Use more memory.
                  next          Choose a larger machineType, a smaller batch, or raise the memory limit.
                """)
    }

    @Test func `an object that no operator has seen says so, and an empty one says nothing wrong`() throws {
        #expect(
            try text("{kind: ModelEndpoint, metadata: {name: e, namespace: ml}}")
                == "ModelEndpoint ml/e: not seen by an operator yet")
        #expect(
            try text("{kind: GCSArtifact, metadata: {name: a, deletionTimestamp: x}, status: {state: Ready}}")
                == "GCSArtifact default/a: being deleted, Ready\n  next          the object goes when nothing of it is left"
        )
    }

    @Test func `an endpoint's roll-out and an artifact's versions are told`() throws {
        let endpoint = try text(
            """
            kind: ModelEndpoint
            metadata: {name: e, namespace: ml}
            status:
              state: RollingOut
              url: https://e.run.app
              traffic: v1 90%, v2 10%
              active: {modelVersion: v1, revision: e-1}
              candidate: {modelVersion: v2, weight: 10, smokeTested: true}
              rejectedModels: [{version: v0, reason: AnalysisFailed}]
              cost: {hourlyRate: "0.10"}
            """)
        #expect(
            endpoint == """
                ModelEndpoint ml/e: RollingOut
                  url           https://e.run.app
                  traffic       v1 90%, v2 10%
                  serves        v1 as e-1
                  candidate     v2 at 10 %, smoke tests passed
                  rejected      v0: AnalysisFailed
                  cost          $0.10 an hour without requests
                """)
        let artifact = try text(
            """
            kind: GCSArtifact
            metadata: {name: a, namespace: ml}
            status:
              state: Ready
              uri: gs://b/p/
              latestVersion: {name: v2, verified: true, producer: {kind: TrainingJob, name: mnist}}
              aliases: [{name: production, version: v1}]
              versionCount: 2
              storage: {size: 1.2 GiB, objectCount: 7, monthlyCost: "0.03"}
              drift: [{path: versioning, action: Corrected}]
            """)
        #expect(
            artifact == """
                GCSArtifact ml/a: Ready
                  place         gs://b/p/
                  latest        v2 (verified), made by TrainingJob mnist
                  aliases       production → v1
                  versions      2
                  holds         1.2 GiB in 7 objects
                  cost          $0.03 a month by list price
                  drift         versioning Corrected
                """)
    }

    @Test func `what an object says does not steer the terminal`() throws {
        let object: JSONValue = [
            "kind": "TrainingJob", "metadata": ["name": "j"],
            "status": [
                "conditions": [["type": "Ready", "status": "False", "reason": "R", "message": "a\u{1B}[2Jb\nc"]]
            ],
        ]
        #expect(
            StatusText(object, events: [], now: Self.now).text
                == "TrainingJob default/j: not seen by an operator yet\n  why           R: a [2Jb c")
    }

    @Test(arguments: [
        (["status", "tj", "a"], "trainingjobs", "a"), (["status", "GCSArtifact/b"], "gcsartifacts", "b"),
        (["status", "-n", "ml", "modelendpoints", "c"], "modelendpoints", "c"),
    ])
    func `kinds are written as kubectl takes them`(arguments: [String], plural: String, name: String) throws {
        guard case .status(let options) = try Invocation(arguments: arguments) else {
            Issue.record("no status")
            return
        }
        #expect(options.kind.plural == plural && options.name == name)
        #expect(options.cluster.namespace == (arguments.contains("ml") ? "ml" : nil))
    }

    @Test(arguments: [
        (
            ["status", "trainingjob"],
            "status needs a kind and a name, for example: trainyard status trainingjob fashion-mnist"
        ),
        (["status", "trainingjbo", "a"], "there is no kind 'trainingjbo'; did you mean 'trainingjob'?"),
        (["status", "tj", "a", "--namspace", "b"], "there is no option '--namspace'; did you mean '--namespace'?"),
        (["doctor", "a"], "doctor takes no argument ('a')"),
        (["logs"], "logs needs the name of one TrainingJob, for example: trainyard logs fashion-mnist"),
        (["logs", "a", "--tail", "0"], "--tail must be a number from 1 to 10000, not '0'"),
        (["completion", "bsh"], "there is no completion for 'bsh'; did you mean 'bash'?"),
        (["completion"], "completion needs a shell: bash, zsh, fish"),
    ])
    func `wrong words are named`(arguments: [String], message: String) {
        let error = #expect(throws: UsageError.self) { try Invocation(arguments: arguments) }
        #expect(error?.message == message)
    }
}
