import Encoding
import HTTP
import Testing

@testable import GoogleCloud

/// Lets `#expect` change a value.
private final class Box<Value> {
    var value: Value
    init(_ value: Value) { self.value = value }
}

/// The machines behind the limits, without clocks.
@Suite struct LimitStateTests {
    @Test func `a bucket gives its burst at once, then one after another, and refills to the burst`() {
        let bucket = Box(TokenBucket(Rate(perSecond: 2, burst: 3)))
        let waits = (0..<6).map { _ in bucket.value.reserve(now: .seconds(10), longestWait: .seconds(60)) }
        #expect(waits == [.zero, .zero, .zero, .milliseconds(500), .seconds(1), .milliseconds(1500)])
        #expect(bucket.value.reserve(now: .seconds(10), longestWait: .milliseconds(1999)) == nil)
        #expect(bucket.value.reserve(now: .seconds(10), longestWait: .seconds(2)) == .seconds(2))
        // A refusal took nothing, and what is given back is there for the next one.
        bucket.value.giveBack()
        #expect(bucket.value.reserve(now: .seconds(10), longestWait: .seconds(2)) == .seconds(2))
        #expect(bucket.value.isFull(now: .seconds(13)) == false)
        #expect(bucket.value.isFull(now: .seconds(100)) == true)
        #expect(
            (0..<4).map { _ in bucket.value.reserve(now: .seconds(100), longestWait: .zero) } == [
                .zero, .zero, .zero, nil,
            ])
    }

    @Test func `a bucket is not confused by a clock that stands still or goes back`() {
        let bucket = Box(TokenBucket(Rate(perSecond: 1, burst: 1)))
        #expect(bucket.value.reserve(now: .seconds(10), longestWait: .seconds(9)) == .zero)
        #expect(bucket.value.reserve(now: .seconds(5), longestWait: .seconds(9)) == .seconds(1))
        #expect(bucket.value.reserve(now: .seconds(11), longestWait: .seconds(9)) == .seconds(1))
    }

    private let noon = Timestamp(seconds: 1_795_262_400)

    @Test func `a breaker opens after five failures in a row, and a success in between counts anew`() {
        let breaker = Box(BreakerState(LimitSettings.Breaker()))
        func fail(at second: Int64) -> Bool {
            breaker.value.failed("HTTP 503", isProbe: false, now: .seconds(second), at: noon + .seconds(second))
        }
        #expect((0..<4).map { fail(at: $0) } == [false, false, false, false])
        #expect(breaker.value.succeeded() == false)
        #expect((10..<14).map { fail(at: $0) } == [false, false, false, false])
        #expect(breaker.value.ask(now: .seconds(13)) == .go(isProbe: false))
        #expect(fail(at: 14))
        #expect(breaker.value.failingSince == noon + .seconds(10))
        #expect(breaker.value.ask(now: .seconds(14)) == .refuse(.seconds(5)))
        // Calls that were under way change nothing.
        #expect(!fail(at: 15))
        #expect(breaker.value.ask(now: .milliseconds(18_999)) == .refuse(.milliseconds(1)))
        #expect(breaker.value.ask(now: .seconds(19)) == .go(isProbe: true))
    }

    @Test func `one probe at a time; each that fails doubles the pause, up to a minute`() {
        let breaker = Box(BreakerState(LimitSettings.Breaker()))
        for _ in 0..<5 { _ = breaker.value.failed("x", isProbe: false, now: .zero, at: noon) }
        var now: Duration = .seconds(5)
        var pauses: [Duration] = []
        for _ in 0..<6 {
            #expect(breaker.value.ask(now: now) == .go(isProbe: true))
            #expect(breaker.value.ask(now: now) == .refuse(.seconds(1)))
            #expect(breaker.value.failed("x", isProbe: true, now: now, at: noon) == false)
            guard case .refuse(let pause) = breaker.value.ask(now: now) else {
                Issue.record("open after a probe that failed")
                return
            }
            pauses.append(pause)
            now += pause
        }
        #expect(pauses == [10, 20, 40, 60, 60, 60].map { .seconds($0) })
        #expect(breaker.value.ask(now: now) == .go(isProbe: true))
        #expect(breaker.value.succeeded() == true)
        #expect(breaker.value.ask(now: now) == .go(isProbe: false))
        #expect(breaker.value.failingSince == nil)
    }

    @Test func `a probe that is cancelled, or lost, leaves the next call to try`() {
        let breaker = Box(BreakerState(LimitSettings.Breaker()))
        for _ in 0..<5 { _ = breaker.value.failed("x", isProbe: false, now: .zero, at: noon) }
        #expect(breaker.value.ask(now: .seconds(5)) == .go(isProbe: true))
        breaker.value.probeAbandoned(now: .seconds(6))
        #expect(breaker.value.ask(now: .seconds(6)) == .go(isProbe: true))
        #expect(breaker.value.ask(now: .seconds(65)) == .refuse(.seconds(1)))
        #expect(breaker.value.ask(now: .seconds(66)) == .go(isProbe: true))
    }

    @Test func `owners take turns at a cluster, and within an owner the first comes first`() {
        var settings = LimitSettings.Cluster()
        settings.waitingPerOwner = 10
        let queue = Box(ClusterQueueState(settings))
        #expect(queue.value.enter(0, owner: "a", now: .zero) == .go)
        let owners = ["a", "a", "a", "a", "b", "c", "c"]
        for (index, owner) in owners.enumerated() {
            #expect(queue.value.enter(index + 1, owner: owner, now: .zero) == .wait(.seconds(20)))
        }
        var order: [String] = []
        var waiting = Array(1...owners.count)
        while !waiting.isEmpty {
            queue.value.finished(isOccupied: false, now: .seconds(1))
            let gone = waiting.filter { queue.value.look($0, now: .seconds(1)) == .go }
            #expect(gone.count == 1)
            order += gone.map { "\(owners[$0 - 1])\($0)" }
            waiting.removeAll { gone.contains($0) }
        }
        #expect(order == ["a1", "b5", "c6", "a2", "c7", "a3", "a4"])
        queue.value.finished(isOccupied: false, now: .seconds(1))
        #expect(queue.value.isIdle(now: .seconds(1)) == true)
    }

    @Test func `a cluster's queue is bounded for each owner and in all, and in time`() {
        var settings = LimitSettings.Cluster()
        settings.waiting = 5
        let queue = Box(ClusterQueueState(settings))
        #expect(queue.value.enter(0, owner: "a", now: .zero) == .go)
        #expect(
            (1...5).map { queue.value.enter($0, owner: "a", now: .zero) == .refuse } == [
                false, false, false, false, true,
            ])
        #expect(queue.value.enter(6, owner: "b", now: .zero) == .wait(.seconds(20)))
        #expect(queue.value.enter(7, owner: "b", now: .zero) == .refuse)
        #expect(queue.value.look(1, now: .seconds(19)) == .wait(.seconds(1)))
        #expect(queue.value.look(1, now: .seconds(20)) == .refuse)
        #expect(queue.value.look(1, now: .seconds(20)) == .refuse)
        #expect(queue.value.enter(8, owner: "a", now: .seconds(20)) == .wait(.seconds(20)))
    }

    @Test func `a cluster that is occupied rests before the next call`() {
        let queue = Box(ClusterQueueState(LimitSettings.Cluster()))
        #expect(queue.value.enter(0, owner: "a", now: .zero) == .go)
        queue.value.finished(isOccupied: true, now: .seconds(1))
        #expect(queue.value.enter(1, owner: "a", now: .seconds(2)) == .wait(.seconds(4)))
        #expect(queue.value.enter(2, owner: "b", now: .seconds(2)) == .wait(.seconds(4)))
        #expect(queue.value.isIdle(now: .seconds(2)) == false)
        #expect(queue.value.look(2, now: .seconds(6)) == .wait(.seconds(16)))
        #expect(queue.value.look(1, now: .seconds(6)) == .go)
    }

    @Test func `what a call is, by its method's id and its URL`() {
        func kind(_ operation: String, _ method: HTTPMethod, _ url: String) -> CallKind? {
            HTTPURL(url).map { CallKind(GoogleCall(operation, method, $0)) }
        }
        let cluster = "https://container.googleapis.com/v1/projects/p/locations/l/clusters/c"
        let create = kind("container.nodePools.create", .post, cluster + "/nodePools")
        #expect(create?.api == "container")
        #expect(create?.verb == .mutate)
        #expect(create?.project == "p")
        #expect(create?.cluster == "projects/p/locations/l/clusters/c")
        #expect(
            kind("container.nodePools.setSize", .post, cluster + "/nodePools/n:setSize")?.cluster == create?.cluster)
        #expect(kind("container.nodePools.get", .get, cluster + "/nodePools/n")?.cluster == nil)
        let buckets = kind("storage.buckets.insert", .post, "https://storage.googleapis.com/storage/v1/b?project=p2")
        #expect(buckets?.project == "p2")
        #expect(buckets?.cluster == nil)
        for (asking, isRead) in [
            ("monitoring.projects.timeSeries.query", true), ("run.projects.locations.services.create", false),
            ("cloudresourcemanager.projects.testIamPermissions", true),
            ("iam.projects.serviceAccounts.getIamPolicy", true),
            ("iamcredentials.projects.serviceAccounts.signBlob", true),
            ("compute.instanceGroupManagers.listErrors", true),
            ("iam.projects.serviceAccounts.setIamPolicy", false),
        ] {
            #expect((kind(asking, .post, "https://x.googleapis.com/v1")?.verb == .read) == isRead, "\(asking)")
        }
    }
}
