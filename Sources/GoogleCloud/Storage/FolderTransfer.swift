internal import Encoding
public import HTTP
internal import Synchronization

/// Copies between a folder of this machine and a prefix of a bucket: several objects at a time, each compared by size and
/// CRC32C. What is there already is not moved again, so that a transfer that was killed goes on where it was.
public struct FolderTransfer: Sendable {
    /// How far it is. What was there already counts as done.
    public struct Progress: Sendable, Hashable {
        public var fileCount = 0
        public var totalFileCount = 0
        public var bytes: Int64 = 0
        public var totalBytes: Int64 = 0
        /// Of `fileCount`: nothing was moved for them.
        public var skippedCount = 0

        public init() {}
    }

    private static let operation = "transfer"
    /// One transfer's objects.
    private static let limit = 1_000_000

    private let storage: StorageClient
    private let parallelism: Int
    private let onProgress: @Sendable (Progress) -> Void

    /// - Parameters:
    ///   - parallelism: objects at a time; 1 to 64.
    ///   - onProgress: is told often, from any thread.
    public init(
        _ storage: StorageClient, parallelism: Int = 8, onProgress: @escaping @Sendable (Progress) -> Void = { _ in }
    ) {
        self.storage = storage
        self.parallelism = min(max(parallelism, 1), 64)
        self.onProgress = onProgress
    }

    // MARK: Down

    /// Brings the objects below a prefix into a folder. A file that is under way has the suffix `.<generation>.part`.
    ///
    /// - Throws: `.notFound` when there is no object, `.invalid` for names that cannot be files and for the disk's
    ///   refusals, `.malformedResponse` when what came does not have the object's CRC32C (also after a second try, for
    ///   bytes that an earlier start had left), what the downloads throw.
    @discardableResult
    public func pull(_ place: StorageURI, to folder: String) async throws(APIError) -> Progress {
        let listing = try await storage.objects(in: place.bucket, ObjectQuery(prefix: place.path, limit: Self.limit))
        return try await pull(listing.objects, below: place, to: folder)
    }

    /// Brings these objects, in exactly these generations.
    public func pull(
        _ objects: [StorageObject], below place: StorageURI, to folder: String
    ) async throws(APIError) -> Progress {
        let files = try Self.files(objects, below: place, folder: folder)
        let meter = Meter(count: files.count, bytes: files.reduce(0) { $0 + $1.object.size }, onProgress)
        for parent in Set(files.map { String($0.path[..<($0.path.lastIndex(of: "/") ?? $0.path.startIndex)]) }) {
            try TransferFile.makeFolder(parent)
        }
        try await forEach(files) { file throws(APIError) in try await pull(file, place.bucket, meter) }
        return meter.progress
    }

    private struct Download: Sendable {
        var object: StorageObject
        var path: String
        var crc32c: String
        var part: String { "\(path).\(object.generation).part" }
    }

    private func pull(_ file: Download, _ bucket: String, _ meter: Meter) async throws(APIError) {
        let size = file.object.size
        if TransferFile.size(file.path) == size,
            try TransferFile.reading(file.path).checksum(size).base64 == file.crc32c
        {
            meter.skip(size)
            return
        }
        let left = min(TransferFile.size(file.part) ?? 0, size)
        if try await fetch(file, bucket, from: left, meter) {
            return try TransferFile.move(file.part, to: file.path)
        }
        // The disk, or whoever, has changed what an earlier start left: once more, from nothing.
        TransferFile.remove(file.part)
        if left > 0, try await fetch(file, bucket, from: 0, meter) {
            return try TransferFile.move(file.part, to: file.path)
        }
        TransferFile.remove(file.part)
        throw APIError(
            .malformedResponse, operation: Self.operation,
            message: "\(file.object.name) did not come as the bucket describes it (CRC32C \(file.crc32c)): pull again")
    }

    /// - Returns: whether all bytes are there and are the object's.
    private func fetch(
        _ file: Download, _ bucket: String, from offset: Int64, _ meter: Meter
    ) async throws(APIError) -> Bool {
        let size = file.object.size
        let part = try TransferFile.writing(file.part, from: offset)
        var crc = offset > 0 ? try TransferFile.reading(file.part).checksum(offset) : CRC32C()
        meter.add(bytes: offset)
        var position = offset
        if position < size {
            _ = try await storage.download(
                file.object.name, in: bucket, range: offset > 0 ? offset..<size : nil,
                generation: file.object.generation
            ) { bytes throws(APIError) in
                try part.write(bytes, at: position)
                crc.update(bytes)
                position += Int64(bytes.count)
                meter.add(bytes: Int64(bytes.count))
            }
        }
        guard position == size, crc.base64 == file.crc32c else {
            meter.add(bytes: -position)
            return false
        }
        meter.finishFile()
        return true
    }

    /// - Throws: `.invalid` for names that would lie outside of the folder, or be a file and a folder.
    private static func files(
        _ objects: [StorageObject], below place: StorageURI, folder: String
    ) throws(APIError) -> [Download] {
        var files: [Download] = []
        for object in objects where object.name.hasPrefix(place.path) {
            let name =
                place.isPrefix
                ? String(object.name.dropFirst(place.path.count))
                : String(object.name.split(separator: "/").last ?? "")
            // What consoles make for an empty folder.
            if object.size == 0, name.isEmpty || name.hasSuffix("/") { continue }
            // Without the "/", `models/a` also begins `models/ab`.
            if !place.isPrefix, object.name != place.path { continue }
            guard isFile(name), let crc32c = object.crc32c else {
                throw APIError(
                    .invalid, operation: operation,
                    message: "gs://\(place.bucket)/\(object.name.prefix(300)) cannot be a file below \(folder)")
            }
            files.append(Download(object: object, path: "\(folder)/\(name)", crc32c: crc32c))
        }
        guard !files.isEmpty else {
            throw APIError(.notFound, operation: operation, message: "there are no objects at \(place)")
        }
        let paths = Set(files.map(\.path))
        for file in files {
            for (index, character) in zip(file.path.indices, file.path)
            where character == "/" && paths.contains(String(file.path[..<index])) {
                throw APIError(
                    .invalid, operation: operation, message: "\(file.path[..<index]) would be a file and a folder")
            }
        }
        return files
    }

    private static func isFile(_ name: String) -> Bool {
        name.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
            !part.isEmpty && part != "." && part != ".." && part.utf8.count <= 200
                && !part.utf8.contains { $0 < 0x20 || $0 == 0x7F }
        }
    }

    // MARK: Up

    /// Brings the files below a folder to a prefix. Objects that are not of a file stay. An object that is there with
    /// other bytes is replaced, if it is still the one that was listed.
    ///
    /// - Throws: `.invalid` for files that cannot be objects, `.preconditionFailed` when somebody else wrote one of the
    ///   objects meanwhile, what the uploads throw.
    @discardableResult
    public func push(_ folder: String, to place: StorageURI) async throws(APIError) -> Progress {
        guard place.isPrefix else {
            throw APIError(.invalid, operation: Self.operation, message: "\(place) is no folder: end it with /")
        }
        let files = try TransferFile.walk(folder).filter { !$0.path.hasSuffix(".part") }
        guard !files.isEmpty else {
            throw APIError(.notFound, operation: Self.operation, message: "there are no files below \(folder)")
        }
        for file in files where place.appending(file.path) == nil {
            throw APIError(.invalid, operation: Self.operation, message: "\(file.path) cannot be an object's name")
        }
        let listing = try await storage.objects(in: place.bucket, ObjectQuery(prefix: place.path, limit: Self.limit))
        let known = Dictionary(listing.objects.map { ($0.name, $0) }) { $1 }
        let meter = Meter(count: files.count, bytes: files.reduce(0) { $0 + $1.size }, onProgress)
        try await forEach(files) { file throws(APIError) in
            let name = place.path + file.path
            try await push("\(folder)/\(file.path)", file.size, to: name, place.bucket, known[name], meter)
        }
        return meter.progress
    }

    private func push(
        _ path: String, _ size: Int64, to name: String, _ bucket: String, _ known: StorageObject?, _ meter: Meter
    ) async throws(APIError) {
        let file = try TransferFile.reading(path)
        if let known, known.size == size, try file.checksum(size).base64 == known.crc32c {
            meter.skip(size)
            return
        }
        let source = UploadSource(size: size) { offset, count throws(APIError) in try file.read(offset, count) }
        let options = UploadOptions(ifGenerationMatch: known?.generation ?? 0)
        _ = try await storage.upload(source, to: name, in: bucket, options: options)
        meter.add(bytes: size)
        meter.finishFile()
    }

    // MARK: Several at a time

    /// After a failure nothing more is begun, and what is under way ends.
    private func forEach<Element: Sendable>(
        _ elements: [Element], _ body: @escaping @Sendable (Element) async throws(APIError) -> Void
    ) async throws(APIError) {
        let failure = await withTaskGroup(of: APIError?.self, returning: APIError?.self) { group in
            var rest = elements[...]
            for element in rest.prefix(parallelism) { group.addTask { await Self.error(of: element, body) } }
            rest = rest.dropFirst(parallelism)
            while let error = await group.next() {
                if let error {
                    group.cancelAll()
                    return error
                }
                if let element = rest.popFirst() { group.addTask { await Self.error(of: element, body) } }
            }
            return nil
        }
        if let failure { throw failure }
    }

    private static func error<Element>(
        of element: Element, _ body: @Sendable (Element) async throws(APIError) -> Void
    ) async -> APIError? {
        do throws(APIError) {
            try await body(element)
            return nil
        } catch {
            return error
        }
    }
}

/// Counts what several tasks move.
private final class Meter: Sendable {
    private let state: Mutex<FolderTransfer.Progress>
    private let tell: @Sendable (FolderTransfer.Progress) -> Void

    init(count: Int, bytes: Int64, _ tell: @escaping @Sendable (FolderTransfer.Progress) -> Void) {
        var progress = FolderTransfer.Progress()
        progress.totalFileCount = count
        progress.totalBytes = bytes
        state = Mutex(progress)
        self.tell = tell
    }

    var progress: FolderTransfer.Progress { state.withLock { $0 } }

    func add(bytes: Int64) { change { $0.bytes += bytes } }
    func finishFile() { change { $0.fileCount += 1 } }

    func skip(_ size: Int64) {
        change {
            $0.fileCount += 1
            $0.skippedCount += 1
            $0.bytes += size
        }
    }

    private func change(_ body: (inout FolderTransfer.Progress) -> Void) {
        tell(
            state.withLock {
                body(&$0)
                return $0
            })
    }
}
