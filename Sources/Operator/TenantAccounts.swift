public import GoogleCloud
public import HTTP
public import Kubernetes
public import Telemetry

/// Which Google service account stands for a namespace: the one that the namespace's annotation asks for, if the
/// installation allows it. A namespace that asks for none is served with the operator's own identity.
///
/// Only Cloud Storage is asked so. The right to change a cluster's node pools cannot be divided among tenants: whoever
/// has it rules the cluster, so it stays with the operator.
public final class TenantAccounts: Sendable {
    /// Of a namespace: the e-mail address of the service account that its buckets and objects are used as.
    public static let annotation = "trainyard.dev/google-service-account"
    /// Another annotation counts after this.
    static let memory: Duration = .seconds(60)
    private static let operation = "choosing the namespace's service account"

    private let allowed: [String: Set<String>]
    private let kubernetes: KubernetesClient
    private let clock: any WallClock
    private let reads = SharedReads<String, String?>()

    /// - Parameter allowed: the accounts that each namespace may ask for.
    public init(allowed: [String: Set<String>], kubernetes: KubernetesClient, clock: any WallClock) {
        self.allowed = allowed
        self.kubernetes = kubernetes
        self.clock = clock
    }

    /// - Throws: `.forbidden`, with `ImpersonatedAccount.refusedReason`, for an account that the namespace may not have;
    ///   what reading the namespace throws.
    public func account(of namespace: String) async throws(APIError) -> ImpersonatedAccount? {
        let clock = clock
        let wanted = try await reads[namespace].value(notOlderThan: Self.memory, uptime: { clock.uptime }) {
            () async throws(APIError) -> String? in
            let live = try await kubernetes.find(Namespace.self, namespace: nil, name: namespace)
            return live?.metadata.annotations?[Self.annotation]
        }
        guard let wanted else { return nil }
        guard let account = ImpersonatedAccount(wanted) else {
            throw refusal(
                "the annotation \(Self.annotation) of the namespace \(namespace) is no service account's address")
        }
        guard allowed[namespace]?.contains(wanted) == true else {
            throw refusal(
                "the namespace \(namespace) asks for \(wanted) by its annotation \(Self.annotation), which the operator's "
                    + "--tenant-accounts does not allow: add \(namespace)=\(wanted) there, or take the annotation away")
        }
        return account
    }

    private func refusal(_ message: String) -> APIError {
        APIError(
            .forbidden, operation: Self.operation, message: message, reason: ImpersonatedAccount.refusedReason)
    }
}
