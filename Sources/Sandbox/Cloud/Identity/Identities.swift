internal import Encoding
internal import HTTP

/// Who there is: service accounts, users with refresh tokens, workload identity providers; and who may act as whom.
struct Identities: Sendable {
    struct Account: Sendable {
        var email: String
        var uniqueID: String
        var isDisabled = false
        var policy: IAMPolicy
    }

    /// An OAuth user, as an `authorized_user` file has one.
    struct User: Sendable {
        var email: String
        var clientID: String
        var clientSecret: String
    }

    var accounts: [String: Account] = [:]
    var projectPolicy: IAMPolicy
    /// By refresh token.
    var users: [String: User] = [:]
    /// Audiences of workload identity providers: subject tokens and the principals they stand for.
    var providers: [String: [String: String]] = [:]

    init(_ configuration: CloudConfiguration) {
        projectPolicy = IAMPolicy(of: "projects/\(configuration.project)")
        add(account: Self.defaultAccount(configuration))
        add(account: "\(configuration.projectNumber)-compute@developer.gserviceaccount.com")
    }

    /// Whom the metadata server speaks for unless told otherwise.
    static func defaultAccount(_ configuration: CloudConfiguration) -> String {
        "sandbox@\(configuration.project).iam.gserviceaccount.com"
    }

    mutating func add(account email: String) {
        guard accounts[email] == nil else { return }
        accounts[email] = Account(
            email: email, uniqueID: String(100_000_000_000 + StableHash.fnv1a(email) % 900_000_000_000),
            policy: IAMPolicy(of: email))
    }

    private static let tokenRoles = ["roles/iam.serviceAccountTokenCreator", "roles/iam.workloadIdentityUser"]

    /// Whether a principal may have tokens of an account.
    func mayAct(_ principal: String, as email: String, at now: Timestamp) -> Bool {
        let member = Self.member(principal)
        return Self.tokenRoles.contains { role in
            projectPolicy.grants(role, to: member, at: now)
                || accounts[email]?.policy.grants(role, to: member, at: now) ?? false
        }
    }

    /// As policies name a principal.
    static func member(_ principal: String) -> String {
        if principal.hasPrefix("principal://") { return principal }
        // `p1.svc.id.goog[namespace/name]` is a Kubernetes service account.
        let isAccount = principal.hasSuffix("gserviceaccount.com") || principal.contains(".svc.id.goog[")
        return (isAccount ? "serviceAccount:" : "user:") + principal
    }
}

extension SharedState {
    /// The account or user whose token a request carries; nil for none that is known here.
    func caller(_ call: APICall, now: Timestamp) -> String? { caller(call.request, now: now) }

    func caller(_ request: HTTPRequest, now: Timestamp) -> String? {
        guard case .success(let grant) = tokens.check(request, now: now) else { return nil }
        return grant.principal
    }
}

extension CloudError {
    /// The 403 of ESF services.
    static func permissionDenied(_ permission: String, resource: String?) -> CloudError {
        var error = CloudError(
            status: 403, reason: "PERMISSION_DENIED",
            message: resource.map { "Permission '\(permission)' denied on resource '\($0)' (or it may not exist)." }
                ?? "Permission '\(permission)' denied on resource (or it may not exist).")
        var metadata = ["permission": permission]
        if let resource { metadata["resource"] = resource }
        error.details = [errorInfo("IAM_PERMISSION_DENIED", domain: "iam.googleapis.com", metadata)]
        return error
    }
}
