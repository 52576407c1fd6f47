internal import Encoding
internal import HTTP

extension StorageAPI {
    /// What a list can hold: a version of an object, or a prefix that stands for everything below it.
    private enum Entry {
        case object(StoredObject)
        case softDeleted(SoftDeletedObject)
        case prefix(String)

        /// Sorts by name, then by generation; the page token names the last entry by it.
        var key: String {
            switch self {
            case .object(let object): "\(object.name)\u{0}\(Self.padded(object.generation))"
            case .softDeleted(let gone): "\(gone.object.name)\u{0}\(Self.padded(gone.object.generation))"
            case .prefix(let prefix): prefix
            }
        }

        private static func padded(_ number: Int64) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, 20 - digits.count)) + digits
        }
    }

    func listObjects(
        _ bucketName: String, _ context: Context, _ state: StorageState
    ) throws(CloudError) -> JSONValue {
        let bucket = try bucket(bucketName, context, state)
        let url = context.request.url
        let entries =
            url.queryValue("softDeleted") == "true" ? softDeleted(of: bucket, context) : entries(of: bucket, url)
        let after = try Self.pageStart(url)
        let size = try Self.pageSize(url)
        // Cloud Storage sorts by UTF-8, not by the rules of a language.
        let rest = entries.drop { entry in after.map { !$0.utf8.lexicographicallyPrecedes(entry.key.utf8) } ?? false }
        let page = rest.prefix(size)
        var objects: [JSONValue] = []
        var prefixes: [JSONValue] = []
        for entry in page {
            switch entry {
            case .object(let object): objects.append(json(object, bucket: bucketName, context))
            case .softDeleted(let object): objects.append(json(object, bucket: bucketName, context))
            case .prefix(let prefix): prefixes.append(.string(prefix))
            }
        }
        var value: JSONValue = ["kind": "storage#objects"]
        if !objects.isEmpty { value["items"] = .array(objects) }
        if !prefixes.isEmpty { value["prefixes"] = .array(prefixes) }
        if rest.count > size, let last = page.last { value["nextPageToken"] = .string(Self.pageToken(last.key)) }
        return value
    }

    private func softDeleted(of bucket: StoredBucket, _ context: Context) -> [Entry] {
        let prefix = context.request.url.queryValue("prefix") ?? ""
        let gone = bucket.softDeleted.filter { $0.object.name.hasPrefix(prefix) && $0.hardDelete > context.now }
        return gone.map(Entry.softDeleted).sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }

    private func entries(of bucket: StoredBucket, _ url: HTTPURL) -> [Entry] {
        let prefix = url.queryValue("prefix") ?? ""
        let delimiter = url.queryValue("delimiter").flatMap { $0.isEmpty ? nil : $0 }
        let glob = url.queryValue("matchGlob").map { Glob($0) }
        let start = url.queryValue("startOffset")
        let end = url.queryValue("endOffset")
        let withVersions = url.queryValue("versions") == "true"
        let withTrailing = url.queryValue("includeTrailingDelimiter") == "true"
        var entries: [Entry] = []
        var prefixes: Set<String> = []
        for (name, versions) in bucket.objects {
            guard name.hasPrefix(prefix), glob?.matches(name) ?? true,
                start.map({ !name.utf8.lexicographicallyPrecedes($0.utf8) }) ?? true,
                end.map({ name.utf8.lexicographicallyPrecedes($0.utf8) }) ?? true
            else { continue }
            let visible = versions.filter { withVersions || $0.isLive }
            if visible.isEmpty { continue }
            if let delimiter, let hit = name.dropFirst(prefix.count).firstRange(of: delimiter) {
                prefixes.insert(String(name[..<hit.upperBound]))
                if !(withTrailing && hit.upperBound == name.endIndex) { continue }
            }
            entries += visible.map(Entry.object)
        }
        entries += prefixes.map(Entry.prefix)
        return entries.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }
}
