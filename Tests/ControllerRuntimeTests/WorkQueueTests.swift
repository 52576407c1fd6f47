import ControllerRuntime
import Testing

private typealias Queue = WorkQueue<String>

/// Takes everything that is ready at a time, without finishing it.
private func taken(_ queue: inout Queue, at now: Duration = .zero) -> [String] {
    var keys: [String] = []
    while let key = queue.next(now: now) { keys.append(key) }
    return keys
}

@Suite struct WorkQueueTests {
    @Test func `a key that is added twice comes once, in the order of the first time`() {
        var queue = Queue()
        for key in ["a", "b", "a", "c", "b"] { queue.add(key) }
        #expect(taken(&queue) == ["a", "b", "c"])
    }

    @Test func `a key never runs twice at once, and what came meanwhile comes after`() {
        var queue = Queue()
        queue.add("a")
        #expect(queue.next(now: .zero) == "a")
        queue.add("a")
        queue.add("a")
        #expect(queue.next(now: .zero) == nil)
        queue.finished("a")
        #expect(queue.next(now: .zero) == "a")
        queue.finished("a")
        #expect(queue.next(now: .zero) == nil)
        #expect(queue.activeCount == 0)
    }

    @Test func `changes go before re-checks, and a change lifts a waiting re-check`() {
        var queue = Queue()
        queue.add("old", priority: .recheck)
        queue.add("lifted", priority: .recheck)
        queue.add("new", priority: .change)
        queue.add("lifted", priority: .change)
        queue.add("new", priority: .recheck)
        #expect(queue.readyCount == 3)
        #expect(taken(&queue) == ["new", "lifted", "old"])
    }

    @Test func `a delayed key comes at its time, the earlier of two`() {
        var queue = Queue()
        queue.add("a", due: .seconds(5), priority: .change)
        queue.add("a", due: .seconds(3), priority: .change)
        queue.add("a", due: .seconds(9), priority: .change)
        queue.add("b", due: .seconds(4), priority: .recheck)
        #expect(queue.nextDue() == .seconds(3))
        #expect(queue.next(now: .milliseconds(2999)) == nil)
        #expect(taken(&queue, at: .seconds(3)) == ["a"])
        #expect(queue.nextDue() == .seconds(4))
        #expect(taken(&queue, at: .seconds(10)) == ["b"])
        #expect(queue.nextDue() == nil)
    }

    @Test func `an immediate add drops the delay`() {
        var queue = Queue()
        queue.add("a", due: .seconds(5), priority: .change)
        queue.add("a")
        #expect(taken(&queue) == ["a"])
        queue.finished("a")
        #expect(queue.nextDue() == nil)
        #expect(queue.next(now: .seconds(10)) == nil)
    }

    @Test func `a key that is due while it runs comes again when it has finished`() {
        var queue = Queue()
        queue.add("a")
        #expect(queue.next(now: .zero) == "a")
        queue.add("a", due: .seconds(1), priority: .recheck)
        #expect(queue.next(now: .seconds(2)) == nil)
        queue.finished("a")
        #expect(queue.next(now: .seconds(2)) == "a")
    }

    @Test func `failures in a row wait longer each time, and a success forgets them`() {
        var queue = Queue(retryBackoff: Backoff(initial: .seconds(1), maximum: .seconds(4)))
        #expect((0..<4).map { _ in queue.failed("a", random: 1) } == [1, 2, 4, 4].map { .seconds($0) })
        #expect(queue.failed("b", random: 1) == .seconds(1))
        queue.succeeded("a")
        #expect(queue.failed("a", random: 1) == .seconds(1))
    }

    @Test func `forgetting a key keeps what was added while it ran`() {
        var queue = Queue()
        queue.add("a")
        #expect(queue.next(now: .zero) == "a")
        queue.add("a")
        queue.forget("a")
        queue.finished("a")
        #expect(queue.next(now: .zero) == "a")
    }

    /// Random operations against the plainest model: sets and a dictionary of due times.
    @Test(arguments: 1...20)
    func `it agrees with a plain model`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var queue = Queue()
        var model = Model()
        var now: Duration = .zero
        for _ in 0..<2_000 {
            let key = String(Int.random(in: 0..<12, using: &random))
            let priority: Queue.Priority = Bool.random(using: &random) ? .change : .recheck
            switch Int.random(in: 0..<10, using: &random) {
            case 0...2:
                queue.add(key, priority: priority)
                model.add(key, priority)
            case 3...4:
                let due = now + .seconds(Int.random(in: 1...9, using: &random))
                queue.add(key, due: due, priority: priority)
                model.add(key, due: due, priority)
            case 5...7:
                let taken = queue.next(now: now)
                model.take(taken, now: now)
            case 8:
                if let active = model.active.sorted().first {
                    queue.finished(active)
                    model.finish(active)
                }
            default: now += .seconds(Int.random(in: 0...3, using: &random))
            }
            #expect(queue.activeCount == model.active.count)
            #expect(queue.nextDue() == model.delayed.values.map(\.due).min())
        }
    }
}

/// What a work queue means, without its efficiency. Order within a priority is the other tests' matter.
private struct Model {
    var ready: [String: Queue.Priority] = [:]
    var delayed: [String: (due: Duration, priority: Queue.Priority)] = [:]
    var active: Set<String> = []
    var dirty: [String: Queue.Priority] = [:]

    mutating func add(_ key: String, _ priority: Queue.Priority) {
        delayed[key] = nil
        if active.contains(key) {
            dirty[key] = max(dirty[key] ?? priority, priority)
        } else {
            ready[key] = max(ready[key] ?? priority, priority)
        }
    }

    mutating func add(_ key: String, due: Duration, _ priority: Queue.Priority) {
        if ready[key] != nil || dirty[key] != nil { return }
        if let current = delayed[key], current.due <= due { return }
        delayed[key] = (due, priority)
    }

    mutating func take(_ taken: String?, now: Duration) {
        for (key, entry) in delayed where entry.due <= now { add(key, entry.priority) }
        guard let taken else {
            #expect(ready.isEmpty, "nothing was taken although something is ready")
            return
        }
        #expect(ready[taken] == ready.values.max(), "not the highest priority, or not ready at all")
        #expect(!active.contains(taken), "taken twice")
        ready[taken] = nil
        active.insert(taken)
    }

    mutating func finish(_ key: String) {
        active.remove(key)
        if let priority = dirty.removeValue(forKey: key) { add(key, priority) }
    }
}
