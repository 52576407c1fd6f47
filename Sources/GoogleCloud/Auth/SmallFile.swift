internal import Encoding
internal import Glibc
internal import HTTP

/// Reads a credential file: regular, small, and not waited for. Microseconds on a local disk, so that it needs no thread
/// of its own.
enum SmallFile {
    static let maximumBytes = 256 << 10

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// - Throws: `.unauthorized` with the path and why it cannot be read; never a word of its content.
    static func bytes(_ path: String) throws(APIError) -> [UInt8] {
        // A pipe without a writer would hold the caller for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw unreadable(path) }
        defer { close(descriptor) }
        var information = stat()
        guard fstat(descriptor, &information) == 0 else { throw unreadable(path) }
        guard information.st_mode & S_IFMT == S_IFREG else { throw error("\(path) is not a regular file") }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw unreadable(path) }
            if count == 0 { return content }
            content.append(contentsOf: buffer[..<count])
            guard content.count <= maximumBytes else {
                throw error("\(path) has more than \(maximumBytes) bytes")
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

    private static func unreadable(_ path: String) -> APIError {
        error("\(path) cannot be read: \(String(cString: strerror(errno)))")
    }

    private static func error(_ message: String) -> APIError {
        APIError(.unauthorized, operation: "credentials", message: message)
    }
}
