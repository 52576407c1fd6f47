import ControllerRuntime
import Encoding
import Kubernetes
import TrainingContract

/// The children of a run, from its revision and its record alone.
enum TrainingJobPods {
    /// The container that decides whether a pod succeeded.
    static let container = "trainer"
    /// Where rank 0 listens for the others; PyTorch's customary port.
    static let coordinatorPort = 29500

    /// `checkpoints/<runID>/`.
    static func checkpointFolder(runID: String) -> String { BucketLayout.checkpointPrefix(runID: runID) }

    /// The headless Service by which the pods of a run find each other; named after the run.
    static func service(_ run: TrainingJob.Run, _ observation: TrainingJobObservation) -> Manifest {
        Manifest(
            type: Service.resourceType,
            body: [
                "apiVersion": "v1", "kind": "Service",
                "metadata": metadata(name: run.id, runID: run.id, observation),
                "spec": [
                    "clusterIP": "None",
                    // Rank 0 must be found before it is ready.
                    "publishNotReadyAddresses": true,
                    "selector": [Ownership.runLabel: .string(run.id)],
                    "ports": [["name": "coordinator", "port": .integer(Int64(coordinatorPort)), "protocol": "TCP"]],
                ],
            ])
    }

    /// The Job of one attempt: one pod a node, all or none; whatever fails fails the Job, because only we count restarts.
    static func job(
        _ run: TrainingJob.Run, _ attempt: TrainingJob.Attempt, pool: String, _ spec: RunSpec,
        _ observation: TrainingJobObservation
    ) -> Manifest {
        let nodes = JSONValue.integer(Int64(spec.shape.nodesPerSlice))
        let cleanup = observation.spec.cleanup ?? .standard
        return Manifest(
            type: Job.resourceType, method: .createOnce,
            body: [
                "apiVersion": "batch/v1", "kind": "Job",
                "metadata": metadata(
                    name: Naming.attemptJob(runID: run.id, attempt: attempt.number), runID: run.id, observation),
                "spec": [
                    "completionMode": "Indexed", "completions": nodes, "parallelism": nodes, "backoffLimit": 0,
                    "ttlSecondsAfterFinished": .integer(Int64(cleanup.childTTLSecondsAfterFinished)),
                    "podFailurePolicy": podFailurePolicy,
                    "template": [
                        "metadata": [
                            "labels": labels(runID: run.id, observation),
                            "annotations": ["cluster-autoscaler.kubernetes.io/safe-to-evict": "false"],
                        ],
                        "spec": podSpec(run, attempt, pool: pool, spec, observation),
                    ],
                ],
            ])
    }

    /// Both fail the Job, as backoffLimit 0 would; but so its condition says which it was, and that stays when the node,
    /// and with it the pod, is gone.
    private static let podFailurePolicy: JSONValue = [
        "rules": [
            ["action": "FailJob", "onPodConditions": [["type": "DisruptionTarget", "status": "True"]]],
            [
                "action": "FailJob",
                "onExitCodes": ["containerName": .string(container), "operator": "NotIn", "values": [0]],
            ],
        ]
    ]

    private static func podSpec(
        _ run: TrainingJob.Run, _ attempt: TrainingJob.Attempt, pool: String, _ spec: RunSpec,
        _ observation: TrainingJobObservation
    ) -> JSONValue {
        var pod: JSONValue = [
            "restartPolicy": "Never",
            "subdomain": .string(run.id),
            "terminationGracePeriodSeconds": .integer(Int64(spec.gracePeriodSeconds)),
            "nodeSelector": NodeSelection.selector(pool: pool, spec),
            "tolerations": .array(NodeSelection.tolerations(spec)),
            "containers": [trainer(run, attempt, spec, observation)],
        ]
        pod["serviceAccountName"] = spec.trainer?.serviceAccountName.map { .string($0) }
        return pod
    }

    private static func trainer(
        _ run: TrainingJob.Run, _ attempt: TrainingJob.Attempt, _ spec: RunSpec,
        _ observation: TrainingJobObservation
    ) -> JSONValue {
        var container: JSONValue = [
            "name": .string(Self.container), "image": .string(run.image ?? ""),
            "env": .array(environment(run, attempt, spec, observation)),
            "resources": resources(spec),
            // The last lines of the log become the pod's termination message: evidence that outlives the log.
            "terminationMessagePolicy": "FallbackToLogsOnError",
        ]
        container["command"] = spec.trainer?.command.map { .array($0.map { .string($0) }) }
        let isOurTrainer = spec.trainer?.image == nil && spec.trainer?.command == nil
        let arguments = spec.trainer?.args ?? (isOurTrainer ? ["train"] : nil)
        container["args"] = arguments.map { .array($0.map { .string($0) }) }
        return container
    }

    private static func resources(_ spec: RunSpec) -> JSONValue {
        var limits = spec.trainer?.resourcesPerNode?.limits ?? [:]
        let shape = spec.shape
        if let name = shape.resourceName { limits[name] = .string(String(shape.acceleratorsPerNode)) }
        var resources: JSONValue = ["limits": .object(limits)]
        resources["requests"] = spec.trainer?.resourcesPerNode?.requests.map { .object($0) }
        return resources
    }

    /// The user's variables, then ours in order of name.
    private static func environment(
        _ run: TrainingJob.Run, _ attempt: TrainingJob.Attempt, _ spec: RunSpec,
        _ observation: TrainingJobObservation
    ) -> [JSONValue] {
        let users = (spec.trainer?.env ?? []).filter { variable in
            !variable.name.hasPrefix("ML_") && !variable.name.hasPrefix(TrainingEnvironment.hyperparameterPrefix)
        }
        let ours = contract(run, attempt, spec, observation).sorted { $0.key < $1.key }
        let rank: JSONValue = [
            "name": .string(TrainingEnvironment.rank),
            "valueFrom": [
                "fieldRef": ["fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"]
            ],
        ]
        return users.map { ["name": .string($0.name), "value": .string($0.value ?? "")] }
            + ours.map { ["name": .string($0.key), "value": .string($0.value)] } + [rank]
    }

    private static func contract(
        _ run: TrainingJob.Run, _ attempt: TrainingJob.Attempt, _ spec: RunSpec,
        _ observation: TrainingJobObservation
    ) -> [String: String] {
        typealias Name = TrainingEnvironment
        let namespace = observation.job.metadata.namespace ?? "default"
        let first = "\(Naming.attemptJob(runID: run.id, attempt: attempt.number))-0"
        var variables = [
            Name.runID: run.id, Name.jobName: observation.job.metadata.name, Name.namespace: namespace,
            Name.attempt: String(attempt.number), Name.worldSize: String(spec.shape.processCount),
            Name.coordinator: "\(first).\(run.id).\(namespace).svc:\(coordinatorPort)",
        ]
        variables[Name.outputURI] = run.prefix
        variables[Name.progressURI] = run.prefix.map { $0 + BucketLayout.progress }
        if let checkpoints = run.checkpointPrefix, let checkpoint = spec.checkpoint {
            variables[Name.checkpointURI] = checkpoints
            variables[Name.checkpointKeepLast] = String(checkpoint.keepLast)
        }
        for input in run.inputs { variables[Name.inputURI(input.name)] = input.uri }
        for (name, value) in spec.trainer?.hyperparameters ?? [:] { variables[Name.hyperparameter(name)] = value }
        return variables
    }

    /// Metadata of a child: labels, and an owner reference, so that it goes with its TrainingJob.
    static func metadata(name: String, runID: String?, _ observation: TrainingJobObservation) -> JSONValue {
        let owner = observation.job.metadata.ownerReference(to: TrainingJob.resourceType)
        var metadata: JSONValue = [
            "name": .string(name),
            "labels": labels(runID: runID, observation),
            "ownerReferences": [
                [
                    "apiVersion": .string(owner.apiVersion), "kind": .string(owner.kind), "name": .string(owner.name),
                    "uid": .string(owner.uid), "controller": true, "blockOwnerDeletion": true,
                ]
            ],
        ]
        metadata["namespace"] = observation.job.metadata.namespace.map { .string($0) }
        return metadata
    }

    private static func labels(runID: String?, _ observation: TrainingJobObservation) -> JSONValue {
        var labels: JSONValue = [
            "app.kubernetes.io/managed-by": "trainyard", Ownership.jobLabel: .string(observation.job.metadata.name),
            Ownership.uidLabel: .string(observation.uid),
        ]
        labels[Ownership.runLabel] = runID.map { .string($0) }
        return labels
    }
}
