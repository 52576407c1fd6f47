import ControllerRuntime
import Kubernetes
import Synchronization
import Testing

private func pod(_ name: String, _ version: Int, uid: String = "u", node: String? = nil) -> Pod {
    Pod(
        metadata: ObjectMeta(name: name, namespace: "ns", uid: uid, resourceVersion: String(version)),
        spec: node.map { Pod.Spec(nodeName: $0) })
}

private func key(_ name: String) -> ObjectKey { ObjectKey(namespace: "ns", name: name) }

/// Hears changes as text: `+a`, `~a`, `-a`, with a star for own writes.
private final class Listener: Sendable {
    private let log = Mutex<[String]>([])

    init(_ store: ObjectStore<Pod>) {
        store.observe { change in
            let sign = change.old == nil ? "+" : change.new == nil ? "-" : "~"
            self.log.withLock { $0.append(sign + change.key.name + (change.isOwnWrite ? "*" : "")) }
        }
    }

    var heard: [String] { log.withLock { $0.sorted() } }
}

@Suite struct ObjectStoreTests {
    @Test func `an older version never replaces a newer one`() {
        let store = ObjectStore<Pod>()
        let listener = Listener(store)
        store.put(pod("a", 7), isOwnWrite: true)
        store.put(pod("a", 6, node: "stale"))
        store.put(pod("a", 7))
        store.put(pod("a", 10))
        #expect(store[key("a")] == pod("a", 10))
        #expect(listener.heard == ["+a*", "~a"])
    }

    @Test func `versions compare as numbers`() {
        let store = ObjectStore<Pod>()
        store.put(pod("a", 9))
        store.put(pod("a", 10))
        #expect(store[key("a")]?.metadata.resourceVersion == "10")
    }

    @Test func `a late reply does not bring a deleted object back, a new object of that name does`() {
        let store = ObjectStore<Pod>()
        store.put(pod("a", 5))
        store.remove(key("a"), uid: "u", resourceVersion: "8")
        store.put(pod("a", 7), isOwnWrite: true)
        #expect(store[key("a")] == nil)
        store.put(pod("a", 9, uid: "v"))
        #expect(store[key("a")] == pod("a", 9, uid: "v"))
    }

    @Test func `a deletion of the namesake before does not remove the object that is there now`() {
        let store = ObjectStore<Pod>()
        store.put(pod("a", 9, uid: "new"))
        store.remove(key("a"), uid: "old", resourceVersion: "8")
        store.remove(key("a"), uid: "new", resourceVersion: "8")
        #expect(store.count == 1)
    }

    @Test func `a list removes what is gone, and keeps what is newer than the list`() {
        let store = ObjectStore<Pod>()
        for (name, version) in [("gone", 3), ("changed", 4), ("same", 5), ("ahead", 30), ("written", 40)] {
            store.put(pod(name, version))
        }
        let listener = Listener(store)
        #expect(!store.isSynced)
        store.replace(
            with: [pod("changed", 12), pod("same", 5), pod("ahead", 20), pod("new", 13)], resourceVersion: "20")
        #expect(store.isSynced)
        #expect(listener.heard == ["+new", "-gone", "~changed"])
        let versions = store.objects().map { "\($0.metadata.name)=\($0.metadata.resourceVersion ?? "")" }
        #expect(versions.sorted() == ["ahead=30", "changed=12", "new=13", "same=5", "written=40"])
    }

    @Test func `a deletion that a list told of outlives a late event`() {
        let store = ObjectStore<Pod>()
        store.put(pod("a", 5))
        store.replace(with: [], resourceVersion: "20")
        store.put(pod("a", 15))
        #expect(store.count == 0)
    }

    @Test func `objects are found by namespace and by a test of their own`() {
        let store = ObjectStore<Pod>()
        store.put(pod("a", 1, node: "n1"))
        store.put(pod("b", 2))
        #expect(store.objects(in: "ns") { $0.spec?.nodeName == "n1" }.map(\.metadata.name) == ["a"])
        #expect(store.objects(in: "other").isEmpty)
    }
}
