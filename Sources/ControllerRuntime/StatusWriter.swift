import Encoding
import HTTP
import Kubernetes
import Synchronization

/// Writes statuses, and only those that say something new.
final class StatusWriter<Object: CustomResource>: Sendable {
    /// What the API server made of what we sent, where that differs: it dropped or defaulted something.
    private struct Normalised: Hashable {
        let uid: String?
        let sent: JSONValue
        let stored: JSONValue
    }

    /// How often a status that is still true is sent when others change the rest of the object meanwhile.
    static var maximumTries: Int { 4 }

    private let client: KubernetesClient
    private let store: ObjectStore<Object>
    /// An optimisation against writing the same again for ever; at most one entry per object, usually none.
    private let normalised = Mutex<[ObjectKey: Normalised]>([:])

    init(client: KubernetesClient, store: ObjectStore<Object>) {
        self.client = client
        self.store = store
    }

    /// Forgets a key whose object is gone.
    func forget(_ key: ObjectKey) { normalised.withLock { _ = $0.removeValue(forKey: key) } }

    /// Writes the status if it differs from the object's, and returns the object as stored; nil when nothing was to be
    /// written. When the API server refuses the full status, the minimal one is written, and the refusal is thrown.
    ///
    /// - Throws: `.conflict`, `.notFound`, `.invalid` and what the client throws.
    func write(_ status: Object.Status, over object: Object) async throws(APIError) -> Object? {
        guard try isNew(status, over: object) else { return nil }
        do throws(APIError) {
            return try await sendWhileTrue(status, over: object)
        } catch  where error.code == .invalid {
            let minimal = status.minimal
            if try isNew(minimal, over: object) { _ = try await sendWhileTrue(minimal, over: object) }
            throw error
        }
    }

    private func isNew(_ status: Object.Status, over object: Object) throws(APIError) -> Bool {
        guard let current = object.status else { return true }
        if status == current { return false }
        let wanted = try encoded(status)
        let stored = try encoded(current)
        if wanted == stored { return false }
        let known = normalised.withLock { $0[ObjectKey(object.metadata)] }
        return known != Normalised(uid: object.metadata.uid, sent: wanted, stored: stored)
    }

    /// After a conflict the object is read live: where all that a plan looks at is as it was, the status holds for it
    /// too, and is sent over the new version; else the conflict is thrown, and the round begins again. So a writer of
    /// foreign annotations at any rate keeps nobody from progress.
    private func sendWhileTrue(_ status: Object.Status, over object: Object) async throws(APIError) -> Object {
        var base = object
        var triesLeft = Self.maximumTries
        while true {
            triesLeft -= 1
            do throws(APIError) {
                return try await send(status, over: base)
            } catch  where error.code == .conflict && triesLeft > 0 {
                let metadata = object.metadata
                guard
                    let live = try await client.find(
                        Object.self, namespace: metadata.namespace, name: metadata.name),
                    live.isSameToPlans(as: object)
                else { throw error }
                base = live
            }
        }
    }

    private func send(_ status: Object.Status, over object: Object) async throws(APIError) -> Object {
        let updated = try await client.updateStatus(of: object, to: status)
        store.put(updated, isOwnWrite: true)
        let sent = try encoded(status)
        let stored = try updated.status.map { value throws(APIError) in try encoded(value) } ?? .null
        let entry = sent == stored ? nil : Normalised(uid: object.metadata.uid, sent: sent, stored: stored)
        normalised.withLock { $0[ObjectKey(object.metadata)] = entry }
        return updated
    }

    private func encoded(_ status: Object.Status) throws(APIError) -> JSONValue {
        do throws(JSONError) {
            return try JSONValue(encoding: status)
        } catch {
            throw APIError(
                .invalid, operation: "PATCH \(Object.resourceType.plural)/status", message: error.message)
        }
    }
}
