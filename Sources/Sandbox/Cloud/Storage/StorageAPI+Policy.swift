internal import Encoding
internal import HTTP

/// Who may do what with a bucket: `testIamPermissions` answers from it. Calls are refused by scripts alone, which know
/// better when.
struct StoredPolicy: Sendable {
    var version: Int64 = 1
    var bindings: [JSONValue] = []
    var revision = 1

    var etag: String { Base64.encode(Array("policy-\(revision)".utf8)) }
    var hasConditions: Bool { bindings.contains { $0["condition"] != nil } }

    /// Whether a member has one of these roles. Conditions are not evaluated: a conditional binding grants nothing.
    func grants(oneOf roles: [String], to member: String) -> Bool {
        let names: [JSONValue] = [.string(member), "allUsers", "allAuthenticatedUsers"]
        return bindings.contains { binding in
            roles.contains(binding["role"]?.stringValue ?? "") && binding["condition"] == nil
                && (binding["members"]?.arrayValue ?? []).contains(where: names.contains)
        }
    }
}

extension StorageAPI {
    func policy(_ bucketName: String, _ context: Context, _ state: StorageState) throws(CloudError) -> JSONValue {
        let policy = try bucket(bucketName, context, state).policy
        let wanted = try Preconditions.number(context.request.url, "optionsRequestedPolicyVersion") ?? 1
        return json(policy, bucket: bucketName, showsConditions: wanted >= 3)
    }

    /// Who does not ask for version 3 sees roles with a suffix where there is a condition.
    private func json(_ policy: StoredPolicy, bucket: String, showsConditions: Bool) -> JSONValue {
        let bindings = policy.bindings.map { binding -> JSONValue in
            guard !showsConditions, let condition = binding["condition"] else { return binding }
            var plain = binding
            let hash = StableHash.hex(UInt32(truncatingIfNeeded: StableHash.fnv1a(condition.serializedText())))
            plain["role"] = .string("\(binding["role"]?.stringValue ?? "")_withcond_\(hash)")
            plain["condition"] = nil
            return plain
        }
        var value: JSONValue = [
            "kind": "storage#policy", "resourceId": .string("projects/_/buckets/\(bucket)"),
            "version": .integer(showsConditions ? policy.version : 1), "etag": .string(policy.etag),
        ]
        if !bindings.isEmpty { value["bindings"] = .array(bindings) }
        return value
    }

    func setPolicy(
        _ bucketName: String, _ context: Context, _ state: inout StorageState
    ) throws(CloudError) -> JSONValue {
        var stored = try bucket(bucketName, context, state)
        let request = try Self.message("Policy", context.request.body)
        if let etag = request["etag"]?.stringValue, !etag.isEmpty, etag != stored.policy.etag {
            throw CloudError(
                status: 412, reason: "conditionNotMet",
                message: "At least one of the pre-conditions you specified did not hold.", location: "If-Match")
        }
        let version = request["version"]?.integerValue ?? 1
        guard [0, 1, 3].contains(version) else { throw Self.invalid("The policy's version is 0, 1 or 3.") }
        let bindings = request["bindings"]?.arrayValue ?? []
        for binding in bindings { try check(binding, version: version, stored, context) }
        guard version == 3 || !stored.policy.hasConditions else {
            throw Self.invalid("A policy with conditions must be set with version 3.")
        }
        stored.policy = StoredPolicy(version: max(version, 1), bindings: bindings, revision: stored.policy.revision + 1)
        state.buckets[bucketName] = stored
        return json(stored.policy, bucket: bucketName, showsConditions: true)
    }

    private func check(
        _ binding: JSONValue, version: Int64, _ bucket: StoredBucket, _ context: Context
    ) throws(CloudError) {
        let role = binding["role"]?.stringValue ?? ""
        guard role.hasPrefix("roles/") || role.hasPrefix("projects/") || role.hasPrefix("organizations/") else {
            throw Self.invalid("Role \(role) is not supported for this resource.")
        }
        if binding["condition"] != nil {
            guard version == 3 else { throw Self.invalid("A policy with conditions must be set with version 3.") }
            guard bucket.settings.value(at: ["iamConfiguration", "uniformBucketLevelAccess", "enabled"]) == true else {
                throw Self.invalid("Conditions need uniform bucket-level access.")
            }
        }
        for member in binding["members"]?.arrayValue ?? [] {
            try check(member: member.stringValue ?? "", bucket, context)
        }
    }

    private static let kinds: Set<Substring> = [
        "user", "serviceAccount", "group", "domain", "projectOwner", "projectEditor", "projectViewer", "principal",
        "principalSet", "deleted",
    ]

    private func check(member: String, _ bucket: StoredBucket, _ context: Context) throws(CloudError) {
        if ["allUsers", "allAuthenticatedUsers"].contains(member) {
            let prevention = bucket.settings.value(at: ["iamConfiguration", "publicAccessPrevention"])
            guard prevention != "enforced" else {
                throw CloudError(
                    status: 412, reason: "conditionNotMet",
                    message:
                        "The member bindings allUsers and allAuthenticatedUsers are not allowed since public access "
                        + "prevention is enforced.")
            }
            return
        }
        let parts = member.split(separator: ":", maxSplits: 1)
        guard parts.count == 2, Self.kinds.contains(parts[0]) else {
            throw Self.invalid("Invalid argument: member \(member).")
        }
        if let moment = context.script.unknownAccounts[String(parts[1])], context.now < moment {
            throw Self.invalid("Service account \(parts[1]) does not exist.")
        }
    }

    func testPermissions(
        _ bucketName: String, _ context: Context, _ state: StorageState
    ) throws(CloudError) -> JSONValue {
        let policy = try bucket(bucketName, context, state).policy
        let asked = context.request.url.query.filter { $0.name == "permissions" }.map(\.value)
        guard !asked.isEmpty else {
            throw CloudError(status: 400, reason: "required", message: "Required", location: "permissions")
        }
        let held = asked.filter { permission in
            context.script.deniedPermissions[permission].map { $0 <= context.now } ?? true
                && Self.isGranted(permission, policy, context)
        }
        var value: JSONValue = ["kind": "storage#testIamPermissionsResponse"]
        if !held.isEmpty { value["permissions"] = .array(held.map(JSONValue.string)) }
        return value
    }

    /// By the roles of the bucket's policy and of the project's. While the bucket has no policy, and for callers who are
    /// not known, everything is: that is the owner's own project.
    private static func isGranted(_ permission: String, _ policy: StoredPolicy, _ context: Context) -> Bool {
        guard let caller = context.caller, !policy.bindings.isEmpty else { return true }
        let roles = StorageRoles.roles(allowing: permission)
        return policy.grants(oneOf: roles, to: caller.member)
            || roles.contains { caller.projectPolicy.grants($0, to: caller.member, at: context.now) }
    }

    // MARK: Notifications

    /// The account that publishes notifications.
    var serviceAccount: JSONValue {
        [
            "kind": "storage#serviceAccount",
            "email_address": .string(
                "service-\(configuration.projectNumber)@gs-project-accounts.iam.gserviceaccount.com"),
        ]
    }

    func listNotifications(
        _ bucketName: String, _ context: Context, _ state: StorageState
    ) throws(CloudError) -> JSONValue {
        let bucket = try bucket(bucketName, context, state)
        let ids = bucket.notifications.keys.sorted { (Int($0) ?? 0) < (Int($1) ?? 0) }
        var value: JSONValue = ["kind": "storage#notifications"]
        if !ids.isEmpty { value["items"] = .array(ids.compactMap { bucket.notifications[$0] }) }
        return value
    }

    /// Every call makes another, also of the same.
    func insertNotification(
        _ bucketName: String, _ context: Context, _ state: inout StorageState
    ) throws(CloudError) -> JSONValue {
        var stored = try bucket(bucketName, context, state)
        var value = try Self.message("Notification", context.request.body)
        let topic = (value["topic"]?.stringValue ?? "").split(separator: "/", omittingEmptySubsequences: false)
        guard topic.count == 7, topic[2] == "pubsub.googleapis.com", topic[3] == "projects", topic[5] == "topics" else {
            throw Self.invalid("Invalid Google Cloud Pub/Sub topic.", location: "topic")
        }
        guard ["JSON_API_V1", "NONE"].contains(value["payload_format"]?.stringValue ?? "") else {
            throw Self.invalid("payload_format is JSON_API_V1 or NONE.", location: "payload_format")
        }
        let known = ["OBJECT_FINALIZE", "OBJECT_METADATA_UPDATE", "OBJECT_DELETE", "OBJECT_ARCHIVE"]
        for event in value["event_types"]?.arrayValue ?? [] where !known.contains(event.stringValue ?? "") {
            throw Self.invalid("Invalid event type.", location: "event_types")
        }
        stored.lastNotification += 1
        let id = String(stored.lastNotification)
        value["id"] = .string(id)
        value["kind"] = "storage#notification"
        value["etag"] = .string(id)
        value["selfLink"] = .string(
            "https://www.googleapis.com/storage/v1/b/\(bucketName)/notificationConfigs/\(id)")
        stored.notifications[id] = value
        state.buckets[bucketName] = stored
        return value
    }

    func notification(
        _ bucketName: String, _ id: String, _ context: Context, _ state: StorageState
    ) throws(CloudError) -> JSONValue {
        guard let value = try bucket(bucketName, context, state).notifications[id] else {
            throw Self.notFound("The specified notification \(id) does not exist.")
        }
        return value
    }

    func deleteNotification(
        _ bucketName: String, _ id: String, _ context: Context, _ state: inout StorageState
    ) throws(CloudError) -> HTTPReply {
        _ = try notification(bucketName, id, context, state)
        state.buckets[bucketName]?.notifications[id] = nil
        return HTTPReply(status: 204)
    }
}
