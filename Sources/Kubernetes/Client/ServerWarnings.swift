import HTTP
import Synchronization
import Telemetry

/// The API server's `Warning` headers (a deprecated version, an unknown field), each text once.
final class ServerWarnings: Sendable {
    private static let maximumCount = 256
    private static let maximumBytes = 1024

    private let log: Log
    private let seen = Mutex<Set<String>>([])

    init(log: Log) { self.log = log }

    func note(_ headers: HTTPHeaders) {
        for field in headers.fields where field.name.lowercased() == "warning" {
            guard let text = ServerWarnings.text(of: field.value) else { continue }
            let isNew = seen.withLock { $0.count < ServerWarnings.maximumCount && $0.insert(text).inserted }
            if isNew { log.warning("the API server warns", [.warning: .string(text)]) }
        }
    }

    /// The text of `299 - "text"`; nil for another code or form.
    static func text(of value: String) -> String? {
        let parts = value.split(separator: " ", maxSplits: 2)
        guard parts.count == 3, parts[0] == "299", parts[2].first == "\"" else { return nil }
        var text = ""
        var isEscaped = false
        for character in parts[2].dropFirst() {
            if isEscaped {
                text.append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "\"" {
                return text.utf8.count <= maximumBytes ? text : String(text.prefix(maximumBytes / 4)) + " …"
            } else {
                text.append(character)
            }
        }
        return nil
    }
}
