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

    /// The Job of one slice of an attempt: one pod a node, all or none; whatever fails fails the Job, because only we
    /// count restarts. Where pods are started again one by one, the Job does that and we count.
    static func job(_ slice: TrainingJobSlice) -> Manifest {
        let nodes = JSONValue.integer(Int64(slice.shape.nodesPerSlice))
        let observation = slice.observation
        let cleanup = observation.spec.cleanup ?? .standard
        var annotations = TrainingJobVolumes.annotations(slice)
        annotations.merge(TrainingJobFlexStart.annotations(slice)) { own, _ in own }
        annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] = "false"
        return Manifest(
            type: Job.resourceType, method: .createOnce,
            body: [
                "apiVersion": "batch/v1", "kind": "Job",
                "metadata": metadata(name: slice.jobName, runID: slice.run.id, observation),
                "spec": [
                    "completionMode": "Indexed", "completions": nodes, "parallelism": nodes,
                    "backoffLimit": .integer(slice.attempt.restartsPods ? TrainingJobPodRestart.backoffLimit : 0),
                    "ttlSecondsAfterFinished": .integer(Int64(cleanup.childTTLSecondsAfterFinished)),
                    "podFailurePolicy": slice.attempt.restartsPods
                        ? TrainingJobPodRestart.podFailurePolicy : podFailurePolicy,
                    "template": [
                        "metadata": [
                            "labels": labels(runID: slice.run.id, observation), "annotations": .object(annotations),
                        ],
                        "spec": podSpec(slice),
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

    private static func podSpec(_ slice: TrainingJobSlice) -> JSONValue {
        let spec = slice.spec
        let trainer = trainer(slice)
        var pod: JSONValue = [
            "restartPolicy": "Never",
            "subdomain": .string(slice.run.id),
            "terminationGracePeriodSeconds": .integer(Int64(spec.gracePeriodSeconds)),
            "nodeSelector": NodeSelection.selector(pool: slice.pool, spec),
            "tolerations": .array(NodeSelection.tolerations(spec) + TrainingJobFlexStart.tolerations(slice)),
            "containers": [trainer],
        ]
        pod["serviceAccountName"] = spec.trainer?.serviceAccountName.map { .string($0) }
        pod["priorityClassName"] = slice.observation.spec.priorityClassName.map { .string($0) }
        let pullSecrets = TrainingJobPodSources.pullSecrets(spec)
        if !pullSecrets.isEmpty { pod["imagePullSecrets"] = .array(pullSecrets) }
        let volumes = TrainingJobVolumes.volumes(slice) + TrainingJobPodSources.volumes(spec)
        if !volumes.isEmpty { pod["volumes"] = .array(volumes) }
        let selfTest = TrainingJobSelfTest.initContainers(slice.observation.spec, like: trainer)
        let initContainers = TrainingJobVolumes.initContainers(slice) + selfTest
        if !initContainers.isEmpty { pod["initContainers"] = .array(initContainers) }
        return pod
    }

    private static func trainer(_ slice: TrainingJobSlice) -> JSONValue {
        let trainer = slice.spec.trainer
        var container: JSONValue = [
            "name": .string(Self.container), "image": .string(slice.run.image ?? ""),
            "env": .array(TrainingJobEnvironment.variables(slice)),
            "resources": TrainingJobPlacement.resources(slice.spec),
            // The last lines of the log become the pod's termination message: evidence that outlives the log.
            "terminationMessagePolicy": "FallbackToLogsOnError",
        ]
        container["command"] = trainer?.command.map { .array($0.map { .string($0) }) }
        let arguments = trainer?.args ?? (slice.spec.isBuiltInTrainer ? ["train"] : nil)
        container["args"] = arguments.map { .array($0.map { .string($0) }) }
        container["workingDir"] = trainer?.workingDir.map { .string($0) }
        let sources = TrainingJobPodSources.variables(slice.spec)
        if !sources.isEmpty { container["envFrom"] = .array(sources) }
        let mounts = TrainingJobVolumes.mounts(slice) + TrainingJobPodSources.mounts(slice.spec)
        if !mounts.isEmpty { container["volumeMounts"] = .array(mounts) }
        return container
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
