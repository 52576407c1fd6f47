import Glibc

/// The few file calls that pods and seeds need. Failures are told by nil or false: the callers say what they wanted.
enum LocalFiles {
    /// Makes a folder and those above it.
    static func makeDirectories(_ path: String) -> Bool {
        var partial = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            partial += "/" + part
            if mkdir(partial, 0o755) != 0, errno != EEXIST { return false }
        }
        return isDirectory(path)
    }

    static func isDirectory(_ path: String) -> Bool {
        var info = stat()
        return stat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
    }

    static func isExecutable(_ path: String) -> Bool { access(path, X_OK) == 0 && !isDirectory(path) }

    /// Bytes; nil when there is no such file.
    static func size(_ path: String) -> Int? {
        var info = stat()
        return stat(path, &info) == 0 ? Int(info.st_size) : nil
    }

    /// Appends bytes, making the file.
    @discardableResult
    static func append(_ bytes: [UInt8], to path: String) -> Bool {
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard file >= 0 else { return false }
        defer { close(file) }
        return writeAll(bytes, to: file)
    }

    /// At most `limit` bytes from `offset`; nil when the file cannot be read.
    static func read(_ path: String, from offset: Int = 0, limit: Int) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        guard let size = size(path) else { return nil }
        var bytes = [UInt8](repeating: 0, count: max(0, min(limit, size - offset)))
        var filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes { buffer in
                pread(file, buffer.baseAddress?.advanced(by: filled), buffer.count - filled, off_t(offset + filled))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            filled += count
        }
        bytes.removeLast(bytes.count - filled)
        return bytes
    }

    /// Keeps a growing file small: beyond `limit` bytes its text moves to `<path>.1` and it starts again. What is
    /// written between the copy and the cut is lost; the writer keeps its descriptor.
    static func rotate(_ path: String, limit: Int) {
        guard let size = size(path), size > limit, let bytes = read(path, limit: size) else { return }
        let old = open(path + ".1", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard old >= 0 else { return }
        defer { close(old) }
        if writeAll(bytes, to: old) { truncate(path, 0) }
    }

    /// The files below a folder, as paths relative to it, sorted; nil when the folder cannot be read.
    static func files(below directory: String, limit: Int) -> [String]? {
        var found: [String] = []
        var folders = [""]
        while let folder = folders.popLast() {
            guard let names = entries(of: directory + "/" + folder) else { return nil }
            for name in names {
                let relative = folder.isEmpty ? name : folder + "/" + name
                if isDirectory(directory + "/" + relative) {
                    folders.append(relative)
                } else if found.count < limit {
                    found.append(relative)
                }
            }
        }
        return found.sorted()
    }

    private static func entries(of directory: String) -> [String]? {
        guard let stream = opendir(directory) else { return nil }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    private static func writeAll(_ bytes: [UInt8], to file: Int32) -> Bool {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                write(file, buffer.baseAddress?.advanced(by: written), buffer.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            written += count
        }
        return true
    }
}
