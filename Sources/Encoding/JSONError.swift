/// Why a JSON text could not be read, or a value could not be decoded.
public struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure; safe as a metric label.
    public enum Code: String, Sendable, Hashable {
        case syntax, tooDeep, invalidUTF8, missing, wrongType, invalidValue
    }

    public let code: Code
    /// A sentence for a person; holds no more of the input than one key or character.
    public let message: String
    /// Byte offset in the text, where there is one.
    public let offset: Int?

    public init(code: Code, message: String, offset: Int? = nil) {
        self.code = code
        self.message = message
        self.offset = offset
    }

    public var description: String {
        if let offset { "\(message) (at byte \(offset))" } else { message }
    }
}
