import HTTP
import Synchronization
import Testing

@testable import Operator

@Suite(.timeLimit(.minutes(5))) struct SharedReadTests {
    /// Counts questions and answers with their number; waits for `release` where told.
    private final class Source: Sendable {
        let count = Mutex(0)
        let gate = Mutex<[CheckedContinuation<Void, Never>]>([])

        func next() -> Int {
            count.withLock { count in
                count += 1
                return count
            }
        }

        func slow() async -> Int {
            let number = next()
            await withCheckedContinuation { continuation in gate.withLock { $0.append(continuation) } }
            return number
        }

        var waiting: Int { gate.withLock(\.count) }

        func release() {
            for continuation in gate.withLock({ gate in
                defer { gate = [] }
                return gate
            }) { continuation.resume() }
        }
    }

    private func value(
        _ read: SharedRead<Int>, _ source: Source, at seconds: Int = 0, age: Int = 5
    ) async throws(APIError) -> Int {
        try await read.value(notOlderThan: .seconds(age), uptime: { .seconds(seconds) }) { () throws(APIError) in
            source.next()
        }
    }

    @Test func `an answer is given again until it is too old, forgotten, or nobody may take an old one`() async throws {
        let read = SharedRead<Int>()
        let source = Source()
        #expect(try await value(read, source) == 1)
        #expect(try await value(read, source, at: 4) == 1)
        #expect(try await value(read, source, at: 5) == 2)
        #expect(try await value(read, source, at: 5, age: 0) == 3)
        #expect(try await value(read, source, at: 6) == 3)
        read.forget()
        #expect(try await value(read, source, at: 6) == 4)
    }

    @Test func `a hundred that ask at once ask once`() async throws {
        let read = SharedRead<Int>()
        let source = Source()
        let answers = await withTaskGroup(of: Int?.self) { group in
            for _ in 0..<100 {
                group.addTask {
                    try? await read.value(notOlderThan: .seconds(5), uptime: { .zero }) { () throws(APIError) in
                        await source.slow()
                    }
                }
            }
            while source.waiting == 0 || read.waiterCount < 99 { await Task.yield() }
            source.release()
            return await group.reduce(into: [Int?]()) { $0.append($1) }
        }
        #expect(answers == Array(repeating: 1, count: 100))
    }

    @Test func `an answer from before a change is kept for nobody`() async throws {
        let read = SharedRead<Int>()
        let source = Source()
        async let old = read.value(notOlderThan: .seconds(5), uptime: { .zero }) { () throws(APIError) in
            await source.slow()
        }
        while source.waiting == 0 { await Task.yield() }
        read.forget()
        source.release()
        #expect(try await old == 1)
        #expect(try await value(read, source) == 2)
    }

    @Test func `a failure is told to all who wait, and not kept; a cancellation is the asker's own`() async throws {
        let read = SharedRead<Int>()
        let source = Source()
        for (code, expected) in [(APIError.Code.unavailable, nil), (.cancelled, 7)] as [(APIError.Code, Int?)] {
            async let first = Result.capturing {
                try await read.value(notOlderThan: .seconds(5), uptime: { .zero }) { () throws(APIError) in
                    _ = await source.slow()
                    throw APIError(code, operation: "list", message: "no")
                }
            }
            while source.waiting == 0 { await Task.yield() }
            async let second = Result.capturing {
                try await read.value(notOlderThan: .seconds(5), uptime: { .zero }) { () throws(APIError) in 7 }
            }
            while read.waiterCount == 0 { await Task.yield() }
            source.release()
            #expect(await first == nil)
            #expect(await second == expected)
        }
    }
}

private enum Result {
    /// nil: it threw.
    static func capturing(_ body: () async throws -> Int) async -> Int? { try? await body() }
}
