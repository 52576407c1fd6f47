internal import Encoding
internal import Glibc

/// The bytes of an object, in memory or in a file that goes when nobody refers to it any more: a download goes on while
/// its object is deleted.
final class Blob: Sendable {
    private enum Content: Sendable {
        case memory([UInt8])
        case file(path: String, descriptor: Int32)
    }

    private let content: Content
    let size: Int64
    let crc32c: String
    let md5: String

    fileprivate init(bytes: [UInt8], checksums: Checksums) {
        content = .memory(bytes)
        size = Int64(bytes.count)
        crc32c = checksums.crc32c
        md5 = checksums.md5
    }

    fileprivate init(path: String, descriptor: Int32, size: Int64, checksums: Checksums) {
        content = .file(path: path, descriptor: descriptor)
        self.size = size
        crc32c = checksums.crc32c
        md5 = checksums.md5
    }

    deinit {
        guard case .file(let path, let descriptor) = content else { return }
        close(descriptor)
        unlink(path)
    }

    /// The bytes of a range that lies within the object. Files are read through the page cache, a piece at a time.
    ///
    /// - Throws: 503 when the disk cannot be read.
    func read(_ range: Range<Int64>) throws(CloudError) -> [UInt8] {
        switch content {
        case .memory(let bytes):
            return Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
        case .file(_, let descriptor):
            return try Blob.read(descriptor, range)
        }
    }

    private static func read(_ descriptor: Int32, _ range: Range<Int64>) throws(CloudError) -> [UInt8] {
        var isWhole = true
        let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            while count < range.count {
                let got = pread(
                    descriptor, buffer.baseAddress.map { $0 + count }, range.count - count,
                    off_t(range.lowerBound) + count)
                if got < 0, errno == EINTR { continue }
                guard got > 0 else {
                    isWhole = false
                    return
                }
                count += got
            }
        }
        guard isWhole else { throw BlobStore.failure("read") }
        return bytes
    }
}

/// Bytes that are still arriving.
struct PendingBlob: Sendable {
    private let store: BlobStore
    private var bytes: [UInt8] = []
    private var file: BlobFile?
    private var checksums = Checksums()
    private(set) var size: Int64 = 0

    fileprivate init(_ store: BlobStore) { self.store = store }

    /// What is written and hashed at once: it is still in the processor's cache for the second.
    private static let pieceBytes = 64 << 10

    /// - Throws: 503 when the disk is full or cannot be written; `size` tells what was kept.
    mutating func append(_ more: ArraySlice<UInt8>) throws(CloudError) {
        var rest = more
        while !rest.isEmpty {
            try append(piece: rest.prefix(Self.pieceBytes))
            rest = rest.dropFirst(Self.pieceBytes)
        }
    }

    private mutating func append(piece more: ArraySlice<UInt8>) throws(CloudError) {
        if store.directory == nil {
            bytes += more
        } else {
            try openedFile().write(more, at: size)
        }
        checksums.update(more)
        size += Int64(more.count)
    }

    private mutating func openedFile() throws(CloudError) -> BlobFile {
        if let file { return file }
        let new = try store.newFile()
        file = new
        return new
    }

    /// The finished bytes. Nothing may be appended after.
    mutating func finished() throws(CloudError) -> Blob {
        guard store.directory != nil else { return Blob(bytes: bytes, checksums: checksums) }
        let file = try openedFile()
        return Blob(path: file.path, descriptor: file.keep(), size: size, checksums: checksums)
    }
}

/// Where blobs are made: in a directory, or in memory.
struct BlobStore: Sendable {
    let directory: String?

    func pending() -> PendingBlob { PendingBlob(self) }

    /// All bytes at once.
    func blob(_ bytes: [UInt8]) throws(CloudError) -> Blob {
        var pending = pending()
        try pending.append(bytes[...])
        return try pending.finished()
    }

    /// Creates the directory where it is missing.
    fileprivate func newFile() throws(CloudError) -> BlobFile {
        guard let directory else { throw BlobStore.failure("written: it has no directory") }
        let path = "\(directory)/blob-\(String(UInt64.random(in: .min ... .max), radix: 36))"
        let flags = O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC
        var descriptor = open(path, flags, 0o600)
        if descriptor < 0, errno == ENOENT {
            BlobStore.makeDirectory(directory)
            descriptor = open(path, flags, 0o600)
        }
        guard descriptor >= 0 else { throw BlobStore.failure("create a file in") }
        return BlobFile(path: path, descriptor: descriptor)
    }

    /// With its parents; what is there already stays.
    private static func makeDirectory(_ path: String) {
        var prefix = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            prefix += "/\(part)"
            mkdir(prefix, 0o700)  // The following open reports what went wrong here.
        }
    }

    static func failure(_ what: String) -> CloudError {
        CloudError(
            status: 503, reason: "backendError",
            message: "The sandbox could not \(what) its disk: \(String(cString: strerror(errno))).")
    }
}

/// A file that is written; it goes with its last reference unless it was kept.
private final class BlobFile: @unchecked Sendable {
    // Sendable: the owner is one `PendingBlob`, which one request has at a time (`UploadBytes`, or its own variable).
    let path: String
    private let descriptor: Int32
    private var isKept = false

    init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit {
        if isKept { return }
        close(descriptor)
        unlink(path)
    }

    /// What an earlier write that failed left behind `offset` is written over.
    func write(_ bytes: ArraySlice<UInt8>, at offset: Int64) throws(CloudError) {
        let isWhole = bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let count = pwrite(
                    descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(offset) + done)
                if count < 0, errno == EINTR { continue }
                if count <= 0 { return false }
                done += count
            }
            return true
        }
        guard isWhole else { throw BlobStore.failure("write to") }
    }

    /// Hands the open file to a `Blob`.
    func keep() -> Int32 {
        isKept = true
        return descriptor
    }
}
