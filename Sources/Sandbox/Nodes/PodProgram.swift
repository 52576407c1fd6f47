public import Encoding

/// What an image is on the simulated nodes.
public enum PodProgram: Sendable {
    /// A program on this machine: the image's entry point and its first arguments. A container's `command` replaces
    /// them (it is looked up beside the program, then in PATH); its `args` are appended.
    case process(argv: [String])
    /// A function on the sandbox's clock, for tests. It is called when the container starts and returns at once: what
    /// takes time is said in its result.
    case scripted(@Sendable (PodContext) async -> PodResult)
}

/// What a scripted container knows of itself.
public struct PodContext: Sendable {
    public let namespace: String
    public let podName: String
    public let podUID: String
    public let nodeName: String
    public let containerName: String
    /// How often the container has been started before in this pod.
    public let restartCount: Int
    /// The container's command line: the container's `command` and `args`.
    public let arguments: [String]
    public let environment: [String: String]
    /// When it started.
    public let startedAt: Timestamp
    /// The simulated cloud, whose buckets it may fill.
    public let cloud: SimulatedCloud

    /// Puts an object into a bucket by its `gs://bucket/name`.
    ///
    /// - Throws: `.invalidConfiguration` for a URI that is none, `.notFound` when there is no such bucket.
    public func putObject(
        _ uri: String, _ bytes: [UInt8], contentType: String = "application/octet-stream"
    ) throws(SandboxError) {
        guard let location = StorageLocation(uri) else {
            throw SandboxError(.invalidConfiguration, "\(uri) is not of the form gs://bucket/name")
        }
        try cloud.putObject(bucket: location.bucket, name: location.name, bytes: bytes, contentType: contentType)
    }
}

/// How a scripted container goes on and ends.
public struct PodResult: Sendable {
    /// Something that happens while it runs.
    public struct Step: Sendable {
        /// After the start.
        public var after: Duration
        public var run: @Sendable () async -> Void

        public init(after: Duration, run: @escaping @Sendable () async -> Void) {
            self.after = after
            self.run = run
        }
    }

    public var exitCode: Int32
    /// From the start to the exit.
    public var duration: Duration
    /// What it writes to its log, all at the start.
    public var log: String
    /// In any order; those after `duration` never run.
    public var steps: [Step]
    /// What happens on SIGTERM: the exit code, and how long that takes. Nil: it does not listen and is killed.
    public var onTerminate: Termination?

    /// The answer to SIGTERM.
    public struct Termination: Sendable {
        public var exitCode: Int32
        public var after: Duration
        public var run: @Sendable () async -> Void

        public init(exitCode: Int32, after: Duration = .zero, run: @escaping @Sendable () async -> Void = {}) {
            self.exitCode = exitCode
            self.after = after
            self.run = run
        }
    }

    public init(
        exitCode: Int32 = 0, after duration: Duration = .seconds(10), log: String = "", steps: [Step] = [],
        onTerminate: Termination? = Termination(exitCode: 143)
    ) {
        self.exitCode = exitCode
        self.duration = duration
        self.log = log
        self.steps = steps
        self.onTerminate = onTerminate
    }
}

/// `gs://bucket/name`.
struct StorageLocation: Sendable, Hashable {
    var bucket: String
    /// May be empty or a prefix that ends in "/".
    var name: String

    init?(_ uri: String) {
        guard uri.hasPrefix("gs://") else { return nil }
        let parts = uri.dropFirst(5).split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let bucket = parts.first, !bucket.isEmpty else { return nil }
        self.bucket = String(bucket)
        self.name = parts.count == 2 ? String(parts[1]) : ""
    }
}
