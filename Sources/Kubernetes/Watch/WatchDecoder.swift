public import HTTP

/// Cuts a watch's bytes into lines and events; chunks may end anywhere, in the middle of a character too.
public struct WatchDecoder: Sendable {
    /// A longer line is refused: an object of etcd's largest size, written out as JSON, stays far below it.
    public static let maximumLineBytes = 16 << 20

    private let operation: String
    private let limit: Int
    /// The beginning of a line whose end has not come.
    private var partial: [UInt8] = []

    public init(operation: String = "WATCH", limit: Int = WatchDecoder.maximumLineBytes) {
        self.operation = operation
        self.limit = limit
    }

    /// The events whose lines end in this chunk. A line that never ends is dropped with the decoder: its event comes
    /// again when the watch resumes.
    ///
    /// - Throws: `.malformedResponse` for a line that is no event, `.tooLarge` for one that is too long.
    public mutating func append(_ chunk: [UInt8]) throws(APIError) -> [WatchEvent] {
        var events: [WatchEvent] = []
        var rest = chunk[...]
        while let end = rest.firstIndex(of: 0x0A) {
            try check(partial.count + (end - rest.startIndex))
            if partial.isEmpty {
                try decode(Array(rest[..<end]), into: &events)
            } else {
                partial.append(contentsOf: rest[..<end])
                let line = partial
                partial = []
                try decode(line, into: &events)
            }
            rest = rest[(end + 1)...]
        }
        try check(partial.count + rest.count)
        partial.append(contentsOf: rest)
        return events
    }

    private func check(_ count: Int) throws(APIError) {
        guard count <= limit else {
            throw APIError(.tooLarge, operation: operation, message: "a watch event of more than \(limit) bytes")
        }
    }

    private func decode(_ line: [UInt8], into events: inout [WatchEvent]) throws(APIError) {
        guard line.contains(where: { $0 != 0x0D && $0 != 0x20 }) else { return }
        events.append(try WatchEvent(line: line, operation: operation))
    }
}
