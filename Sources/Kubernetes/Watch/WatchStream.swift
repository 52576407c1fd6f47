public import HTTP

/// An open watch. Whoever opened it reads to the end or calls `cancel`.
public struct WatchStream: Sendable {
    private let stream: HTTPStream
    private let operation: String
    private var decoder: WatchDecoder
    private var pending: ArraySlice<WatchEvent> = []

    init(_ stream: HTTPStream, operation: String) {
        self.stream = stream
        self.operation = operation
        self.decoder = WatchDecoder(operation: operation)
    }

    /// The next event; nil when the server has ended the watch.
    ///
    /// - Throws: as `HTTPStream.next` and `WatchDecoder.append`.
    public mutating func next() async throws(APIError) -> WatchEvent? {
        while true {
            if let event = pending.popFirst() { return event }
            guard let chunk = try await nextChunk() else { return nil }
            pending = try decoder.append(chunk)[...]
        }
    }

    /// The events that came together, perhaps none; nil when the server has ended the watch. What several calls of
    /// `next` would give, for those who can take them at once.
    ///
    /// - Throws: as `next`.
    public mutating func nextEvents() async throws(APIError) -> [WatchEvent]? {
        if !pending.isEmpty {
            defer { pending = [] }
            return Array(pending)
        }
        guard let chunk = try await nextChunk() else { return nil }
        return try decoder.append(chunk)
    }

    private func nextChunk() async throws(APIError) -> [UInt8]? {
        do throws(APIError) {
            return try await stream.next()
        } catch {
            throw error.during(operation)
        }
    }

    /// Ends the watch at once.
    public func cancel() { stream.cancel() }
}
