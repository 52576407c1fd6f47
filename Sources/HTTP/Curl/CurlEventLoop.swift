import CLibcurl
import Glibc
import Synchronization
import System

/// A multi handle.
///
/// Sendable although a raw pointer is not: the event thread alone uses it, but for `curl_multi_wakeup`, the one call
/// that libcurl allows from any thread, which `CurlMailbox` makes under its lock and never after the handle is freed.
struct CurlMulti: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer
}

/// The commands for the event thread, from any task.
final class CurlMailbox: Sendable {
    enum Command {
        case start(CurlTransfer)
        case resume(UInt64)
        case cancel(UInt64)
    }

    private struct State {
        var commands: [Command] = []
        var isStopping = false
        /// Nil once the event thread frees it.
        var multi: CurlMulti?
    }

    private let state: Mutex<State>
    /// Set when the event thread has ended.
    let ended = OneShot<Void>()

    init(multi: CurlMulti) { state = Mutex(State(multi: multi)) }

    /// False when the thread is stopping: the command is not taken.
    func post(_ command: Command) -> Bool {
        state.withLock { state in
            guard !state.isStopping, let multi = state.multi else { return false }
            state.commands.append(command)
            curl_multi_wakeup(multi.pointer)
            return true
        }
    }

    func stop() {
        state.withLock { state in
            state.isStopping = true
            if let multi = state.multi { curl_multi_wakeup(multi.pointer) }
        }
    }

    fileprivate func take() -> (commands: [Command], isStopping: Bool) {
        state.withLock { state in
            defer { state.commands = [] }
            return (state.commands, state.isStopping)
        }
    }

    fileprivate func retire() {
        state.withLock { $0.multi = nil }
    }
}

/// The one thread that touches libcurl: it starts, moves, times out and ends transfers.
final class CurlEventLoop {
    private final class Active {
        let transfer: CurlTransfer
        let handle: CurlHandle
        let began: ContinuousClock.Instant
        var activity = 0
        var lastActivity: ContinuousClock.Instant

        init(transfer: CurlTransfer, handle: CurlHandle, now: ContinuousClock.Instant) {
            self.transfer = transfer
            self.handle = handle
            began = now
            lastActivity = now
        }
    }

    /// Idle connections kept for reuse.
    private static let maximumIdleConnections = 64
    private static let longestWaitMilliseconds: Int32 = 1000

    private let multi: UnsafeMutableRawPointer
    private let options: CurlOptions
    private let route: CurlRoute
    private let mailbox: CurlMailbox
    private var active: [UInt64: Active] = [:]

    private init(multi: UnsafeMutableRawPointer, options: CurlOptions, route: CurlRoute, mailbox: CurlMailbox) {
        self.multi = multi
        self.options = options
        self.route = route
        self.mailbox = mailbox
    }

    /// Starts the thread.
    ///
    /// - Throws: `.unavailable` when the system gives no thread or libcurl no memory, `.invalid` when the environment
    ///   names a proxy that is none.
    static func start(options: CurlOptions) throws(APIError) -> CurlMailbox {
        let route = try CurlRoute(options)
        guard CurlEventLoop.isInitialised, let multi = curl_multi_init() else {
            throw APIError(.unavailable, operation: "starting the HTTP client", message: "libcurl cannot start")
        }
        trainyard_curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, maximumIdleConnections)
        let shared = CurlMulti(pointer: multi)
        let mailbox = CurlMailbox(multi: shared)
        let isStarted = Thread.start {
            CurlEventLoop(multi: shared.pointer, options: options, route: route, mailbox: mailbox).run()
        }
        guard isStarted else {
            curl_multi_cleanup(multi)
            throw APIError(.unavailable, operation: "starting the HTTP client", message: "no thread can be started")
        }
        return mailbox
    }

    /// Once per process, before any other call; Swift initialises a static once.
    private static let isInitialised = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    private func run() {
        while true {
            let (commands, isStopping) = mailbox.take()
            if isStopping { break }
            for command in commands { handle(command) }
            var running: Int32 = 0
            curl_multi_perform(multi, &running)
            collectFinished()
            let wait = expireIdle(now: .now)
            curl_multi_poll(multi, nil, 0, wait, nil)
        }
        shutDown()
    }

    private func handle(_ command: CurlMailbox.Command) {
        switch command {
        case .start(let transfer): start(transfer)
        case .resume(let id):
            guard let entry = active[id] else { return }
            entry.transfer.resumed()
            entry.lastActivity = .now
            curl_easy_pause(entry.handle.easy, CURLPAUSE_CONT)
        case .cancel(let id):
            end(id, .failure(CurlEventLoop.cancelled(active[id]?.transfer)))
        }
    }

    private func start(_ transfer: CurlTransfer) {
        do throws(APIError) {
            if let limit = transfer.request.notAfter, ContinuousClock.now >= limit {
                throw APIError(
                    .cancelled, operation: transfer.request.operation, message: "the time to send this was over")
            }
            let entry = Active(
                transfer: transfer, handle: try CurlHandle(transfer, options: options, route: route), now: .now)
            guard curl_multi_add_handle(multi, entry.handle.easy) == CURLM_OK else {
                throw APIError(.unavailable, operation: transfer.request.operation, message: "libcurl has no memory")
            }
            active[transfer.id] = entry
        } catch {
            transfer.finish(.failure(error))
        }
    }

    private func collectFinished() {
        while true {
            let completion = trainyard_curl_next_completion(multi)
            guard let easy = completion.handle else { return }
            guard let entry = CurlTransfer.of(easy: easy).flatMap({ active[$0.id] }) else { continue }
            let result: Result<Void, APIError> =
                completion.result == CURLE_OK
                ? .success(())
                : .failure(
                    .transfer(
                        completion.result, systemError: entry.handle.systemError, text: entry.handle.failureText,
                        operation: entry.transfer.request.operation))
            end(entry.transfer.id, result)
        }
    }

    /// Ends streams that have been silent for too long; returns the milliseconds until the next may be.
    private func expireIdle(now: ContinuousClock.Instant) -> Int32 {
        var wait = CurlEventLoop.longestWaitMilliseconds
        for entry in active.values where entry.transfer.kind == .streamed {
            let activity = entry.transfer.activity
            if activity != entry.activity || entry.transfer.isPaused {
                entry.activity = activity
                entry.lastActivity = now
            }
            // The head must be there in time as a whole: a server that sends it drop by drop is no better than silent.
            let since = entry.transfer.hasHead ? entry.lastActivity : entry.began
            let left = entry.transfer.request.timeout - (now - since)
            if left <= .zero {
                end(
                    entry.transfer.id,
                    .failure(
                        APIError(
                            .timeout, operation: entry.transfer.request.operation,
                            message: entry.transfer.hasHead
                                ? "nothing was received for \(entry.transfer.request.timeout)"
                                : "the reply did not begin within \(entry.transfer.request.timeout)")))
            } else {
                wait = min(wait, Int32(clamping: left.milliseconds))
            }
        }
        return wait
    }

    private func end(_ id: UInt64, _ result: Result<Void, APIError>) {
        guard let entry = active.removeValue(forKey: id) else { return }
        curl_multi_remove_handle(multi, entry.handle.easy)
        entry.transfer.finish(result)
    }

    private func shutDown() {
        for id in Array(active.keys) { end(id, .failure(CurlEventLoop.cancelled(active[id]?.transfer))) }
        mailbox.retire()
        for case .start(let transfer) in mailbox.take().commands {
            transfer.finish(.failure(CurlEventLoop.cancelled(transfer)))
        }
        curl_multi_cleanup(multi)
        mailbox.ended.set(())
    }

    static func cancelled(_ transfer: CurlTransfer?) -> APIError {
        APIError(
            .cancelled, operation: transfer?.request.operation ?? "HTTP request", message: "the request was cancelled")
    }
}
