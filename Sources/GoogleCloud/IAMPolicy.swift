internal import HTTP

/// Who may do what with a resource. The same shape in all APIs.
public struct IAMPolicy: Codable, Sendable, Hashable {
    /// Principals that hold a role.
    public struct Binding: Codable, Sendable, Hashable {
        /// `roles/…` or `projects/P/roles/…`.
        public var role: String
        /// `user:`, `serviceAccount:`, `group:`, `principal://…`, `allUsers` …
        public var members: [String]?
        public var condition: Condition?

        public init(role: String, members: [String], condition: Condition? = nil) {
            self.role = role
            self.members = members
            self.condition = condition
        }
    }

    /// A CEL expression that must hold.
    public struct Condition: Codable, Sendable, Hashable {
        public var expression: String?
        public var title: String?
        public var description: String?
        public var location: String?

        public init(expression: String, title: String, description: String? = nil) {
            self.expression = expression
            self.title = title
            self.description = description
        }
    }

    /// 3 where a binding has a condition.
    public var version: Int?
    /// Of the policy that was read: a set with another one's is refused with `.conflict` or `.preconditionFailed`.
    public var etag: String?
    public var bindings: [Binding]?

    public init(bindings: [Binding] = [], etag: String? = nil, version: Int? = 3) {
        self.bindings = bindings
        self.etag = etag
        self.version = version
    }

    /// The policy as a set may send it: version 3, so that conditions are kept.
    ///
    /// - Throws: `.invalid` without an etag: the service would overwrite whatever others have granted meanwhile.
    func forSetting(operation: String) throws(APIError) -> IAMPolicy {
        guard let etag, !etag.isEmpty else {
            throw APIError(
                .invalid, operation: operation, message: "a policy is set only with the etag of the one that was read")
        }
        return IAMPolicy(bindings: bindings ?? [], etag: etag, version: 3)
    }
}

/// The body of `setIamPolicy` where it is wrapped.
struct SetPolicyRequest: Encodable {
    var policy: IAMPolicy
}

/// The body of `testIamPermissions`.
struct TestPermissionsRequest: Encodable {
    var permissions: [String]
}

/// Which of the permissions that were asked for are held; a reply without any leaves the list out.
struct TestPermissionsReply: Decodable {
    var permissions: [String]?
}
