import Kubernetes
import Synchronization
import Testing

@testable import ControllerRuntime

private func pod(_ name: String, _ version: Int, uid: String = "u", node: String? = nil) -> Pod {
    Pod(
        metadata: ObjectMeta(name: name, namespace: "ns", uid: uid, resourceVersion: String(version)),
        spec: node.map { Pod.Spec(nodeName: $0) })
}

private func header(_ name: String, _ version: Int) -> ObjectHeader {
    ObjectHeader(namespace: "ns", name: name, uid: "u", resourceVersion: String(version))
}

private func key(_ name: String) -> ObjectKey { ObjectKey(namespace: "ns", name: name) }

/// Hears changes as text: `+a`, `~a`, `-a`, with a star for own writes.
private final class Listener: Sendable {
    private let log = Mutex<[String]>([])

    init(_ store: ObjectStore<Pod>) {
        store.observe { change in
            let sign =
                change.undecodable != nil ? "?" : change.new == nil ? "-" : change.old == nil ? "+" : "~"
            self.log.withLock { $0.append(sign + change.key.name + (change.isOwnWrite ? "*" : "")) }
        }
    }

    var heard: [String] { log.withLock { $0.sorted() } }
    var heardInOrder: [String] { log.withLock { $0 } }
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

    @Test func `objects are found by the value of the label that selects them, as it is now`() {
        let store = ObjectCache().store(Pod.self, labelSelector: "job")
        func labelled(_ name: String, _ version: Int, _ value: String?) -> Pod {
            var pod = pod(name, version)
            pod.metadata.labels = value.map { ["job": $0] }
            return pod
        }
        for (name, value) in [("a", "x"), ("b", "x"), ("c", "y"), ("d", "x")] { store.put(labelled(name, 1, value)) }
        store.put(labelled("b", 2, "y"))
        store.remove(key("d"), uid: "u", resourceVersion: "3")
        #expect(store.objects(in: "ns", labelled: "x").map(\.metadata.name) == ["a"])
        #expect(Set(store.objects(in: "ns", labelled: "y").map(\.metadata.name)) == ["b", "c"])
        #expect(store.objects(in: "other", labelled: "y").isEmpty)
        #expect(store.objects(in: "ns", labelled: "z").isEmpty)
    }

    @Test func `objects are found by namespace and by a test of their own`() {
        let store = ObjectStore<Pod>()
        store.put(pod("a", 1, node: "n1"))
        store.put(pod("b", 2))
        #expect(store.objects(in: "ns") { $0.spec?.nodeName == "n1" }.map(\.metadata.name) == ["a"])
        #expect(store.objects(in: "other").isEmpty)
    }

    @Test func `an object made again under its name ends the old one and begins the new one`() {
        let store = ObjectStore<Pod>()
        store.put(pod("a", 5, uid: "old"))
        let listener = Listener(store)
        store.put(pod("a", 9, uid: "new"))
        store.put(pod("a", 7, uid: "old"))
        store.remove(key("a"), uid: "old", resourceVersion: "8")
        #expect(listener.heardInOrder == ["-a", "+a"])
        #expect(store[key("a")] == pod("a", 9, uid: "new"))
    }

    @Test func `an object that cannot be read keeps its last state and says why, until it can`() {
        let store = ObjectStore<Pod>()
        store.put(pod("a", 5))
        let listener = Listener(store)
        store.apply([.undecodable(header("a", 6), message: "spec is wrong")], pass: nil)
        store.apply([.undecodable(header("a", 6), message: "told twice")], pass: nil)
        store.put(pod("a", 5), isOwnWrite: true)
        #expect(store[key("a")] == pod("a", 5))
        let reason = UndecodableObject(uid: "u", resourceVersion: "6", message: "spec is wrong")
        #expect(store.undecodable == [key("a"): reason])
        #expect(store.undecodable(key("a")) == reason)
        store.put(pod("a", 7))
        #expect(store.undecodable.isEmpty)
        #expect(listener.heardInOrder == ["?a", "~a"])
    }

    @Test func `an object that could never be read goes when it is deleted, or missing in a list`() {
        let store = ObjectStore<Pod>()
        let bad: [StoreUpdate<Pod>] = [
            .undecodable(header("a", 6), message: ""), .undecodable(header("b", 6), message: ""),
        ]
        store.apply(bad, pass: nil)
        let listener = Listener(store)
        store.remove(key("a"), uid: "u", resourceVersion: "8")
        #expect(Set(store.undecodable.keys) == [key("b")])
        store.replace(with: [], resourceVersion: "9")
        #expect(store.undecodable.isEmpty)
        #expect(listener.heardInOrder == ["-a", "-b"])
    }

    @Test func `a list in pages removes nothing before its last page`() {
        let store = ObjectStore<Pod>()
        for name in ["a", "b", "c"] { store.put(pod(name, 5)) }
        let pass = store.beginList()
        #expect(store.isKnown(header("a", 5), pass: pass))
        #expect(!store.isKnown(header("b", 7), pass: pass))
        store.apply([.object(pod("b", 7))], pass: pass)
        #expect(store.count == 3)
        #expect(!store.isSynced)
        store.endList(pass, resourceVersion: "9")
        #expect(Set(store.keys) == [key("a"), key("b")])
        #expect(store.isSynced)
    }

    @Test func `a list that was begun anew does not end the old one`() {
        let store = ObjectStore<Pod>()
        store.put(pod("a", 5))
        let first = store.beginList()
        _ = store.beginList()
        store.endList(first, resourceVersion: "9")
        #expect(store.count == 1)
        #expect(!store.isSynced)
    }

    @Test func `what was deleted after a list was read does not come back with it`() {
        let store = ObjectStore<Pod>()
        store.put(pod("a", 5))
        let pass = store.beginList()
        store.remove(key("a"), uid: "u", resourceVersion: "12")
        #expect(store.isKnown(header("a", 5), pass: pass))
        store.endList(pass, resourceVersion: "9")
        #expect(store.count == 0)
    }

    @Test func `a server that was put back to an earlier state counts when the list says so`() {
        let store = ObjectStore<Pod>()
        store.replace(with: [pod("a", 500), pod("b", 500)], resourceVersion: "900")
        var pass = store.beginList()
        #expect(pass.isStale("120"))
        #expect(!pass.isStale("900"))
        pass.rewinds = true
        #expect(!store.isKnown(header("a", 100), pass: pass))
        store.apply([.object(pod("a", 100))], pass: pass)
        store.endList(pass, resourceVersion: "120")
        #expect(store.objects() == [pod("a", 100)])
        store.put(pod("b", 121))
        #expect(store.count == 2)
    }
}
