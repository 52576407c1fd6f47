public import Encoding

/// How much a line matters, in Cloud Logging's words.
public enum LogLevel: String, Sendable, Hashable, CaseIterable, Comparable {
    case debug = "DEBUG"
    case info = "INFO"
    /// The user must act.
    case warning = "WARNING"
    /// We must act.
    case error = "ERROR"

    private var rank: Int { LogLevel.allCases.firstIndex(of: self) ?? 0 }

    public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rank < right.rank }

    /// Reads `debug`, `info`, `warning`, `error` in any case; nil for anything else.
    public init?(name: String) { self.init(rawValue: name.uppercased()) }
}

/// One line before it is written.
public struct LogLine: Sendable, Hashable {
    public var level: LogLevel
    public var time: Timestamp
    public var message: String
    public var metadata: LogMetadata

    public init(level: LogLevel, time: Timestamp, message: String, metadata: LogMetadata) {
        self.level = level
        self.time = time
        self.message = message
        self.metadata = metadata
    }

    /// `severity`, `time`, `message` and the metadata, as Cloud Logging reads them.
    public var json: JSONValue {
        var members: [String: JSONValue] = [
            "severity": .string(level.rawValue), "time": .string(time.description), "message": .string(message),
        ]
        for (key, value) in metadata { members[key.rawValue] = value.json }
        return .object(members)
    }
}

/// Where lines go.
public protocol LogSink: Sendable {
    func write(_ line: LogLine)
}

/// Writes log lines: constant messages, data in metadata.
///
/// What `withMetadata` binds goes into every line of the task and its children; a line's own values win.
public struct Log: Sendable {
    @TaskLocal private static var bound: LogMetadata = [:]

    public let level: LogLevel
    private let sink: any LogSink
    private let clock: any WallClock

    public init(
        level: LogLevel = .info, sink: any LogSink = DescriptorLogSink.standardError,
        clock: any WallClock = SystemClock()
    ) {
        self.level = level
        self.sink = sink
        self.clock = clock
    }

    /// Writes nothing.
    public static let silent = Log(level: .error, sink: DroppingSink())

    /// Binds metadata for the duration of `body`.
    public static func withMetadata<Value>(
        _ metadata: LogMetadata, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Value
    ) async rethrows -> Value {
        try await $bound.withValue(bound.merging(metadata) { $1 }, operation: body, isolation: isolation)
    }

    public func debug(_ message: StaticString, _ metadata: @autoclosure () -> LogMetadata = [:]) {
        write(.debug, message, metadata)
    }

    public func info(_ message: StaticString, _ metadata: @autoclosure () -> LogMetadata = [:]) {
        write(.info, message, metadata)
    }

    /// For what the user must act on.
    public func warning(_ message: StaticString, _ metadata: @autoclosure () -> LogMetadata = [:]) {
        write(.warning, message, metadata)
    }

    /// For what we must act on.
    public func error(_ message: StaticString, _ metadata: @autoclosure () -> LogMetadata = [:]) {
        write(.error, message, metadata)
    }

    private func write(_ level: LogLevel, _ message: StaticString, _ metadata: () -> LogMetadata) {
        guard level >= self.level else { return }
        sink.write(
            LogLine(
                level: level, time: clock.now, message: message.description,
                metadata: Log.bound.merging(metadata()) { $1 }))
    }
}

private struct DroppingSink: LogSink {
    func write(_ line: LogLine) {}
}
