import Synchronization

/// A bounded pipe of bytes between a writer and a reader, either of which may be a task or an event thread.
///
/// The bound is soft: a write is taken whole while less than `capacity` bytes wait, so that at most `capacity` and one
/// write are held.
final class BytePipe: HTTPBodyWriter {
    /// What the other side may want to know; called outside the lock, on the thread that caused it.
    enum Change: Sendable {
        /// There are bytes, or the end, for the reader.
        case readable
        /// The buffer was full and has room again.
        case writable
        /// The reader has gone.
        case closed
    }

    private struct State {
        var buffer: [UInt8] = []
        var end: Result<Void, APIError>?
        var isClosed = false
        var wasFull = false
        var waiters: [CheckedContinuation<Void, Never>] = []

        mutating func takeWaiters() -> [CheckedContinuation<Void, Never>] {
            let taken = waiters
            waiters = []
            return taken
        }
    }

    let capacity: Int
    private let operation: String
    private let onChange: @Sendable (Change) -> Void
    private let state = Mutex(State())

    init(capacity: Int, operation: String, onChange: @escaping @Sendable (Change) -> Void = { _ in }) {
        self.capacity = capacity
        self.operation = operation
        self.onChange = onChange
    }

    // MARK: The writer's side

    /// Takes the bytes if there is room; never waits. False when full: `writable` follows.
    func offer(_ bytes: some Collection<UInt8>) -> Bool {
        let (taken, waiters) = state.withLock { state in
            guard !state.isClosed, state.end == nil else { return (true, [CheckedContinuation<Void, Never>]()) }
            guard state.buffer.count < capacity else {
                state.wasFull = true
                return (false, [])
            }
            state.buffer.append(contentsOf: bytes)
            return (true, state.takeWaiters())
        }
        waiters.forEach { $0.resume() }
        if taken { onChange(.readable) }
        return taken
    }

    /// Takes the bytes, then waits until there is room for more.
    ///
    /// - Throws: `.cancelled` when the reader has gone or the task is cancelled.
    func write(_ bytes: [UInt8]) async throws(APIError) {
        if bytes.isEmpty { return }
        let (isOpen, waiters) = state.withLock { state in
            guard !state.isClosed, state.end == nil else { return (false, [CheckedContinuation<Void, Never>]()) }
            state.buffer.append(contentsOf: bytes)
            return (true, state.takeWaiters())
        }
        guard isOpen else { throw gone }
        waiters.forEach { $0.resume() }
        onChange(.readable)
        try await waitUntil { $0.isClosed || $0.buffer.count < self.capacity }
        if state.withLock({ $0.isClosed }) || Task.isCancelled { throw gone }
    }

    /// Marks the end, regular or not; what is buffered is still read. Only the first call counts.
    func finish(_ end: Result<Void, APIError>) {
        let waiters = state.withLock { state in
            if state.end == nil { state.end = end }
            return state.takeWaiters()
        }
        waiters.forEach { $0.resume() }
        onChange(.readable)
    }

    // MARK: The reader's side

    /// All that is buffered, waiting for the first byte; nil at the regular end.
    ///
    /// - Throws: the error given to `finish`; `.cancelled` when the task is cancelled or the pipe closed.
    func next() async throws(APIError) -> [UInt8]? {
        while true {
            if Task.isCancelled || state.withLock({ $0.isClosed }) {
                close()
                throw gone
            }
            let available = takeAvailable()
            if !available.bytes.isEmpty { return available.bytes }
            if let end = available.end {
                try end.get()
                return nil
            }
            try await waitUntil { $0.isClosed || !$0.buffer.isEmpty || $0.end != nil }
        }
    }

    /// What is buffered now; the end only when nothing was.
    func takeAvailable() -> (bytes: [UInt8], end: Result<Void, APIError>?) {
        let (bytes, end, hasRoom, waiters) = state.withLock { state in
            let bytes = state.buffer
            state.buffer = []
            let hasRoom = state.wasFull
            state.wasFull = false
            let waiters = bytes.isEmpty ? [] : state.takeWaiters()
            return (bytes, bytes.isEmpty ? state.end : nil, hasRoom, waiters)
        }
        waiters.forEach { $0.resume() }
        if hasRoom { onChange(.writable) }
        return (bytes, end)
    }

    /// The reader goes: what is buffered is dropped, writers fail.
    func close() {
        let (isFirst, waiters) = state.withLock { state in
            let isFirst = !state.isClosed
            state.isClosed = true
            state.buffer = []
            return (isFirst, state.takeWaiters())
        }
        waiters.forEach { $0.resume() }
        if isFirst { onChange(.closed) }
    }

    private var gone: APIError {
        APIError(.cancelled, operation: operation, message: "the transfer was cancelled")
    }

    /// Waits for a state; ends early when the task is cancelled (the pipe is closed then).
    private func waitUntil(_ isReached: @escaping @Sendable (borrowing State) -> Bool) async throws(APIError) {
        while true {
            if Task.isCancelled {
                close()
                throw gone
            }
            if state.withLock({ isReached($0) }) { return }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isNow = state.withLock { state in
                        if isReached(state) { return true }
                        state.waiters.append(continuation)
                        return false
                    }
                    if isNow { continuation.resume() }
                }
            } onCancel: {
                close()
            }
        }
    }
}
