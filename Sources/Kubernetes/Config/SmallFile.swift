import Glibc
import System

/// Reads configuration files: small, local, bounded.
enum SmallFile {
    static let maximumBytes = 4 << 20

    static func exists(_ path: String) -> Bool { access(path, R_OK) == 0 }

    /// Whether there is no such file, as opposed to one that cannot be read.
    static func isAbsent(_ path: String) -> Bool { access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR) }

    /// The text without white space at its ends.
    static func text(_ path: String) throws(ConfigurationError) -> String {
        let bytes = try bytes(path)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ConfigurationError(.invalid, "\(path) is not UTF-8")
        }
        let trimmed = text.drop(while: \.isWhitespace)
        let end = trimmed.lastIndex { !$0.isWhitespace }
        return end.map { String(trimmed[...$0]) } ?? ""
    }

    static func bytes(_ path: String) throws(ConfigurationError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(path) }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw unreadable(path) }
            if count == 0 { return content }
            content.append(contentsOf: buffer[..<count])
            guard content.count <= maximumBytes else {
                throw ConfigurationError(.invalid, "\(path) has more than \(maximumBytes) bytes")
            }
        }
    }

    private static func unreadable(_ path: String) -> ConfigurationError {
        ConfigurationError(.unreadable, "\(path): \(String(cString: strerror(errno)))")
    }
}
