internal import Encoding
internal import Glibc
internal import HTTP

/// An open file of this machine, closed with the last reference.
final class TransferFile: Sendable {
    private let descriptor: Int32
    let path: String

    private init(_ descriptor: Int32, _ path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    /// - Throws: `.notFound` when there is none, `.invalid` when it is no file or cannot be read.
    static func reading(_ path: String) throws(APIError) -> TransferFile {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw failure("cannot read \(path)", errno) }
        return TransferFile(descriptor, path)
    }

    /// For appending behind `offset`; what is behind that goes.
    static func writing(_ path: String, from offset: Int64) throws(APIError) -> TransferFile {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { throw failure("cannot write \(path)", errno) }
        let file = TransferFile(descriptor, path)
        guard ftruncate(descriptor, off_t(offset)) == 0 else { throw failure("cannot write \(path)", errno) }
        return file
    }

    /// Exactly so many bytes.
    func read(_ offset: Int64, _ count: Int) throws(APIError) -> [UInt8] {
        var failure: Int32?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = pread(
                    descriptor, buffer.baseAddress.map { $0 + filled }, count - filled, off_t(offset) + filled)
                if got < 0, errno == EINTR { continue }
                guard got > 0 else {
                    failure = got < 0 ? errno : 0
                    return
                }
                filled += got
            }
        }
        guard let failure else { return bytes }
        throw failure == 0
            ? APIError(.invalid, operation: "reading", message: "\(path) became shorter while it was read")
            : Self.failure("cannot read \(path)", failure)
    }

    func write(_ bytes: [UInt8], at offset: Int64) throws(APIError) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset) + done)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.failure("cannot write \(path)", errno) }
            done += count
        }
    }

    /// Of the first `size` bytes.
    func checksum(_ size: Int64) throws(APIError) -> CRC32C {
        var crc = CRC32C()
        var offset: Int64 = 0
        while offset < size {
            let bytes = try read(offset, Int(min(1 << 20, size - offset)))
            crc.update(bytes)
            offset += Int64(bytes.count)
        }
        return crc
    }

    // MARK: Names

    /// Bytes of a regular file; nil when there is none.
    static func size(_ path: String) -> Int64? {
        var information = stat()
        guard lstat(path, &information) == 0, information.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int64(information.st_size)
    }

    static func move(_ path: String, to other: String) throws(APIError) {
        guard rename(path, other) == 0 else { throw failure("cannot write \(other)", errno) }
    }

    static func remove(_ path: String) { unlink(path) }

    static func makeFolder(_ path: String) throws(APIError) {
        var built = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            built += built.isEmpty || built.hasSuffix("/") ? String(part) : "/\(part)"
            guard mkdir(built, 0o755) != 0, errno != EEXIST else { continue }
            throw failure("cannot make the folder \(built)", errno)
        }
    }

    /// The regular files below a folder, by relative path, sorted. What is neither file nor folder is an error: a link
    /// that is followed in silence would upload what nobody meant.
    static func walk(_ folder: String) throws(APIError) -> [(path: String, size: Int64)] {
        var found: [(path: String, size: Int64)] = []
        var folders = [""]
        while let relative = folders.popLast() {
            for name in try names(in: "\(folder)/\(relative)") {
                let child = relative + name
                var information = stat()
                guard lstat("\(folder)/\(child)", &information) == 0 else {
                    throw failure("cannot read \(folder)/\(child)", errno)
                }
                switch information.st_mode & S_IFMT {
                case S_IFREG: found.append((child, Int64(information.st_size)))
                case S_IFDIR: folders.append("\(child)/")
                default:
                    throw APIError(
                        .invalid, operation: "reading", message: "\(folder)/\(child) is neither a file nor a folder")
                }
            }
        }
        return found.sorted { $0.path < $1.path }
    }

    private static func names(in path: String) throws(APIError) -> [String] {
        guard let folder = opendir(path) else { throw failure("cannot read \(path)", errno) }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let bytes = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            guard let name = String(validating: bytes, as: UTF8.self) else {
                throw APIError(
                    .invalid, operation: "reading", message: "a name in \(path) is not UTF-8; objects cannot have it")
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    private static func failure(_ what: String, _ code: Int32) -> APIError {
        APIError(
            code == ENOENT ? .notFound : .invalid, operation: "local files",
            message: "\(what): \(String(cString: strerror(code)))")
    }
}
