import Glibc
import Training
import TrainingContract

/// A local folder as the trainer's storage: paths instead of URIs.
enum FolderStorage {
    static func read(_ path: String) throws(TrainingError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw failure("cannot read \(path)")
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure("cannot read \(path)") }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
        }
    }

    /// By way of a file beside it, so that readers see the old bytes or the new ones.
    static func write(_ path: String, _ bytes: [UInt8]) throws(TrainingError) {
        try makeParents(of: path)
        let temporary = path + ".part"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failure("cannot write \(path)") }
        var isWritten = writeAll(bytes, to: descriptor) && fsync(descriptor) == 0
        let code = errno
        isWritten = close(descriptor) == 0 && isWritten
        guard isWritten, rename(temporary, path) == 0 else {
            let error = failure("cannot write \(path)", isWritten ? errno : code)
            unlink(temporary)
            throw error
        }
    }

    /// All files below a folder.
    static func list(_ prefix: String) throws(TrainingError) -> [String] {
        var found: [String] = []
        var folders = [prefix]
        while let folder = folders.popLast() {
            guard let stream = opendir(folder) else {
                if errno == ENOENT || errno == ENOTDIR { continue }
                throw failure("cannot list \(folder)")
            }
            defer { closedir(stream) }
            while let entry = readdir(stream) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
                }
                if name == "." || name == ".." { continue }
                let isFolder = Int32(entry.pointee.d_type) == Int32(DT_DIR)
                if isFolder { folders.append(folder + name + "/") } else { found.append(folder + name) }
            }
        }
        return found
    }

    static func delete(_ path: String) throws(TrainingError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw failure("cannot delete \(path)") }
        // The checkpoint's folder goes with its last file; a folder that is not empty stays.
        if let slash = path.lastIndex(of: "/") { rmdir(String(path[..<slash])) }
    }

    /// Free bytes on the disk that holds `folder`, or will; nil when unknown.
    static func freeBytes(_ folder: String) -> Int? {
        var path = folder
        var status = statvfs()
        while statvfs(path.isEmpty ? "." : path, &status) != 0 {
            guard errno == ENOENT, let slash = path.dropLast().lastIndex(of: "/") else {
                return statvfs(".", &status) == 0 ? Int(status.f_bavail) * Int(status.f_frsize) : nil
            }
            path = String(path[...slash])
        }
        return Int(status.f_bavail) * Int(status.f_frsize)
    }

    static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var first = 0
        while first < bytes.count {
            let count = bytes[first...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return false }
            first += count
        }
        return true
    }

    static func makeParents(of path: String) throws(TrainingError) {
        for (index, character) in zip(path.indices, path) where character == "/" && index > path.startIndex {
            let folder = String(path[..<index])
            guard mkdir(folder, 0o755) == 0 || errno == EEXIST else { throw failure("cannot make folder \(folder)") }
        }
    }

    static func failure(_ what: String, _ code: Int32 = errno) -> TrainingError {
        TrainingError(.localStorage, "\(what): \(String(cString: strerror(code)))")
    }
}
