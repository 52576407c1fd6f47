public import Kubernetes

/// A verified version of a model, served by Cloud Run. Mirrors `crds/modelendpoints.yaml`: a property is non-optional
/// exactly when its field is required or has a default.
public struct ModelEndpoint: CustomResource, Codable {
    public static let resourceType = ResourceType(
        group: "trainyard.dev", version: "v1alpha1", kind: "ModelEndpoint", plural: "modelendpoints")

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
        public var mode: Mode
        public var suspend: Bool
        public var backend: Backend
        public var model: Model
        public var predictor: Predictor?
        public var preprocessor: Processor?
        public var postprocessor: Processor?
        public var scaling: Scaling
        public var rollout: Rollout?
        public var access: Access?
        public var budget: Budget?
        public var driftPolicy: DriftPolicy
        public var deletionPolicy: DeletionPolicy
    }

    public enum DeletionPolicy: String, Codable, Sendable, Hashable, CaseIterable {
        case delete = "Delete"
        case orphan = "Orphan"
    }

    /// Where it serves.
    public struct Backend: Codable, Sendable, Hashable {
        public enum Kind: String, Codable, Sendable, Hashable, CaseIterable {
            case cloudRun = "CloudRun"
        }

        public struct CloudRun: Codable, Sendable, Hashable {
            public var location: String
            public var vpc: VPC?
            public var ingress: Ingress
        }

        public enum Ingress: String, Codable, Sendable, Hashable, CaseIterable {
            case all = "All"
            case internalOnly = "Internal"
            case internalAndLoadBalancer = "InternalAndLoadBalancer"
        }

        public struct VPC: Codable, Sendable, Hashable {
            public enum Egress: String, Codable, Sendable, Hashable, CaseIterable {
                case privateRanges = "PrivateRanges"
                case allTraffic = "AllTraffic"
            }

            public var egress: Egress
            public var network: String
            public var subnetwork: String?
        }

        public var type: Kind
        public var cloudRun: CloudRun?
    }

    /// What to serve.
    public struct Model: Codable, Sendable, Hashable {
        /// At most one of `version`, `alias` and `digest`, and at least one.
        public struct ArtifactReference: Codable, Sendable, Hashable {
            public var name: String
            public var version: String?
            public var alias: String?
            public var digest: String?
        }

        public enum Loading: String, Codable, Sendable, Hashable, CaseIterable {
            case mount = "Mount"
            case download = "Download"
        }

        public var artifactRef: ArtifactReference
        public var requirements: [Requirement]?
        public var loading: Loading
    }

    /// What a version's metrics must be.
    public struct Requirement: Codable, Sendable, Hashable {
        public var metric: String
        public var `operator`: NumericComparison
        public var value: String
    }

    /// Instances of the whole service.
    public struct Scaling: Codable, Sendable, Hashable {
        public var minReplicas: Int
        public var maxReplicas: Int
        public var warmWindows: [WarmWindow]?
    }

    /// Who may call it.
    public struct Access: Codable, Sendable, Hashable {
        /// Everybody, where the operator allows it.
        public var allowUnauthenticated: Bool
        public var invokers: [String]?
    }
}
