import HTTP
import Kubernetes
import Sandbox
import Testing

@testable import ControllerRuntime

private func key(_ name: String) -> ObjectKey { ObjectKey(namespace: "ns", name: name) }

@Suite struct RoundLimiterTests {
    @Test func `a burst of twenty, then one a second; others are not touched`() {
        var limiter = RoundLimiter()
        #expect((0..<25).map { _ in limiter.admit(key("a"), now: .zero) == nil }.filter { $0 }.count == 20)
        #expect(limiter.admit(key("a"), now: .milliseconds(250)) == .milliseconds(750))
        #expect(limiter.admit(key("a"), now: .seconds(1)) == nil)
        #expect(limiter.admit(key("a"), now: .seconds(1)) != nil)
        #expect(limiter.admit(key("b"), now: .seconds(1)) == nil)
        #expect((0..<25).map { _ in limiter.admit(key("a"), now: .seconds(60)) == nil }.filter { $0 }.count == 20)
    }

    @Test func `what counts nothing any more is forgotten`() {
        var limiter = RoundLimiter()
        for second in 0..<20_000 { _ = limiter.admit(key("\(second)"), now: .seconds(second)) }
        #expect(limiter.count < 2100)
    }

    @Test func `a plan that writes another status each time is slow soon`() async throws {
        let world = try await TestWorld.withWidget()
        let loop = ControllerLoop(
            FlippingController(), cache: world.cache, environment: world.environment, gate: world.gate)
        loop.enqueue(key("w"))
        var roundCount = 0
        while world.environment.clock.uptime < .seconds(30) {
            if await loop.reconcileNext() != nil {
                roundCount += 1
            } else {
                world.clock.advance(by: .milliseconds(100))
            }
        }
        #expect((45...52).contains(roundCount))
    }
}

/// Never says the same twice.
private struct FlippingController: Controller {
    typealias Object = Widget

    func observe(_ object: Widget) async throws(APIError) -> Widget { object }

    static func plan(_ observation: Widget) -> Plan<Widget.Status, Never> {
        Plan(
            status: Widget.Status(intended: observation.status?.intended == 1 ? 2 : 1), next: .after(.zero))
    }
}
