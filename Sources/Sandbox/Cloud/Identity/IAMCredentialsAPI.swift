internal import Encoding
internal import HTTP

/// iamcredentials v1: access tokens and identity tokens of service accounts (the simulated Cloud Run knows the latter
/// again), and their signatures over bytes, with a key that everybody can verify (`SigningKey`). `signJwt` answers 501:
/// nobody asks for it.
struct IAMCredentialsAPI: CloudAPI {
    static let routes: [Route] = {
        let account = "v1/projects/{wildcard}/serviceAccounts/{account}"
        return [
            Route(.post, "\(account):generateAccessToken", "iamcredentials.serviceAccounts.generateAccessToken"),
            Route(.post, "\(account):generateIdToken", "iamcredentials.serviceAccounts.generateIdToken"),
            Route(.post, "\(account):signBlob", "iamcredentials.serviceAccounts.signBlob"),
            Route(.post, "\(account):signJwt", "iamcredentials.serviceAccounts.signJwt"),
        ]
    }()

    mutating func perform(
        _ call: APICall, in world: CloudWorld, shared: inout SharedState
    ) throws(CloudError) -> HTTPReply {
        let isIdentity = call.method == "iamcredentials.serviceAccounts.generateIdToken"
        let signs = call.method == "iamcredentials.serviceAccounts.signBlob"
        guard isIdentity || signs || call.method == "iamcredentials.serviceAccounts.generateAccessToken" else {
            throw CloudError(
                status: 501, reason: "UNIMPLEMENTED", message: "The sandbox signs blobs, and no tokens.")
        }
        guard call["wildcard"] == "-" else {
            throw .invalidField("name", "The project of the service account must be the wildcard character \"-\".")
        }
        let body = try call.body()
        let delegates = (body["delegates"]?.arrayValue ?? []).compactMap(\.stringValue)
        if isIdentity { return .json(["token": .string(try identityToken(call, body, world, &shared))]) }
        if signs { return try sign(body, call, delegates, world, shared) }
        let scopes = (body["scope"]?.arrayValue ?? []).compactMap(\.stringValue)
        guard !scopes.isEmpty else { throw .invalidField("scope", "At least one scope is required.") }
        if let scope = scopes.first(where: { !$0.hasPrefix("https://") && !["openid", "email"].contains($0) }) {
            throw .invalidField("scope", "Scope \(scope) is not a valid OAuth scope.")
        }
        let lifetime = try lifetime(body["lifetime"], in: world)
        let account = call["account"]
        try checkChain(call, account: account, delegates: delegates, for: "getAccessToken", world, shared)
        let issued = shared.tokens.issue(to: account, scopes: scopes, lifetime: lifetime, now: world.now)
        return .json([
            "accessToken": .string(issued.token), "expireTime": .string(issued.expires.wholeSeconds.description),
        ])
    }

    private func identityToken(
        _ call: APICall, _ body: JSONValue, _ world: CloudWorld, _ shared: inout SharedState
    ) throws(CloudError) -> String {
        guard let audience = body["audience"]?.stringValue, !audience.isEmpty else {
            throw .invalidField("audience", "The audience must not be empty.")
        }
        let delegates = (body["delegates"]?.arrayValue ?? []).compactMap(\.stringValue)
        try checkChain(call, account: call["account"], delegates: delegates, for: "getOpenIdToken", world, shared)
        return shared.tokens.issueIdentity(to: call["account"], audience: audience, now: world.now)
    }

    private func sign(
        _ body: JSONValue, _ call: APICall, _ delegates: [String], _ world: CloudWorld, _ shared: SharedState
    ) throws(CloudError) -> HTTPReply {
        guard let payload = body["payload"]?.stringValue.flatMap({ Base64.decode($0) }), !payload.isEmpty else {
            throw .invalidField("payload", "The bytes to sign are required.")
        }
        try checkChain(call, account: call["account"], delegates: delegates, for: "signBlob", world, shared)
        return .json([
            "keyId": .string(SigningKey.id), "signedBlob": .string(Base64.encode(SigningKey.signature(of: payload))),
        ])
    }

    /// Up to an hour, as long as no organisation policy extends it.
    private func lifetime(_ given: JSONValue?, in world: CloudWorld) throws(CloudError) -> Duration {
        guard let given, !given.isNull else { return min(world.script.apis.tokenLifetime, .seconds(3600)) }
        guard let lifetime = given.duration, lifetime > .zero else {
            throw .invalidField("lifetime", "The lifetime must be a positive duration.")
        }
        guard lifetime <= .seconds(3600) else {
            throw .invalidField("lifetime", "The access token lifetime cannot exceed 3600 seconds.")
        }
        return min(lifetime, world.script.apis.tokenLifetime + .seconds(1))
    }

    /// The caller must be allowed to act as the first delegate, each delegate as the next, the last as the account. A
    /// caller who is not known (credentials are not checked) may do what he likes; the chain is checked all the same.
    private func checkChain(
        _ call: APICall, account: String, delegates: [String], for right: String, _ world: CloudWorld,
        _ shared: SharedState
    ) throws(CloudError) {
        var actor = shared.caller(call, now: world.now)
        for (index, delegate) in (delegates + ["projects/-/serviceAccounts/\(account)"]).enumerated() {
            guard delegate.hasPrefix("projects/-/serviceAccounts/") else {
                throw .invalidField(
                    "delegates[\(index)]", "Delegates must be of the form projects/-/serviceAccounts/{account}.")
            }
            let email = String(delegate.dropFirst("projects/-/serviceAccounts/".count))
            guard let known = shared.identities.accounts[email] else {
                throw .resourceNotFound("Not found; Gaia id not found for email \(email)")
            }
            if known.isDisabled { throw .failedPrecondition("Service account \(email) is disabled.") }
            if let actor, !shared.identities.mayAct(actor, as: email, at: world.now) {
                throw .permissionDenied("iam.serviceAccounts.\(right)", resource: nil)
            }
            actor = email
        }
    }
}
