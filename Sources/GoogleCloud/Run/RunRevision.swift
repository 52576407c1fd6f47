/// What a revision is made of.
public struct RunRevisionTemplate: Codable, Sendable, Hashable {
    /// Instances of this revision.
    public struct Scaling: Codable, Sendable, Hashable {
        public var minInstanceCount: Int?
        public var maxInstanceCount: Int?

        public init(minInstanceCount: Int? = nil, maxInstanceCount: Int? = nil) {
            self.minInstanceCount = minInstanceCount
            self.maxInstanceCount = maxInstanceCount
        }
    }

    /// Which machines: one GPU each.
    public struct NodeSelector: Codable, Sendable, Hashable {
        /// `nvidia-l4`, `nvidia-rtx-pro-6000`.
        public var accelerator: String?

        public init(accelerator: String) { self.accelerator = accelerator }
    }

    public struct VPCAccess: Codable, Sendable, Hashable {
        public struct Interface: Codable, Sendable, Hashable {
            public var network: String?
            public var subnetwork: String?

            public init(network: String? = nil, subnetwork: String? = nil) {
                self.network = network
                self.subnetwork = subnetwork
            }
        }

        /// `ALL_TRAFFIC` or `PRIVATE_RANGES_ONLY`.
        public var egress: String?
        public var networkInterfaces: [Interface]?

        public init(egress: String, networkInterfaces: [Interface]) {
            self.egress = egress
            self.networkInterfaces = networkInterfaces
        }
    }

    /// `SERVICE-…`; nil lets the service choose.
    public var revision: String?
    public var labels: [String: String]?
    public var annotations: [String: String]?
    public var scaling: Scaling?
    public var containers: [RunContainer]?
    public var volumes: [RunVolume]?
    /// E-mail address.
    public var serviceAccount: String?
    /// `300s`.
    public var timeout: String?
    public var maxInstanceRequestConcurrency: Int?
    /// `EXECUTION_ENVIRONMENT_GEN2`, …
    public var executionEnvironment: String?
    public var nodeSelector: NodeSelector?
    /// true needs less GPU quota and costs less.
    public var gpuZonalRedundancyDisabled: Bool?
    public var vpcAccess: VPCAccess?

    public init(containers: [RunContainer]) { self.containers = containers }
}

/// A container of an instance.
public struct RunContainer: Codable, Sendable, Hashable {
    public struct Resources: Codable, Sendable, Hashable {
        /// `cpu`, `memory`, `nvidia.com/gpu`.
        public var limits: [String: String]?
        /// false: paid for as long as the instance runs; GPUs need that, and it is not the default once `limits` are set.
        public var cpuIdle: Bool?
        public var startupCpuBoost: Bool?

        public init(limits: [String: String], cpuIdle: Bool, startupCpuBoost: Bool? = nil) {
            self.limits = limits
            self.cpuIdle = cpuIdle
            self.startupCpuBoost = startupCpuBoost
        }
    }

    public struct Port: Codable, Sendable, Hashable {
        /// `http1` or `h2c`.
        public var name: String?
        public var containerPort: Int?

        public init(name: String? = nil, containerPort: Int) {
            self.name = name
            self.containerPort = containerPort
        }
    }

    public struct EnvironmentVariable: Codable, Sendable, Hashable {
        public struct Source: Codable, Sendable, Hashable {
            public struct SecretKey: Codable, Sendable, Hashable {
                public var secret: String?
                /// `latest` or a number.
                public var version: String?
            }

            public var secretKeyRef: SecretKey?
        }

        public var name: String
        public var value: String?
        public var valueSource: Source?

        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }

        public init(name: String, secret: String, version: String) {
            self.name = name
            valueSource = Source(secretKeyRef: Source.SecretKey(secret: secret, version: version))
        }
    }

    public struct VolumeMount: Codable, Sendable, Hashable {
        public var name: String?
        public var mountPath: String?

        public init(name: String, mountPath: String) {
            self.name = name
            self.mountPath = mountPath
        }
    }

    public var name: String?
    public var image: String?
    public var command: [String]?
    public var args: [String]?
    public var env: [EnvironmentVariable]?
    public var resources: Resources?
    public var ports: [Port]?
    public var volumeMounts: [VolumeMount]?
    public var startupProbe: RunProbe?
    public var livenessProbe: RunProbe?
    public var readinessProbe: RunProbe?

    public init(image: String) { self.image = image }
}

/// How a container's health is asked for: exactly one of `httpGet`, `tcpSocket` and `grpc`.
public struct RunProbe: Codable, Sendable, Hashable {
    public struct HTTPGet: Codable, Sendable, Hashable {
        public struct Header: Codable, Sendable, Hashable {
            public var name: String?
            public var value: String?

            public init(name: String, value: String) {
                self.name = name
                self.value = value
            }
        }

        public var path: String?
        public var port: Int?
        public var httpHeaders: [Header]?

        public init(path: String, port: Int? = nil, httpHeaders: [Header]? = nil) {
            self.path = path
            self.port = port
            self.httpHeaders = httpHeaders
        }
    }

    public struct TCPSocket: Codable, Sendable, Hashable {
        public var port: Int?

        public init(port: Int? = nil) { self.port = port }
    }

    public struct GRPC: Codable, Sendable, Hashable {
        public var port: Int?
        public var service: String?

        public init(port: Int? = nil, service: String? = nil) {
            self.port = port
            self.service = service
        }
    }

    public var initialDelaySeconds: Int?
    public var timeoutSeconds: Int?
    public var periodSeconds: Int?
    public var failureThreshold: Int?
    public var httpGet: HTTPGet?
    public var tcpSocket: TCPSocket?
    public var grpc: GRPC?

    public init(httpGet: HTTPGet) { self.httpGet = httpGet }
    public init(tcpSocket: TCPSocket) { self.tcpSocket = tcpSocket }
    public init(grpc: GRPC) { self.grpc = grpc }
}

/// Files of an instance: one of its members.
public struct RunVolume: Codable, Sendable, Hashable {
    /// A bucket as a folder.
    public struct Bucket: Codable, Sendable, Hashable {
        public var bucket: String?
        public var readOnly: Bool?
        /// Without `--`.
        public var mountOptions: [String]?

        public init(bucket: String, readOnly: Bool, mountOptions: [String]? = nil) {
            self.bucket = bucket
            self.readOnly = readOnly
            self.mountOptions = mountOptions
        }
    }

    public struct Secret: Codable, Sendable, Hashable {
        public var secret: String?

        public init(secret: String) { self.secret = secret }
    }

    public struct EmptyDirectory: Codable, Sendable, Hashable {
        /// `MEMORY` or `DISK`.
        public var medium: String?
        /// `1Gi`.
        public var sizeLimit: String?

        public init(medium: String, sizeLimit: String) {
            self.medium = medium
            self.sizeLimit = sizeLimit
        }
    }

    public var name: String
    public var gcs: Bucket?
    public var secret: Secret?
    public var emptyDir: EmptyDirectory?

    public init(name: String, gcs: Bucket) {
        self.name = name
        self.gcs = gcs
    }

    public init(name: String, secret: Secret) {
        self.name = name
        self.secret = secret
    }

    public init(name: String, emptyDir: EmptyDirectory) {
        self.name = name
        self.emptyDir = emptyDir
    }
}

/// A revision: one immutable state of a service.
public struct RunRevision: Decodable, Sendable, Hashable {
    /// `projects/P/locations/L/services/S/revisions/R`.
    public var name: String
    public var uid: String?
    public var etag: String?
    /// Short name.
    public var service: String?
    public var labels: [String: String]?
    public var annotations: [String: String]?
    public var containers: [RunContainer]?
    public var scaling: RunRevisionTemplate.Scaling?
    public var nodeSelector: RunRevisionTemplate.NodeSelector?
    public var serviceAccount: String?
    public var conditions: [RunCondition]?
    /// A change is under way; absent means no.
    public var reconciling: Bool?
    public var logUri: String?
    /// RFC 3339.
    public var createTime: String?
    /// RFC 3339; set once it is deleted.
    public var deleteTime: String?

    /// Instances start and pass their probes.
    public var isReady: Bool { readiness?.state == .known(.succeeded) }

    /// The condition `Ready`.
    public var readiness: RunCondition? { conditions?.first { $0.type == "Ready" } }

    /// `R` of `name`.
    public var id: String { name.split(separator: "/").last.map(String.init) ?? name }
}
