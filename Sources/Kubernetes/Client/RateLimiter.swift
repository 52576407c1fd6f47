import HTTP
import Synchronization

/// client-go's token bucket: `burst` requests at once, then so many per second. Watches do not count, nor do leases: a
/// leader that waits behind its own work would lose the lease.
public final class RateLimiter: Sendable {
    private let bucket: Mutex<TokenBucket>
    private let start = ContinuousClock.now
    private let onWait: @Sendable (Duration) -> Void

    /// - Parameters:
    ///   - requestsPerSecond: more than 0.
    ///   - burst: at least 1.
    ///   - onWait: told how long each request waited, zero included.
    public init(
        requestsPerSecond: Double, burst: Int, onWait: @escaping @Sendable (Duration) -> Void = { _ in }
    ) {
        bucket = Mutex(TokenBucket(Rate(perSecond: requestsPerSecond, burst: burst)))
        self.onWait = onWait
    }

    /// Waits until the request may go, in the order of the calls.
    ///
    /// - Throws: `.cancelled`.
    func wait(for request: KubernetesRequest) async throws(APIError) {
        if request.isWatch || request.path.hasPrefix("/apis/coordination.k8s.io/") { return }
        let now = ContinuousClock.now - start
        let wait = bucket.withLock { $0.reserve(now: now) }
        onWait(wait)
        if wait == .zero { return }
        do {
            try await Task.sleep(for: wait)
        } catch {
            throw APIError(.cancelled, operation: request.operation, message: "cancelled while it waited to be sent")
        }
    }
}
