/// Why a part of the sandbox could not start or do what it was asked for.
public struct SandboxError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure; safe as a metric label.
    public enum Code: String, Sendable, Hashable, CaseIterable {
        /// A value in a configuration that cannot work.
        case invalidConfiguration
        /// A CustomResourceDefinition that the simulated API server refuses or cannot evaluate.
        case invalidCRD
        /// No port, no disk space, too little memory: what the machine lacks.
        case missingResource
        /// A file or folder of the state directory that cannot be read or written.
        case storage
        /// A local process that could not be started.
        case processFailed
        case notFound
        case timeout
    }

    public let code: Code
    /// A sentence for a person.
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
