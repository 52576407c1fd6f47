internal import Encoding
internal import HTTP

extension StorageAPI {
    func listBuckets(_ context: Context, _ state: StorageState) throws(CloudError) -> JSONValue {
        try check(project: context)
        if context.request.url.queryValue("softDeleted") == "true" { return listSoftDeletedBuckets(context, state) }
        let prefix = context.request.url.queryValue("prefix") ?? ""
        let names = state.buckets.keys.filter { $0.hasPrefix(prefix) }.sorted()
        let after = try Self.pageStart(context.request.url)
        let size = try Self.pageSize(context.request.url)
        let page = names.drop { name in after.map { name <= $0 } ?? false }.prefix(size)
        var value: JSONValue = ["kind": "storage#buckets"]
        if !page.isEmpty { value["items"] = .array(page.compactMap { state.buckets[$0] }.map(json)) }
        if let last = page.last, last != names.last { value["nextPageToken"] = .string(Self.pageToken(last)) }
        return value
    }

    func insertBucket(_ context: Context, _ state: inout StorageState) throws(CloudError) -> JSONValue {
        try check(project: context)
        var settings = try Self.message("Bucket", context.request.body)
        guard let name = settings["name"]?.stringValue else {
            throw CloudError(status: 400, reason: "required", message: "Required", location: "name")
        }
        guard Self.isBucketName(name) else { throw Self.invalid("Invalid bucket name: '\(name)'", location: "name") }
        settings["name"] = nil
        if context.script.foreignBuckets.contains(name) {
            throw CloudError(
                status: 409, reason: "conflict",
                message: "The requested bucket name is not available. The bucket namespace is shared by all users of "
                    + "the system. Please select a different name and try again.")
        }
        if state.buckets[name] != nil {
            throw CloudError(
                status: 409, reason: "conflict",
                message: "Your previous request to create the named bucket succeeded and you already own it.")
        }
        settings = Self.withDefaults(settings)
        try Self.check(settings)
        let bucket = StoredBucket(
            name: name, settings: settings, generation: state.nextGeneration(now: context.now), created: context.now,
            updated: context.now)
        state.buckets[name] = bucket
        return json(bucket)
    }

    func getBucket(_ name: String, _ context: Context, _ state: StorageState) throws(CloudError) -> JSONValue {
        if context.request.url.queryValue("softDeleted") == "true" {
            return json(try softDeletedBucket(name, context, state))
        }
        let bucket = try bucket(name, context, state)
        try Preconditions(context.request.url).check(
            generation: bucket.generation, metageneration: bucket.metageneration, isRead: true)
        return json(bucket)
    }

    func patchBucket(
        _ name: String, _ context: Context, _ state: inout StorageState
    ) throws(CloudError) -> JSONValue {
        var bucket = try bucket(name, context, state)
        try Preconditions(context.request.url).check(
            generation: bucket.generation, metageneration: bucket.metageneration)
        let patch = try Self.message("Bucket", context.request.body)
        if let location = patch["location"]?.stringValue,
            location.uppercased() != bucket.settings["location"]?.stringValue
        {
            throw Self.invalid("A bucket's location cannot be changed.", location: "location")
        }
        var settings = Self.merged(bucket.settings, patch)
        settings["location"] = bucket.settings["location"]
        settings["name"] = nil
        settings = Self.withDefaults(settings)
        try Self.check(settings)
        try Self.checkRetention(from: bucket.settings, to: settings)
        bucket.settings = settings
        bucket.metageneration += 1
        bucket.updated = context.now
        state.buckets[name] = bucket
        return json(bucket)
    }

    /// For ever: the policy can only grow from now on.
    func lockRetention(
        _ name: String, _ context: Context, _ state: inout StorageState
    ) throws(CloudError) -> JSONValue {
        var bucket = try bucket(name, context, state)
        guard context.request.url.queryValue("ifMetagenerationMatch") != nil else {
            throw CloudError(
                status: 400, reason: "required", message: "Required parameter: ifMetagenerationMatch",
                location: "ifMetagenerationMatch")
        }
        try Preconditions(context.request.url).check(
            generation: bucket.generation, metageneration: bucket.metageneration)
        guard bucket.settings["retentionPolicy"]?.objectValue != nil else {
            throw Self.invalid("The bucket has no retention policy to lock.")
        }
        bucket.settings.set(true, at: ["retentionPolicy", "isLocked"])
        bucket.metageneration += 1
        bucket.updated = context.now
        state.buckets[name] = bucket
        return json(bucket)
    }

    private static func retentionSeconds(_ settings: JSONValue) -> Int64? {
        let value = settings.value(at: ["retentionPolicy", "retentionPeriod"])
        return value?.integerValue ?? value?.stringValue.flatMap { Int64($0) }
    }

    private static func checkRetention(from old: JSONValue, to new: JSONValue) throws(CloudError) {
        guard old.value(at: ["retentionPolicy", "isLocked"])?.boolValue == true else { return }
        guard let before = retentionSeconds(old), let after = retentionSeconds(new), after >= before else {
            throw CloudError(
                status: 403, reason: "forbidden",
                message: "Cannot reduce the duration of or remove a locked retention policy.")
        }
    }

    func deleteBucket(
        _ name: String, _ context: Context, _ state: inout StorageState
    ) throws(CloudError) -> HTTPReply {
        let bucket = try bucket(name, context, state)
        try Preconditions(context.request.url).check(
            generation: bucket.generation, metageneration: bucket.metageneration)
        guard bucket.objects.isEmpty else {
            throw CloudError(
                status: 409, reason: "conflict",
                message: "The bucket you tried to delete is not empty.")
        }
        state.buckets[name] = nil
        if bucket.softDeleteDuration > .zero {
            state.softDeletedBuckets.append(
                SoftDeletedBucket(
                    bucket: bucket, deleted: context.now, hardDelete: context.now + bucket.softDeleteDuration))
        }
        for (id, session) in state.sessions where session.bucket == name {
            state.sessions[id] = nil
            state.lostSessions.insert(id)
        }
        return HTTPReply(status: 204)
    }

    // MARK: Settings

    private func check(project context: Context) throws(CloudError) {
        guard let project = context.request.url.queryValue("project") else {
            throw CloudError(
                status: 400, reason: "required", message: "Required parameter: project", location: "project")
        }
        guard project == configuration.project || project == String(configuration.projectNumber) else {
            throw CloudError(
                status: 403, reason: "forbidden",
                message: "The caller does not have permission on the project, or it may not exist.")
        }
    }

    /// JSON merge patch (RFC 7386).
    static func merged(_ target: JSONValue, _ patch: JSONValue) -> JSONValue {
        guard case .object(let changes) = patch else { return patch }
        var result = target.objectValue == nil ? JSONValue.object([:]) : target
        for (key, change) in changes {
            if change.isNull {
                result[key] = nil
            } else {
                result[key] = merged(result[key] ?? .null, change)
            }
        }
        return result
    }

    private static func withDefaults(_ settings: JSONValue) -> JSONValue {
        var settings = settings
        settings["location"] = .string((settings["location"]?.stringValue ?? "US").uppercased())
        if settings["storageClass"] == nil { settings["storageClass"] = "STANDARD" }
        if settings["softDeletePolicy"] == nil {
            settings["softDeletePolicy"] = ["retentionDurationSeconds": "604800"]
        }
        // 64-bit integers are strings in replies, however they came.
        for path in [["softDeletePolicy", "retentionDurationSeconds"], ["retentionPolicy", "retentionPeriod"]] {
            if let number = settings.value(at: path)?.integerValue { settings.set(.string(String(number)), at: path) }
        }
        if settings.value(at: ["iamConfiguration", "publicAccessPrevention"]) == nil {
            settings.set("inherited", at: ["iamConfiguration", "publicAccessPrevention"])
        }
        if settings.value(at: ["iamConfiguration", "uniformBucketLevelAccess"]) == nil {
            settings.set(["enabled": false], at: ["iamConfiguration", "uniformBucketLevelAccess"])
        }
        return settings
    }

    /// What Cloud Storage refuses beyond the shape.
    private static func check(_ settings: JSONValue) throws(CloudError) {
        guard LifecycleRules.storageClasses.contains(settings["storageClass"]?.stringValue ?? "") else {
            throw invalid("Invalid storage class.", location: "storageClass")
        }
        let retention = settings.value(at: ["softDeletePolicy", "retentionDurationSeconds"])
        let seconds = retention?.integerValue ?? retention?.stringValue.flatMap { Int64($0) } ?? 0
        guard seconds == 0 || (604_800...7_776_000).contains(seconds) else {
            throw invalid("The soft delete retention duration must be 0 or between 7 and 90 days.")
        }
        let prevention = settings.value(at: ["iamConfiguration", "publicAccessPrevention"])?.stringValue
        guard prevention == "enforced" || prevention == "inherited" else {
            throw invalid("publicAccessPrevention is enforced or inherited.")
        }
        let labels = settings["labels"]?.objectValue ?? [:]
        guard labels.count <= 64, labels.allSatisfy({ isLabel($0, $1.stringValue ?? "") }) else {
            throw invalid("Labels are at most 64; keys and values have lower-case letters, digits, '-' and '_'.")
        }
        let rules = settings.value(at: ["lifecycle", "rule"])?.arrayValue ?? []
        if settings.value(at: ["autoclass", "enabled"])?.boolValue == true,
            rules.contains(where: { $0.value(at: ["action", "type"]) == "SetStorageClass" })
        {
            throw invalid("A bucket with Autoclass cannot have SetStorageClass lifecycle rules.")
        }
        if let seconds = retentionSeconds(settings), !(1...3_155_760_000).contains(seconds) {
            throw invalid("The retention period must be between 1 second and 100 years.")
        }
        if settings.value(at: ["autoclass", "enabled"])?.boolValue == true, settings["storageClass"] != "STANDARD" {
            throw invalid("The storage class of a bucket with Autoclass is STANDARD.")
        }
        try LifecycleRules(settings: settings).check()
    }

    private static func isLabel(_ key: String, _ value: String) -> Bool {
        let allowed: (UInt8) -> Bool = {
            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x5F
        }
        return (1...63).contains(key.utf8.count) && value.utf8.count <= 63 && key.utf8.allSatisfy(allowed)
            && value.utf8.allSatisfy(allowed) && key.utf8.first.map { (0x61...0x7A).contains($0) } == true
    }

    private static func isBucketName(_ name: String) -> Bool {
        let isAlphanumeric: (UInt8) -> Bool = { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) }
        let bytes = Array(name.utf8)
        return (3...63).contains(bytes.count) && bytes.first.map(isAlphanumeric) == true
            && bytes.last.map(isAlphanumeric) == true && !name.hasPrefix("goog") && !name.contains("..")
            && bytes.allSatisfy { isAlphanumeric($0) || $0 == 0x2D || $0 == 0x5F || $0 == 0x2E }
    }

    func json(_ bucket: StoredBucket) -> JSONValue {
        var value = bucket.settings
        let location = bucket.settings["location"]?.stringValue ?? "US"
        let multiRegions = ["US", "EU", "ASIA"]
        let members: [String: JSONValue] = [
            "kind": "storage#bucket", "id": .string(bucket.name), "name": .string(bucket.name),
            "selfLink": .string("https://www.googleapis.com/storage/v1/b/\(bucket.name)"),
            "projectNumber": .string(String(configuration.projectNumber)),
            "generation": .string(String(bucket.generation)),
            "metageneration": .string(String(bucket.metageneration)),
            "etag": .string(bucket.etag),
            "timeCreated": .string(bucket.created.description), "updated": .string(bucket.updated.description),
            "locationType": .string(
                multiRegions.contains(location) ? "multi-region" : location.contains("-") ? "region" : "dual-region"),
        ]
        for (key, member) in members { value[key] = member }
        return value
    }

    // MARK: Pages

    static func pageSize(_ url: HTTPURL) throws(CloudError) -> Int {
        guard let size = try Preconditions.number(url, "maxResults") else { return 1000 }
        return Int(min(max(size, 1), 1000))
    }

    /// The page begins behind this.
    static func pageStart(_ url: HTTPURL) throws(CloudError) -> String? {
        guard let token = url.queryValue("pageToken") else { return nil }
        guard token.hasPrefix("after."), let start = HTTPURL.decoded(token.dropFirst(6)) else {
            throw CloudError(
                status: 400, reason: "invalid", message: "Invalid argument.", location: "pageToken")
        }
        return start
    }

    static func pageToken(_ last: String) -> String { "after." + HTTPURL.encoded(last) }
}
