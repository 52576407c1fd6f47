import Glibc
import Synchronization

/// What tasks tell the event thread.
final class ServerMailbox: Sendable {
    private struct State {
        var readable: Set<UInt64> = []
        var isSignalled = false
        var stopDeadline: ContinuousClock.Instant?
        var isRetired = false
        var runningTasks = 0
        var drained: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())
    private let wakeSocket: Int32
    /// Set when the event thread has ended.
    let ended = OneShot<Void>()

    init(wakeSocket: Int32) { self.wakeSocket = wakeSocket }

    var isStopping: Bool { state.withLock { $0.stopDeadline != nil } }

    func postReadable(_ id: UInt64) {
        state.withLock { state in
            state.readable.insert(id)
            wake(&state)
        }
    }

    /// Ends the server by the deadline. An earlier deadline wins.
    func stop(by deadline: ContinuousClock.Instant) {
        state.withLock { state in
            state.stopDeadline = min(state.stopDeadline ?? deadline, deadline)
            wake(&state)
        }
    }

    func taskBegan() { state.withLock { $0.runningTasks += 1 } }

    func taskEnded() {
        let waiters: [CheckedContinuation<Void, Never>] = state.withLock { state in
            state.runningTasks -= 1
            guard state.runningTasks == 0 else { return [] }
            defer { state.drained = [] }
            return state.drained
        }
        waiters.forEach { $0.resume() }
    }

    /// Waits until no handler runs.
    func tasksEnded() async {
        await withCheckedContinuation { continuation in
            let isDrained = state.withLock { state in
                if state.runningTasks == 0 { return true }
                state.drained.append(continuation)
                return false
            }
            if isDrained { continuation.resume() }
        }
    }

    fileprivate func take() -> (readable: Set<UInt64>, stopDeadline: ContinuousClock.Instant?) {
        state.withLock { state in
            defer {
                state.readable = []
                state.isSignalled = false
            }
            return (state.readable, state.stopDeadline)
        }
    }

    /// After this the wake socket may be closed.
    fileprivate func retire() { state.withLock { $0.isRetired = true } }

    private func wake(_ state: inout State) {
        if state.isSignalled || state.isRetired { return }
        state.isSignalled = true
        var byte: UInt8 = 1
        // A full buffer means that a wake-up is on its way already.
        _ = send(wakeSocket, &byte, 1, Int32(MSG_NOSIGNAL))
    }
}

/// The one thread that accepts, reads and writes; handlers run as tasks.
final class ServerEventLoop {
    private static let readBytes = 64 << 10
    private static let checkInterval: Duration = .milliseconds(250)
    /// After accept fails for want of descriptors.
    private static let acceptPause: Duration = .milliseconds(100)

    private let handler: any HTTPHandler
    private let limits: HTTPServerLimits
    private let mailbox: ServerMailbox
    private let wakeSocket: Int32
    private var listener: Int32?
    private var connections: [UInt64: ServerConnection] = [:]
    private var lastID: UInt64 = 0
    private var nextCheck = ContinuousClock.now
    private var acceptAgain = ContinuousClock.now
    private let scratch = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: readBytes)

    init(
        listener: Int32, wakeSocket: Int32, handler: any HTTPHandler, limits: HTTPServerLimits,
        mailbox: ServerMailbox
    ) {
        self.listener = listener
        self.wakeSocket = wakeSocket
        self.handler = handler
        self.limits = limits
        self.mailbox = mailbox
    }

    deinit { scratch.deallocate() }

    func run() {
        while true {
            let (readable, stopDeadline) = mailbox.take()
            var now = ContinuousClock.now
            for id in readable { connections[id]?.pump(now: now) }
            if let stopDeadline {
                closeListener()
                for connection in connections.values where connection.isIdle || now >= stopDeadline {
                    connection.close()
                }
            }
            dropClosed()
            if stopDeadline != nil, connections.isEmpty { break }
            wait(until: stopDeadline)
            now = .now
            if now >= nextCheck {
                for connection in connections.values { connection.expire(now: now) }
                nextCheck = now + ServerEventLoop.checkInterval
            }
        }
        mailbox.retire()
        close(wakeSocket)
        mailbox.ended.set(())
    }

    private func wait(until deadline: ContinuousClock.Instant?) {
        var polled = [pollfd(fd: wakeSocket, events: Int16(POLLIN), revents: 0)]
        let accepts = connections.count < limits.connectionCount && ContinuousClock.now >= acceptAgain
        if let listener { polled.append(pollfd(fd: listener, events: accepts ? Int16(POLLIN) : 0, revents: 0)) }
        let first = polled.count
        let waiting = Array(connections.values)
        for connection in waiting {
            polled.append(pollfd(fd: connection.socket, events: connection.interest, revents: 0))
        }
        let left = deadline.map { $0 - .now } ?? ServerEventLoop.checkInterval
        let milliseconds = min(left, ServerEventLoop.checkInterval).milliseconds
        guard poll(&polled, nfds_t(polled.count), Int32(milliseconds)) > 0 else { return }
        let now = ContinuousClock.now
        if polled[0].revents != 0 { _ = recv(wakeSocket, scratch.baseAddress, scratch.count, 0) }
        for (index, connection) in waiting.enumerated() where polled[first + index].revents != 0 {
            connection.ready(polled[first + index].revents, scratch: scratch, now: now)
        }
        if first == 2, polled[1].revents & Int16(POLLIN) != 0 { acceptAll(now: now) }
    }

    private func acceptAll(now: ContinuousClock.Instant) {
        guard let listener else { return }
        while connections.count < limits.connectionCount {
            guard let socket = ListeningSocket.accept(listener) else {
                if errno == EMFILE || errno == ENFILE { acceptAgain = now + ServerEventLoop.acceptPause }
                return
            }
            lastID += 1
            let id = lastID
            connections[id] = ServerConnection(id: id, socket: socket, limits: limits, now: now) { [unowned self] in
                start($0, on: id)
            }
        }
    }

    private func start(_ parsed: RequestParser.Parsed, on id: UInt64) -> ServerExchange {
        let mailbox = mailbox
        let exchange = ServerExchange(
            parsed, bufferBytes: limits.streamBufferBytes, isStopping: { mailbox.isStopping },
            onReadable: { mailbox.postReadable(id) })
        mailbox.taskBegan()
        exchange.start(handler) { mailbox.taskEnded() }
        return exchange
    }

    private func dropClosed() {
        for (id, connection) in connections where connection.isClosed { connections[id] = nil }
    }

    private func closeListener() {
        guard let listener else { return }
        close(listener)
        self.listener = nil
    }
}
