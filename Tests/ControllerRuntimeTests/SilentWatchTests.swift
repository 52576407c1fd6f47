import Testing

@testable import ControllerRuntime

/// A connection that is half open looks like a kind of which there is no news: the metric tells the two apart by time.
@Suite(.timeLimit(.minutes(3))) struct SilentWatchTests {
    @Test func `the time since a kind was heard of grows while its watch is silent, and ends with the news`()
        async throws
    {
        let world = try await Replicas()
        let (manager, _) = world.replica("a", isElected: false)
        async let exit = manager.run()
        try await world.cluster.create("early")
        try await world.advance(until: "early is ready") { try await world.cluster.isReady("early") }
        func silence() -> Duration {
            manager.statistics.kinds.first { $0.resource == "widgets.example.com" }?.silence ?? .zero
        }
        // No bookmarks: the server's own clock is not moved.
        try await world.advance(until: "a minute and a half of silence", by: .seconds(5)) { silence() >= .seconds(90) }
        try await world.cluster.create("late")
        try await eventually("news") { silence() < .seconds(90) }
        manager.stop()
        #expect(await exit == .stopped)
    }
}
