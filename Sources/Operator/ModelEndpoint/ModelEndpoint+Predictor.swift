public import Encoding

extension ModelEndpoint {
    /// The container that answers.
    public struct Predictor: Codable, Sendable, Hashable {
        public struct EnvironmentVariable: Codable, Sendable, Hashable {
            public struct Source: Codable, Sendable, Hashable {
                /// A secret of the project's Secret Manager.
                public struct SecretKey: Codable, Sendable, Hashable {
                    public var name: String
                    /// Its version: `latest` or a number.
                    public var key: String
                }

                public var secretKeyRef: SecretKey
            }

            public var name: String
            public var value: String?
            public var valueFrom: Source?
        }

        public struct Resources: Codable, Sendable, Hashable {
            public struct Limits: Codable, Sendable, Hashable {
                public var cpu: JSONValue?
                public var memory: JSONValue?
            }

            public var limits: Limits?
        }

        public struct Accelerator: Codable, Sendable, Hashable {
            public enum GPUType: String, Codable, Sendable, Hashable, CaseIterable {
                case nvidiaL4 = "nvidia-l4"
                case nvidiaRTXPro6000 = "nvidia-rtx-pro-6000"
            }

            public struct GPU: Codable, Sendable, Hashable {
                public var type: GPUType
                public var zonalRedundancy: Bool
            }

            public var gpu: GPU
        }

        public struct Probe: Codable, Sendable, Hashable {
            public struct HTTPGet: Codable, Sendable, Hashable {
                public var path: String
                public var port: Int?
            }

            public var httpGet: HTTPGet
            public var initialDelaySeconds: Int?
            public var periodSeconds: Int?
            public var timeoutSeconds: Int?
            public var failureThreshold: Int?
        }

        public struct Probes: Codable, Sendable, Hashable {
            public var startup: Probe?
            public var liveness: Probe?
        }

        /// Nil: the installation's trainer image, with `serve`.
        public var image: String?
        public var command: [String]?
        public var args: [String]?
        public var port: Int
        public var env: [EnvironmentVariable]?
        public var resources: Resources?
        public var accelerator: Accelerator?
        public var probes: Probes?
        public var concurrency: Int?
        public var timeoutSeconds: Int
        public var googleServiceAccount: String?

        /// As the CRD's defaults have it.
        public init() {
            port = 8080
            timeoutSeconds = 300
        }
    }
}
