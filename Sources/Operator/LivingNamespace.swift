import HTTP
import Kubernetes

extension KubernetesClient {
    /// Nothing is created, in the cluster or outside, for a namespace that is going.
    ///
    /// - Throws: `.unavailable` when it is being deleted or gone.
    func requireLiving(namespace: String?, _ operation: String) async throws(APIError) {
        guard let namespace else { return }
        let live = try await find(Namespace.self, namespace: nil, name: namespace)
        guard let live, !live.metadata.isDeleting else {
            throw APIError(.unavailable, operation: operation, message: "the namespace \(namespace) is being deleted")
        }
    }
}
