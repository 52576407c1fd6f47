internal import Encoding

/// Buckets, objects and upload sessions as values. What requests do to them is in `StorageAPI`.
struct StorageState: Sendable {
    var buckets: [String: StoredBucket] = [:]
    var sessions: [String: UploadSession] = [:]
    /// Sessions that were cancelled or given up: they answer 410.
    var lostSessions: Set<String> = []
    private var lastGeneration: Int64 = 0
    private var sessionSerial: UInt64 = 0
    var lifecycleCheckedAt: Timestamp?

    /// Microseconds, as Cloud Storage's look, and always growing.
    mutating func nextGeneration(now: Timestamp) -> Int64 {
        lastGeneration = max(lastGeneration + 1, now.seconds * 1_000_000 + Int64(now.nanoseconds) / 1000)
        return lastGeneration
    }

    mutating func nextSessionID(now: Timestamp) -> String {
        sessionSerial += 1
        let seed = StableHash.fnv1a("\(now)/\(sessionSerial)")
        return "ABg5-\(String(seed, radix: 36))-\(String(sessionSerial, radix: 36))"
    }

    /// All versions and unfinished uploads together.
    var usedBytes: Int64 {
        buckets.values.reduce(0) { $0 + $1.usedBytes } + sessions.values.reduce(0) { $0 + $1.blob.size }
    }
}

/// A bucket: its settings as requests gave them, and its objects.
struct StoredBucket: Sendable {
    var name: String
    /// The settable members of the resource, defaults filled in.
    var settings: JSONValue
    var generation: Int64
    var metageneration: Int64 = 1
    var created: Timestamp
    var updated: Timestamp
    /// By name; of each the versions, oldest first. Only the last can be live.
    var objects: [String: [StoredObject]] = [:]

    var etag: String { StableHash.hex(UInt32(truncatingIfNeeded: StableHash.fnv1a("\(generation)/\(metageneration)"))) }
    var isVersioned: Bool { settings.value(at: ["versioning", "enabled"])?.boolValue == true }
    var storageClass: String { settings["storageClass"]?.stringValue ?? "STANDARD" }

    var usedBytes: Int64 {
        objects.values.reduce(0) { $0 + $1.reduce(0) { $0 + $1.blob.size } }
    }

    /// The live version, or the one of this generation.
    func object(_ name: String, generation: Int64? = nil) -> StoredObject? {
        guard let versions = objects[name] else { return nil }
        guard let generation else { return versions.last.flatMap { $0.isLive ? $0 : nil } }
        return versions.first { $0.generation == generation }
    }

    /// Makes it the live version; the former becomes noncurrent or vanishes.
    mutating func put(_ object: StoredObject, now: Timestamp) {
        retireLive(object.name, now: now)
        objects[object.name, default: []].append(object)
    }

    /// What a delete without a generation does.
    mutating func retireLive(_ name: String, now: Timestamp) {
        guard var versions = objects[name], let last = versions.indices.last, versions[last].isLive else { return }
        if isVersioned { versions[last].deleted = now } else { versions.removeLast() }
        objects[name] = versions.isEmpty ? nil : versions
    }

    /// Removes one version for good.
    mutating func remove(_ name: String, generation: Int64) {
        objects[name]?.removeAll { $0.generation == generation }
        if objects[name]?.isEmpty == true { objects[name] = nil }
    }
}

/// One version of an object.
struct StoredObject: Sendable {
    var name: String
    var generation: Int64
    var metageneration: Int64 = 1
    /// `contentType`, `metadata`, `customTime`, … as the upload gave them.
    var attributes: JSONValue
    var storageClass: String
    var blob: Blob
    var created: Timestamp
    var updated: Timestamp
    var classChanged: Timestamp
    /// Since when it is noncurrent.
    var deleted: Timestamp?

    var isLive: Bool { deleted == nil }
    var etag: String { StableHash.hex(UInt32(truncatingIfNeeded: StableHash.fnv1a("\(generation)/\(metageneration)"))) }
}

/// A resumable upload that is not finished.
struct UploadSession: Sendable {
    var bucket: String
    var name: String
    var attributes: JSONValue
    var preconditions: Preconditions
    var blob: PendingBlob
    var started: Timestamp
}
