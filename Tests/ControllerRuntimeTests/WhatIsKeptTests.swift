import Encoding
import HTTP
import Kubernetes
import Testing

@testable import ControllerRuntime

/// What a store holds of what a server sent, over the whole way: bytes, watch, decoding, store.
@Suite(.timeLimit(.minutes(1))) struct WhatIsKeptTests {
    /// An object with as much beside what is read as a cluster has there.
    private func large(_ name: String, _ version: Int) -> JSONValue {
        var object = widgetJSON(name, version)
        let noise = JSONValue.array((0..<200).map { .string("unread-\(name)-\($0)") })
        object.set(["manager": "unread", "fieldsV1": ["f:spec": noise]], at: ["metadata", "managedFields"])
        object.set(noise, at: ["spec", "template"])
        object.set(noise, at: ["status", "history"])
        return object
    }

    private func contents(_ store: ObjectStore<Widget>) -> String {
        var text = ""
        dump(store.objects(), to: &text)
        dump(store.undecodable, to: &text)
        return text
    }

    @Test(arguments: ["streamed", "listed"])
    func `a store keeps neither managedFields nor members that nobody reads`(way: String) async {
        let events = [line("MODIFIED", large("a", 10)), line("ADDED", large("c", 11))]
        let script = WatchScript(
            way == "streamed"
                ? [.watch(initial([large("a", 3), large("b", 4)], at: 9) + events), .watch([], .unavailable)]
                : [
                    .failure(400, "BadRequest"), .page([large("a", 3), large("b", 4)], version: 9), .watch(events),
                    .watch([], .unavailable),
                ])
        let store = ObjectStore<Widget>()
        await script.run(store)
        #expect(store.objects().map(\.metadata.name).sorted() == ["a", "b", "c"])
        let kept = contents(store)
        #expect(!kept.contains("unread"))
        // The noise alone is 5 KB an object in each of three places.
        #expect(kept.utf8.count < 3 * 3000)
    }

    @Test func `an object that cannot be read leaves a sentence, not itself`() async {
        var broken = large("a", 3)
        broken.set("many", at: ["spec", "size"])
        let script = WatchScript([.watch(initial([broken], at: 9)), .watch([], .unavailable)])
        let store = ObjectStore<Widget>()
        await script.run(store)
        #expect(store.undecodable.count == 1)
        #expect(!contents(store).contains("unread"))
    }

    @Test func `our own write enters the store as what is read of it`() throws {
        let cache = ObjectCache()
        let store = cache.store(Widget.self)
        let reference = ObjectReference(type: Widget.resourceType, namespace: "ns", name: "a")
        #expect(cache.recordWrite(reference, large("a", 12)))
        #expect(store.objects().map(\.metadata.resourceVersion) == ["12"])
        #expect(!contents(store).contains("unread"))
    }
}
