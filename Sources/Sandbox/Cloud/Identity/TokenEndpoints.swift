internal import Encoding
internal import HTTP

/// An OAuth error: its `error` is a word, not an object.
private func oauthError(_ status: Int, _ error: String, _ description: String) -> HTTPReply {
    .json(["error": .string(error), "error_description": .string(description)], status: status)
}

/// The fields of a form, or of a JSON body whose names are turned into snake case.
private func fields(_ call: APICall) -> [String: String] {
    if call.request.headers["Content-Type"]?.hasPrefix("application/json") == true {
        let members = (try? JSONValue(parsing: call.request.body))?.objectValue ?? [:]
        var fields: [String: String] = [:]
        for (name, value) in members {
            guard let text = value.stringValue else { continue }
            fields[name.reduce(into: "") { $0 += $1.isUppercase ? "_\($1.lowercased())" : String($1) }] = text
        }
        return fields
    }
    let text = String(decoding: call.request.body, as: UTF8.self)
    let query = HTTPURL.parseTarget("/?\(text)")?.query ?? []
    return Dictionary(query.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
}

/// `oauth2.googleapis.com/token`: the refresh token grant.
struct OAuthAPI: CloudAPI {
    static let routes = [Route(.post, "token", "oauth2.token")]

    mutating func perform(
        _ call: APICall, in world: CloudWorld, shared: inout SharedState
    ) throws(CloudError) -> HTTPReply {
        let form = fields(call)
        guard form["grant_type"] == "refresh_token" else {
            return oauthError(400, "unsupported_grant_type", "Invalid grant_type: \(form["grant_type"] ?? "")")
        }
        guard let refresh = form["refresh_token"], !refresh.isEmpty else {
            return oauthError(400, "invalid_request", "Missing required parameter: refresh_token")
        }
        guard let user = shared.identities.users[refresh] else {
            return oauthError(400, "invalid_grant", "Token has been expired or revoked.")
        }
        guard form["client_id"] == user.clientID, form["client_secret"] == user.clientSecret else {
            return oauthError(401, "invalid_client", "The provided client secret is invalid.")
        }
        let scope = form["scope"] ?? "https://www.googleapis.com/auth/cloud-platform"
        let issued = shared.tokens.issue(
            to: user.email, scopes: scope.split(separator: " ").map(String.init),
            lifetime: world.script.apis.tokenLifetime, now: world.now)
        return .json([
            "access_token": .string(issued.token), "token_type": "Bearer", "scope": .string(scope),
            "expires_in": .integer((issued.expires - world.now).components.seconds),
        ])
    }
}

/// sts v1: the exchange of a workload's token for one of Google's.
struct STSAPI: CloudAPI {
    static let routes = [Route(.post, "v1/token", "sts.token")]

    private static let subjectTypes: Set<String> = ["jwt", "id_token", "access_token", "saml2", "mtls"]

    mutating func perform(
        _ call: APICall, in world: CloudWorld, shared: inout SharedState
    ) throws(CloudError) -> HTTPReply {
        let form = fields(call)
        guard form["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange" else {
            return oauthError(400, "unsupported_grant_type", "Invalid value for \"grantType\".")
        }
        guard form["requested_token_type"] == "urn:ietf:params:oauth:token-type:access_token" else {
            return oauthError(400, "invalid_request", "Invalid value for \"requestedTokenType\".")
        }
        let kind = form["subject_token_type"]?.split(separator: ":").last.map(String.init) ?? ""
        guard Self.subjectTypes.contains(kind) else {
            return oauthError(400, "invalid_request", "Invalid value for \"subjectTokenType\".")
        }
        guard let scope = form["scope"], !scope.isEmpty else {
            return oauthError(400, "invalid_scope", "Missing required parameter: scope")
        }
        guard let provider = shared.identities.providers[form["audience"] ?? ""] else {
            return oauthError(
                400, "invalid_target",
                "The target service indicated by the \"audience\" parameters is invalid. This might either be because "
                    + "the pool or provider is disabled or deleted or because it doesn't exist.")
        }
        guard let principal = provider[form["subject_token"] ?? ""] else {
            return oauthError(400, "invalid_grant", "The given credential is rejected by the attribute condition.")
        }
        let issued = shared.tokens.issue(
            to: principal, scopes: scope.split(separator: " ").map(String.init),
            lifetime: world.script.apis.tokenLifetime, now: world.now)
        return .json([
            "access_token": .string(issued.token), "token_type": "Bearer",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "expires_in": .integer((issued.expires - world.now).components.seconds),
        ])
    }
}
