internal import Encoding
internal import HTTP

/// Objects made of other objects, and changes of what is said about one.
extension StorageAPI {
    func patchObject(
        _ bucketName: String, _ name: String, _ context: Context, _ state: inout StorageState
    ) throws(CloudError) -> JSONValue {
        let bucket = try bucket(bucketName, context, state)
        let generation = try Preconditions.number(context.request.url, "generation")
        guard var object = bucket.object(name, generation: generation) else {
            throw Self.notFound("No such object: \(bucketName)/\(name)")
        }
        try Preconditions(context.request.url).check(
            generation: object.generation, metageneration: object.metageneration)
        let patch = try Self.message("Object", context.request.body)
        for (fixed, current) in [
            ("storageClass", object.storageClass), ("name", name), ("bucket", bucketName),
            ("crc32c", object.blob.crc32c), ("md5Hash", object.blob.md5),
        ] {
            if let wanted = patch[fixed]?.stringValue, wanted != current {
                throw Self.invalid("\(fixed) cannot be changed in place.", location: fixed)
            }
        }
        var attributes = Self.merged(object.attributes, patch)
        for fixed in ["storageClass", "name", "bucket", "crc32c", "md5Hash"] {
            attributes[fixed] = object.attributes[fixed]
        }
        if let before = object.attributes["customTime"]?.stringValue.flatMap({ Timestamp($0) }) {
            guard let after = attributes["customTime"]?.stringValue.flatMap({ Timestamp($0) }), after >= before else {
                throw Self.invalid("customTime cannot be removed or set to an earlier time.", location: "customTime")
            }
        }
        object.attributes = attributes
        object.metageneration += 1
        object.updated = context.now
        state.buckets[bucketName]?.replace(object)
        return json(object, bucket: bucketName, context)
    }

    // MARK: Compose

    func compose(
        _ bucketName: String, _ name: String, _ context: Context, _ state: inout StorageState
    ) throws(CloudError) -> JSONValue {
        let bucket = try bucket(bucketName, context, state)
        let request = try Self.message("ComposeRequest", context.request.body)
        let sources = request["sourceObjects"]?.arrayValue ?? []
        guard (1...32).contains(sources.count) else {
            throw Self.invalid("The number of source components provided (\(sources.count)) must be 1 to 32.")
        }
        let target = try Self.objectName(name)
        let live = bucket.object(target)
        try Preconditions(context.request.url).check(
            generation: live?.generation ?? 0, metageneration: live?.metageneration ?? 0)
        if let live, !bucket.isVersioned { try bucket.checkRemovable(live, now: context.now) }
        var components = 0
        var parts: [StoredObject] = []
        for source in sources {
            let part = try component(source, bucket)
            components += part.componentCount ?? 1
            parts.append(part)
        }
        try checkSpace(Int(parts.reduce(0) { $0 + $1.blob.size }), state)
        var attributes = request["destination"] ?? [:]
        attributes["name"] = nil
        attributes["bucket"] = nil
        let object = StoredObject(
            name: target, generation: state.nextGeneration(now: context.now), attributes: attributes,
            storageClass: attributes["storageClass"]?.stringValue ?? bucket.storageClass, blob: try joined(parts),
            created: context.now, updated: context.now, classChanged: context.now, componentCount: components)
        state.buckets[bucketName]?.put(object, now: context.now)
        if request["deleteSourceObjects"]?.boolValue == true {
            for part in parts where part.name != target {
                state.buckets[bucketName]?.retireLive(part.name, now: context.now)
            }
        }
        return json(object, bucket: bucketName, context)
    }

    private func component(_ source: JSONValue, _ bucket: StoredBucket) throws(CloudError) -> StoredObject {
        func number(_ value: JSONValue?) -> Int64? { value?.integerValue ?? value?.stringValue.flatMap { Int64($0) } }
        let name = source["name"]?.stringValue ?? ""
        guard let object = bucket.object(name, generation: number(source["generation"])) else {
            throw Self.notFound("Object \(bucket.name)/\(name) not found.")
        }
        let wanted = number(source.value(at: ["objectPreconditions", "ifGenerationMatch"]))
        guard wanted == nil || wanted == object.generation else {
            throw CloudError(
                status: 412, reason: "conditionNotMet",
                message: "At least one of the pre-conditions you specified did not hold.", location: "If-Match")
        }
        return object
    }

    private static let copyBytes: Int64 = 1 << 20

    private func joined(_ parts: [StoredObject]) throws(CloudError) -> Blob {
        var pending = store.pending()
        for part in parts {
            var offset: Int64 = 0
            while offset < part.blob.size {
                let end = min(offset + Self.copyBytes, part.blob.size)
                try pending.append(try part.blob.read(offset..<end)[...])
                offset = end
            }
        }
        return try pending.finished()
    }

    // MARK: Rewrite

    /// Copies in as many calls as the limits say; the token that joins them is good for this source and destination.
    func rewrite(
        _ source: StorageCall.ObjectName, to destination: StorageCall.ObjectName, _ context: Context,
        _ state: inout StorageState
    ) throws(CloudError) -> JSONValue {
        let url = context.request.url
        let from = try bucket(source.bucket, context, state)
        let into = try bucket(destination.bucket, context, state)
        let generation = try Preconditions.number(url, "sourceGeneration")
        guard let object = from.object(source.name, generation: generation) else {
            throw Self.notFound("No such object: \(source.bucket)/\(source.name)")
        }
        try Preconditions(url, prefix: "ifSource").check(
            generation: object.generation, metageneration: object.metageneration)
        let live = into.object(destination.name)
        try Preconditions(url).check(generation: live?.generation ?? 0, metageneration: live?.metageneration ?? 0)
        if let live, !into.isVersioned { try into.checkRemovable(live, now: context.now) }
        let before = try progress(source, object, destination, url, state)
        let after = try min(object.blob.size, before + rewriteLimit(url, context))
        var reply: JSONValue = [
            "kind": "storage#rewriteResponse", "objectSize": .string(String(object.blob.size)),
            "totalBytesRewritten": .string(String(after)), "done": .bool(after == object.blob.size),
        ]
        if let token = url.queryValue("rewriteToken") { state.rewrites[token] = nil }
        guard after == object.blob.size else {
            let token = state.nextRewriteToken()
            state.rewrites[token] = Rewrite(
                source: source, sourceGeneration: object.generation, destination: destination, copied: after)
            reply["rewriteToken"] = .string(token)
            return reply
        }
        reply["resource"] = try finishRewrite(object, to: destination, into, context, &state)
        return reply
    }

    private func progress(
        _ source: StorageCall.ObjectName, _ object: StoredObject, _ destination: StorageCall.ObjectName, _ url: HTTPURL,
        _ state: StorageState
    ) throws(CloudError) -> Int64 {
        guard let token = url.queryValue("rewriteToken") else { return 0 }
        guard let known = state.rewrites[token], known.source == source, known.destination == destination,
            known.sourceGeneration == object.generation
        else { throw Self.invalid("Invalid rewrite token.", location: "rewriteToken") }
        return known.copied
    }

    private func rewriteLimit(_ url: HTTPURL, _ context: Context) throws(CloudError) -> Int64 {
        let most = context.script.rewriteBytes ?? .max / 2
        guard let wanted = try Preconditions.number(url, "maxBytesRewrittenPerCall") else { return most }
        guard wanted > 0, wanted % (1 << 20) == 0 else {
            throw Self.invalid(
                "maxBytesRewrittenPerCall must be a multiple of 1 MiB.", location: "maxBytesRewrittenPerCall")
        }
        return min(wanted, most)
    }

    private func finishRewrite(
        _ source: StoredObject, to destination: StorageCall.ObjectName, _ bucket: StoredBucket, _ context: Context,
        _ state: inout StorageState
    ) throws(CloudError) -> JSONValue {
        try checkSpace(Int(source.blob.size), state)
        let body = context.request.body
        // What the request says about the new object replaces what was said about the source.
        var attributes = body.isEmpty ? [:] : try Self.message("Object", body)
        if attributes == [:] { attributes = source.attributes }
        attributes["name"] = nil
        attributes["bucket"] = nil
        let object = StoredObject(
            name: try Self.objectName(destination.name), generation: state.nextGeneration(now: context.now),
            attributes: attributes, storageClass: attributes["storageClass"]?.stringValue ?? bucket.storageClass,
            blob: source.blob, created: context.now, updated: context.now, classChanged: context.now,
            componentCount: source.componentCount)
        state.buckets[destination.bucket]?.put(object, now: context.now)
        return json(object, bucket: destination.bucket, context)
    }
}

extension StoredBucket {
    /// Puts a changed version in its place.
    fileprivate mutating func replace(_ object: StoredObject) {
        guard let index = objects[object.name]?.firstIndex(where: { $0.generation == object.generation }) else {
            return
        }
        objects[object.name]?[index] = object
    }
}
