/// A text that must not be seen: a token, a password, a key. Every textual form of it is `***`.
public struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The text itself, for the one place that sends it.
    public let revealed: String

    public init(_ text: String) { revealed = text }

    public var description: String { "***" }
    public var debugDescription: String { "***" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// A PEM text in a file or in memory. What is in memory may be a private key: it is never printed.
public enum PEM: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    case file(String)
    case bytes([UInt8])

    public var description: String {
        switch self {
        case .file(let path): path
        case .bytes: "***"
        }
    }

    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// A client certificate and its key.
public struct TLSIdentity: Sendable, Hashable {
    public var certificate: PEM
    public var key: PEM

    public init(certificate: PEM, key: PEM) {
        self.certificate = certificate
        self.key = key
    }
}
