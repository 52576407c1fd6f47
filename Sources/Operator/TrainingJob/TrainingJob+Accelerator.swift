extension TrainingJob {
    /// What each node carries: GPUs or TPU chips; without either there is no such block.
    public struct AcceleratorSpec: Codable, Sendable, Hashable {
        public struct GPU: Codable, Sendable, Hashable {
            /// How several processes share a GPU.
            public struct Sharing: Codable, Sendable, Hashable {
                public enum Strategy: String, Codable, Sendable, Hashable {
                    case timeSharing = "TimeSharing"
                    case mps = "MPS"
                }

                public var strategy: Strategy
                public var maxClientsPerGPU: Int
            }

            public var type: String
            public var count: Int
            public var partitionSize: String?
            public var sharing: Sharing?
            public var driverVersion: String
        }

        public struct TPU: Codable, Sendable, Hashable {
            public var type: String
            public var topology: String
            public var slices: Int
            /// From the candidate in use, where it names one: never stored. A topology may exist on two of them.
            var machineType: String?

            private enum CodingKeys: String, CodingKey {
                case type, topology, slices
            }
        }

        public var gpu: GPU?
        public var tpu: TPU?
    }
}
