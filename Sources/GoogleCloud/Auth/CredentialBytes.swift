internal import Encoding
internal import Glibc
internal import HTTP
internal import System

/// Reads a credential file: regular, small, and not waited for. Microseconds on a local disk, so that it needs no thread
/// of its own.
enum CredentialBytes {
    static let maximumBytes = 256 << 10

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// - Throws: `.unauthorized` with the path and why it cannot be read; never a word of its content.
    static func bytes(_ path: String) throws(APIError) -> [UInt8] {
        do throws(SmallFile.ReadError) {
            return try SmallFile.bytes(path, limit: maximumBytes, requiresRegularFile: true)
        } catch {
            switch error {
            case .unreadable(let reason): throw self.error("\(path) cannot be read: \(reason)")
            case .notRegular: throw self.error("\(path) is not a regular file")
            case .tooLarge(let limit): throw self.error("\(path) has more than \(limit) bytes")
            }
        }
    }

    /// The text of a token in a file or a reply; as JSON, the text in `field`.
    ///
    /// - Parameter what: where the bytes come from, for the error.
    /// - Throws: `.unauthorized`; never a word of the content.
    static func token(in bytes: [UInt8], field: String?, what: String) throws(APIError) -> Secret {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw error("\(what) is not UTF-8") }
        guard let field else {
            let trimmed = text.drop(while: \.isWhitespace)
            guard let end = trimmed.lastIndex(where: { !$0.isWhitespace }) else { throw error("\(what) is empty") }
            return Secret(String(trimmed[...end]))
        }
        guard let json = try? JSONValue(parsing: bytes) else {  // The parser's message could quote the token.
            throw error("\(what) is not JSON, as its format says")
        }
        guard let token = json[field]?.stringValue, !token.isEmpty else {
            throw error("\(what) has no text in its field \"\(field)\"")
        }
        return Secret(token)
    }

    private static func error(_ message: String) -> APIError {
        APIError(.unauthorized, operation: "credentials", message: message)
    }
}
