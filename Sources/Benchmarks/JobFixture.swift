import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Operator

/// TrainingJobs as users and the operator leave them: about 4 KB of JSON with spec, status and managedFields.
struct JobFixture: Sendable {
    static let collection = "/apis/trainyard.dev/v1alpha1/trainingjobs"
    static let clusterName = "projects/bench-project/locations/us-central1/clusters/bench"
    static let now = Timestamp(seconds: 1_795_000_000)

    /// A finished job whose status is the one that the operator would write: a round finds nothing to do.
    private let finished: JSONValue

    init() throws { finished = try Self.settled() }

    static func configuration() throws -> OperatorConfiguration {
        guard let cluster = ClusterName(clusterName) else { throw BenchmarkError("a wrong cluster name") }
        return OperatorConfiguration(
            cluster: cluster, clusterUID: "kube-system-uid", zones: ["us-central1-a"],
            trainerImage: "trainyard.dev/trainer:bench")
    }

    static func name(_ index: Int) -> String { "training-job-\(index)" }
    static func namespace(_ index: Int) -> String { "team-\(index % 20)" }
    static func key(_ index: Int) -> ObjectKey { ObjectKey(namespace: namespace(index), name: name(index)) }

    /// A finished job.
    func object(_ index: Int, version: Int) -> JSONValue {
        var object = finished
        object.set(.string(Self.name(index)), at: ["metadata", "name"])
        object.set(.string(Self.namespace(index)), at: ["metadata", "namespace"])
        object.set(.string("5d0c7a52-3b1e-4c6f-9d2a-\(100_000_000_000 + index)"), at: ["metadata", "uid"])
        object.set(.string(String(version)), at: ["metadata", "resourceVersion"])
        return object
    }

    /// A job that nobody has looked at; suspended, so that its first round is a finalizer and a status and no machine.
    static func fresh(_ name: String, version: Int) -> JSONValue {
        var object = template
        object.set(.string(name), at: ["metadata", "name"])
        object.set(.string("fresh"), at: ["metadata", "namespace"])
        object.set(.string("uid-of-\(name)"), at: ["metadata", "uid"])
        object.set(.string(String(version)), at: ["metadata", "resourceVersion"])
        object.set(nil, at: ["metadata", "finalizers"])
        object.set(true, at: ["spec", "suspend"])
        return object
    }

    /// Lets the operator's own plan write the status until it changes no more.
    private static func settled() throws -> JSONValue {
        var object = template
        object.set("training-job-0", at: ["metadata", "name"])
        object.set("team-0", at: ["metadata", "namespace"])
        object.set("5d0c7a52-3b1e-4c6f-9d2a-100000000000", at: ["metadata", "uid"])
        var job = try object.decode(TrainingJob.self)
        job.status = try recorded(job)
        guard var run = try JSONValue(encoding: job.status)["run"] else {
            throw BenchmarkError("the plan begins no run")
        }
        for (key, value) in ended { run[key] = value }
        var status = end
        status["run"] = run
        job.status = try status.decode(TrainingJob.Status.self)
        for _ in 0..<8 {
            let next = try plan(job)
            if next == job.status {
                object["status"] = try JSONValue(encoding: job.status)
                return object
            }
            job.status = next
        }
        throw BenchmarkError("the operator never finds a finished job finished")
    }

    /// The status that begins the run: the first plan writes the spec into a revision, the next names run and hash.
    private static func recorded(_ job: TrainingJob) throws -> TrainingJob.Status {
        var observation = TrainingJobObservation(job: job, configuration: try configuration(), now: now)
        guard case .apply(let revision)? = TrainingJobController.plan(observation).steps.first else {
            throw BenchmarkError("the plan writes no revision")
        }
        observation.revisions[revision.name] = RunSpec(job.spec)
        return TrainingJobController.plan(observation).status
    }

    private static func plan(_ job: TrainingJob) throws -> TrainingJob.Status {
        let observation = TrainingJobObservation(job: job, configuration: try configuration(), now: now)
        return TrainingJobController.plan(observation).status
    }

    // MARK: Texts

    private static let ended: [String: JSONValue] = [
        "result": "Succeeded", "reason": "Succeeded", "startTime": "2026-11-20T10:00:00Z",
        "completionTime": "2026-11-20T12:03:20Z", "activeSeconds": 7400,
        "image": "us-central1-docker.pkg.dev/bench-project/trainers/trainer:1.4.2",
        "prefix": "gs://bench-runs/runs/training-job-0-1-5d0c7a52/",
        "checkpointPrefix": "gs://bench-runs/checkpoints/training-job-0-1-5d0c7a52/",
        "inputs": [
            ["name": "data", "uri": "gs://bench-data/imagenet/", "version": "v12", "digest": "sha256:7d1f0c4a55aa"]
        ],
    ]

    private static let end: JSONValue = [
        "observedGeneration": 1, "conditions": [], "restarts": 1, "restartsCountTowardsMax": 0, "attemptCount": 2,
        "attempts": [
            [
                "number": 1, "startTime": "2026-11-20T10:04:00Z", "endTime": "2026-11-20T11:00:00Z",
                "cause": "Preempted", "class": "Infrastructure", "candidate": "spot", "zone": "us-central1-a",
                "node": "gke-bench-pool-a-0", "exitCode": 143, "fromStep": 0, "toStep": 42000,
            ],
            [
                "number": 2, "startTime": "2026-11-20T11:04:00Z", "endTime": "2026-11-20T12:00:00Z",
                "cause": "Completed", "candidate": "spot", "zone": "us-central1-b", "node": "gke-bench-pool-b-0",
                "exitCode": 0, "fromStep": 42000, "toStep": 90000,
            ],
        ],
        "trainerStatus": [
            "progressPercentage": 100, "progress": "90000/90000", "step": 90000, "totalSteps": 90000, "epoch": 10,
            "totalEpochs": 10, "rate": "24.1 steps/s", "lastUpdatedTime": "2026-11-20T12:00:00Z",
            "metrics": [["name": "loss", "value": "0.1423"], ["name": "accuracy", "value": "0.9311"]],
            "series": [
                [
                    "name": "loss", "steps": [10000, 30000, 50000, 70000, 90000],
                    "values": ["1.21", "0.62", "0.33", "0.19", "0.1423"],
                ]
            ],
        ],
        "checkpoint": [
            "latest": [
                "step": 90000, "uri": "gs://bench-runs/checkpoints/training-job-0-1-5d0c7a52/step-90000/",
                "time": "2026-11-20T11:59:30Z",
            ]
        ],
        "outputs": [
            "count": 2, "verifiedCount": 2, "sizeBytes": 182_334_121,
            "files": [
                [
                    "path": "metrics.json", "generation": "1763640000000001", "sizeBytes": 2121,
                    "crc32c": "8d1f0c4a", "verified": true,
                ],
                [
                    "path": "model.safetensors", "generation": "1763640000000002", "sizeBytes": 182_332_000,
                    "crc32c": "a55a0c4a", "verified": true,
                ],
            ],
        ],
        "cost": [
            "currencyCode": "USD", "accrued": "1.4521", "hourlyRate": "0.0000", "basis": "ListPrice",
            "updateTime": "2026-11-20T12:04:00Z", "display": "$1.45",
        ],
    ]

    /// As a server stores it, with the CRD's defaults.
    private static let template: JSONValue = {
        let crd = (try? Idle.crds())?.first { $0.value(at: ["metadata", "name"]) == "trainingjobs.trainyard.dev" }
        let schema = crd?.value(at: ["spec", "versions"])?[0]?.value(at: ["schema", "openAPIV3Schema"])
        return schema.map { defaulted(written, $0) } ?? written
    }()

    private static func defaulted(_ value: JSONValue, _ schema: JSONValue) -> JSONValue {
        switch value {
        case .object(var members):
            for (name, property) in schema["properties"]?.objectValue ?? [:] {
                guard let member = members[name] ?? property["default"] else { continue }
                members[name] = defaulted(member, property)
            }
            return .object(members)
        case .array(let elements):
            guard let items = schema["items"] else { return value }
            return .array(elements.map { defaulted($0, items) })
        default: return value
        }
    }

    private static let written: JSONValue = [
        "apiVersion": "trainyard.dev/v1alpha1", "kind": "TrainingJob",
        "metadata": [
            "name": "", "namespace": "", "uid": "", "resourceVersion": "1", "generation": 1,
            "creationTimestamp": "2026-11-20T09:59:58Z", "finalizers": ["trainyard.dev/finalizer"],
            "labels": ["app.kubernetes.io/part-of": "vision", "team": "perception"],
            "annotations": ["example.com/owner": "vision@example.com"],
            "managedFields": .array([
                manager("kubectl", "Apply", specFields), manager("trainyard-operator", "Update", statusFields),
            ]),
        ],
        "spec": [
            "suspend": false, "managedBy": "trainyard.dev/operator", "onSpecChange": "NewRun",
            "backend": ["type": "GKE"],
            "trainer": [
                "image": "us-central1-docker.pkg.dev/bench-project/trainers/trainer:1.4.2", "numNodes": 1,
                "terminationGracePeriodSeconds": 25, "args": ["--mixed-precision", "--log-every=100"],
                "env": [["name": "NCCL_DEBUG", "value": "WARN"], ["name": "OMP_NUM_THREADS", "value": "8"]],
                "hyperparameters": ["epochs": "10", "learningRate": "0.001", "batchSize": "256"],
            ],
            "accelerator": ["gpu": ["type": "nvidia-l4", "count": 1, "driverVersion": "Default"]],
            "capacity": [
                "candidates": [
                    [
                        "name": "spot", "provisioningModel": "Spot",
                        "zones": ["us-central1-a", "us-central1-b"], "maxWaitSeconds": 600,
                    ],
                    ["name": "on-demand", "provisioningModel": "Standard", "zones": ["us-central1-a"]],
                ]
            ],
            "inputs": [["name": "data", "artifactRef": ["name": "imagenet"], "mode": "Stream"]],
            "checkpoint": ["artifactRef": ["name": "runs"], "keepLast": 3],
            "outputs": [
                "artifactRef": ["name": "runs"], "prefix": "runs/{runID}/",
                "required": [
                    ["glob": "metrics.json", "minBytes": 1, "minCount": 1],
                    ["glob": "*.safetensors", "minBytes": 1, "minCount": 1],
                ],
                "assertions": [
                    [
                        "file": "metrics.json", "jsonPath": "{.accuracy[-1:]}", "operator": "GreaterThanOrEqual",
                        "value": "0.9",
                    ]
                ],
            ],
            "failurePolicy": ["maxRestarts": 3],
        ],
    ]

    private static let specFields = [
        "accelerator", "capacity", "checkpoint", "failurePolicy", "inputs", "outputs", "trainer",
    ]
    private static let statusFields = [
        "attemptCount", "attempts", "checkpoint", "conditions", "cost", "observedGeneration", "outputs", "restarts",
        "run", "state", "trainerStatus",
    ]

    private static func manager(_ name: String, _ operation: String, _ fields: [String]) -> JSONValue {
        let inner: JSONValue = .object(Dictionary(fields.map { ("f:\($0)", [".": [:]]) }) { $1 })
        return [
            "manager": .string(name), "operation": .string(operation), "apiVersion": "trainyard.dev/v1alpha1",
            "time": "2026-11-20T12:04:00Z", "fieldsType": "FieldsV1",
            "fieldsV1": [operation == "Apply" ? "f:spec" : "f:status": inner],
        ]
    }
}
