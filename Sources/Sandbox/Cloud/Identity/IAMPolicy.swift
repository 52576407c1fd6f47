internal import Encoding

/// An IAM policy: bindings with an etag, read and written whole.
struct IAMPolicy: Sendable {
    private(set) var bindings: [JSONValue] = []
    private(set) var version: Int64 = 1
    private var revision: UInt64 = 0
    private let identity: UInt64
    /// What was in force before the last change, and until when.
    private var previous: (bindings: [JSONValue], until: Timestamp)?

    /// Policies of different resources have different etags.
    init(of resource: String) { identity = StableHash.fnv1a(resource) & 0xFFFF_FFFF_FFFF }

    var etag: String {
        let number = identity &+ revision
        return Base64.encode((0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * UInt64($0))) })
    }

    var json: JSONValue {
        var value: JSONValue = ["etag": .string(etag), "version": .integer(version)]
        value.setUnlessDefault("bindings", .array(bindings))
        return value
    }

    /// Replaces the policy; it is in force after `delay`.
    ///
    /// - Throws: 409 ABORTED for an etag that is not the present one, 400 for what is no policy.
    mutating func set(_ policy: JSONValue, now: Timestamp, delay: Duration) throws(CloudError) {
        if let given = policy["etag"]?.stringValue, !given.isEmpty, given != etag {
            throw .aborted(
                "There were concurrent policy changes. Please retry the whole read-modify-write with exponential "
                    + "backoff. The request's ETag '\(given)' did not match the current policy's ETag '\(etag)'.")
        }
        let wanted = policy["bindings"]?.arrayValue ?? []
        let version = policy["version"]?.integerValue ?? 1
        for (index, binding) in wanted.enumerated() { try Self.check(binding, index: index, version: version) }
        previous = (effective(at: now), now + delay)
        bindings = wanted
        self.version = version
        revision += 1
    }

    /// Whether a member has a role at a moment; conditions are not evaluated: a conditional binding grants nothing.
    func grants(_ role: String, to member: String, at now: Timestamp) -> Bool {
        effective(at: now).contains { binding in
            binding["role"]?.stringValue == role && binding["condition"] == nil
                && (binding["members"]?.arrayValue ?? []).contains { $0.stringValue == member }
        }
    }

    private func effective(at now: Timestamp) -> [JSONValue] {
        if let previous, now < previous.until { return previous.bindings }
        return bindings
    }

    private static func check(_ binding: JSONValue, index: Int, version: Int64) throws(CloudError) {
        let path = "policy.bindings[\(index)]"
        guard let role = binding["role"]?.stringValue, role.hasPrefix("roles/") || role.contains("/roles/") else {
            throw .invalidField("\(path).role", "Role must be of the form roles/{role} or {parent}/roles/{role}.")
        }
        for (place, member) in (binding["members"]?.arrayValue ?? []).enumerated() {
            guard let text = member.stringValue, isMember(text) else {
                throw .invalidField(
                    "\(path).members[\(place)]",
                    "The member \(member.stringValue ?? "") is of an unknown type. Please set a valid type prefix "
                        + "for the member.")
            }
        }
        if let condition = binding["condition"], !condition.isNull, version != 3 {
            throw .invalidField("policy.version", "Policies with conditions need version 3.")
        }
    }

    private static let kinds: Set<Substring> = [
        "user", "serviceAccount", "group", "domain", "principal", "principalSet", "projectOwner", "projectEditor",
        "projectViewer",
    ]

    private static func isMember(_ text: String) -> Bool {
        if text == "allUsers" || text == "allAuthenticatedUsers" { return true }
        let parts = text.split(separator: ":", maxSplits: 1)
        return parts.count == 2 && kinds.contains(parts[0])
    }
}

/// `:getIamPolicy`, `:setIamPolicy` and `:testIamPermissions` as every API has them.
extension IAMPolicy {
    /// - Throws: as `set`; 400 without a policy.
    mutating func setReply(_ call: APICall, in world: CloudWorld) throws(CloudError) -> JSONValue {
        guard let policy = try call.body()["policy"], policy.objectValue != nil else {
            throw .invalidField("policy", "policy must be set.")
        }
        try set(policy, now: world.now, delay: world.timings.policyPropagation)
        return json
    }

    /// Those of the asked permissions that the script does not deny.
    ///
    /// - Throws: 400 for wildcards and for none.
    static func testReply(_ call: APICall, caller: String?, in world: CloudWorld) throws(CloudError) -> JSONValue {
        let asked = (try call.body()["permissions"]?.arrayValue ?? []).compactMap(\.stringValue)
        guard !asked.isEmpty else { throw .invalidField("permissions", "permissions must not be empty.") }
        if let wildcard = asked.first(where: { $0.contains("*") }) {
            throw .invalidField("permissions", "Permission \(wildcard) is not valid for this resource.")
        }
        let held = asked.filter { !world.script.denies($0, to: caller, at: world.now) }
        return held.isEmpty ? [:] : ["permissions": .array(held.map(JSONValue.string))]
    }
}

extension CloudScript {
    /// Whether a caller lacks a permission now.
    func denies(_ permission: String, to caller: String?, at now: Timestamp) -> Bool {
        let keys = [permission] + (caller.map { ["\($0)/\(permission)"] } ?? [])
        return keys.contains { deniedPermissions[$0].map { now < $0 } ?? false }
    }
}
