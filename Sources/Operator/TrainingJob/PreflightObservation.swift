import Encoding
import GoogleCloud
public import HTTP
import Kubernetes

/// What was seen of buckets and quotas before machines are looked for.
public struct PreflightObservation: Sendable, Hashable {
    /// A bucket of the run.
    public struct BucketRead: Sendable, Hashable {
        /// Google's name of its place, in capitals.
        public var location: String?
        public var locationError: APIError?
        /// Of the permissions that were asked for; only of the outputs' bucket.
        public var granted: Set<String>?
        public var grantedError: APIError?

        public init() {}
    }

    /// A region's quotas.
    public enum RegionRead: Sendable, Hashable {
        /// By metric.
        case quotas([String: Quota])
        case unreadable(APIError)
    }

    public struct Quota: Sendable, Hashable {
        public var limit: Double
        public var free: Double

        public init(limit: Double, free: Double) {
            self.limit = limit
            self.free = free
        }
    }

    /// Whether an object could be stored in the outputs' bucket and read back, for this run.
    public enum Probe: Sendable, Hashable {
        /// Not yet.
        case untried
        case passed
        case unreadable(APIError)
    }

    /// The run's image in its registry.
    public enum ImageRead: Sendable, Hashable {
        /// Why nobody was asked: a sentence.
        case notAsked(String)
        /// It is there, with this digest.
        case found(String)
        /// It is certainly not there.
        case missing(APIError)
        case unreadable(APIError)
    }

    /// What a process remembers of a probe.
    struct ProbeMemory: Sendable {
        var runID: String
        var time: Timestamp
        /// nil: it was read back.
        var readError: APIError?
    }

    /// By name.
    public var buckets: [String: BucketRead] = [:]
    /// By name; none where nobody may be asked.
    public var regions: [String: RegionRead] = [:]
    /// nil: the check is skipped.
    public var image: ImageRead?
    /// nil: the run has no outputs, or the check is skipped.
    public var probe: Probe?
    /// Why it could not be written, when that was tried last.
    public var probeRefusal: APIError?

    public init() {}
}

extension TrainingJobPreflight {
    /// A run's buckets, sorted.
    static func buckets(_ run: TrainingJob.Run) -> [String] {
        let uris = run.inputs.map(\.uri) + [run.prefix, run.checkpointPrefix]
        return Set(uris.compactMap { $0.flatMap { StorageURI($0) }?.bucket }).sorted()
    }

    /// What the operator does with the outputs' bucket: the first two to verify, the others to leave a marker.
    static let outputPermissions = [
        "storage.objects.get", "storage.objects.list", "storage.objects.create", "storage.objects.delete",
    ]

    /// Where the probe lies for a moment: one for each run, since a bucket's retention policy may keep it for years, and
    /// lets nobody overwrite it.
    static func probePlace(_ run: TrainingJob.Run, _ observation: TrainingJobObservation) -> StorageURI? {
        guard let base = TrainingJobMarker.base(observation) else { return nil }
        let metadata = observation.job.metadata
        return StorageURI(base)?
            .appending("\(OperatorFolder.path)probe/\(metadata.namespace ?? "")/\(metadata.name)/\(run.id)")
    }

    /// Region of a zone.
    static func region(ofZone zone: String) -> String {
        zone.split(separator: "-").dropLast().joined(separator: "-")
    }

    /// Where the run's machines may be: regions of its options, sorted; the cluster's where others choose the nodes.
    static func regions(_ options: [CapacityOption], _ cluster: ClusterName) -> [String] {
        let regions = Set(options.map { region(ofZone: $0.zone) }.filter { !$0.isEmpty })
        guard regions.isEmpty else { return regions.sorted() }
        let isZone = cluster.location.split(separator: "-").count > 2
        return [isZone ? region(ofZone: cluster.location) : cluster.location]
    }
}
