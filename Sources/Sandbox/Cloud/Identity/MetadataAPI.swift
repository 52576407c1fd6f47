internal import Encoding
internal import HTTP

/// The metadata server as the pods of a GKE node see it. Text, no JSON errors.
struct MetadataAPI: Sendable {
    /// Whom it answers for.
    struct Identity: Sendable, Hashable {
        var account: String
        /// The machine of a simulated node pool; nil is none that could be preempted.
        var instance: String?
    }

    private struct Cached: Sendable {
        var token: String
        var expires: Timestamp
    }

    /// Tokens are kept until five minutes before their end.
    private var cache: [String: Cached] = [:]

    private static let root = "/computeMetadata/v1/"

    static func serves(_ request: HTTPRequest) -> Bool {
        let host = request.url.authority.prefix { $0 != ":" }
        return host == "metadata.google.internal" || host == "169.254.169.254"
            || request.url.path.hasPrefix("/computeMetadata/")
    }

    /// The method's id for faults: `metadata.token`, `metadata.email`, …
    static func method(_ request: HTTPRequest) -> String {
        "metadata.\(request.url.path.split(separator: "/").last.map(String.init) ?? "root")"
    }

    mutating func reply(
        _ request: HTTPRequest, identity: Identity, in world: CloudWorld, shared: inout SharedState
    ) -> HTTPReply {
        guard request.headers["Metadata-Flavor"] == "Google" else {
            return Self.page(403, "Missing Metadata-Flavor:Google header.")
        }
        // A proxy adds this header: the request did not come from the machine itself.
        guard request.headers["X-Forwarded-For"] == nil else { return Self.page(403, "Forbidden") }
        guard request.method == .get else { return Self.page(405, "Method Not Allowed") }
        if request.url.path == "/" { return Self.text("computeMetadata/") }
        guard request.url.path.hasPrefix(Self.root) else { return Self.page(404, "Not Found") }
        let path = String(request.url.path.dropFirst(Self.root.count))
        if path.hasPrefix("instance/service-accounts/") {
            return accountReply(path, request, identity, world, &shared)
        }
        guard let value = Self.value(path, identity, in: world) else { return Self.page(404, "Not Found") }
        return Self.text(value)
    }

    private static func value(_ path: String, _ identity: Identity, in world: CloudWorld) -> String? {
        let configuration = world.configuration
        let machine = identity.instance.flatMap { name in
            world.container.pools.values.flatMap(\.instances).first { $0.name == name }
        }
        switch path {
        case "project/project-id": return configuration.project
        case "project/numeric-project-id": return String(configuration.projectNumber)
        case "instance/attributes/cluster-name": return configuration.clusterName
        case "instance/attributes/cluster-location": return configuration.location
        case "instance/attributes/cluster-uid":
            return StableHash.hex(UInt32(truncatingIfNeeded: StableHash.fnv1a(configuration.clusterName)))
        case "instance/zone":
            let zone = machine?.zone ?? configuration.zones.first ?? configuration.location
            return "projects/\(configuration.projectNumber)/zones/\(zone)"
        case "instance/name", "instance/hostname": return identity.instance
        case "instance/id": return machine.map { String($0.id) }
        // A machine that is gone was preempted: nobody is left to ask, except for a request that still waits.
        case "instance/preempted":
            return identity.instance != nil && machine?.state != .running ? "TRUE" : "FALSE"
        case "instance/maintenance-event": return "NONE"
        default: return nil
        }
    }

    // MARK: Service accounts

    private mutating func accountReply(
        _ path: String, _ request: HTTPRequest, _ identity: Identity, _ world: CloudWorld,
        _ shared: inout SharedState
    ) -> HTTPReply {
        let parts = path.split(separator: "/").dropFirst(2).map(String.init)
        guard let name = parts.first else { return Self.text("default/\n\(identity.account)/\n") }
        guard name == "default" || name == identity.account else { return Self.page(404, "Not Found") }
        let scope = "https://www.googleapis.com/auth/cloud-platform"
        switch parts.dropFirst().first {
        case "email": return Self.text(identity.account)
        case "scopes": return Self.text("\(scope)\n")
        case "aliases": return Self.text("default\n")
        case "token":
            let scopes = request.url.queryValue("scopes").map { $0.split(separator: ",").map(String.init) } ?? [scope]
            return token(identity.account, scopes: scopes, world, &shared)
        case "identity":
            guard let audience = request.url.queryValue("audience"), !audience.isEmpty else {
                return Self.page(400, "non-empty audience parameter required")
            }
            guard shared.identities.accounts[identity.account]?.isDisabled == false else {
                return Self.page(404, "Not Found")
            }
            return Self.text(
                shared.tokens.issueIdentity(to: identity.account, audience: audience, now: world.now))
        case nil where request.url.queryValue("recursive") == "true":
            return Self.json([
                "email": .string(identity.account), "aliases": ["default"], "scopes": [.string(scope)],
            ])
        case nil: return Self.text("aliases\nemail\nidentity\nscopes\ntoken\n")
        default: return Self.page(404, "Not Found")
        }
    }

    private mutating func token(
        _ account: String, scopes: [String], _ world: CloudWorld, _ shared: inout SharedState
    ) -> HTTPReply {
        guard let known = shared.identities.accounts[account], !known.isDisabled else {
            return HTTPReply(
                status: 404, headers: Self.headers("text/plain"),
                body: Array("Not found; Gaia id not found for email \(account)".utf8))
        }
        if world.script.denies("iam.serviceAccounts.getAccessToken", to: account, at: world.now) {
            let text =
                "Unable to generate access token; IAM returned 403 Forbidden: Permission "
                + "'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."
            return HTTPReply(status: 403, headers: Self.headers("text/plain"), body: Array(text.utf8))
        }
        let key = "\(account) \(scopes.sorted().joined(separator: ","))"
        if let cached = cache[key], cached.expires > world.now + .seconds(300) {
            return Self.token(cached.token, until: cached.expires, now: world.now)
        }
        let issued = shared.tokens.issue(
            to: account, scopes: scopes, lifetime: world.script.apis.tokenLifetime, now: world.now)
        if cache.count >= 256 { cache = [:] }
        cache[key] = Cached(token: issued.token, expires: issued.expires)
        return Self.token(issued.token, until: issued.expires, now: world.now)
    }

    private static func token(_ token: String, until: Timestamp, now: Timestamp) -> HTTPReply {
        json([
            "access_token": .string(token), "expires_in": .integer((until - now).components.seconds),
            "token_type": "Bearer",
        ])
    }

    // MARK: Replies

    private static func headers(_ type: String) -> HTTPHeaders {
        ["Content-Type": type, "Metadata-Flavor": "Google", "Server": "GKE Metadata Server"]
    }

    private static func text(_ text: String) -> HTTPReply {
        var headers = headers("application/text")
        headers["ETag"] = etag(text)
        return HTTPReply(status: 200, headers: headers, body: Array(text.utf8))
    }

    static func etag(_ text: String) -> String {
        StableHash.hex(UInt32(truncatingIfNeeded: StableHash.fnv1a(text)))
    }

    private static func json(_ value: JSONValue) -> HTTPReply {
        HTTPReply(status: 200, headers: headers("application/json"), body: value.serialized())
    }

    private static func page(_ status: Int, _ text: String) -> HTTPReply {
        HTTPReply(
            status: status, headers: headers("text/html; charset=UTF-8"),
            body: Array("<!DOCTYPE html>\n<html lang=en>\n<title>Error \(status)</title>\n<p>\(text)\n".utf8))
    }
}
