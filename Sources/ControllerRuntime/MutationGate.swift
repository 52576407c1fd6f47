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

    /// How long it stays open if nothing happens; nil: for ever. Not positive: it is closed.
    private var remaining: Duration? {
        switch state.withLock({ $0 }) {
        case .open: nil
        case .closed: .zero
        case .openUntil(let deadline): deadline - clock.uptime
        }
    }

    /// A change that is sent only while the gate is open, also when the process is frozen after this look.
    ///
    /// - Throws: `.cancelled` when this replica does not lead.
    func admitted(_ request: HTTPRequest) throws(APIError) -> HTTPRequest {
        // Looked at before what remains: whatever passes in between makes the moment earlier, never later.
        let now = ContinuousClock.now
        guard let remaining else { return request }
        guard remaining > .zero else {
            throw APIError(
                .cancelled, operation: "\(request.method.rawValue) \(request.url.path)",
                message: "this replica does not lead")
        }
        var request = request
        request.notAfter = now + remaining
        return request
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
        try await base.send(try checked(request))
    }

    public func open(_ request: HTTPRequest) async throws(APIError) -> HTTPStream {
        try await base.open(try checked(request))
    }

    private func checked(_ request: HTTPRequest) throws(APIError) -> HTTPRequest {
        switch request.method {
        case .get, .head: request
        case .post, .put, .patch, .delete: try gate.admitted(request)
        }
    }
}
