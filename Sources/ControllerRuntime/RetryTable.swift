public import HTTP

/// When a failed round is tried again.
public enum RetryTiming: Sendable, Hashable {
    /// Observe again now; after a few times in a row it becomes `backoff`.
    case atOnce
    /// After the time that the service asked for.
    case after(Duration)
    /// Exponential, per key, full jitter, capped.
    case backoff
    /// At the slow recheck: nothing changes until somebody acts.
    case slowly
    /// Not at all: the same request stays wrong until the object, or what it depends on, changes. (The hourly look heals
    /// what was refused by mistake.)
    case whenChanged
    /// Not by us: the process is stopping. (Should it not be, the slow recheck comes.)
    case never
}

/// The one place that decides on retries.
enum RetryTable {
    static func timing(of error: APIError) -> RetryTiming {
        switch error.code {
        case .conflict, .preconditionFailed: .atOnce
        case .rateLimited, .unavailable, .timeout: error.retryAfter.map { .after($0) } ?? .backoff
        case .malformedResponse, .expired, .notFound, .unauthorized: .backoff
        case .invalid: .whenChanged
        case .forbidden, .alreadyExists, .quotaExceeded, .stockedOut, .tooLarge, .insecure: .slowly
        case .cancelled: .never
        }
    }
}

/// What a round led to.
public enum ReconcileOutcome: Sendable, Hashable {
    /// Nothing to look after: gone, finalized, or not ours.
    case done
    /// Nothing to do until something changes.
    case settled
    /// Look again after this time, as the plan says.
    case again(after: Duration)
    case failed(APIError, retry: RetryTiming)
}
