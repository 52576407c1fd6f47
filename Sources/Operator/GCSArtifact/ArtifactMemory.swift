import Encoding
import HTTP
import Synchronization

/// What actions found out and the next look tells the plan. Nothing here is needed: after a restart it is found out again.
final class ArtifactMemory: Sendable {
    private struct Entry: Sendable {
        var deletion: GCSArtifact.Status.Deletion?
        var rewrite: RewriteMark?
        var failure: (error: APIError, time: Duration)?
        var issued: [String: GCSArtifact.Status.SignedURL] = [:]
        var notificationFailure: (obstacle: VersionObstacle, time: Duration)?
        var signingFailure: (obstacle: VersionObstacle, time: Duration)?
        var source: (key: String, listing: ImportListing, time: Duration)?
    }

    private static let limit = 4096
    private let entries = Mutex<[String: Entry]>([:])

    private func change<Value>(_ uid: String, _ body: (inout Entry) -> Value) -> Value {
        entries.withLock { entries in
            if entries[uid] == nil, entries.count >= Self.limit { entries = [:] }
            return body(&entries[uid, default: Entry()])
        }
    }

    private func entry(_ uid: String) -> Entry? { entries.withLock { $0[uid] } }

    func forget(_ uid: String) { entries.withLock { $0[uid] = nil } }

    // MARK: Deletion

    func deleted(of uid: String) -> GCSArtifact.Status.Deletion? { entry(uid)?.deletion }

    /// - Parameter known: as the status has it: an earlier process may have begun.
    func add(_ objects: [ObjectGeneration], to uid: String, known: GCSArtifact.Status.Deletion?) {
        change(uid) { entry in
            var deletion = entry.deletion ?? GCSArtifact.Status.Deletion()
            let count = max(deletion.objectsDeleted ?? 0, known?.objectsDeleted ?? 0) + Int64(objects.count)
            let bytes = max(deletion.bytesDeleted ?? 0, known?.bytesDeleted ?? 0)
            deletion.objectsDeleted = count
            deletion.bytesDeleted = bytes + objects.reduce(0) { $0 + $1.sizeBytes }
            entry.deletion = deletion
        }
    }

    // MARK: Copies

    func rewrite(of uid: String) -> RewriteMark? { entry(uid)?.rewrite }
    func set(_ rewrite: RewriteMark?, of uid: String) { change(uid) { $0.rewrite = rewrite } }

    /// Why the last batch of a copy was not made, if that was just now.
    func failure(of uid: String, notOlderThan age: Duration, now: Duration) -> APIError? {
        guard let failure = entry(uid)?.failure, now - failure.time < age else { return nil }
        return failure.error
    }

    /// Told until a batch is made.
    func lastFailure(of uid: String) -> APIError? { entry(uid)?.failure?.error }

    func set(failure: APIError?, of uid: String, now: Duration) {
        guard failure != nil || entry(uid)?.failure != nil else { return }
        change(uid) { entry in
            entry.failure = failure.map { ($0, now) }
            if failure != nil { entry.source = nil }
        }
    }

    /// What a source was some minutes ago.
    func listing(_ key: String, of uid: String, notOlderThan age: Duration, now: Duration) -> ImportListing? {
        guard let source = entry(uid)?.source, source.key == key, now - source.time < age else { return nil }
        return source.listing
    }

    func set(_ listing: ImportListing, _ key: String, of uid: String, now: Duration) {
        change(uid) { $0.source = (key, listing, now) }
    }

    // MARK: Notifications

    /// What is told until it works, and whether it is time to try again.
    func notificationFailure(
        of uid: String, every interval: Duration, now: Duration
    ) -> (obstacle: VersionObstacle, isDue: Bool)? {
        entry(uid)?.notificationFailure.map { ($0.obstacle, now - $0.time >= interval) }
    }

    func set(notificationFailure obstacle: VersionObstacle?, of uid: String, now: Duration) {
        guard obstacle != nil || entry(uid)?.notificationFailure != nil else { return }
        change(uid) { $0.notificationFailure = obstacle.map { ($0, now) } }
    }

    // MARK: Signed URLs

    func issued(of uid: String) -> [String: GCSArtifact.Status.SignedURL] { entry(uid)?.issued ?? [:] }

    func set(_ issued: GCSArtifact.Status.SignedURL, named name: String, of uid: String) {
        change(uid) { entry in
            entry.issued[name] = issued
            entry.signingFailure = nil
        }
    }

    /// What is told until it works, and whether it is time to try again.
    func signingFailure(
        of uid: String, every interval: Duration, now: Duration
    ) -> (obstacle: VersionObstacle, isDue: Bool)? {
        entry(uid)?.signingFailure.map { ($0.obstacle, now - $0.time >= interval) }
    }

    func set(signingFailure obstacle: VersionObstacle, of uid: String, now: Duration) {
        change(uid) { $0.signingFailure = (obstacle, now) }
    }
}
