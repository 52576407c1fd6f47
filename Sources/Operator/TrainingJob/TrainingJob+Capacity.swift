extension TrainingJob {
    /// Where the run happens.
    public struct Backend: Codable, Sendable, Hashable {
        public enum Kind: String, Codable, Sendable, Hashable {
            case gke = "GKE"
        }

        public struct GKE: Codable, Sendable, Hashable {
            public var nodePool: NodePool?
        }

        /// Which nodes the pods run on.
        public struct NodePool: Codable, Sendable, Hashable {
            public enum Policy: String, Codable, Sendable, Hashable {
                case createPerRun = "CreatePerRun"
                case existing = "Existing"
                case computeClass = "ComputeClass"
            }

            public enum AcceleratorNetwork: String, Codable, Sendable, Hashable {
                case none = "None"
                case auto = "Auto"
            }

            public var policy: Policy
            public var selector: Selector?
            public var tolerations: [Toleration]?
            public var computeClassName: String?
            public var keepIdleSeconds: Int?
            public var bootDisk: BootDisk?
            public var localSSDCount: Int?
            public var acceleratorNetwork: AcceleratorNetwork?
            public var compactPlacement: Bool?
            public var privateNodes: Bool?
            public var subnetwork: String?
        }

        /// Labels of nodes that are there.
        public struct Selector: Codable, Sendable, Hashable {
            public var matchLabels: [String: String]
        }

        /// As in a pod.
        public struct Toleration: Codable, Sendable, Hashable {
            public enum Operator: String, Codable, Sendable, Hashable {
                case exists = "Exists"
                case equal = "Equal"
            }

            public enum Effect: String, Codable, Sendable, Hashable {
                case noSchedule = "NoSchedule"
                case noExecute = "NoExecute"
                case preferNoSchedule = "PreferNoSchedule"
            }

            public var key: String?
            public var `operator`: Operator?
            public var value: String?
            public var effect: Effect?
        }

        public struct BootDisk: Codable, Sendable, Hashable {
            public var sizeGiB: Int?
            public var type: String?
        }

        public var type: Kind
        public var gke: GKE?
    }

    /// Where the machines may come from.
    public struct Capacity: Codable, Sendable, Hashable {
        /// In which order options are tried.
        public enum Strategy: String, Codable, Sendable, Hashable {
            case ordered = "Ordered"
            case cheapestFirst = "CheapestFirst"
        }

        /// Machines that were reserved before.
        public struct Reservation: Codable, Sendable, Hashable {
            public var name: String
            public var project: String?
            public var block: String?
            public var subBlock: String?
        }

        public struct Candidate: Codable, Sendable, Hashable {
            public var name: String
            public var provisioningModel: ProvisioningModel
            public var machineType: String?
            public var accelerator: AcceleratorSpec?
            public var zones: [String]?
            public var reservation: Reservation?
            public var maxWaitSeconds: Int?
            public var maxRunDurationSeconds: Int?
            public var maxHourlyCost: String?
            /// Kueue's ResourceFlavor whose admission selects this candidate.
            public var resourceFlavor: String?
        }

        public var strategy: Strategy = .ordered
        public var candidates: [Candidate]
    }
}

/// How Compute Engine gives out machines.
public enum ProvisioningModel: String, Codable, Sendable, Hashable, CaseIterable {
    case standard = "Standard"
    case spot = "Spot"
    /// Queued until all machines are to be had at once, and given for seven days at most.
    case flexStart = "FlexStart"
    case reservationBound = "ReservationBound"
}
