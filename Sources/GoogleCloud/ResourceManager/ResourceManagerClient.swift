public import HTTP

/// Projects, read only: cloudresourcemanager v3 at `https://cloudresourcemanager.googleapis.com/`.
public struct ResourceManagerClient: Sendable {
    private let client: GoogleCloudClient

    public init(_ client: GoogleCloudClient) {
        self.client = client
    }

    private func call(
        _ operation: String, _ method: HTTPMethod, project: String, verb: StaticString? = nil,
        body: (any Encodable)? = nil
    ) throws(APIError) -> GoogleCall {
        try GoogleCall(
            "cloudresourcemanager.projects.\(operation)", method, origin: "https://cloudresourcemanager.googleapis.com",
            path: ["v3", "projects", .checked(.project, project)], verb: verb, body: body)
    }

    /// Maps to `GET v3/projects/P`.
    ///
    /// - Throws: `.forbidden`, also when there is no such project.
    public func project(_ id: String) async throws(APIError) -> CloudProject {
        try await client.value(call("get", .get, project: id))
    }

    /// Who may do what in the project. Maps to `POST v3/projects/P:getIamPolicy`.
    public func policy(ofProject id: String) async throws(APIError) -> IAMPolicy {
        try await client.value(
            call(
                "getIamPolicy", .post, project: id, verb: "getIamPolicy",
                body: ["options": ["requestedPolicyVersion": 3]]))
    }

    /// The ones of these permissions that we have in the project. Maps to `POST v3/projects/P:testIamPermissions`.
    public func grantedPermissions(
        _ permissions: [String], onProject id: String
    ) async throws(APIError) -> Set<String> {
        let reply: TestPermissionsReply = try await client.value(
            call(
                "testIamPermissions", .post, project: id, verb: "testIamPermissions",
                body: TestPermissionsRequest(permissions: permissions)))
        return Set(reply.permissions ?? [])
    }
}

/// A project.
public struct CloudProject: Decodable, Sendable, Hashable {
    public enum State: String, Sendable, Hashable {
        case active = "ACTIVE"
        case deleteRequested = "DELETE_REQUESTED"
    }

    /// `projects/NUMBER`.
    public var name: String
    public var projectId: String?
    public var state: OpenEnum<State>?
    public var labels: [String: String]?

    /// As `Bucket.projectNumber` has it; nil when the name is not one with a number.
    public var number: Int64? { name.hasPrefix("projects/") ? Int64(name.dropFirst("projects/".count)) : nil }
}
