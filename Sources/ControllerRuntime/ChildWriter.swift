import Encoding
import HTTP
import Kubernetes

/// Writes and deletes an object's children in the cluster, and never touches what is not ours.
struct ChildWriter: Sendable {
    let client: KubernetesClient
    let cache: ObjectCache
    let unsettled: UnsettledWrites
    /// Whose children these are.
    let owner: ObjectKey
    /// The uid that our children's owner references carry.
    let ownerUID: String?

    func apply(_ manifest: Manifest) async throws(APIError) {
        let reference = ObjectReference(type: manifest.type, namespace: manifest.namespace, name: manifest.name)
        switch manifest.method {
        case .createOnce: try await createOnce(manifest, reference)
        case .apply:
            let live = try await client.find(manifest.type, namespace: manifest.namespace, name: manifest.name)
            if let live { try checkOwner(of: live, wanted: manifest.body, "apply \(manifest.type.plural)") }
            try await write(reference) { () async throws(APIError) in
                try await client.applyPatch(manifest.type, manifest.body)
            }
        }
    }

    /// Deletes a child; gone already is success. What is deleted is what was seen: its uid is a precondition.
    func delete(_ reference: ObjectReference, gracePeriodSeconds: Int? = nil) async throws(APIError) {
        var reference = reference
        do throws(APIError) {
            if reference.uid == nil {
                let live = try await client.get(
                    reference.type, namespace: reference.namespace, name: reference.name)
                try checkOwner(of: live, wanted: nil, "DELETE \(reference.type.plural)")
                reference.uid = live.value(at: ["metadata", "uid"])?.stringValue
            }
            try await client.delete(reference, gracePeriodSeconds: gracePeriodSeconds)
        } catch {
            if error.leavesOutcomeOpen { unsettled.note(reference, for: owner) }
            guard error.code == .notFound else { throw error }
        }
        // Whether it is gone or going only the server knows.
        unsettled.note(reference, for: owner)
    }

    private func createOnce(_ manifest: Manifest, _ reference: ObjectReference) async throws(APIError) {
        do throws(APIError) {
            try await write(reference) { () async throws(APIError) in
                try await client.create(manifest.type, manifest.body)
            }
        } catch  where error.code == .alreadyExists {
            let live = try await client.get(manifest.type, namespace: manifest.namespace, name: manifest.name)
            try checkOwner(of: live, wanted: manifest.body, "POST \(manifest.type.plural)")
            record(live, reference)
        }
    }

    private func write(
        _ reference: ObjectReference, _ body: () async throws(APIError) -> JSONValue
    ) async throws(APIError) {
        do throws(APIError) {
            record(try await body(), reference)
        } catch {
            if error.leavesOutcomeOpen { unsettled.note(reference, for: owner) }
            throw error
        }
    }

    private func record(_ reply: JSONValue, _ reference: ObjectReference) {
        if !cache.recordWrite(reference, reply) { unsettled.note(reference, for: owner) }
    }

    /// - Throws: `.alreadyExists` when the object is somebody else's, `.unavailable` when it is ours and still going.
    private func checkOwner(of live: JSONValue, wanted: JSONValue?, _ operation: String) throws(APIError) {
        let name = live.value(at: ["metadata", "name"])?.stringValue ?? ""
        guard isOurs(live) || wanted.map({ !isOurs($0) }) == true else {
            throw APIError(
                .alreadyExists, operation: operation, message: "\(name) exists and belongs to somebody else",
                reason: "NameConflict")
        }
        guard wanted == nil || live.value(at: ["metadata", "deletionTimestamp"]) == nil else {
            throw APIError(.unavailable, operation: operation, message: "\(name) is still being deleted")
        }
    }

    private func isOurs(_ object: JSONValue) -> Bool {
        guard let ownerUID else { return false }
        let owners = object.value(at: ["metadata", "ownerReferences"])?.arrayValue ?? []
        return owners.contains { $0["uid"]?.stringValue == ownerUID }
    }
}
