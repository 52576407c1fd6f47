internal import Encoding
internal import HTTP

/// Access and identity tokens that the simulated endpoints have issued.
struct TokenIssuer: Sendable {
    struct Grant: Sendable, Equatable {
        /// A service account's or a user's email, or a principal of a workload identity pool.
        var principal: String
        var scopes: [String]
        var expires: Timestamp
        /// For whom an identity token speaks of the principal; nil for an access token.
        var audience: String?
    }

    /// Why a request's credentials are refused.
    enum Refusal: Sendable, Equatable { case missing, invalid, expired }

    private var grants: [String: Grant] = [:]
    private var serial: UInt64 = 0
    private var sweepAt = 4096

    /// A new token. Tokens that ended more than a day ago are forgotten.
    mutating func issue(
        to principal: String, scopes: [String], lifetime: Duration, now: Timestamp
    ) -> (token: String, expires: Timestamp) {
        serial += 1
        let grant = Grant(principal: principal, scopes: scopes, expires: now + lifetime)
        let mark = String(StableHash.fnv1a("\(principal)/\(serial)"), radix: 36)
        let token = "ya29.sandbox-\(serial)-\(mark)"
        keep(token, grant, now: now)
        return (token, grant.expires)
    }

    /// A new identity token, good for an hour: a JWT in form, whose signature nobody can verify but this issuer.
    mutating func issueIdentity(to principal: String, audience: String, now: Timestamp) -> String {
        serial += 1
        let grant = Grant(principal: principal, scopes: [], expires: now + .seconds(3600), audience: audience)
        let header: JSONValue = ["alg": "RS256", "kid": "sandbox", "typ": "JWT"]
        let subject = String(StableHash.fnv1a(principal))
        let payload: JSONValue = [
            "iss": "https://accounts.google.com", "aud": .string(audience), "azp": .string(subject),
            "sub": .string(subject), "email": .string(principal), "email_verified": true,
            "iat": .integer(now.seconds), "exp": .integer(grant.expires.seconds),
        ]
        let token = [header.serialized(), payload.serialized(), Array("sandbox-\(serial)".utf8)]
            .map(Base64.encodeURL).joined(separator: ".")
        keep(token, grant, now: now)
        return token
    }

    private mutating func keep(_ token: String, _ grant: Grant, now: Timestamp) {
        if grants.count >= sweepAt {
            grants = grants.filter { now < $0.value.expires + .seconds(86400) }
            sweepAt = max(4096, 2 * grants.count)
        }
        grants[token] = grant
    }

    /// Who a request's bearer access token belongs to.
    func check(_ request: HTTPRequest, now: Timestamp) -> Result<Grant, RefusalError> {
        let result = find(request, now: now)
        if case .success(let grant) = result, grant.audience != nil { return .failure(RefusalError(.invalid)) }
        return result
    }

    /// Who a request's bearer identity token belongs to, if it was made for one of these audiences.
    func checkIdentity(_ request: HTTPRequest, audiences: [String], now: Timestamp) -> Result<Grant, RefusalError> {
        let result = find(request, now: now)
        if case .success(let grant) = result, !audiences.contains(grant.audience ?? "") {
            return .failure(RefusalError(.invalid))
        }
        return result
    }

    private func find(_ request: HTTPRequest, now: Timestamp) -> Result<Grant, RefusalError> {
        guard let header = request.headers["Authorization"] else { return .failure(RefusalError(.missing)) }
        guard header.lowercased().hasPrefix("bearer "), let grant = grants[String(header.dropFirst(7))] else {
            return .failure(RefusalError(.invalid))
        }
        return now < grant.expires ? .success(grant) : .failure(RefusalError(.expired))
    }

    struct RefusalError: Error, Equatable {
        var refusal: Refusal
        init(_ refusal: Refusal) { self.refusal = refusal }
    }
}

extension TokenIssuer.Refusal {
    private static let expected =
        "Expected OAuth 2 access token, login cookie or other valid authentication credential. See "
        + "https://developers.google.com/identity/sign-in/web/devconsole-project."

    /// The 401 of ESF services.
    func error(service: String) -> CloudError {
        let message =
            self == .missing
            ? "Request is missing required authentication credential. \(Self.expected)"
            : "Request had invalid authentication credentials. \(Self.expected)"
        let reason =
            switch self {
            case .missing: "CREDENTIALS_MISSING"
            case .invalid: "ACCESS_TOKEN_TYPE_UNSUPPORTED"
            case .expired: "ACCESS_TOKEN_EXPIRED"
            }
        var error = CloudError(status: 401, reason: "UNAUTHENTICATED", message: message, location: "Authorization")
        error.details = [CloudError.errorInfo(reason, domain: "googleapis.com", ["service": service])]
        return error
    }
}
