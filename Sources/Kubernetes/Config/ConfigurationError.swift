/// Why no connection to a cluster could be read from a file or the environment.
public struct ConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure.
    public enum Code: String, Sendable, Hashable {
        /// A file is not there or cannot be read.
        case unreadable
        /// A file is not what it should be.
        case invalid
        /// It asks for something that this version does not do.
        case unsupported
        /// There is no configuration anywhere.
        case missing
    }

    public let code: Code
    /// A sentence for a person; never holds a token or a key.
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
