import Glibc

/// Files and folders of this machine.
enum LocalFiles {
    /// Reads a text file of at most 4 MiB; `-` is standard input.
    ///
    /// - Throws: `.missingInput` when it is not there, `.badData` when it is too large or not UTF-8.
    static func text(_ path: String) throws(RunError) -> String {
        if path == "-" { return try text(descriptor: 0, path: "standard input") }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw RunError(.missingInput, "cannot read \(path): \(SystemError.text(errno))") }
        defer { close(descriptor) }
        return try text(descriptor: descriptor, path: path)
    }

    /// Reads to the end of an open file, whose name is for messages.
    static func text(descriptor: Int32, path: String) throws(RunError) -> String {
        let limit = 4 << 20
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count == 0 { break }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw RunError(.missingInput, "cannot read \(path): \(SystemError.text(errno))")
            }
            bytes.append(contentsOf: buffer[0..<count])
            guard bytes.count <= limit else { throw RunError(.badData, "\(path) is larger than 4 MiB") }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw RunError(.badData, "\(path) is not UTF-8 text")
        }
        return text
    }

    /// Writes a file through a temporary name, so that a reader sees all of it or nothing.
    ///
    /// - Throws: `.localStorage` with the system's words.
    static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o644) throws(RunError) {
        let temporary = "\(path).partial-\(getpid())"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw RunError(.localStorage, "cannot write \(path): \(SystemError.text(errno))") }
        var rest = bytes[...]
        var failure: Int32 = 0
        while !rest.isEmpty, failure == 0 {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 { rest = rest.dropFirst(count) } else if errno != EINTR { failure = errno }
        }
        if close(descriptor) != 0, failure == 0 { failure = errno }
        if failure == 0, rename(temporary, path) != 0 { failure = errno }
        guard failure == 0 else {
            unlink(temporary)
            throw RunError(.localStorage, "cannot write \(path): \(SystemError.text(failure))")
        }
    }

    /// Makes a folder and those above it.
    ///
    /// - Throws: `.localStorage` with the system's words.
    static func makeFolder(_ path: String, mode: mode_t = 0o755) throws(RunError) {
        var built = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            built += built.isEmpty || built.hasSuffix("/") ? String(part) : "/\(part)"
            guard mkdir(built, mode) != 0, errno != EEXIST else { continue }
            throw RunError(.localStorage, "cannot make the folder \(built): \(SystemError.text(errno))")
        }
        guard isFolder(path) else { throw RunError(.localStorage, "\(path) is not a folder") }
    }

    /// Makes a new folder `<prefix>XXXXXX` that only this user can read.
    ///
    /// - Throws: `.localStorage` with the system's words.
    static func makeTemporaryFolder(prefix: String) throws(RunError) -> String {
        var template = Array((prefix + "XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw RunError(.localStorage, "cannot make a folder \(prefix)…: \(SystemError.text(errno))")
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Removes a folder and everything below it; never follows links.
    static func removeFolder(_ path: String) {
        for name in names(in: path) {
            var info = stat()
            let child = "\(path)/\(name)"
            if lstat(child, &info) == 0, info.st_mode & S_IFMT == S_IFDIR { removeFolder(child) } else { unlink(child) }
        }
        rmdir(path)
    }

    /// Whether there is a folder at `path` (or a link to one).
    static func isFolder(_ path: String) -> Bool {
        var info = stat()
        return stat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
    }

    /// Whether there is something at `path` that this user may read.
    static func isReadable(_ path: String) -> Bool { access(path, R_OK) == 0 }

    /// Whether this user may make files in the folder at `path`.
    static func isWritable(_ path: String) -> Bool { access(path, W_OK | X_OK) == 0 }

    /// Whether there is a program at `path` that this user may run.
    static func isExecutable(_ path: String) -> Bool { !isFolder(path) && access(path, X_OK) == 0 }

    /// Bytes that this user may still write below `path`; nil when the system does not say.
    static func freeBytes(_ path: String) -> UInt64? {
        var info = statvfs()
        guard statvfs(path, &info) == 0 else { return nil }
        return UInt64(info.f_bavail) * UInt64(info.f_frsize)
    }

    /// The nearest folder at or above an absolute path that exists.
    static func existingParent(of path: String) -> String {
        var path = path
        while !isFolder(path), let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            path = String(path[..<slash])
        }
        return isFolder(path) ? path : "/"
    }

    /// The names in a folder, sorted; empty when there is none.
    static func names(in path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// The last lines of a text file; nil when it cannot be read or is larger than a log should be.
    static func lastLines(_ path: String, count: Int) -> [String]? {
        // A log that cannot be read is only not shown.
        guard let text = try? text(path) else { return nil }
        return text.split(separator: "\n").suffix(count).map(String.init)
    }

    /// The absolute form of a path, without resolving links.
    static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
        defer { free(folder) }
        let base = String(cString: folder)
        return path == "." ? base : base == "/" ? "/\(path)" : "\(base)/\(path)"
    }

    /// `path` as it is shortest from the working folder.
    static func shown(_ path: String) -> String {
        let base = absolute(".")
        return path.hasPrefix(base + "/") ? String(path.dropFirst(base.count + 1)) : path
    }

    /// The folder that holds this program; nil when the system does not say.
    static func programFolder() -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { buffer in
                buffer.baseAddress.map { readlink("/proc/self/exe", $0, buffer.count) } ?? -1
            }
        }
        guard count > 0, count < buffer.count else { return nil }
        let path = String(decoding: buffer[0..<count], as: UTF8.self)
        return path.lastIndex(of: "/").map { String(path[..<$0]) }
    }
}
