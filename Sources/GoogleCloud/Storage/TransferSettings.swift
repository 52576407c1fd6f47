internal import Encoding
internal import HTTP
internal import Telemetry

/// How uploads and downloads deal with size and with a network that breaks.
public struct TransferSettings: Sendable {
    /// Bodies above this go by a resumable upload.
    public var resumableThresholdBytes: Int = 8 << 20
    /// One request of a resumable upload; a multiple of `chunkMultiple`.
    public var chunkBytes: Int = 8 << 20
    /// Failures in a row without a byte of progress, and lost upload sessions, that are borne.
    public var retries: Int = 5
    /// Before the first retry; doubles with each further one.
    public var firstDelay: Duration = .milliseconds(500)
    public var maximumDelay: Duration = .seconds(16)
    /// For one chunk up, and the longest silence of a download.
    public var timeout: Duration = .seconds(120)
    /// Spreads retries: a factor from 0 to 1 for each delay.
    public var jitter: @Sendable () -> Double = { Double.random(in: 0.5...1) }

    /// Cloud Storage takes all chunks but the last in multiples of this.
    public static let chunkMultiple = 256 << 10

    public init() {}

    /// Before retry `attempt` (1 is the first).
    func delay(attempt: Int) -> Duration {
        let doubled = firstDelay * (1 << min(max(attempt - 1, 0), 16))
        return min(doubled, maximumDelay) * jitter()
    }

    /// Whole multiples only, at least one.
    var effectiveChunkBytes: Int {
        max(chunkBytes / TransferSettings.chunkMultiple, 1) * TransferSettings.chunkMultiple
    }
}

extension StorageClient {
    /// Whether the same transfer may go on after this.
    static func isInterruption(_ error: APIError) -> Bool {
        switch error.code {
        case .unavailable, .timeout, .rateLimited: true
        default: false
        }
    }

    /// Waits before retry `attempt`, at least as long as the service asked for, by uptime.
    ///
    /// - Throws: `.cancelled`.
    func pause(attempt: Int, after error: APIError) async throws(APIError) {
        let delay = max(transfers.delay(attempt: attempt), error.retryAfter ?? .zero)
        do throws(CancellationError) {
            try await client.clock.sleep(for: delay)
        } catch {
            throw APIError(.cancelled, operation: "storage transfer", message: "the transfer was cancelled")
        }
    }
}
