public import HTTP
import Synchronization

/// Says whether this replica may change anything: closed until it leads, open until the renew deadline, and closed by
/// itself when that passes, whether or not anybody noticed.
public final class MutationGate: Sendable {
    private enum State {
        case open
        case closed
        case openUntil(Duration)
    }

    private let clock: RuntimeClock
    private let state: Mutex<State>

    /// - Parameter isOpen: open for ever, for a single replica without leader election.
    public init(clock: RuntimeClock, isOpen: Bool = false) {
        self.clock = clock
        self.state = Mutex(isOpen ? .open : .closed)
    }

    /// Whether a change may be sent now.
    public var isOpen: Bool {
        switch state.withLock({ $0 }) {
        case .open: true
        case .closed: false
        case .openUntil(let deadline): clock.uptime < deadline
        }
    }

    /// Opens until an uptime.
    func open(until deadline: Duration) { state.withLock { $0 = .openUntil(deadline) } }

    /// Closes at once.
    func close() { state.withLock { $0 = .closed } }

    /// - Throws: `.cancelled` when this replica does not lead.
    func check(_ operation: String) throws(APIError) {
        guard isOpen else {
            throw APIError(.cancelled, operation: operation, message: "this replica does not lead")
        }
    }
}

/// Sends reads, and changes only while the gate is open. Put around the transports of every API that the controllers
/// change, so that a replica that lost its lease stops there whatever its code does.
public struct GatedTransport: HTTPTransport {
    private let base: any HTTPTransport
    private let gate: MutationGate

    public init(_ base: any HTTPTransport, gate: MutationGate) {
        self.base = base
        self.gate = gate
    }

    public func send(_ request: HTTPRequest) async throws(APIError) -> HTTPResponse {
        try check(request)
        return try await base.send(request)
    }

    public func open(_ request: HTTPRequest) async throws(APIError) -> HTTPStream {
        try check(request)
        return try await base.open(request)
    }

    private func check(_ request: HTTPRequest) throws(APIError) {
        switch request.method {
        case .get, .head: return
        case .post, .put, .patch, .delete: try gate.check("\(request.method.rawValue) \(request.url.path)")
        }
    }
}
