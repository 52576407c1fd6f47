@testable import ControllerRuntime
import Testing

/// `team/name`, or a name in no namespace.
private func key(_ text: String) -> ObjectKey {
    let parts = text.split(separator: "/").map(String.init)
    return parts.count == 2 ? ObjectKey(namespace: parts[0], name: parts[1]) : ObjectKey(namespace: nil, name: text)
}

extension WorkQueue {
    fileprivate mutating func put(_ texts: String..., priority: Priority = .change) {
        for text in texts { add(key(text), priority: priority, now: .zero) }
    }

    /// Takes everything that is ready at a time, without finishing it.
    fileprivate mutating func takeAll(at now: Duration = .zero) -> [String] {
        var keys: [String] = []
        while let turn = next(now: now) { keys.append(turn.key.description) }
        return keys
    }

    fileprivate mutating func take(at now: Duration = .zero) -> String? { next(now: now)?.key.description }
}

@Suite struct WorkQueueTests {
    @Test func `a key that is added twice comes once, in the order of the first time`() {
        var queue = WorkQueue()
        queue.put("a", "b", "a", "c", "b")
        #expect(queue.takeAll() == ["a", "b", "c"])
    }

    @Test func `a key never runs twice at once, and what came meanwhile comes after`() {
        var queue = WorkQueue()
        queue.put("a")
        #expect(queue.take() == "a")
        queue.put("a", "a")
        #expect(queue.take() == nil)
        queue.finished(key("a"))
        #expect(queue.take() == "a")
        queue.finished(key("a"))
        #expect(queue.take() == nil)
        #expect(queue.activeCount == 0)
    }

    @Test func `changes go before re-checks, and a change lifts a waiting re-check`() {
        var queue = WorkQueue()
        queue.put("old", "lifted", priority: .recheck)
        queue.put("new", "lifted")
        queue.put("new", priority: .recheck)
        #expect(queue.readyCount == 3)
        #expect(queue.takeAll() == ["new", "lifted", "old"])
    }

    @Test func `a delayed key comes at its time, the earlier of two`() {
        var queue = WorkQueue()
        for seconds in [5, 3, 9] { queue.add(key("a"), due: .seconds(seconds)) }
        queue.add(key("b"), due: .seconds(4), priority: .change)
        #expect(queue.nextDue() == .seconds(3))
        #expect(queue.next(now: .milliseconds(2999)) == nil)
        #expect(queue.takeAll(at: .seconds(3)) == ["a"])
        #expect(queue.nextDue() == .seconds(4))
        #expect(queue.takeAll(at: .seconds(10)) == ["b"])
        #expect(queue.nextDue() == nil)
    }

    @Test func `an immediate add drops the delay`() {
        var queue = WorkQueue()
        queue.add(key("a"), due: .seconds(5))
        queue.put("a")
        #expect(queue.takeAll() == ["a"])
        queue.finished(key("a"))
        #expect(queue.nextDue() == nil)
        #expect(queue.next(now: .seconds(10)) == nil)
    }

    @Test func `a key that is due while it runs comes again when it has finished`() {
        var queue = WorkQueue()
        queue.put("a")
        #expect(queue.take() == "a")
        queue.add(key("a"), due: .seconds(1))
        #expect(queue.next(now: .seconds(2)) == nil)
        queue.finished(key("a"))
        #expect(queue.next(now: .seconds(2)) == .init(key: key("a"), priority: .recheck, waited: .seconds(1)))
    }

    @Test func `failures in a row wait longer each time, and a success forgets them`() {
        var queue = WorkQueue(retryBackoff: Backoff(initial: .seconds(1), maximum: .seconds(4)))
        #expect((0..<4).map { _ in queue.failed(key("a"), random: 1) } == [1, 2, 4, 4].map { .seconds($0) })
        #expect(queue.failed(key("b"), random: 1) == .seconds(1))
        queue.succeeded(key("a"))
        #expect(queue.failed(key("a"), random: 1) == .seconds(1))
    }

    @Test func `forgetting a key keeps what was added while it ran`() {
        var queue = WorkQueue()
        queue.put("a")
        #expect(queue.take() == "a")
        queue.put("a")
        queue.forget(key("a"))
        queue.finished(key("a"))
        #expect(queue.take() == "a")
    }

    @Test func `a new object of a forgotten name begins with the shortest delay, and with no time of the old one`() {
        var queue = WorkQueue(retryBackoff: Backoff(initial: .seconds(1), maximum: .seconds(4)))
        for _ in 0..<3 { _ = queue.failed(key("a"), random: 1) }
        queue.add(key("a"), due: .seconds(4))
        queue.forget(key("a"))
        #expect(queue.nextDue() == nil)
        #expect(queue.failureCount(key("a")) == 0)
        #expect(queue.failed(key("a"), random: 1) == .seconds(1))
    }

    @Test func `namespaces take turns, whatever they have waiting`() {
        var queue = WorkQueue()
        queue.put("a/1", "a/2", "a/3", "b/1", "a/4", "c/1", "b/2")
        #expect(queue.takeAll() == ["a/1", "b/1", "c/1", "a/2", "b/2", "a/3", "a/4"])
    }

    @Test(arguments: [WorkQueue.Priority.change, .recheck])
    func `five thousand objects of one team delay another team's one by a single round`(
        priority: WorkQueue.Priority
    ) {
        var queue = WorkQueue(concurrency: 1)
        for index in 0..<5000 { queue.put("big/\(index)", priority: priority) }
        #expect(queue.take() == "big/0")
        queue.put("small/1", priority: priority)
        var roundCount = 0
        var running = "big/0"
        while running != "small/1", roundCount < 10 {
            queue.finished(key(running))
            running = queue.take() ?? "none"
            roundCount += 1
        }
        #expect(roundCount == 2)
    }

    @Test func `a new object is next although ten thousand re-checks are due`() {
        var queue = WorkQueue(concurrency: 1)
        for index in 0..<10_000 { queue.add(key("team/\(index)"), due: .milliseconds(index % 7)) }
        #expect(queue.take(at: .seconds(1)) == "team/0")
        queue.add(key("team/new"), now: .seconds(1))
        queue.finished(key("team/0"))
        #expect(queue.next(now: .seconds(1)) == .init(key: key("team/new"), priority: .change, waited: .zero))
    }

    @Test func `a re-check comes after fifteen changes, however many more there are`() {
        var queue = WorkQueue()
        queue.put("old/1", "old/2", "old/3", priority: .recheck)
        for index in 0..<60 { queue.put("new/\(index)") }
        let taken = queue.takeAll()
        #expect(taken.enumerated().filter { $0.element.hasPrefix("old/") }.map(\.offset) == [15, 31, 47])
    }

    @Test func `no more than the cap at once, and a namespace leaves one place in eight to others`() {
        var queue = WorkQueue(concurrency: 16)
        for index in 0..<50 { queue.put("hanging/\(index)") }
        #expect(queue.takeAll().count == 14)
        #expect(!queue.isFull)
        queue.put("other/1", priority: .recheck)
        queue.put("other/2", "third/1")
        #expect(queue.takeAll() == ["other/2", "third/1"])
        #expect(queue.isFull)
        queue.finished(key("other/2"))
        #expect(queue.takeAll() == ["other/1"])
    }

    @Test func `one at a time is for all alike`() {
        var queue = WorkQueue(concurrency: 1)
        queue.put("a/1", "a/2")
        #expect(queue.takeAll() == ["a/1"])
        queue.finished(key("a/1"))
        #expect(queue.takeAll() == ["a/2"])
    }

    @Test func `the statistics count what was put in, put back and is being done`() {
        var queue = WorkQueue()
        queue.put("a", "a", "b")
        queue.put("c", priority: .recheck)
        _ = queue.next(now: .seconds(1))
        _ = queue.next(now: .seconds(3))
        queue.put("a", "a")
        _ = queue.failed(key("b"), random: 0)
        #expect(
            queue.statistics(now: .seconds(4))
                == WorkQueue.Statistics(
                    waitingChanges: 0, waitingRechecks: 1, activeCount: 2, addCount: 4, retryCount: 1,
                    unfinished: .seconds(4), longestRunning: .seconds(3)))
    }

    /// What used to leave an entry behind for each change: ten objects that are changed again and again before their
    /// next periodic look.
    @Test func `times that were replaced leave nothing behind`() {
        var queue = WorkQueue()
        for round in 0..<1000 {
            let now = Duration.seconds(round)
            for index in 0..<10 { queue.add(key("a/\(index)"), now: now) }
            while let turn = queue.next(now: now) {
                queue.add(turn.key, due: now + .seconds(600))
                queue.finished(turn.key)
            }
            #expect(queue.delayedCount == 10)
        }
    }

    @Test(.timeLimit(.minutes(5))) func `a hundred thousand keys are no trouble`() {
        var queue = WorkQueue(concurrency: 64)
        for index in 0..<100_000 {
            queue.add(key("team\(index % 100)/\(index)"), due: .milliseconds(index * 7919 % 100_003))
        }
        let start = ContinuousClock.now
        var count = 0
        while let turn = queue.next(now: .seconds(200)) {
            count += 1
            queue.add(turn.key, due: .seconds(1000 + count % 600))
            queue.finished(turn.key)
        }
        let elapsed = ContinuousClock.now - start
        #expect(count == 100_000)
        // 0.3 s in an optimised build of a busy machine; what is quadratic takes minutes.
        #expect(elapsed < .seconds(30), "\(elapsed)")
    }

    /// Random operations against the plainest implementation: arrays that are searched from the beginning.
    @Test(arguments: 1...20)
    func `it agrees with a plain model`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let concurrency = [1, 2, 5, 9, 17][Int(seed) % 5]
        var queue = WorkQueue(concurrency: concurrency)
        var model = PlainQueue(concurrency: concurrency)
        var now: Duration = .zero
        for _ in 0..<3_000 {
            let team = ["a", "a", "a", "b", "c"].randomElement(using: &random) ?? "a"
            let key = key("\(team)/\(Int.random(in: 0..<9, using: &random))")
            let priority: WorkQueue.Priority = Bool.random(using: &random) ? .change : .recheck
            switch Int.random(in: 0..<12, using: &random) {
            case 0...3:
                queue.add(key, priority: priority, now: now)
                model.add(key, priority, since: now)
            case 4...5:
                let due = now + .seconds(Int.random(in: 1...9, using: &random))
                queue.add(key, due: due, priority: priority)
                model.add(key, due: due, priority)
            case 6...8: #expect(queue.next(now: now) == model.next(now: now))
            case 9:
                if let active = model.active.randomElement(using: &random) {
                    queue.finished(active)
                    model.finished(active)
                }
            case 10:
                queue.forget(key)
                model.delayed.removeAll { $0.key == key }
            default: now += .seconds(Int.random(in: 0...3, using: &random))
            }
            #expect(queue.activeCount == model.active.count)
            #expect(queue.readyCount == model.ready.count)
            #expect(queue.delayedCount == model.delayed.count)
            #expect(queue.nextDue() == model.delayed.map(\.due).min())
        }
    }
}
