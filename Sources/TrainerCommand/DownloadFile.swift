import Encoding
import GoogleCloud
import Glibc
import HTTP
import Training
import TrainingContract

/// An object that becomes a file.
struct DownloadFile: Sendable, Hashable {
    /// The object's.
    var name: String
    var path: String
    var size: Int
    /// Base64, as Cloud Storage writes it.
    var crc32c: String
    var generation: Int64

    /// What came so far: of this generation of the object only.
    var partPath: String { "\(path).\(generation).part" }

    var partSize: Int { min(size, DownloadFile.size(of: partPath) ?? 0) }

    /// Whether the file is there with the object's bytes.
    ///
    /// - Throws: `.localStorage` when it cannot be read.
    func isComplete() throws(TrainingError) -> Bool {
        guard DownloadFile.size(of: path) == size else { return false }
        return try LocalFile.checksum(path, limit: size).base64 == crc32c
    }

    static func size(of path: String) -> Int? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int(status.st_size)
    }
}

/// Which files a prefix's objects become.
enum DownloadPlan {
    /// - Throws: `.missingInput` when there are none, `.badData` when a name cannot be a file's.
    static func files(
        _ objects: [StorageObject], below place: StorageURI, folder: String
    ) throws(TrainingError) -> [DownloadFile] {
        var files: [DownloadFile] = []
        for object in objects where object.name.hasPrefix(place.path) {
            let relative = String(object.name.dropFirst(place.path.count))
            // What consoles make for an empty folder.
            if object.size == 0, relative.isEmpty || relative.hasSuffix("/") { continue }
            guard isFileName(relative), let crc32c = object.crc32c else {
                throw TrainingError(
                    .badData,
                    "gs://\(place.bucket)/\(object.name.prefix(300)) cannot be a file below \(folder): rename it")
            }
            files.append(
                DownloadFile(
                    name: object.name, path: folder + relative, size: Int(object.size), crc32c: crc32c,
                    generation: object.generation))
        }
        guard !files.isEmpty else { throw TrainingError(.missingInput, "there are no objects below \(place)") }
        let paths = Set(files.map(\.path))
        for file in files {
            for (index, character) in zip(file.path.indices, file.path)
            where character == "/" && paths.contains(String(file.path[..<index])) {
                throw TrainingError(
                    .badData, "\(file.path[..<index]) would be a file and a folder: two objects' names ask for it")
            }
        }
        return files
    }

    private static func isFileName(_ relative: String) -> Bool {
        relative.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
            !part.isEmpty && part != "." && part != ".." && part.utf8.count <= 200
                && !part.utf8.contains { $0 < 0x20 || $0 == 0x7F }
        }
    }

    /// Parts of objects that were replaced since: they would only take room.
    static func removeStaleParts(of files: [DownloadFile], folder: String) throws(TrainingError) {
        let paths = Set(files.map(\.path)), wanted = Set(files.map(\.partPath))
        for path in try FolderStorage.list(folder) where path.hasSuffix(".part") && !wanted.contains(path) {
            let stem = path.dropLast(5)
            guard let dot = stem.lastIndex(of: "."), Int64(stem[stem.index(after: dot)...]) != nil,
                paths.contains(String(stem[..<dot]))
            else { continue }
            unlink(path)
        }
    }
}

/// A file on its way: appended to, and renamed when it is whole. Used by one task at a time.
final class PartFile {
    private let file: DownloadFile
    private let descriptor: Int32
    private let meter: DownloadMeter
    private let shouldStop: () -> Bool
    private var checksum: CRC32C
    private(set) var count: Int
    /// Why `append` failed.
    private(set) var failure: TrainingError?

    /// Goes on with what an earlier start left.
    ///
    /// - Throws: `.localStorage`.
    init(_ file: DownloadFile, _ meter: DownloadMeter, _ shouldStop: @escaping () -> Bool) throws(TrainingError) {
        try FolderStorage.makeParents(of: file.partPath)
        self.file = file
        self.meter = meter
        self.shouldStop = shouldStop
        count = file.partSize
        checksum = try count > 0 ? LocalFile.checksum(file.partPath, limit: count) : CRC32C()
        descriptor = open(file.partPath, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FolderStorage.failure("cannot write \(file.partPath)") }
        guard ftruncate(descriptor, off_t(count)) == 0, lseek(descriptor, 0, SEEK_END) == off_t(count) else {
            throw FolderStorage.failure("cannot write \(file.partPath)")
        }
    }

    deinit { close(descriptor) }

    func append(_ bytes: [UInt8]) throws(APIError) {
        if shouldStop() {
            failure = DownloadCommand.stopped
        } else if !FolderStorage.writeAll(bytes, to: descriptor) {
            failure = FolderStorage.failure("cannot write \(file.partPath)")
        }
        guard failure == nil else { throw APIError(.cancelled, operation: "download", message: "the file's end") }
        checksum.update(bytes)
        count += bytes.count
        meter.add(bytes: bytes.count, files: 0)
    }

    /// - Throws: `.badData` when the bytes are not the object's; they are gone then.
    func finish() throws(TrainingError) {
        guard count == file.size, checksum.base64 == file.crc32c else {
            unlink(file.partPath)
            throw TrainingError(
                .storageUnavailable,
                "\(file.name) came with \(count) bytes and CRC32C \(checksum.base64), the bucket says \(file.size) "
                    + "and \(file.crc32c): start again")
        }
        guard fsync(descriptor) == 0, rename(file.partPath, file.path) == 0 else {
            throw FolderStorage.failure("cannot write \(file.path)")
        }
    }
}

/// Files of any size.
enum LocalFile {
    /// Of the first `limit` bytes.
    static func checksum(_ path: String, limit: Int) throws(TrainingError) -> CRC32C {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FolderStorage.failure("cannot read \(path)") }
        defer { close(descriptor) }
        var checksum = CRC32C()
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var left = limit
        while left > 0 {
            let count = read(descriptor, &buffer, min(left, buffer.count))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw FolderStorage.failure("cannot read \(path)", count == 0 ? EIO : errno) }
            checksum.update(buffer[..<count])
            left -= count
        }
        return checksum
    }
}
