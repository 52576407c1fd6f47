import Encoding
import HTTP
import Synchronization
import Telemetry

/// A token in a file that somebody renews: the kubelet, or whatever writes a kubeconfig's `tokenFile`.
///
/// Read again after a minute, and at once after a 401, as client-go does. While the file cannot be read, the last
/// token is used; it may be valid for a long time yet.
final class TokenFile: CredentialSource {
    private struct State {
        var credential: Credential?
        /// nil: to be read at the next use.
        var readAt: Timestamp?
    }

    static let interval: Duration = .seconds(60)

    private let path: String
    private let fallback: Credential?
    private let clock: any WallClock
    private let state = Mutex(State())

    /// - Parameter fallback: for as long as the file has never been read.
    init(_ path: String, fallback: Credential? = nil, clock: any WallClock = SystemClock()) {
        self.path = path
        self.fallback = fallback
        self.clock = clock
    }

    var origin: String? { "the token in \(path)" }

    func credential() async throws(APIError) -> Credential {
        let now = clock.now
        let kept = state.withLock { state in
            guard let readAt = state.readAt else { return nil as Credential? }
            // A clock that was set back must not keep an old token alive.
            return now >= readAt && now - readAt < TokenFile.interval ? state.credential : nil
        }
        if let kept { return kept }
        return try read(now: now)
    }

    func refused(_ credential: Credential) async -> Bool {
        state.withLock { state in
            // Renewed by another request meanwhile: that one is to be tried.
            if let current = state.credential, current != credential { return }
            state.readAt = nil
        }
        return true
    }

    /// Reading a small local file takes microseconds: it needs no thread of its own.
    private func read(now: Timestamp) throws(APIError) -> Credential {
        do throws(ConfigurationError) {
            let text = try ConfigurationFile.text(path)
            guard !text.isEmpty else { throw ConfigurationError(.invalid, "\(path) is empty") }
            let credential = Credential(token: text)
            state.withLock { $0 = State(credential: credential, readAt: now) }
            return credential
        } catch {
            if let last = state.withLock(\.credential) ?? fallback { return last }
            throw APIError(.unauthorized, operation: "read the token", message: error.message)
        }
    }
}
