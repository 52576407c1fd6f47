/// Why a YAML text could not be read, with its place.
public struct YAMLError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure.
    public enum Code: String, Sendable, Hashable {
        case syntax, duplicateKey, tooDeep, tooLarge, unsupported
    }

    public let code: Code
    /// A sentence for a person.
    public let message: String
    /// From 1.
    public let line: Int
    /// From 1.
    public let column: Int

    public init(code: Code, message: String, line: Int, column: Int) {
        self.code = code
        self.message = message
        self.line = line
        self.column = column
    }

    public var description: String { "line \(line), column \(column): \(message)" }
}
