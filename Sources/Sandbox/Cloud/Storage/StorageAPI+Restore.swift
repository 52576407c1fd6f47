internal import Encoding
internal import HTTP

/// Soft delete, holds and retention: what is gone and comes back, and what must not go.
extension StorageAPI {
    func softDeleted(
        _ name: String, in bucket: StoredBucket, _ context: Context
    ) throws(CloudError) -> SoftDeletedObject {
        guard let generation = try Preconditions.number(context.request.url, "generation") else {
            throw CloudError(
                status: 400, reason: "required", message: "Required parameter: generation", location: "generation")
        }
        let found = bucket.softDeleted.first {
            $0.object.name == name && $0.object.generation == generation && $0.hardDelete > context.now
        }
        guard let found else { throw Self.notFound("No such object: \(bucket.name)/\(name)") }
        return found
    }

    func json(_ gone: SoftDeletedObject, bucket: String, _ context: Context) -> JSONValue {
        var value = json(gone.object, bucket: bucket, context)
        value["softDeleteTime"] = .string(gone.deleted.description)
        value["hardDeleteTime"] = .string(gone.hardDelete.description)
        return value
    }

    /// A new live version of what is gone, which stays restorable.
    func restoreObject(
        _ bucketName: String, _ name: String, _ context: Context, _ state: inout StorageState
    ) throws(CloudError) -> JSONValue {
        let bucket = try bucket(bucketName, context, state)
        let live = bucket.object(name)
        try Preconditions(context.request.url).check(
            generation: live?.generation ?? 0, metageneration: live?.metageneration ?? 0)
        var object = try softDeleted(name, in: bucket, context).object
        if let live, !bucket.isVersioned { try bucket.checkRemovable(live, now: context.now) }
        object.generation = state.nextGeneration(now: context.now)
        object.metageneration = 1
        object.created = context.now
        object.updated = context.now
        object.deleted = nil
        state.buckets[bucketName]?.put(object, now: context.now)
        return json(object, bucket: bucketName, context)
    }

    /// Restorable versions give way when all together is more than the sandbox may hold.
    func limitSoftDeleted(_ state: inout StorageState) {
        func size() -> Int64 {
            state.buckets.values.reduce(0) { $0 + $1.softDeleted.reduce(0) { $0 + $1.object.blob.size } }
        }
        var excess = state.usedBytes + size() - configuration.maximumStorageBytes
        for name in state.buckets.keys.sorted() {
            while excess > 0, let oldest = state.buckets[name]?.softDeleted.first {
                state.buckets[name]?.softDeleted.removeFirst()
                excess -= oldest.object.blob.size
            }
        }
    }

    // MARK: Buckets

    func listSoftDeletedBuckets(_ context: Context, _ state: StorageState) -> JSONValue {
        let prefix = context.request.url.queryValue("prefix") ?? ""
        let gone = state.softDeletedBuckets.filter { $0.bucket.name.hasPrefix(prefix) && $0.hardDelete > context.now }
        var value: JSONValue = ["kind": "storage#buckets"]
        if !gone.isEmpty { value["items"] = .array(gone.map(json)) }
        return value
    }

    func softDeletedBucket(
        _ name: String, _ context: Context, _ state: StorageState
    ) throws(CloudError) -> SoftDeletedBucket {
        guard let generation = try Preconditions.number(context.request.url, "generation") else {
            throw CloudError(
                status: 400, reason: "required", message: "Required parameter: generation", location: "generation")
        }
        let found = state.softDeletedBuckets.first {
            $0.bucket.name == name && $0.bucket.generation == generation && $0.hardDelete > context.now
        }
        guard let found else { throw Self.notFound("The specified bucket does not exist.") }
        return found
    }

    func json(_ gone: SoftDeletedBucket) -> JSONValue {
        var value = json(gone.bucket)
        value["softDeleteTime"] = .string(gone.deleted.description)
        value["hardDeleteTime"] = .string(gone.hardDelete.description)
        return value
    }

    func restoreBucket(
        _ name: String, _ context: Context, _ state: inout StorageState
    ) throws(CloudError) -> JSONValue {
        let gone = try softDeletedBucket(name, context, state)
        guard state.buckets[name] == nil else {
            throw CloudError(status: 409, reason: "conflict", message: "A bucket with that name exists.")
        }
        state.softDeletedBuckets.removeAll { $0.bucket.name == name && $0.bucket.generation == gone.bucket.generation }
        var bucket = gone.bucket
        bucket.metageneration += 1
        bucket.updated = context.now
        state.buckets[name] = bucket
        return json(bucket)
    }
}

extension StoredBucket {
    /// Until when the retention policy keeps a version.
    private func retainedUntil(_ object: StoredObject) -> Timestamp? {
        let value = settings.value(at: ["retentionPolicy", "retentionPeriod"])
        guard let seconds = value?.integerValue ?? value?.stringValue.flatMap({ Int64($0) }), seconds > 0 else {
            return nil
        }
        return object.created + .seconds(seconds)
    }

    private func hold(_ object: StoredObject) -> String? {
        if object.attributes["temporaryHold"]?.boolValue == true { return "Temporary hold" }
        return object.attributes["eventBasedHold"]?.boolValue == true ? "Event-Based hold" : nil
    }

    func mayRemove(_ object: StoredObject, now: Timestamp) -> Bool {
        hold(object) == nil && retainedUntil(object).map { $0 <= now } ?? true
    }

    /// - Throws: 403 while a hold or the retention policy keeps it.
    func checkRemovable(_ object: StoredObject, now: Timestamp) throws(CloudError) {
        if let hold = hold(object) {
            throw CloudError(
                status: 403, reason: "forbidden",
                message:
                    "Object '\(name)/\(object.name)' is under active \(hold) and cannot be deleted, overwritten or "
                    + "archived until hold is removed.")
        }
        if let moment = retainedUntil(object), moment > now {
            throw CloudError(
                status: 403, reason: "retentionPolicyNotMet",
                message:
                    "Object '\(name)/\(object.name)' is subject to bucket's retention policy or object retention and "
                    + "cannot be deleted or overwritten until \(moment)")
        }
    }
}
