public import HTTP

/// An open watch. Whoever opened it reads to the end or calls `cancel`.
public struct WatchStream: Sendable {
    private let stream: HTTPStream
    private var decoder: WatchDecoder
    private var pending: ArraySlice<WatchEvent> = []

    init(_ stream: HTTPStream, operation: String) {
        self.stream = stream
        self.decoder = WatchDecoder(operation: operation)
    }

    /// The next event; nil when the server has ended the watch.
    ///
    /// - Throws: as `HTTPStream.next` and `WatchDecoder.append`.
    public mutating func next() async throws(APIError) -> WatchEvent? {
        while true {
            if let event = pending.popFirst() { return event }
            guard let chunk = try await stream.next() else { return nil }
            pending = try decoder.append(chunk)[...]
        }
    }

    /// Ends the watch at once.
    public func cancel() { stream.cancel() }
}
