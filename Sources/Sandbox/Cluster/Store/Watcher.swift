import Encoding
import Synchronization
import Telemetry

/// One event as a watch tells it.
struct WatchEvent: Sendable {
    enum Kind: String, Sendable {
        case added = "ADDED"
        case modified = "MODIFIED"
        case deleted = "DELETED"
        case bookmark = "BOOKMARK"
        case error = "ERROR"
    }

    var kind: Kind
    var object: JSONValue
}

/// The buffer between the store, which must not wait, and one watch's connection, which may be slow.
final class Watcher: Sendable {
    private struct State {
        var events: [WatchEvent] = []
        var isEnded = false
        var nextBookmark: Timestamp
        var waiter: CheckedContinuation<Void, Never>?
        var collection: Collection?

        mutating func takeEvents() -> [WatchEvent] {
            defer { events = [] }
            return events
        }
    }

    /// How long events wait for others.
    private struct Collection {
        let window: Duration
        let clock: any WallClock
    }

    let id: Int
    let filter: ObjectFilter
    private let deadline: Timestamp
    private let sendsBookmarks: Bool
    private let bufferLimit: Int
    /// Events up to here are not told: the watch starts in the future.
    private let startRevision: Int64
    private let state: Mutex<State>

    init(
        id: Int, filter: ObjectFilter, startRevision: Int64, deadline: Timestamp, firstBookmark: Timestamp,
        sendsBookmarks: Bool, bufferLimit: Int
    ) {
        self.id = id
        self.filter = filter
        self.startRevision = startRevision
        self.deadline = deadline
        self.sendsBookmarks = sendsBookmarks
        self.bufferLimit = bufferLimit
        state = Mutex(State(nextBookmark: firstBookmark))
    }

    /// Takes a change of the store; what the selectors do not show before or after is dropped.
    ///
    /// - Returns: false when the watch has ended, which a full buffer makes it do.
    @discardableResult
    func offer(_ event: StoreEvent) -> Bool {
        guard event.revision > startRevision else { return true }
        if let namespace = filter.namespace, event.object.objectNamespace != namespace { return true }
        guard let told = translated(event) else { return !isEnded }
        return send(told)
    }

    /// Puts an event into the buffer.
    ///
    /// - Returns: false when the watch has ended.
    @discardableResult
    func send(_ event: WatchEvent) -> Bool {
        let (isAlive, waiter) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
            guard !state.isEnded else { return (false, nil) }
            if state.events.count >= bufferLimit {
                state.isEnded = true
            } else {
                state.events.append(event)
            }
            defer { state.waiter = nil }
            return (!state.isEnded, state.waiter)
        }
        waiter?.resume()
        return isAlive
    }

    /// Lets the buffer be read to its end, then no more.
    func end() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.isEnded = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    var isEnded: Bool { state.withLock { $0.isEnded } }

    /// The events that came meanwhile, at least one; nil after the last. One caller at a time; a cancelled task ends
    /// the watch.
    func next() async -> [WatchEvent]? {
        while true {
            let (events, isEnded, collection) = state.withLock { state -> ([WatchEvent], Bool, Collection?) in
                if let collection = state.collection, !state.events.isEmpty, !state.isEnded {
                    return ([], false, collection)
                }
                return (state.takeEvents(), state.isEnded, nil)
            }
            if let collection { return await collected(collection) }
            if !events.isEmpty { return events }
            if isEnded { return nil }
            await waitForChange()
        }
    }

    /// Makes `next` wait for more events once there is one.
    func collect(for window: Duration, on clock: any WallClock) {
        state.withLock { $0.collection = Collection(window: window, clock: clock) }
    }

    private func collected(_ collection: Collection) async -> [WatchEvent] {
        // A cancelled wait ends early: the client has gone, and its writer says so.
        try? await collection.clock.sleep(until: collection.clock.now + collection.window)
        return state.withLock { $0.takeEvents() }
    }

    private func waitForChange() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state -> Bool in
                    if state.isEnded || !state.events.isEmpty { return true }
                    state.waiter = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            end()
        }
    }

    /// Moves the watch's own time.
    ///
    /// - Returns: false when the watch has ended.
    func tick(now: Timestamp, revision: Int64, bookmarkInterval: Duration) -> Bool {
        if now >= deadline { end() }
        let isDue = state.withLock { state -> Bool in
            guard sendsBookmarks, !state.isEnded, now >= state.nextBookmark else { return false }
            state.nextBookmark = now + bookmarkInterval
            return true
        }
        if isDue { send(WatchEvent(kind: .bookmark, object: Watcher.bookmark(revision: revision))) }
        return !isEnded
    }

    /// A bookmark's object before it gets the watched kind.
    static func bookmark(revision: Int64) -> JSONValue {
        ["metadata": ["resourceVersion": .string(String(max(revision, 1)))]]
    }

    /// A change seen through the selectors: an object that begins to match is added, one that ceases is deleted.
    private func translated(_ event: StoreEvent) -> WatchEvent? {
        let matches = event.kind != .deleted && filter.matches(event.object)
        let matched = event.previous.map(filter.matches) ?? false
        switch (matched, matches) {
        case (false, true): return WatchEvent(kind: .added, object: event.object)
        case (true, true): return WatchEvent(kind: .modified, object: event.object)
        case (true, false):
            // As the API server does: the last matching state, with the revision of the change.
            var last = event.previous ?? event.object
            last.setMetadata("resourceVersion", .string(String(event.revision)))
            return WatchEvent(kind: .deleted, object: last)
        case (false, false): return nil
        }
    }
}
