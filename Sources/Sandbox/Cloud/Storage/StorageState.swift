internal import Encoding
internal import Synchronization

/// Buckets, objects and upload sessions as values. What requests do to them is in `StorageAPI`.
struct StorageState: Sendable {
    var buckets: [String: StoredBucket] = [:]
    var sessions: [String: UploadSession] = [:]
    /// Of uploads in one request, which are being written.
    var bytesUnderWay: Int64 = 0
    /// Sessions that were cancelled or given up: they answer 410.
    var lostSessions: Set<String> = []
    /// Deleted buckets that can be restored.
    var softDeletedBuckets: [SoftDeletedBucket] = []
    /// Rewrites that need another call, by token.
    var rewrites: [String: Rewrite] = [:]
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

    mutating func nextRewriteToken() -> String {
        sessionSerial += 1
        if rewrites.count > 1000 { rewrites = [:] }
        return "rewrite-\(sessionSerial)"
    }

    /// Forgets what was deleted long enough ago.
    mutating func purgeSoftDeleted(now: Timestamp) {
        softDeletedBuckets.removeAll { $0.hardDelete <= now }
        for (name, bucket) in buckets where bucket.softDeleted.contains(where: { $0.hardDelete <= now }) {
            buckets[name]?.softDeleted.removeAll { $0.hardDelete <= now }
        }
    }

    /// Versions, those that can be restored left out, and unfinished uploads together.
    var usedBytes: Int64 {
        buckets.values.reduce(bytesUnderWay) { $0 + $1.usedBytes } + sessions.values.reduce(0) { $0 + $1.size }
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
    /// Versions that are gone and can be restored, oldest first.
    var softDeleted: [SoftDeletedObject] = []
    var policy = StoredPolicy()
    /// As they were asked for, by their ids.
    var notifications: [String: JSONValue] = [:]
    var lastNotification = 0

    var etag: String { StableHash.hex(UInt32(truncatingIfNeeded: StableHash.fnv1a("\(generation)/\(metageneration)"))) }
    var isVersioned: Bool { settings.value(at: ["versioning", "enabled"])?.boolValue == true }
    var storageClass: String { settings["storageClass"]?.stringValue ?? "STANDARD" }

    var usedBytes: Int64 {
        objects.values.reduce(0) { $0 + $1.reduce(0) { $0 + $1.blob.size } }
    }

    /// How long what is deleted can be restored.
    var softDeleteDuration: Duration {
        let value = settings.value(at: ["softDeletePolicy", "retentionDurationSeconds"])
        return .seconds(value?.integerValue ?? value?.stringValue.flatMap { Int64($0) } ?? 0)
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
        if isVersioned { versions[last].deleted = now } else { keepSoftly(versions.removeLast(), now: now) }
        objects[name] = versions.isEmpty ? nil : versions
    }

    /// Removes one version; it may be restored for a time.
    mutating func remove(_ name: String, generation: Int64, now: Timestamp) {
        if let object = object(name, generation: generation) { keepSoftly(object, now: now) }
        objects[name]?.removeAll { $0.generation == generation }
        if objects[name]?.isEmpty == true { objects[name] = nil }
    }
}

extension StoredBucket {
    private mutating func keepSoftly(_ object: StoredObject, now: Timestamp) {
        guard softDeleteDuration > .zero else { return }
        softDeleted.append(SoftDeletedObject(object: object, deleted: now, hardDelete: now + softDeleteDuration))
    }
}

/// A version that is gone and can be restored until its hard delete.
struct SoftDeletedObject: Sendable {
    var object: StoredObject
    var deleted: Timestamp
    var hardDelete: Timestamp
}

/// A bucket that is gone and can be restored until its hard delete.
struct SoftDeletedBucket: Sendable {
    var bucket: StoredBucket
    var deleted: Timestamp
    var hardDelete: Timestamp
}

/// A rewrite that is not finished.
struct Rewrite: Sendable {
    var source: StorageCall.ObjectName
    var sourceGeneration: Int64
    var destination: StorageCall.ObjectName
    var copied: Int64
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
    /// Of how many objects it was composed.
    var componentCount: Int?
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
    var bytes: UploadBytes
    /// Of `bytes`, and what a request is just adding.
    var size: Int64 = 0
    var started: Timestamp
}

/// The bytes of an upload. They have their own lock, so that no other request waits while they are written and hashed;
/// requests of one session wait for each other. Whoever has it may take `SimulatedCloud`'s lock, never the other way.
final class UploadBytes: Sendable {
    let pending: Mutex<PendingBlob>

    init(_ pending: PendingBlob) { self.pending = Mutex(pending) }
}
