import Encoding
import HTTP
import Kubernetes

/// Writes and deletes an object's children in the cluster, and never touches what is not ours.
struct ChildWriter: Sendable {
    let client: KubernetesClient
    let cache: ObjectCache
    /// The uid that our children's owner references carry.
    let ownerUID: String?

    func apply(_ manifest: Manifest) async throws(APIError) {
        switch manifest.method {
        case .createOnce: try await createOnce(manifest)
        case .apply:
            let live = try await client.find(manifest.type, namespace: manifest.namespace, name: manifest.name)
            if let live { try checkOwner(of: live, wanted: manifest.body, "apply \(manifest.type.plural)") }
            cache.recordWrite(manifest.type, try await client.applyPatch(manifest.type, manifest.body))
        }
    }

    /// Deletes a child; gone already is success.
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
        } catch  where error.code == .notFound {
            return
        }
    }

    private func createOnce(_ manifest: Manifest) async throws(APIError) {
        do throws(APIError) {
            cache.recordWrite(manifest.type, try await client.create(manifest.type, manifest.body))
        } catch  where error.code == .alreadyExists {
            let live = try await client.get(manifest.type, namespace: manifest.namespace, name: manifest.name)
            try checkOwner(of: live, wanted: manifest.body, "POST \(manifest.type.plural)")
            cache.recordWrite(manifest.type, live)
        }
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
