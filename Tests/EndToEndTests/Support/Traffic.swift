import Encoding
import HTTP
import Sandbox
import Synchronization

/// What went over the wire, and what is to happen at one moment of it.
final class Traffic: Sendable {
    /// A request that was handled, with the status of its reply.
    struct Exchange: Sendable {
        var side: SandboxSide
        var request: HTTPRequest
        var status: Int
        var time = ContinuousClock.now

        /// Which operator sent it.
        var sender: String { request.headers[Traffic.senderHeader] ?? "" }

        /// `POST nodePools`, `DELETE nodePools/x`, `PATCH trainingjobs/x/status`: what tests look at.
        var line: String {
            let segments = request.url.decodedSegments ?? []
            let kinds = ["nodePools", "trainingjobs", "gcsartifacts", "modelendpoints", "jobs"]
            let start = segments.lastIndex { kinds.contains($0) } ?? 0
            return "\(request.method.rawValue) \(segments[start...].joined(separator: "/"))"
        }

        var body: JSONValue { (try? JSONValue(parsing: request.body)) ?? .null }
    }

    private struct State {
        var exchanges: [Exchange] = []
        var trigger: Trigger?
        var hasFired = false
        var isClusterAway = false
        var replyDelay = Duration.zero
    }

    private struct Trigger {
        /// Matching requests until it fires.
        var remaining: Int
        var matches: @Sendable (Exchange) -> Bool
        var action: @Sendable () -> Void
    }

    /// Set by the server that an operator talks to.
    static let senderHeader = "X-Test-Operator"
    private static let limit = 20_000
    private let state = Mutex(State())

    /// Calls `action` once, after the nth matching request was handled and before its reply is sent.
    func at(
        _ occurrence: Int, _ matches: @escaping @Sendable (Exchange) -> Bool, _ action: @escaping @Sendable () -> Void
    ) {
        state.withLock {
            $0.trigger = Trigger(remaining: occurrence, matches: matches, action: action)
            $0.hasFired = false
        }
    }

    var hasFired: Bool { state.withLock { $0.hasFired } }

    /// Changes of node pools that succeeded, in order: `POST nodePools`, `DELETE nodePools/x`.
    func poolChanges(_ method: HTTPMethod) -> [Exchange] {
        state.withLock { state in
            state.exchanges.filter { exchange in
                exchange.side == .cloud && exchange.request.method == method && (200..<300).contains(exchange.status)
                    && exchange.line.contains("nodePools") && !exchange.line.contains("setSize")
            }
        }
    }

    /// From now on nobody reaches the API server, or everybody does again.
    func setClusterAway(_ isAway: Bool) { state.withLock { $0.isClusterAway = isAway } }

    /// From now on Google's replies take so long.
    func delayReplies(_ delay: Duration) { state.withLock { $0.replyDelay = delay } }

    /// Changes that one operator has sent so far, leases and events aside.
    func changes(of sender: String) -> [String] {
        state.withLock { state in
            state.exchanges.filter { exchange in
                exchange.sender == sender && !exchange.request.url.path.contains("/leases")
                    && !exchange.request.url.path.contains("/events")
            }.map(\.line)
        }
    }

    /// How many requests have changed something, leases aside.
    var changeCount: Int {
        state.withLock { state in state.exchanges.count { !$0.request.url.path.contains("/leases") } }
    }

    var hook: RequestHook {
        RequestHook(
            before: { [self] side, _ in
                side == .cluster && state.withLock(\.isClusterAway) ? .respond(.disconnect) : .pass
            },
            after: { [self] side, request, reply in
                if request.method != .get { record(Exchange(side: side, request: request, status: reply.status)) }
                let delay = state.withLock(\.replyDelay)
                // Cancelled: the client has gone.
                if delay > .zero, side == .cloud { try? await Task.sleep(for: delay) }
                return .pass
            })
    }

    private func record(_ exchange: Exchange) {
        let action: (@Sendable () -> Void)? = state.withLock { state in
            if state.exchanges.count < Traffic.limit { state.exchanges.append(exchange) }
            guard var trigger = state.trigger, (200..<300).contains(exchange.status), trigger.matches(exchange) else {
                return nil
            }
            trigger.remaining -= 1
            state.trigger = trigger.remaining > 0 ? trigger : nil
            state.hasFired = trigger.remaining == 0
            return trigger.remaining == 0 ? trigger.action : nil
        }
        action?()
    }
}
