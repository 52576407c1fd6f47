internal import Encoding
internal import HTTP
internal import Synchronization
internal import Telemetry

/// Tokens by a credential file that somebody may replace: read again after a minute, and at once when an API or the
/// token endpoint does not accept what it gave. While the file cannot be read, what was read last is used.
final class FileTokens: TokenSource {
    private struct State {
        /// Of the file's bytes, which hold secrets.
        var digest: [UInt8]?
        var tokens: CachedTokens?
        /// Uptime; nil: at the next use.
        var readAt: Duration?
    }

    private static let interval: Duration = .seconds(60)

    private let path: String
    private let exchange: CredentialExchange
    private let clock: any WallClock
    private let state = Mutex(State())

    /// - Throws: `.unauthorized` when the file is there and cannot be used; one that is not there may still come.
    init(_ path: String, transport: any HTTPTransport, clock: any WallClock) throws(APIError) {
        self.path = path
        self.exchange = CredentialExchange(path: path, transport: transport, clock: clock)
        self.clock = clock
        if CredentialBytes.exists(path) { _ = try current() }
    }

    func token() async throws(APIError) -> AccessToken? {
        let tokens = try current()
        do throws(APIError) {
            return try await tokens.token()
        } catch {
            if error.code == .unauthorized { lookAgain() }
            throw error
        }
    }

    func discard(_ token: AccessToken) {
        state.withLock(\.tokens)?.discard(token)
        lookAgain()
    }

    private func lookAgain() { state.withLock { $0.readAt = nil } }

    private func current() throws(APIError) -> CachedTokens {
        let now = clock.uptime
        let answer: Result<CachedTokens, APIError> = state.withLock { state in
            if let tokens = state.tokens, let readAt = state.readAt, now - readAt < Self.interval {
                return .success(tokens)
            }
            do throws(APIError) {
                let bytes = try CredentialBytes.bytes(path)
                let digest = SHA256.digest(of: bytes)
                if state.digest != digest {
                    state.tokens = exchange.tokens(for: try CredentialFile(bytes, path: path))
                    state.digest = digest
                }
            } catch {
                // Half written, or just being replaced.
                guard state.tokens != nil else { return .failure(error) }
            }
            state.readAt = now
            return state.tokens.map { .success($0) } ?? .failure(exchange.unusable)
        }
        return try answer.get()
    }
}

/// Builds what gets tokens for a credential file's content.
struct CredentialExchange: Sendable {
    let path: String
    let transport: any HTTPTransport
    let clock: any WallClock

    var unusable: APIError {
        APIError(.unauthorized, operation: "credentials", message: "\(path) cannot be used")
    }

    func tokens(for file: CredentialFile) -> CachedTokens {
        switch file {
        case .authorizedUser(let user):
            return cached(
                RefreshTokenGrant(user, path: path, endpoint: endpoint("oauth2.token")))
        case .externalAccount(var account):
            let exchange = { (account: ExternalAccount) in
                cached(SubjectTokenExchange(account: account, path: path, endpoint: endpoint("sts.token")))
            }
            guard let target = account.impersonates else { return exchange(account) }
            let project = account.quotaProject
            account.quotaProject = nil
            return impersonating(target, with: exchange(account), quotaProject: project)
        case .impersonated(let target, let source, let project):
            return impersonating(target, with: tokens(for: source.withoutQuotaProject), quotaProject: project)
        }
    }

    private func impersonating(
        _ target: ImpersonatedAccount, with source: CachedTokens, quotaProject: String?
    ) -> CachedTokens {
        let client = GoogleCloudClient(transport: transport, tokens: source, clock: clock)
        return cached(AccountTokenRequest(account: target, client: client, quotaProject: quotaProject))
    }

    private func endpoint(_ operation: String) -> TokenEndpoint {
        TokenEndpoint(transport: transport, clock: clock, operation: operation)
    }

    private func cached(_ fetcher: some TokenFetcher) -> CachedTokens { CachedTokens(fetcher, clock: clock) }
}

extension CredentialFile {
    /// The right to act as an account needs no right to use a project.
    fileprivate var withoutQuotaProject: CredentialFile {
        switch self {
        case .authorizedUser(var user):
            user.quotaProject = nil
            return .authorizedUser(user)
        case .externalAccount(var account):
            account.quotaProject = nil
            return .externalAccount(account)
        case .impersonated(let account, let source, _):
            return .impersonated(account, source: source, quotaProject: nil)
        }
    }
}

/// A person's refresh token for an access token. The endpoint may replace the refresh token; the new one is used from
/// then on.
///
/// Maps to `POST https://oauth2.googleapis.com/token`.
private final class RefreshTokenGrant: TokenFetcher {
    private let user: AuthorizedUser
    private let path: String
    private let endpoint: TokenEndpoint
    private let refreshToken: Mutex<Secret>

    init(_ user: AuthorizedUser, path: String, endpoint: TokenEndpoint) {
        self.user = user
        self.path = path
        self.endpoint = endpoint
        self.refreshToken = Mutex(user.refreshToken)
    }

    func fetch() async throws(APIError) -> AccessToken {
        let refreshToken = refreshToken.withLock { $0 }
        let request = endpoint.form(
            HTTPURL(origin: "https://oauth2.googleapis.com", path: "/token"),
            [
                ("grant_type", "refresh_token"), ("client_id", user.clientID),
                ("client_secret", user.clientSecret.revealed), ("refresh_token", refreshToken.revealed),
            ])
        let response = try await endpoint.reply(to: request, hiding: [refreshToken, user.clientSecret])
        guard response.isSuccess else {
            throw endpoint.refusal(
                response, of: "the login in \(path)", remedy: "run `gcloud auth application-default login` again")
        }
        let (token, body) = try endpoint.token(in: response, quotaProject: user.quotaProject)
        if let rotated = body["refresh_token"]?.stringValue, TokenEndpoint.isHeaderSafe(rotated) {
            self.refreshToken.withLock { $0 = Secret(rotated) }
        }
        return token
    }
}
