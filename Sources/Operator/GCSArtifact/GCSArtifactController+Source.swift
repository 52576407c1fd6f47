import Encoding
import GoogleCloud
import HTTP

/// Why a source cannot be copied: somebody must act, or it passes.
enum ImportFailure: Error {
    case obstacle(VersionObstacle)
    case call(APIError)

    static func invalid(_ message: String) -> ImportFailure {
        .obstacle(VersionObstacle(reason: .sourceInvalid, message: message))
    }
}

extension VersionObstacle {
    /// nil for what passes by itself.
    init?(_ error: APIError, at place: StorageURI) {
        switch error.code {
        case .notFound: self.init(reason: .sourceNotFound, message: "\(place) is not there")
        case .forbidden where error.reason != ImpersonatedAccount.refusedReason:
            self.init(
                reason: .permissionDenied,
                message: "\(place) may not be read (roles/storage.objectViewer is needed): \(error.message)")
        case .tooLarge: self.init(reason: .sourceInvalid, message: "\(place) has too much: \(error.message)")
        case .invalid: self.init(reason: .sourceInvalid, message: "\(place): \(error.message)")
        default: return nil
        }
    }
}

extension GCSArtifactController {
    private static var maximumFileBytes: Int { 16 << 20 }
    /// Up to so many objects are asked for one by one; more are found in a list of the remote.
    private static var maximumSingleReads: Int { 64 }
    private static var maximumRemoteCount: Int { 500_000 }

    /// What the source holds.
    func listing(
        of source: GCSArtifact.Source, into place: StorageURI, _ namespace: String
    ) async throws(ImportFailure) -> ImportListing {
        let uri = source.uri?.uri ?? source.dvc?.uri ?? ""
        guard let from = StorageURI(uri) else { throw .invalid("\(uri) is no gs:// URI") }
        try await requireOpen(from, namespace)
        if let remote = source.dvc.flatMap({ StorageURI($0.remote) }), remote.bucket != from.bucket {
            try await requireOpen(remote, namespace)
        }
        var items: [ImportItem]
        if let dvc = source.dvc {
            items = try await tracked(dvc, from)
        } else {
            items = try await copied(from, place)
        }
        guard !items.isEmpty else {
            throw .obstacle(VersionObstacle(reason: .sourceNotFound, message: "there is nothing at \(from)"))
        }
        items.sort { $0.path < $1.path }
        if let item = items.first(where: { $0.crc32c.isEmpty }) { throw .invalid("\(item.source.name) has no CRC32C") }
        let version = GCSArtifactImport.version(items, kind: source.type)
        if let item = items.first(where: { place.appending("\(version)/\($0.path)") == nil }) {
            throw .invalid("\(item.path.prefix(200)) would have too long a name here")
        }
        return ImportListing(version: version, items: items)
    }

    /// What passes by itself is thrown as it is, the rest as an obstacle.
    private func asking<Value: Sendable>(
        _ place: StorageURI, _ body: () async throws(APIError) -> Value
    ) async throws(ImportFailure) -> Value {
        do throws(APIError) {
            return try await body()
        } catch {
            if let obstacle = VersionObstacle(error, at: place) { throw .obstacle(obstacle) }
            throw .call(error)
        }
    }

    /// The operator reads what no other namespace may: buckets of other namespaces' artifacts are not copied from.
    private func requireOpen(_ place: StorageURI, _ namespace: String) async throws(ImportFailure) {
        let labels: [String: String]?
        do throws(APIError) {
            labels = try await storage.bucket(place.bucket).labels
        } catch {
            switch error.code {
            // What may not be looked at is none of ours; whether it may be read is another right.
            case .forbidden where error.reason != ImpersonatedAccount.refusedReason: return
            default:
                if let obstacle = VersionObstacle(error, at: place) { throw .obstacle(obstacle) }
                throw .call(error)
            }
        }
        guard labels?[Ownership.clusterLabel] == configuration.clusterUID,
            !isManaged(labels?[Ownership.ownerLabel] ?? "", in: namespace)
        else { return }
        throw .obstacle(
            VersionObstacle(
                reason: .permissionDenied,
                message: "the bucket \(place.bucket) is that of an artifact of another namespace"))
    }

    private func copied(_ from: StorageURI, _ place: StorageURI) async throws(ImportFailure) -> [ImportItem] {
        if from.bucket == place.bucket, from.path.hasPrefix(place.path) || place.path.hasPrefix(from.path) {
            throw .invalid("\(from) lies in the artifact's own place, or that in it")
        }
        guard from.isPrefix else {
            let object = try await asking(from) { () async throws(APIError) in
                try await storage.object(from.path, in: from.bucket)
            }
            return [ImportItem(object, path: String(from.path.split(separator: "/").last ?? ""), in: from.bucket)]
        }
        let query = ObjectQuery(prefix: from.path, limit: Self.maximumFileCount)
        let found = try await asking(from) { () async throws(APIError) in
            try await storage.objects(in: from.bucket, query).objects
        }
        return found.compactMap { object in
            let path = String(object.name.dropFirst(from.path.count))
            // What consoles make for an empty folder is no file.
            guard !path.isEmpty, !path.hasSuffix("/"), GCSArtifactVersions.isVersioned(path) else { return nil }
            return ImportItem(object, path: path, in: from.bucket)
        }
    }

    // MARK: DVC

    /// An output and the object that has its bytes.
    private struct Tracked {
        var output: DVCFile.Output
        var name: String
        var generation: Int64?
    }

    private func tracked(
        _ dvc: GCSArtifact.Source.DVC, _ from: StorageURI
    ) async throws(ImportFailure) -> [ImportItem] {
        guard let remote = StorageURI(dvc.remote), remote.isPrefix else {
            throw .invalid("source.dvc.remote \(dvc.remote) is no folder: it ends with /")
        }
        let limit = Self.maximumFileBytes
        let bytes = try await asking(from) { () async throws(APIError) in
            try await storage.read(from.path, in: from.bucket, limit: limit).bytes
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .invalid("\(from) is no text") }
        let file: DVCFile
        do throws(DVCFile.Problem) {
            file = try DVCFile(text)
        } catch {
            throw .invalid("\(from): \(error.message)")
        }
        var wanted: [Tracked] = []
        for output in file.outputs {
            wanted += try await files(of: output, dvc, remote)
            guard wanted.count <= Self.maximumFileCount else {
                throw .invalid("\(from) names more than \(Self.maximumFileCount) files")
            }
        }
        let objects = try await objects(wanted, in: remote)
        var items: [ImportItem] = []
        for (one, object) in zip(wanted, objects) {
            items.append(ImportItem(try checked(object, one, remote), path: one.output.path, in: remote.bucket))
        }
        return items
    }

    /// The files of a folder, itself where it is a file.
    private func files(
        of output: DVCFile.Output, _ dvc: GCSArtifact.Source.DVC, _ remote: StorageURI
    ) async throws(ImportFailure) -> [Tracked] {
        if dvc.versionAware {
            guard let generation = output.generation, !output.isFolder else {
                throw .invalid("\(output.path) has no version_id of a cloud object, and source.dvc says versionAware")
            }
            return [Tracked(output: output, name: remote.path + output.path, generation: generation)]
        }
        let name = remote.path + DVCFile.cachePath(output)
        guard output.isFolder else { return [Tracked(output: output, name: name)] }
        guard let place = StorageURI(bucket: remote.bucket, path: name) else { throw .invalid("\(name) is no name") }
        let object = try await asking(place) { () async throws(APIError) in
            try await storage.object(place.path, in: place.bucket)
        }
        _ = try checked(object, Tracked(output: output, name: name), remote)
        let limit = Self.maximumFileBytes
        let bytes = try await asking(place) { () async throws(APIError) in
            try await storage.read(place.path, in: place.bucket, generation: object.generation, limit: limit).bytes
        }
        do throws(DVCFile.Problem) {
            return try DVCFile.files(bytes, of: output).map {
                Tracked(output: $0, name: remote.path + DVCFile.cachePath($0))
            }
        } catch {
            throw .invalid("\(place): \(error.message)")
        }
    }

    /// In the same order; nil for one that is not there.
    private func objects(_ wanted: [Tracked], in remote: StorageURI) async throws(ImportFailure) -> [StorageObject?] {
        guard wanted.count > Self.maximumSingleReads else {
            var objects: [StorageObject?] = []
            for one in wanted { objects.append(try await object(one, in: remote)) }
            return objects
        }
        let names = Set(wanted.map(\.name))
        let hasGenerations = wanted.contains { $0.generation != nil }
        let query = ObjectQuery(prefix: remote.path, versions: hasGenerations, limit: Self.maximumRemoteCount)
        let found = FoundObjects()
        let isWhole = try await asking(remote) { () async throws(APIError) in
            try await storage.visitObjects(in: remote.bucket, query) { object in
                if names.contains(object.name) { found.add(object) }
            }
        }
        let objects = wanted.map { found.object($0.name, $0.generation) }
        guard isWhole || !objects.contains(where: { $0 == nil }) else {
            throw .invalid("\(remote) has more than \(Self.maximumRemoteCount) objects: they are not looked through")
        }
        return objects
    }

    private func object(_ one: Tracked, in remote: StorageURI) async throws(ImportFailure) -> StorageObject? {
        do throws(ImportFailure) {
            return try await asking(remote) { () async throws(APIError) in
                try await storage.object(one.name, in: remote.bucket, generation: one.generation)
            }
        } catch {
            if case .obstacle(let obstacle) = error, obstacle.reason == .sourceNotFound { return nil }
            throw error
        }
    }

    /// The object, if its MD5 is the one that DVC wrote down.
    private func checked(
        _ object: StorageObject?, _ one: Tracked, _ remote: StorageURI
    ) throws(ImportFailure) -> StorageObject {
        let place = "gs://\(remote.bucket)/\(one.name)"
        guard let object else {
            let generation = one.generation.map { " (generation \($0))" } ?? ""
            throw .obstacle(
                VersionObstacle(
                    reason: .sourceNotFound,
                    message: "\(one.output.path): \(place)\(generation) is not there: dvc push?"))
        }
        guard let md5 = object.md5Hash.flatMap({ Base64.decode($0) }) else {
            throw .obstacle(
                VersionObstacle(
                    reason: .checksumMismatch,
                    message:
                        "\(one.output.path): \(place) was composed of parts and has no MD5 to compare: upload it anew"))
        }
        let found = md5.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
        guard found == one.output.md5 else {
            let hint = one.output.isLegacy ? " (DVC before 3 hashed text files in another form: dvc cache migrate)" : ""
            throw .obstacle(
                VersionObstacle(
                    reason: .checksumMismatch,
                    message: "\(one.output.path): \(place) has the MD5 \(found), not \(one.output.md5)\(hint)"))
        }
        return object
    }
}

/// What a walk through a list of objects has found.
private final class FoundObjects {
    private var live: [String: StorageObject] = [:]
    private var generations: [String: StorageObject] = [:]

    func add(_ object: StorageObject) {
        live[object.name] = object
        generations["\(object.name)#\(object.generation)"] = object
    }

    func object(_ name: String, _ generation: Int64?) -> StorageObject? {
        generation.map { generations["\(name)#\($0)"] } ?? live[name]
    }
}

extension ImportItem {
    fileprivate init(_ object: StorageObject, path: String, in bucket: String) {
        self.init(
            path: path, source: ObjectLocation(bucket: bucket, name: object.name, generation: object.generation),
            sizeBytes: object.size, crc32c: object.crc32c ?? "")
    }
}
