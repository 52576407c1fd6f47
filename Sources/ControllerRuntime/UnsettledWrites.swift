import HTTP
import Kubernetes
import Synchronization

/// Writes of which no store has seen the result: the reply was lost, or could not be read. The key of such a write waits
/// until a live read has shown what is true; every other write is in the store before the next round begins.
final class UnsettledWrites: Sendable {
    private let references = Mutex<[ObjectKey: Set<ObjectReference>]>([:])

    /// - Parameters:
    ///   - reference: what was written; its uid does not matter.
    ///   - key: whose round it was.
    func note(_ reference: ObjectReference, for key: ObjectKey) {
        references.withLock { _ = $0[key, default: []].insert(Self.place(reference)) }
    }

    func of(_ key: ObjectKey) -> Set<ObjectReference> { references.withLock { $0[key] ?? [] } }

    func settled(_ reference: ObjectReference, for key: ObjectKey) {
        references.withLock { references in
            references[key]?.remove(Self.place(reference))
            if references[key]?.isEmpty == true { references[key] = nil }
        }
    }

    private static func place(_ reference: ObjectReference) -> ObjectReference {
        ObjectReference(type: reference.type, namespace: reference.namespace, name: reference.name)
    }
}

extension APIError {
    /// Whether the request may have been carried out all the same.
    var leavesOutcomeOpen: Bool {
        switch code {
        case .timeout, .unavailable, .cancelled, .malformedResponse, .tooLarge, .insecure: true
        case .invalid, .unauthorized, .forbidden, .notFound, .alreadyExists, .conflict, .preconditionFailed,
            .expired, .rateLimited, .quotaExceeded, .stockedOut:
            false
        }
    }
}
