import Encoding
import Kubernetes
import Testing

@testable import ControllerRuntime

private let start = Timestamp(seconds: 1_000_000)

private func candidate(_ identity: String) -> LeaderElectionState {
    LeaderElectionState(options: LeaderElectionOptions(namespace: "ns", identity: identity))
}

/// - Parameter promise: when the holder says to have stopped.
private func lease(
    _ holder: String?, renewed: Double = 0, duration: Int? = 15, transitions: Int = 3, version: String? = "1",
    promise: String? = "10.0"
) -> Lease {
    Lease(
        metadata: ObjectMeta(
            name: "trainyard-operator", namespace: "ns", resourceVersion: version,
            annotations: promise.map { ["trainyard.dev/renew-deadline-seconds": $0] }),
        spec: Lease.Spec(
            holderIdentity: holder, leaseDurationSeconds: duration, acquireTime: MicroTime(start),
            renewTime: MicroTime(start + .seconds(renewed)), leaseTransitions: transitions))
}

/// What a state wants at an uptime, in a word.
private func word(_ state: LeaderElectionState, at uptime: Int) -> String {
    switch state.decide(now: start + .seconds(uptime), uptime: .seconds(uptime)) {
    case .wait: "wait"
    case .create: "create"
    case .replace(let lease): "replace transitions=\(lease.spec?.leaseTransitions ?? -1)"
    }
}

@Suite struct LeaderElectionStateTests {
    @Test func `without a lease it makes one`() {
        var state = candidate("a")
        state.leaseRead(nil, uptime: .zero)
        #expect(
            state.decide(now: start, uptime: .zero)
                == .create(
                    Lease(
                        metadata: lease("a", version: nil).metadata,
                        spec: lease("a", transitions: 0).spec)))
    }

    @Test func `another's lease is waited for as long as it was not seen to change`() {
        var state = candidate("a")
        state.leaseRead(lease("b", promise: nil), uptime: .seconds(100))
        #expect(word(state, at: 114) == "wait")
        state.leaseRead(lease("b", renewed: 5, promise: nil), uptime: .seconds(110))
        state.leaseRead(lease("b", renewed: 5, promise: nil), uptime: .seconds(120))
        #expect(state.expiry == .seconds(125))
        #expect(word(state, at: 124) == "wait")
        #expect(word(state, at: 125) == "replace transitions=4")
    }

    @Test(arguments: [
        ("10", 12.5), ("10.0", 12.5), ("14", 14.5), ("15", 15), ("60", 15), ("2", 12.5), ("0", 12.5), ("-3", 15),
        ("nan", 15), ("ten", 15), ("1e99", 15), ("", 15),
    ])
    func
        `a lease whose holder says when it stops is free halfway between that and its end, never before our own deadline`(
            promise: String, seconds: Double
        )
    {
        var state = candidate("a")
        state.leaseRead(lease("b", promise: promise), uptime: .seconds(100))
        #expect(state.expiry == .seconds(100 + seconds))
    }

    @Test func `a renewal by a clock that stands still is one all the same`() throws {
        var leader = candidate("a")
        var other = candidate("b")
        leader.leaseWritten(lease("a"), requestedAt: .zero)
        other.leaseRead(lease("a"), uptime: .zero)
        guard case .replace(let renewal) = leader.decide(now: start, uptime: .seconds(2)) else {
            Issue.record("no renewal")
            return
        }
        other.leaseRead(renewal, uptime: .seconds(2))
        #expect(other.expiry == .milliseconds(14_500))
    }

    @Test func `the other machine's clock does not count`() {
        var state = candidate("a")
        state.leaseRead(lease("b", renewed: 86_400, promise: nil), uptime: .seconds(100))
        #expect(word(state, at: 115) == "replace transitions=4")
        state.leaseRead(lease("b", renewed: -86_400, promise: nil), uptime: .seconds(116))
        #expect(word(state, at: 117) == "wait")
    }

    @Test(arguments: ["", nil])
    func `a released lease is taken at once`(holder: String?) {
        var state = candidate("a")
        state.leaseRead(lease("b"), uptime: .seconds(1))
        state.leaseRead(lease(holder, duration: 1), uptime: .seconds(2))
        #expect(word(state, at: 2) == "replace transitions=4")
    }

    @Test(arguments: [(nil as Int?, 15), (0, 15), (-5, 15), (60, 60), (2_000_000_000, 300)])
    func `a corrupt duration blocks nobody for ever`(duration: Int?, seconds: Int) {
        var state = candidate("a")
        state.leaseRead(lease("b", duration: duration, promise: nil), uptime: .zero)
        #expect(word(state, at: seconds - 1) == "wait")
        #expect(word(state, at: seconds) == "replace transitions=4")
    }

    @Test func `a leader renews what it wrote without reading, and keeps the time it began`() {
        var state = candidate("a")
        state.leaseRead(nil, uptime: .zero)
        #expect(state.needsRead)
        state.leaseWritten(lease("a", version: "2"), requestedAt: .seconds(1))
        #expect(!state.needsRead)
        #expect(state.deadline == .seconds(11))
        let renewal = state.decide(now: start + .seconds(3), uptime: .seconds(3))
        #expect(renewal == .replace(lease("a", renewed: 3, version: "2")))
    }

    @Test func `a leader that reads another's name leads no more and releases nothing`() {
        var state = candidate("a")
        state.leaseWritten(lease("a"), requestedAt: .seconds(1))
        state.writeConflicted()
        #expect(state.needsRead)
        state.leaseRead(lease("b", version: "3"), uptime: .seconds(2))
        #expect(state.deadline == nil)
        #expect(state.released(now: start) == nil)
        #expect(word(state, at: 3) == "wait")
    }

    @Test func `a release leaves the lease free`() {
        var state = candidate("a")
        #expect(state.released(now: start) == nil)
        state.leaseWritten(lease("a", version: "4"), requestedAt: .zero)
        #expect(state.released(now: start + .seconds(9)) == lease("", renewed: 9, duration: 1, version: "4"))
    }
}
