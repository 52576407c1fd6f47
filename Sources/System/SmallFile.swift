import Glibc

/// Reads files that are small and local, such as configuration and credentials; blocks for as long as that takes.
public enum SmallFile {
    /// Why a file could not be read, without a word of its content.
    public enum ReadError: Error, Sendable, Hashable {
        /// The system's sentence, e.g. "No such file or directory".
        case unreadable(String)
        case notRegular
        case tooLarge(maximumBytes: Int)
    }

    /// - Parameter requiresRegularFile: a pipe without a writer would hold the caller for ever; else it is waited for.
    public static func bytes(
        _ path: String, limit: Int, requiresRegularFile: Bool = false
    ) throws(ReadError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | (requiresRegularFile ? O_NONBLOCK : 0))
        guard descriptor >= 0 else { throw unreadable() }
        defer { close(descriptor) }
        if requiresRegularFile {
            var information = stat()
            guard fstat(descriptor, &information) == 0 else { throw unreadable() }
            guard information.st_mode & S_IFMT == S_IFREG else { throw .notRegular }
        }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw unreadable() }
            if count == 0 { return content }
            content.append(contentsOf: buffer[..<count])
            guard content.count <= limit else { throw .tooLarge(maximumBytes: limit) }
        }
    }

    private static func unreadable() -> ReadError { .unreadable(String(cString: strerror(errno))) }
}
