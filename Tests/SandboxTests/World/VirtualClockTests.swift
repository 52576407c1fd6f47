import Encoding
import Sandbox
import Testing

@Suite struct VirtualClockTests {
    private let start = Timestamp(seconds: 1000)

    @Test func `sleepers wake in the order of their moments, each at its own`() async {
        let clock = VirtualClock(start: start)
        let woken = Recorder()
        await withTaskGroup(of: Void.self) { group in
            for seconds in [3, 1, 2] {
                group.addTask {
                    try? await clock.sleep(until: Timestamp(seconds: 1000 + Int64(seconds)))
                    await woken.append(seconds)
                }
            }
            for seconds in 1...3 {
                while clock.sleeperCount != 4 - seconds { await Task.yield() }
                clock.advance(by: .seconds(1))
                while await woken.values.count != seconds { await Task.yield() }
            }
        }
        #expect(await woken.values == [1, 2, 3])
        #expect(clock.now == Timestamp(seconds: 1003))
    }

    @Test func `a moment in the past does not sleep`() async throws {
        let clock = VirtualClock(start: start)
        try await clock.sleep(until: start)
        try await clock.sleep(until: start + .seconds(-5))
        #expect(clock.now == start)
    }

    @Test func `a cancelled sleeper throws and leaves nothing behind`() async {
        let clock = VirtualClock(start: start)
        let task = Task { try await clock.sleep(until: start + .seconds(60)) }
        while clock.sleeperCount == 0 { await Task.yield() }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(clock.sleeperCount == 0)
        clock.advance(by: .seconds(120))
        #expect(clock.nextWake == nil)
    }

    @Test func `a task cancelled before it sleeps throws at once`() async {
        let clock = VirtualClock(start: start)
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            try await clock.sleep(until: start + .seconds(60))
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(clock.sleeperCount == 0)
    }
}

private actor Recorder {
    var values: [Int] = []

    func append(_ value: Int) { values.append(value) }
}
