import Encoding
import HTTP
import Kubernetes
import Sandbox
import Synchronization
import Telemetry
import Testing

@testable import ControllerRuntime

@Suite(.timeLimit(.minutes(3))) struct EventRecorderTests {
    /// Which reports about events there were.
    private final class Reports: Sendable {
        private let words = Mutex<[String: Int]>([:])

        var all: [String: Int] { words.withLock { $0 } }

        func note(_ report: RuntimeReport) {
            switch report {
            case .eventLost(let error): words.withLock { $0["lost \(error.code)", default: 0] += 1 }
            case .eventsDropped(let why, let count): words.withLock { $0["\(why)", default: 0] += count }
            default: break
            }
        }
    }

    private func recorder(_ cluster: WidgetCluster, _ handler: any HTTPHandler, _ reports: Reports) -> EventRecorder {
        EventRecorder(
            environment: RuntimeEnvironment(
                client: WidgetCluster.client(over: handler), clock: .virtual(cluster.clock), random: { 0.5 },
                report: reports.note), reportingInstance: "pod-1")
    }

    private func reference(_ number: Int) -> EventObject.Reference {
        EventObject.Reference(
            apiVersion: "example.com/v1", kind: "Widget", namespace: "ns", name: "w\(number)", uid: "u\(number)")
    }

    private let event = Event(.normal, reason: "Made", action: "Make", message: "made one")

    @Test func `what does not fit in the line is dropped and counted, the rest is sent`() async throws {
        let cluster = try await WidgetCluster()
        let reports = Reports()
        let recorder = recorder(cluster, cluster.server, reports)
        for number in 0..<1100 { recorder.record(event, regarding: reference(number)) }
        #expect(reports.all == ["overflow": 100])
        recorder.finish()
        await recorder.flush()
        #expect(try await cluster.admin.list(EventObject.resourceType).items.count == 1000)
    }

    @Test func `a refused event is lost at the first try, a failure of the server is tried again`() async throws {
        let cluster = try await WidgetCluster()
        let reports = Reports()
        let interceptor = Interceptor(cluster.server)
        let recorder = recorder(cluster, interceptor, reports)
        async let running: Void = recorder.run()
        interceptor.before { $0.isRequest("POST events") ? .failure(403, "Forbidden") : nil }
        recorder.record(event, regarding: reference(1))
        try await eventually("it is lost") { reports.all == ["lost forbidden": 1] }
        interceptor.before { $0.isRequest("POST events") ? .failure(503, "ServiceUnavailable") : nil }
        recorder.record(event, regarding: reference(2))
        try await eventually("it waits") { cluster.clock.sleeperCount == 1 }
        interceptor.before { _ in nil }
        cluster.clock.advance(by: .seconds(2))
        try await eventually("it is there") {
            try await cluster.admin.list(EventObject.resourceType).items.count == 1
        }
        interceptor.before { $0.isRequest("POST events") ? .failure(503, "ServiceUnavailable") : nil }
        recorder.record(event, regarding: reference(3))
        // By no more than each wait: a longer step could end the second one too, before it is seen.
        for seconds in [1, 2] {
            try await eventually("it waits") { cluster.clock.sleeperCount == 1 }
            cluster.clock.advance(by: .seconds(seconds))
        }
        try await eventually("it is lost") { reports.all == ["lost forbidden": 1, "lost unavailable": 1] }
        recorder.finish()
        await running
    }

    @Test func `an API server that does not take events holds up no round, and no end beyond the grace`() async throws {
        let world = try await Replicas()
        let hanging = HangingEvents(base: world.cluster.server, clock: world.clock)
        let (manager, _) = world.replica("a", isElected: false, over: hanging)
        async let exit = manager.run()
        for number in 0..<30 { try await world.cluster.create("w\(number)") }
        try await world.advance(until: "all are ready") {
            for number in 0..<30 where !(try await world.cluster.isReady("w\(number)")) { return false }
            return true
        }
        let stoppedAt = world.clock.now
        manager.stop()
        try await world.advance(until: "it has ended", by: .seconds(1)) { world.clock.now - stoppedAt > .seconds(21) }
        #expect(await exit == .stopped)
    }

    @Test func `an end that comes before the beginning is an end all the same`() async throws {
        let cluster = try await WidgetCluster()
        let recorder = recorder(cluster, cluster.server, Reports())
        recorder.begin()
        recorder.record(event, regarding: reference(1))
        recorder.finish()
        await recorder.run()
        #expect(try await cluster.admin.list(EventObject.resourceType).items.count == 1)
    }

    @Test func `what waits is sent before the end`() async throws {
        let world = try await Replicas()
        let (manager, _) = world.replica("a", isElected: false)
        async let exit = manager.run()
        try await world.cluster.create("w")
        try await world.advance(until: "w is ready") { try await world.cluster.isReady("w") }
        manager.stop()
        #expect(await exit == .stopped)
        #expect(try await world.cluster.admin.list(EventObject.resourceType).items.count == 1)
    }

    private struct HangingEvents: HTTPHandler {
        let base: any HTTPHandler
        let clock: any WallClock

        func respond(to request: HTTPRequest) async -> HTTPReply {
            guard request.isRequest("POST events") else { return await base.respond(to: request) }
            try? await clock.sleep(until: clock.now + .seconds(3600))  // Cancelled: the caller has gone.
            return .disconnect
        }
    }
}
