import Glibc
import System

/// Reads configuration files: small, local, bounded.
enum ConfigurationFile {
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
        do throws(SmallFile.ReadError) {
            return try SmallFile.bytes(path, limit: maximumBytes)
        } catch {
            switch error {
            case .unreadable(let reason): throw ConfigurationError(.unreadable, "\(path): \(reason)")
            case .notRegular: throw ConfigurationError(.invalid, "\(path) is not a regular file")
            case .tooLarge(let limit): throw ConfigurationError(.invalid, "\(path) has more than \(limit) bytes")
            }
        }
    }
}
