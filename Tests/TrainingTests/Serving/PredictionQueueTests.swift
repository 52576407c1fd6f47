import Synchronization
import Testing

@testable import Training

@Suite(.timeLimit(.minutes(2))) struct PredictionQueueTests {
    /// One pixel, one class: answers with the pixel and one. Holds each batch until it is let go.
    private final class Gate: Sendable {
        private let state = Mutex((isOpen: false, batches: [Int](), waiting: [CheckedContinuation<Void, Never>]()))

        var batches: [Int] { state.withLock { $0.batches } }

        func open() {
            let waiting = state.withLock { state in
                state.isOpen = true
                defer { state.waiting = [] }
                return state.waiting
            }
            waiting.forEach { $0.resume() }
        }

        func predict(_ pixels: [Float]) async -> [Float] {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let isOpen = state.withLock { state in
                    state.batches.append(pixels.count)
                    if !state.isOpen { state.waiting.append(continuation) }
                    return state.isOpen
                }
                if isOpen { continuation.resume() }
            }
            return pixels.map { $0 + 1 }
        }
    }

    private static func queue(_ gate: Gate, _ settings: PredictionQueue.Settings) -> PredictionQueue {
        PredictionQueue(ModelSignature(height: 1, width: 1, classCount: 1), settings: settings) {
            await gate.predict($0)
        }
    }

    private static func until(_ what: String, _ isReached: () -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while !isReached() {
            try #require(ContinuousClock.now < deadline, "\(what) does not come")
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    private static func result(
        _ queue: PredictionQueue, _ pixels: [Float]
    ) async -> Result<[Float], PredictionQueue.Refusal> {
        do throws(PredictionQueue.Refusal) {
            return .success(try await queue.probabilities(pixels))
        } catch {
            return .failure(error)
        }
    }

    @Test func `what comes while a batch is computed makes the next one, and everybody gets his own answer`()
        async throws
    {
        let gate = Gate()
        let queue = Self.queue(gate, .init(maximumBatch: 8))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { #expect(await Self.result(queue, [100]) == .success([101])) }
            try await Self.until("the first batch") { gate.batches == [1] }
            for number in 0..<10 {
                group.addTask {
                    #expect(await Self.result(queue, [Float(number), 50]) == .success([Float(number) + 1, 51]))
                }
            }
            try await Self.until("ten that wait") { queue.depth == 20 }
            gate.open()
            try await group.waitForAll()
        }
        #expect(gate.batches == [1, 8, 8, 4])
        #expect(queue.depth == 0)
    }

    @Test
    func `beyond the bound callers are refused at once, and a call larger than the bound is taken when none waits`()
        async throws
    {
        let gate = Gate()
        let queue = Self.queue(gate, .init(maximumBatch: 2, capacity: 3))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { #expect(await Self.result(queue, [1, 2, 3, 4, 5]) == .success([2, 3, 4, 5, 6])) }
            try await Self.until("the first batch") { gate.batches == [5] }
            group.addTask { #expect(await Self.result(queue, [1, 1]) == .success([2, 2])) }
            try await Self.until("one that waits") { queue.depth == 2 }
            #expect(await Self.result(queue, [1, 2]) == .failure(.full))
            group.addTask { #expect(await Self.result(queue, [9]) == .success([10])) }
            try await Self.until("a full queue") { queue.depth == 3 }
            #expect(await Self.result(queue, [1]) == .failure(.full))
            gate.open()
            try await group.waitForAll()
        }
        #expect(gate.batches == [5, 2, 1])
    }

    @Test func `who has waited longer than the deadline is not computed`() async throws {
        let gate = Gate()
        let queue = Self.queue(gate, .init(deadline: .milliseconds(20)))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { #expect(await Self.result(queue, [1]) == .success([2])) }
            try await Self.until("the first batch") { gate.batches == [1] }
            group.addTask { #expect(await Self.result(queue, [5]) == .failure(.late)) }
            try await Self.until("one that waits") { queue.depth == 1 }
            try await Task.sleep(for: .milliseconds(40))
            gate.open()
            try await group.waitForAll()
        }
        #expect(gate.batches == [1])
    }

    @Test func `who has gone is not computed`() async throws {
        let gate = Gate()
        let queue = Self.queue(gate, .init())
        let first = Task { await Self.result(queue, [1]) }
        try await Self.until("the first batch") { gate.batches == [1] }
        let second = Task { await Self.result(queue, [5]) }
        try await Self.until("one that waits") { queue.depth == 1 }
        second.cancel()
        #expect(await second.value == .failure(.cancelled))
        gate.open()
        #expect(await first.value == .success([2]))
        #expect(gate.batches == [1])
    }

    @Test func `the first caller waits for others, until the batch is full`() async throws {
        let gate = Gate()
        gate.open()
        let queue = Self.queue(gate, .init(maximumBatch: 3, maximumDelay: .seconds(600)))
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<3 {
                group.addTask { #expect(await Self.result(queue, [Float(number)]) == .success([Float(number) + 1])) }
            }
        }
        #expect(gate.batches == [3])
    }
}
