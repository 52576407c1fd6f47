public import HTTP

/// Service accounts, read only: iam v1 at `https://iam.googleapis.com/`.
public struct IAMClient: Sendable {
    private let client: GoogleCloudClient

    public init(_ client: GoogleCloudClient) {
        self.client = client
    }

    private func call(
        _ operation: String, _ method: HTTPMethod, account: String, project: String, verb: StaticString? = nil,
        query: [HTTPURL.QueryItem] = [], body: (any Encodable)? = nil
    ) throws(APIError) -> GoogleCall {
        try GoogleCall(
            "iam.serviceAccounts.\(operation)", method, origin: "https://iam.googleapis.com",
            path: [
                "v1", "projects", .checked(.project, project), "serviceAccounts", .checked(.serviceAccount, account),
            ], verb: verb, query: query, body: body)
    }

    /// Maps to `GET v1/projects/P/serviceAccounts/EMAIL`.
    ///
    /// - Throws: `.notFound`, for about a minute after it was made too.
    public func serviceAccount(_ email: String, project: String) async throws(APIError) -> ServiceAccount {
        try await client.value(call("get", .get, account: email, project: project))
    }

    /// Who may act as the account.
    /// Maps to `POST v1/projects/P/serviceAccounts/EMAIL:getIamPolicy?options.requestedPolicyVersion=3`.
    public func policy(ofServiceAccount email: String, project: String) async throws(APIError) -> IAMPolicy {
        try await client.value(
            call(
                "getIamPolicy", .post, account: email, project: project, verb: "getIamPolicy",
                query: [.init("options.requestedPolicyVersion", "3")]))
    }

    /// The ones of these permissions that we have on the account.
    /// Maps to `POST v1/projects/P/serviceAccounts/EMAIL:testIamPermissions`.
    public func grantedPermissions(
        _ permissions: [String], onServiceAccount email: String, project: String
    ) async throws(APIError) -> Set<String> {
        let reply: TestPermissionsReply = try await client.value(
            call(
                "testIamPermissions", .post, account: email, project: project, verb: "testIamPermissions",
                body: TestPermissionsRequest(permissions: permissions)))
        return Set(reply.permissions ?? [])
    }
}

/// A service account.
public struct ServiceAccount: Decodable, Sendable, Hashable {
    public var email: String
    public var projectId: String?
    /// Stays the account's, also where another one gets its e-mail address later.
    public var uniqueId: String?
    public var displayName: String?
    /// Absent means false.
    public var disabled: Bool?
}
