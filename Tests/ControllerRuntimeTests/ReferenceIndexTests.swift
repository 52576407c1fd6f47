import Kubernetes
import Synchronization
import Testing

@testable import ControllerRuntime

private func widget(_ name: String, _ version: Int, partner: String?) -> Widget {
    Widget(
        metadata: ObjectMeta(name: name, namespace: "ns", uid: name, resourceVersion: String(version)),
        spec: .init(size: 1, partner: partner))
}

private func key(_ name: String) -> ObjectKey { ObjectKey(namespace: "ns", name: name) }

@Suite struct ReferenceIndexTests {
    private let store = ObjectStore<Widget>()

    private func index() -> ReferenceIndex<Widget> {
        ReferenceIndex(of: store) { widget in widget.spec.partner.map { [key($0), key($0)] } ?? [] }
    }

    @Test func `it knows who refers to a name, from before and from now on`() {
        store.put(widget("early", 1, partner: "x"))
        let index = index()
        store.put(widget("late", 2, partner: "x"))
        store.put(widget("alone", 3, partner: nil))
        #expect(Set(index.referrers(to: key("x"))) == [key("early"), key("late")])
        #expect(index.referrers(to: key("alone")).isEmpty)
    }

    @Test func `a reference that is changed, taken away or gone with its object counts no more`() {
        let index = index()
        for name in ["a", "b", "c"] { store.put(widget(name, 1, partner: "x")) }
        store.put(widget("a", 2, partner: "y"))
        store.put(widget("b", 3, partner: nil))
        store.remove(key("c"), uid: "c", resourceVersion: "4")
        #expect(index.referrers(to: key("x")).isEmpty)
        #expect(index.referrers(to: key("y")) == [key("a")])
    }

    @Test func `a change of a thing leads to all that refer to it, in one of 20,000 steps`() {
        let cache = ObjectCache()
        let widgets = cache.store(Widget.self)
        let relation = Relation<Widget>.references(Pod.self) { widget in
            widget.spec.partner.map { [ObjectKey(namespace: "ns", name: $0)] } ?? []
        }
        let asked = AskedKeys()
        relation.connect(cache, widgets) { keys, _ in asked.add(keys) }
        for number in 0..<10_000 { widgets.put(widget("w\(number)", number + 1, partner: "p\(number)")) }
        // Asking all of ours for each of the others would be 100 million questions: minutes.
        for number in 0..<10_000 {
            cache.store(Pod.self).put(
                Pod(metadata: ObjectMeta(name: "p\(number)", namespace: "ns", resourceVersion: "\(number + 1)")))
        }
        #expect(asked.keys.count == 10_000)
    }
}

private final class AskedKeys: Sendable {
    private let state = Mutex<Set<ObjectKey>>([])
    func add(_ keys: [ObjectKey]) { state.withLock { $0.formUnion(keys) } }
    var keys: Set<ObjectKey> { state.withLock { $0 } }
}
