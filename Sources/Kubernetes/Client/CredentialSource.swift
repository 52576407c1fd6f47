import Encoding
public import HTTP

/// What a request shows to the API server; all nil is anonymous.
public struct Credential: Sendable, Hashable {
    /// A bearer token.
    public var token: Secret?
    /// A client certificate that is not the connection's own.
    public var identity: TLSIdentity?

    public init(token: Secret? = nil, identity: TLSIdentity? = nil) {
        self.token = token
        self.identity = identity
    }

    public init(token: String) { self.init(token: Secret(token)) }
}

/// Where a client's credentials come from.
public protocol CredentialSource: Sendable {
    /// Where they come from, for a sentence such as "the API server refused …"; nil when there is nothing to say.
    var origin: String? { get }

    /// The credential for the next request.
    ///
    /// - Throws: `.unauthorized` with the reason when there is none.
    func credential() async throws(APIError) -> Credential

    /// The API server answered 401 to this credential. Whether `credential()` may give another one now.
    func refused(_ credential: Credential) async -> Bool
}

/// Credentials that never change.
public struct FixedCredentials: CredentialSource {
    public let origin: String?
    private let fixed: Credential

    public init(_ credential: Credential = Credential(), origin: String? = nil) {
        self.fixed = credential
        self.origin = origin
    }

    public func credential() async throws(APIError) -> Credential { fixed }
    public func refused(_ credential: Credential) async -> Bool { false }
}

/// Asks a closure for the token of each request.
struct ClosureCredentials: CredentialSource {
    var origin: String? { nil }
    let token: @Sendable () async throws(APIError) -> String?

    func credential() async throws(APIError) -> Credential {
        Credential(token: try await token().map { Secret($0) })
    }

    func refused(_ credential: Credential) async -> Bool { true }
}

/// As whom to act, instead of whom the credentials belong to (kubeconfig's `as` fields).
public struct Impersonation: Sendable, Hashable {
    public var user: String
    public var uid: String?
    public var groups: [String]
    public var extra: [String: [String]]

    public init(user: String, uid: String? = nil, groups: [String] = [], extra: [String: [String]] = [:]) {
        self.user = user
        self.uid = uid
        self.groups = groups
        self.extra = extra
    }

    /// The `Impersonate-…` fields.
    func addHeaders(to headers: inout HTTPHeaders) {
        headers.append("Impersonate-User", user)
        if let uid { headers.append("Impersonate-Uid", uid) }
        for group in groups { headers.append("Impersonate-Group", group) }
        for (key, values) in extra.sorted(by: { $0.key < $1.key }) {
            for value in values { headers.append("Impersonate-Extra-" + HTTPURL.encoded(key), value) }
        }
    }
}
