internal import Encoding
internal import HTTP
internal import Synchronization
internal import Telemetry

/// A service account to act as.
public struct ImpersonatedAccount: Sendable, Hashable {
    /// The scope of every API that we call.
    public static let cloudPlatform = "https://www.googleapis.com/auth/cloud-platform"

    /// `APIError.reason` of `.forbidden` where not a call was refused but the identity to make it with.
    public static let refusedReason = "ImpersonationRefused"

    /// Its e-mail address.
    public let account: String
    public let scopes: [String]
    /// Service accounts through which the right to act as it is passed on, the caller's neighbour first.
    public let delegates: [String]
    /// 10 minutes to 12 hours; more than an hour takes an organization policy.
    var lifetime: Duration = .seconds(3600)

    /// - Returns: nil when a name is no service account's, a scope no URL of Google's, or there are more than 10
    ///   scopes or delegates.
    public init?(
        _ account: String, scopes: [String] = [ImpersonatedAccount.cloudPlatform], delegates: [String] = []
    ) {
        guard ([account] + delegates).allSatisfy(ImpersonatedAccount.isAccount), !scopes.isEmpty,
            scopes.count <= 10, delegates.count <= 10,
            scopes.allSatisfy({ $0.hasPrefix("https://www.googleapis.com/auth/") && TokenEndpoint.isHeaderSafe($0) })
        else { return nil }
        self.account = account
        self.scopes = scopes
        self.delegates = delegates
    }

    /// `name@project.iam.gserviceaccount.com` and Google's own, or the numeric id.
    private static func isAccount(_ name: String) -> Bool {
        if (10...30).contains(name.utf8.count), name.utf8.allSatisfy({ (0x30...0x39).contains($0) }) { return true }
        let parts = name.split(separator: "@", omittingEmptySubsequences: false)
        return name.utf8.count <= 320 && parts.count == 2 && !parts[0].isEmpty
            && parts[1].hasSuffix(".gserviceaccount.com")
            && name.utf8.allSatisfy { byte in
                (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || "-._@:".utf8.contains(byte)
            }
    }
}

/// Tokens of other service accounts, for tenants that are each given one: made with the operator's own credentials, which
/// need roles/iam.serviceAccountTokenCreator on them.
///
/// One cache for each account, scopes and delegates; at most `limit` of them, the longest unused one goes first.
public final class ImpersonatedTokens: Sendable {
    private struct State {
        var caches: [ImpersonatedAccount: CachedTokens] = [:]
        /// The longest unused one first.
        var order: [ImpersonatedAccount] = []
    }

    private let client: GoogleCloudClient
    private let limit: Int
    private let state = Mutex(State())

    /// - Parameters:
    ///   - client: with the operator's own credentials; its transport must not hold back what is no change.
    ///   - limit: of accounts, at least 1.
    public init(_ client: GoogleCloudClient, limit: Int = 256) {
        self.client = client
        self.limit = max(1, limit)
    }

    /// The tokens of an account; the same cache for the same account, scopes and delegates.
    public func tokens(for account: ImpersonatedAccount) -> any TokenSource {
        state.withLock { state in
            if let index = state.order.firstIndex(of: account) { state.order.remove(at: index) }
            state.order.append(account)
            if let known = state.caches[account] { return known }
            let cache = CachedTokens(AccountTokenRequest(account: account, client: client), clock: client.clock)
            state.caches[account] = cache
            if state.order.count > limit { state.caches[state.order.removeFirst()] = nil }
            return cache
        }
    }

    /// How many accounts are known; for tests.
    var count: Int { state.withLock(\.caches.count) }
}

/// Maps to `POST v1/projects/-/serviceAccounts/ACCOUNT:generateAccessToken` of iamcredentials.
struct AccountTokenRequest: TokenFetcher {
    private struct Reply: Decodable {
        var accessToken: String?
        var expireTime: String?
    }

    static let operation = "iamcredentials.projects.serviceAccounts.generateAccessToken"

    let account: ImpersonatedAccount
    /// With the credentials that have the right to act as the account.
    let client: GoogleCloudClient
    var quotaProject: String?

    func fetch() async throws(APIError) -> AccessToken {
        let url = HTTPURL(
            origin: "https://iamcredentials.googleapis.com",
            path: "/v1/projects/-/serviceAccounts/\(HTTPURL.encodedSegment(account.account)):generateAccessToken")
        let delegates = account.delegates.map { JSONValue.string("projects/-/serviceAccounts/\($0)") }
        var body: JSONValue = [
            "scope": .array(account.scopes.map(JSONValue.string)),
            "lifetime": .string("\(account.lifetime.components.seconds)s"),
        ]
        if !delegates.isEmpty { body["delegates"] = .array(delegates) }
        var call = GoogleCall(Self.operation, .post, url, json: body)
        call.maximumResponseBytes = TokenEndpoint.maximumResponseBytes
        call.timeout = .seconds(15)
        return try token(in: try await sent(call))
    }

    private func sent(_ call: GoogleCall) async throws(APIError) -> HTTPResponse {
        do throws(APIError) {
            return try await client.reply(call)
        } catch {
            guard error.code == .forbidden || error.code == .notFound else { throw error }
            var error = error
            error.code = .forbidden
            error.reason = ImpersonatedAccount.refusedReason
            error.message =
                "cannot act as \(account.account): it must exist, and these credentials need "
                + "roles/iam.serviceAccountTokenCreator on it (\(error.message))"
            throw error
        }
    }

    /// The end is told by the service's clock: counted from the reply's own date, never longer than asked for.
    private func token(in response: HTTPResponse) throws(APIError) -> AccessToken {
        guard let reply = try? JSONValue(parsing: response.body).decode(Reply.self),  // It could quote the token.
            let secret = reply.accessToken, TokenEndpoint.isHeaderSafe(secret),
            let end = reply.expireTime.flatMap({ Timestamp($0) })
        else {
            throw APIError(
                .malformedResponse, operation: Self.operation,
                message: "the reply holds no access token that can be used", httpStatus: response.status)
        }
        let date = response.headers["Date"].flatMap { Timestamp(httpDate: $0) }
        let left = date.map { end - $0 } ?? account.lifetime
        guard left > .zero else {
            throw APIError(
                .malformedResponse, operation: Self.operation, message: "the token in the reply is over already",
                httpStatus: response.status)
        }
        return AccessToken(secret, lifetime: min(left, account.lifetime), quotaProject: quotaProject)
    }
}
