internal import Encoding
internal import HTTP

/// iam v1: service accounts and their policies, read; policies also written.
struct IAMAPI: CloudAPI {
    static let routes: [Route] = {
        let accounts = "v1/projects/{project}/serviceAccounts"
        return [
            Route(.get, accounts, "iam.serviceAccounts.list"),
            Route(.get, "\(accounts)/{account}", "iam.serviceAccounts.get"),
            Route(.post, "\(accounts)/{account}:getIamPolicy", "iam.serviceAccounts.getIamPolicy"),
            Route(.post, "\(accounts)/{account}:setIamPolicy", "iam.serviceAccounts.setIamPolicy"),
            Route(.post, "\(accounts)/{account}:testIamPermissions", "iam.serviceAccounts.testIamPermissions"),
        ]
    }()

    mutating func perform(
        _ call: APICall, in world: CloudWorld, shared: inout SharedState
    ) throws(CloudError) -> HTTPReply {
        if call.method == "iam.serviceAccounts.list" {
            let all = shared.identities.accounts.values.sorted { $0.email < $1.email }
            return .json(try call.page("accounts", all.map { json($0, in: world) }))
        }
        guard var account = shared.identities.accounts[call["account"]] else {
            throw .resourceNotFound(
                "Unknown service account: projects/\(world.project)/serviceAccounts/\(call["account"])")
        }
        switch call.method {
        case "iam.serviceAccounts.getIamPolicy": return .json(account.policy.json)
        case "iam.serviceAccounts.setIamPolicy":
            let reply = try account.policy.setReply(call, in: world)
            shared.identities.accounts[account.email] = account
            return .json(reply)
        case "iam.serviceAccounts.testIamPermissions":
            return .json(try IAMPolicy.testReply(call, caller: shared.caller(call, now: world.now), in: world))
        default: return .json(json(account, in: world))
        }
    }

    private func json(_ account: Identities.Account, in world: CloudWorld) -> JSONValue {
        var value: JSONValue = [
            "name": .string("projects/\(world.project)/serviceAccounts/\(account.email)"),
            "projectId": .string(world.project), "uniqueId": .string(account.uniqueID), "email": .string(account.email),
            "oauth2ClientId": .string(account.uniqueID), "etag": "MDEwMjE5MjA=",
        ]
        if account.isDisabled { value["disabled"] = true }
        return value
    }
}

/// cloudresourcemanager v3: the project and its policy.
struct ResourceManagerAPI: CloudAPI {
    static let routes = [
        Route(.get, "v3/projects/{project}", "resourcemanager.projects.get"),
        Route(.post, "v3/projects/{project}:getIamPolicy", "resourcemanager.projects.getIamPolicy"),
        Route(.post, "v3/projects/{project}:setIamPolicy", "resourcemanager.projects.setIamPolicy"),
        Route(.post, "v3/projects/{project}:testIamPermissions", "resourcemanager.projects.testIamPermissions"),
    ]

    mutating func perform(
        _ call: APICall, in world: CloudWorld, shared: inout SharedState
    ) throws(CloudError) -> HTTPReply {
        switch call.method {
        case "resourcemanager.projects.getIamPolicy": return .json(shared.identities.projectPolicy.json)
        case "resourcemanager.projects.setIamPolicy":
            return .json(try shared.identities.projectPolicy.setReply(call, in: world))
        case "resourcemanager.projects.testIamPermissions":
            return .json(try IAMPolicy.testReply(call, caller: shared.caller(call, now: world.now), in: world))
        default:
            return .json([
                "name": .string("projects/\(world.configuration.projectNumber)"), "projectId": .string(world.project),
                "state": "ACTIVE", "displayName": .string(world.project),
                "etag": .string("W/\"\(StableHash.hex(UInt32(truncatingIfNeeded: StableHash.fnv1a(world.project))))\""),
            ])
        }
    }
}
