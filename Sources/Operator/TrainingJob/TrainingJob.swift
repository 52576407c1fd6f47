public import Encoding
public import Kubernetes

/// A training that runs to verified outputs and releases its compute. Mirrors `crds/trainingjobs.yaml`: a property is
/// non-optional exactly when its field is required or has a default.
public struct TrainingJob: CustomResource, Codable {
    public static let resourceType = ResourceType(
        group: "trainyard.dev", version: "v1alpha1", kind: "TrainingJob", plural: "trainingjobs")
    /// The value of `spec.managedBy` that is ours.
    public static let manager = "trainyard.dev/operator"

    public var metadata: ObjectMeta
    public var spec: Spec
    public var status: Status?

    public init(metadata: ObjectMeta, spec: Spec, status: Status? = nil) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    /// What the user wants. See the CRD for what each field does.
    public struct Spec: Codable, Sendable, Hashable {
        public var mode: Mode = .apply
        public var suspend: Bool
        public var managedBy: String
        public var onSpecChange: OnSpecChange
        public var rerunToken: String?
        public var priorityClassName: String?
        public var runtimeLimitSeconds: Int?
        public var pendingDeadlineSeconds: Int?
        public var cleanup: Cleanup?
        public var backend: Backend
        public var trainer: Trainer?
        public var accelerator: AcceleratorSpec?
        public var capacity: Capacity?
        public var inputs: [Input]?
        public var checkpoint: Checkpoint?
        public var outputs: Outputs?
        public var failurePolicy: FailurePolicy?
        public var progress: Progress?
        public var preflight: Preflight?
        public var budget: Budget?
    }

    /// Whether a run is made, or only what it would be is said.
    public enum Mode: String, Codable, Sendable, Hashable {
        case apply = "Apply"
        case plan = "Plan"
    }

    /// What a change of a run-relevant field does.
    public enum OnSpecChange: String, Codable, Sendable, Hashable {
        case newRun = "NewRun"
        case reject = "Reject"
    }

    /// What happens after the container has ended.
    public struct Cleanup: Codable, Sendable, Hashable {
        public var compute: Compute = .afterVerification
        public var retainSeconds: Int?
        public var verificationGraceSeconds: Int
        public var childTTLSecondsAfterFinished: Int
        public var runHistoryLimit: Int

        /// The CRD's defaults, for an absent `cleanup`.
        public static let standard = Cleanup(
            verificationGraceSeconds: 900, childTTLSecondsAfterFinished: 86400, runHistoryLimit: 10)
    }

    /// The container of every node.
    public struct Trainer: Codable, Sendable, Hashable {
        public struct Variable: Codable, Sendable, Hashable {
            public var name: String
            public var value: String?
            public var valueFrom: ValueSource?
        }

        /// Quantities are integers or strings: "2", 2, "24Gi".
        public struct Resources: Codable, Sendable, Hashable {
            public var requests: [String: JSONValue]?
            public var limits: [String: JSONValue]?
        }

        public var image: String?
        public var command: [String]?
        public var args: [String]?
        public var workingDir: String?
        public var env: [Variable]?
        public var envFrom: [VariableSource]?
        public var hyperparameters: [String: String]?
        public var numNodes: Int?
        public var numProcPerNode: Int?
        public var rendezvous: Rendezvous?
        public var resourcesPerNode: Resources?
        public var sharedMemory: SharedMemory?
        public var volumes: [Volume]?
        public var volumeMounts: [VolumeMount]?
        public var imagePullSecrets: [PullSecret]?
        public var serviceAccountName: String?
        public var terminationGracePeriodSeconds: Int
        public var kernels: Kernels?
    }

    /// Data that the run reads.
    public struct Input: Codable, Sendable, Hashable {
        public enum Mode: String, Codable, Sendable, Hashable {
            case mount = "Mount"
            case download = "Download"
            case stream = "Stream"
        }

        public var name: String
        public var artifactRef: ArtifactReference
        public var mode: Mode
        /// Where the container sees the files; with Mount and Download.
        public var mountPath: String?
    }

    /// Names a GCSArtifact in the same namespace.
    public struct ArtifactReference: Codable, Sendable, Hashable {
        public var name: String
    }

    /// Where checkpoints go.
    public struct Checkpoint: Codable, Sendable, Hashable {
        public var artifactRef: ArtifactReference
        public var keepLast: Int
    }

    /// What the run must leave in the bucket.
    public struct Outputs: Codable, Sendable, Hashable {
        public struct Requirement: Codable, Sendable, Hashable {
            public var glob: String
            public var minBytes: Int64
            public var minCount: Int
        }

        public struct Assertion: Codable, Sendable, Hashable {
            public var file: String
            public var jsonPath: String
            public var `operator`: NumericComparison
            public var value: String
        }

        public var artifactRef: ArtifactReference
        public var prefix: String
        public var required: [Requirement]?
        public var assertions: [Assertion]?
    }

    /// What is expected of the trainer's reports.
    public struct Progress: Codable, Sendable, Hashable {
        public var stallDeadlineSeconds: Int?
    }

    /// What happens when a pod fails.
    public struct FailurePolicy: Codable, Sendable, Hashable {
        public var maxRestarts: Int
        public var restartScope: RestartScope = .allNodes
        public var rules: [Rule]?
        /// The CRD's default, for an absent `failurePolicy`.
        public static let standard = FailurePolicy(maxRestarts: 3)
    }
}

/// The run-relevant part of the spec: what a run executes, kept in its ControllerRevision.
public struct RunSpec: Codable, Sendable, Hashable {
    public var backend: TrainingJob.Backend
    public var trainer: TrainingJob.Trainer?
    public var accelerator: TrainingJob.AcceleratorSpec?
    public var inputs: [TrainingJob.Input]?
    public var checkpoint: TrainingJob.Checkpoint?
    public var outputs: TrainingJob.Outputs?
    public var rerunToken: String?

    public init(_ spec: TrainingJob.Spec) {
        backend = spec.backend
        // How long a pool is kept is a matter of money, not of what runs on it.
        backend.gke?.nodePool?.keepIdleSeconds = nil
        trainer = spec.trainer
        accelerator = spec.accelerator
        inputs = spec.inputs
        checkpoint = spec.checkpoint
        outputs = spec.outputs
        rerunToken = spec.rerunToken
    }

    /// Pods of the run and what each asks for.
    var shape: RunShape { RunShape(self) }

    /// The pods' notice before SIGKILL.
    public var gracePeriodSeconds: Int { trainer?.terminationGracePeriodSeconds ?? 25 }
}
