import Encoding
import HTTP
import Kubernetes
import Sandbox
import Synchronization
import Testing

@testable import ControllerRuntime

private let expired = line("ERROR", ["kind": "Status", "code": 410, "reason": "Expired", "message": "too old"])
private let hangUp: APIError.Code? = nil

/// A store's contents as `a=5` and what its observers heard.
private struct Watched: Sendable {
    let store = ObjectStore<Widget>()
    private let heard = Heard()

    final class Heard: Sendable {
        let log = Mutex<[String]>([])
    }

    init() {
        store.observe { [heard] change in
            let sign = change.undecodable != nil ? "?" : change.new == nil ? "-" : change.old == nil ? "+" : "~"
            heard.log.withLock { $0.append(sign + change.key.name) }
        }
    }

    var changes: [String] { heard.log.withLock { $0 } }
    var contents: [String] {
        store.objects().map { "\($0.metadata.name)=\($0.metadata.resourceVersion ?? "")" }.sorted()
    }
}

@Suite(.timeLimit(.minutes(5))) struct ObjectWatchTests {
    private let a = widgetJSON("a", 3)
    private let b = widgetJSON("b", 4)

    @Test func `everything comes in one watch, which goes on`() async {
        let script = WatchScript([
            .watch(initial([a, b], at: 9) + [line("MODIFIED", widgetJSON("a", 10))], hangUp),
            .watch([bookmark(20)], hangUp), .watch([], .unavailable),
        ])
        let watched = Watched()
        await script.run(watched.store)
        #expect(script.log == ["STREAM", "WATCH 10", "WATCH 20"])
        #expect(watched.contents == ["a=10", "b=4"])
        #expect(watched.changes == ["+a", "+b", "~a"])
        #expect(script.reports == ["listed 2", "failed unavailable"])
        #expect(script.heardCount >= 6)
    }

    @Test func `an optional kind that is not there is empty, and looked for again`() async {
        let script = WatchScript([
            .failure(404, "NotFound"), .failure(404, "NotFound"), .watch(initial([a], at: 9), hangUp),
            .failure(404, "NotFound"), .watch([], .unavailable),
        ])
        let watched = Watched()
        await script.run(watched.store, isOptional: true)
        #expect(watched.changes == ["+a", "-a"], "its definition came and went")
        #expect(watched.store.isSynced && !watched.store.isServed)
        #expect(!script.reports.contains { $0.contains("notFound") })
    }

    @Test func `half of the objects are never the whole`() async {
        let script = WatchScript([.watch([line("ADDED", a)], .unavailable), .silence([line("ADDED", b)])])
        let watched = Watched()
        watched.store.put(
            Widget(metadata: ObjectMeta(name: "old", namespace: "ns", resourceVersion: "1"), spec: .init(size: 1)))
        let run = Task { await script.watch(watched.store).run() }
        while watched.contents.count < 3 { await Task.yield() }
        #expect(!watched.store.isSynced)
        #expect(watched.contents == ["a=3", "b=4", "old=1"])
        run.cancel()
        await run.value
        #expect(script.log == ["STREAM", "STREAM"])
    }

    @Test(arguments: [(422, "Invalid"), (400, "BadRequest")])
    func `a server that refuses is read in pages, and is not asked again`(_ status: Int, _ reason: String) async {
        let script = WatchScript([
            .failure(status, reason), .page([a], version: 8, next: "t"), .page([b], version: 8),
            .watch([expired], hangUp), .page([b], version: 12), .watch([], hangUp),
        ])
        let watched = Watched()
        await script.run(watched.store)
        #expect(script.log == ["STREAM", "LIST", "LIST t", "WATCH 8", "LIST", "WATCH 12"])
        #expect(watched.contents == ["b=4"])
        #expect(watched.changes == ["+a", "+b", "-a"])
        #expect(script.reports == ["listed 2", "listed 1"])
    }

    @Test func `a server that ignores the wish is read in pages after a minute`() async {
        let script = WatchScript([.silence([line("ADDED", a)]), .page([a, b], version: 8)])
        let watched = Watched()
        let clock = script.clock
        let moving = Task {
            while !Task.isCancelled {
                if clock.sleeperCount > 0, !watched.contents.isEmpty { clock.advance(by: .seconds(10)) }
                await Task.yield()
            }
        }
        await script.run(watched.store)
        moving.cancel()
        #expect(script.log == ["STREAM", "LIST"])
        #expect(watched.store.isSynced)
        #expect(watched.changes == ["+a", "+b"])
    }

    @Test(arguments: [
        ("as the status of the watch", [WatchScript.Step.failure(410, "Expired")]),
        ("as an event in a stream", [.watch([expired], hangUp)]),
        ("as an event after another", [.watch([bookmark(10), expired], hangUp)]),
    ]) func `a forgotten version means one reading of everything, which notices deletions`(
        _ name: String, fault: [WatchScript.Step]
    ) async {
        let script = WatchScript(
            [.watch(initial([a, b], at: 9), hangUp)] + fault + [.watch(initial([b], at: 20), hangUp)])
        let watched = Watched()
        await script.run(watched.store)
        #expect(script.log.filter { $0 == "STREAM" }.count == 2)
        #expect(watched.changes == ["+a", "+b", "-a"])
    }

    @Test func `a token that expires on page three begins the list anew, once`() async {
        let script = WatchScript([
            .failure(422, "Invalid"), .page([a], version: 8, next: "t1"), .page([b], version: 8, next: "t2"),
            .failure(410, "Expired"), .page([b], version: 12, next: "t3"),
            .page([widgetJSON("c", 11)], version: 12), .watch([], hangUp),
        ])
        let watched = Watched()
        await script.run(watched.store)
        #expect(script.log == ["STREAM", "LIST", "LIST t1", "LIST t2", "LIST", "LIST t3", "WATCH 12"])
        #expect(watched.contents == ["b=4", "c=11"])
        #expect(watched.changes == ["+a", "+b", "+c", "-a"])
    }

    /// Every byte of a stream with letters beyond ASCII, blank lines and carriage returns is a place to break.
    @Test func `a stream that is cut anywhere loses nothing and tells nothing twice`() async {
        let events = [
            line("ADDED", widgetJSON("größe", 11)), [0x0D, 0x0A], line("MODIFIED", widgetJSON("größe", 12, size: 7)),
            line("DELETED", widgetJSON("größe", 13)),
        ]
        let whole = events.flatMap { $0 }
        for cut in stride(from: 0, through: whole.count, by: 7) {
            let version =
                cut >= whole.count ? 13 : cut >= whole.count - events[3].count ? 12 : cut >= events[0].count ? 11 : 9
            let rest = events.enumerated().filter { [11, 0, 12, 13][$0.offset] > version }.flatMap(\.element)
            let script = WatchScript([
                .watch(initial([a], at: 9) + [Array(whole[..<cut]), []], .unavailable), .watch([rest], hangUp),
            ])
            let watched = Watched()
            await script.run(watched.store)
            #expect(script.log == ["STREAM", "WATCH \(version)"], "cut at \(cut)")
            #expect(watched.changes == ["+a", "+größe", "~größe", "-größe"], "cut at \(cut)")
        }
    }

    @Test func `a connection that fell silent is opened again where it was`() async {
        let script = WatchScript([
            .watch(initial([a], at: 9) + [bookmark(15)], .timeout), .watch([line("ADDED", b)], hangUp),
        ])
        let watched = Watched()
        await script.run(watched.store)
        #expect(script.log == ["STREAM", "WATCH 15"])
        #expect(script.reports == ["listed 1", "failed timeout"])
        #expect(watched.contents == ["a=3", "b=4"])
    }

    @Test func `events that come twice or late change nothing`() async {
        let events = [
            line("MODIFIED", widgetJSON("a", 12)), line("MODIFIED", widgetJSON("a", 12)),
            line("MODIFIED", widgetJSON("a", 11)), line("ADDED", a), line("DELETED", widgetJSON("b", 13)),
            line("DELETED", widgetJSON("b", 13)), line("MODIFIED", widgetJSON("b", 12)),
        ]
        let script = WatchScript([.watch(initial([a, b], at: 9) + events, hangUp)])
        let watched = Watched()
        await script.run(watched.store)
        #expect(watched.changes == ["+a", "+b", "~a", "-b"])
        #expect(watched.contents == ["a=12"])
    }

    @Test func `an object made again during a gap is the end of one and the beginning of another`() async {
        let script = WatchScript([
            .watch(initial([a], at: 9), .unavailable), .failure(410, "Expired"),
            .watch(initial([widgetJSON("a", 30, uid: "second")], at: 40), hangUp),
        ])
        let watched = Watched()
        await script.run(watched.store)
        #expect(watched.changes == ["+a", "-a", "+a"])
        #expect(watched.store.objects().map(\.metadata.uid) == ["second"])
    }

    @Test func `one object that cannot be read stalls no other and is named, once a state`() async {
        let bad = widgetJSON("bad", 5, size: "three")
        let script = WatchScript([
            .watch(initial([a, bad, b], at: 9), .unavailable), .failure(410, "Expired"),
            .watch(initial([a, bad, b], at: 20) + [line("MODIFIED", widgetJSON("bad", 21))], hangUp),
        ])
        let watched = Watched()
        await script.run(watched.store)
        #expect(script.reports == ["undecodable ns/bad", "listed 2", "failed unavailable", "listed 2"])
        #expect(watched.changes == ["+a", "?bad", "+b", "+bad"])
        #expect(watched.store.undecodable.isEmpty)
    }

    @Test func `objects that are known are not decoded again`() async {
        Counted.decodeCount.withLock { $0 = 0 }
        let script = WatchScript([
            .watch(initial([a, b], at: 9), .unavailable), .failure(410, "Expired"), .failure(422, "Invalid"),
            .page([a], version: 20, next: "t"), .page([widgetJSON("b", 15)], version: 20), .watch([], hangUp),
        ])
        let store = ObjectStore<Counted>()
        await script.run(store)
        #expect(Counted.decodeCount.withLock { $0 } == 3)
        #expect(store.count == 2)
    }

    @Test func `a list that is older than what was seen is believed only when it stays so`() async {
        let older = widgetJSON("a", 2)
        let script = WatchScript([
            .watch(initial([widgetJSON("a", 900), widgetJSON("b", 901)], at: 950), hangUp),
            .failure(410, "Expired"), .watch(initial([older], at: 20), hangUp), .page([older], version: 20),
            .page([older], version: 21), .watch([], hangUp),
        ])
        let watched = Watched()
        await script.run(watched.store)
        #expect(script.log == ["STREAM", "WATCH 950", "STREAM", "LIST", "LIST", "WATCH 21"])
        #expect(watched.contents == ["a=2"])
        #expect(script.reports == ["listed 2", "failed unavailable", "failed unavailable", "listed 1"])
    }
}

/// Counts how often one was decoded.
private struct Counted: KubernetesResource {
    static let resourceType = Widget.resourceType
    static let decodeCount = Mutex(0)
    var metadata: ObjectMeta

    private enum CodingKeys: CodingKey { case metadata }

    init(from decoder: any Decoder) throws {
        metadata = try decoder.container(keyedBy: CodingKeys.self).decode(ObjectMeta.self, forKey: .metadata)
        Self.decodeCount.withLock { $0 += 1 }
    }
}
