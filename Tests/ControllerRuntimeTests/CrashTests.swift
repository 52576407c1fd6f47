import Encoding
import HTTP
import Kubernetes
import Sandbox
import Synchronization
import Testing

@testable import ControllerRuntime

/// What is true in the end, without what differs from run to run.
private struct EndState: Equatable {
    var conditions: [String]
    var intended: Int?
    var finalizers: [String]?
    var sizes: [Int]
    var jobs: [String]
    var services: [String]

    init(_ world: TestWorld) async throws {
        let widget = try await world.cluster.widget("w")
        conditions = try await world.cluster.conditions("w")
        intended = widget?.status?.intended
        finalizers = widget?.metadata.finalizers
        sizes = world.cloud.sizes.values.sorted()
        jobs = try await world.cluster.admin.list(Job.self).items.map(\.metadata.name)
        services = try await world.cluster.admin.list(Service.self).items.map(\.metadata.name)
    }
}

/// Which request the process dies at, and on which side of it.
private struct Crash: Sendable, CustomTestStringConvertible {
    var write: Int
    var isHandled: Bool

    var testDescription: String { "\(isHandled ? "after" : "before") write \(write)" }

    static let all = (0..<7).flatMap { write in
        [Crash(write: write, isHandled: false), Crash(write: write, isHandled: true)]
    }
}

extension Interceptor {
    /// From a write on nothing gets through any more: the process is dead.
    fileprivate func die(at crash: Crash) {
        let death = Death(crash)
        before { death.meets($0, onTheWayBack: false) ? .failure(503, "Dead") : nil }
        after { death.meets($0, onTheWayBack: true) ? .failure(503, "Dead") : nil }
    }
}

private final class Death: Sendable {
    private struct State {
        var writeCount = 0
        var isDead = false
    }

    private let crash: Crash
    private let state = Mutex(State())

    init(_ crash: Crash) { self.crash = crash }

    func meets(_ request: HTTPRequest, onTheWayBack: Bool) -> Bool {
        state.withLock { state in
            if !state.isDead, request.method != .get, onTheWayBack == crash.isHandled {
                state.isDead = state.writeCount == crash.write
                state.writeCount += 1
            }
            return state.isDead
        }
    }
}

@Suite struct CrashTests {
    /// Until the first process has done all it can, then another one with nothing in memory.
    private func run(_ crash: Crash?, deleting: Bool) async throws -> (TestWorld, EndState) {
        let world = try await TestWorld.withWidget()
        if deleting {
            try await world.settle()
            try await world.cluster.delete("w")
            try await world.sync()
            world.interceptor.clear()
            world.loop.enqueue(TestWorld.key("w"))
        }
        if let crash { world.interceptor.die(at: crash) }
        try await world.settle(limit: 12)
        if let crash { #expect(world.interceptor.writes.count > crash.write, "the process did not come that far") }
        world.interceptor.before { _ in nil }
        world.interceptor.after { _ in nil }
        let second = try await world.restarted()
        try await second.settle()
        return (second, try await EndState(second))
    }

    @Test(arguments: Crash.all)
    fileprivate func `a crash at any write ends in the same state, with one of everything`(crash: Crash) async throws {
        let (_, expected) = try await run(nil, deleting: false)
        let (world, found) = try await run(crash, deleting: false)
        #expect(found == expected)
        #expect(found.conditions == ["Ready=True/Made"])
        #expect(world.cloud.calls.count == 1, "\(world.cloud.calls)")
        world.interceptor.clear()
        world.clock.advance(by: .seconds(700))
        try await world.settle()
        #expect(world.interceptor.writes == [])
    }

    @Test(arguments: Crash.all.prefix(4))
    fileprivate func `a crash while deleting leaves nothing behind`(crash: Crash) async throws {
        let (world, found) = try await run(crash, deleting: true)
        #expect(try await world.cluster.widget("w") == nil)
        #expect(found.sizes == [])
    }
}
