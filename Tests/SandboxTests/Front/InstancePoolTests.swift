import Encoding
import Testing

@testable import Sandbox

/// Who gets which instance, and how many there are.
@Suite struct InstancePoolTests {
    private static let start = Timestamp(seconds: 1_795_255_200)

    private static func pool(
        concurrency: Int = 2, minimum: Int = 0, maximum: Int = 2, isExact: Bool = false
    ) -> InstancePool {
        InstancePool(
            limits: InstancePool.Limits(
                concurrency: concurrency, minimum: minimum, maximum: maximum, idleTimeout: .seconds(900),
                queueTimeout: .seconds(10), grace: .seconds(10), isExact: isExact))
    }

    private static func waiter(_ id: Int, at seconds: Int64 = 0) -> InstancePool.Waiter {
        .init(id: id, since: start + .seconds(seconds), deadline: start + .seconds(seconds + 300))
    }

    private static func at(_ seconds: Int64) -> Timestamp { start + .seconds(seconds) }

    @Test func `requests wait for the instances that start for them, in order`() {
        var pool = Self.pool()
        #expect(pool.admit(Self.waiter(1)) == .init(starts: [1]))
        #expect(pool.admit(Self.waiter(2)) == .init())
        #expect(pool.admit(Self.waiter(3)) == .init(starts: [2]))
        #expect(pool.admit(Self.waiter(4)) == .init())
        #expect(pool.admit(Self.waiter(5)) == .init())
        #expect(pool.started(2, now: Self.at(1)) == .init(outcomes: [1: .instance(2), 2: .instance(2)]))
        #expect(pool.started(1, now: Self.at(1)) == .init(outcomes: [3: .instance(1), 4: .instance(1)]))
        #expect(pool.release(2, now: Self.at(2)) == .init(outcomes: [5: .instance(2)]))
        #expect(pool.waiters.isEmpty)
    }

    @Test func `who waits too long is refused, and why depends on what there is`() {
        var pool = Self.pool(concurrency: 1, maximum: 1)
        _ = pool.admit(Self.waiter(1))
        _ = pool.admit(Self.waiter(2))
        // While an instance comes up nobody is refused but for his own deadline.
        #expect(pool.settle(Self.at(100)) == .init())
        #expect(pool.started(1, now: Self.at(100)).outcomes == [1: .instance(1), 2: .refused(.busy)])
        _ = pool.admit(Self.waiter(3, at: 100))
        #expect(pool.settle(Self.at(109)) == .init())
        #expect(pool.settle(Self.at(110)) == .init(outcomes: [3: .refused(.busy)]))
        var slow = Self.pool()
        _ = slow.admit(Self.waiter(1))
        #expect(slow.settle(Self.at(300)).outcomes == [1: .refused(.timeout)])
        var off = Self.pool(maximum: 0)
        #expect(off.admit(Self.waiter(1)) == .init(outcomes: [1: .refused(.disabled)]))
    }

    @Test func `a start that fails refuses those who waited for it and the next one pauses`() {
        var pool = Self.pool(minimum: 1)
        #expect(pool.settle(Self.at(0)) == .init(starts: [1]))
        #expect(pool.admit(Self.waiter(1)) == .init())
        #expect(pool.ended(1, now: Self.at(0)) == .init(outcomes: [1: .refused(.failedStart)]))
        #expect(pool.settle(Self.at(0)) == .init())
        #expect(pool.settle(Self.at(1)) == .init(starts: [2]))
        #expect(pool.giveUp(2, now: Self.at(2)) == .init(kills: [2]))
        #expect(pool.ended(2, now: Self.at(2)) == .init())
        #expect(pool.settle(Self.at(3)) == .init(starts: [3]))
    }

    @Test func `idle instances end down to the minimum, SIGKILL follows SIGTERM`() {
        var pool = Self.pool(concurrency: 1, minimum: 1)
        for waiter in 1...2 { _ = pool.admit(Self.waiter(waiter)) }
        for id in 1...2 { _ = pool.started(id, now: Self.at(0)) }
        #expect(pool.release(1, now: Self.at(1)) == .init())
        #expect(pool.settle(Self.at(900)) == .init())
        #expect(pool.settle(Self.at(901)) == .init(terminations: [1]))
        #expect(pool.release(2, now: Self.at(902)) == .init())
        #expect(pool.settle(Self.at(910)) == .init())
        #expect(pool.settle(Self.at(911)) == .init(kills: [1]))
        #expect(pool.ended(1, now: Self.at(912)) == .init())
        #expect(pool.settle(Self.at(9999)) == .init())
    }

    @Test func `with exact numbers what is too much ends as soon as it is free`() {
        var pool = Self.pool(concurrency: 1)
        for waiter in 1...2 { _ = pool.admit(Self.waiter(waiter)) }
        for id in 1...2 { _ = pool.started(id, now: Self.at(0)) }
        _ = pool.release(1, now: Self.at(1))
        pool.limits.maximum = 0
        pool.limits.isExact = true
        #expect(pool.settle(Self.at(1)) == .init(terminations: [1]))
        #expect(pool.release(2, now: Self.at(2)) == .init(terminations: [2]))
        // One that comes up while none may be any more need not.
        var starting = Self.pool(minimum: 1)
        _ = starting.settle(Self.at(0))
        (starting.limits.minimum, starting.limits.maximum, starting.limits.isExact) = (0, 0, true)
        #expect(starting.settle(Self.at(1)) == .init(terminations: [1]))
    }
}
