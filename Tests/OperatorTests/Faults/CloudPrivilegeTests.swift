import Encoding
import Sandbox
import Testing

@testable import Operator

/// The roles in `charts/trainyard/files/iam` hold what the operator uses on Google Cloud: the simulated cloud notes the
/// permission that each request needs. `LeastPrivilegeTests` runs the stories, and asks here.
@Suite struct CloudPrivilegeTests {
    /// Needed by what no story there runs, and where that is shown.
    private static let elsewhere: [String: String] = [
        "run.routes.invoke": "the front of a service checks it, not an API: EndpointStoryTests calls through it",
        "run.revisions.delete": "pruning of old revisions: ModelEndpointPlanTests",
    ]
    /// Not in the project's roles: bound to single service accounts.
    private static let boundElsewhere: Set<String> = [
        "iam.serviceAccounts.signBlob", "iam.serviceAccounts.getAccessToken",
    ]

    private static func roles() throws -> [String: Set<String>] {
        var roles: [String: Set<String>] = [:]
        for name in ["trainyardPools", "trainyardBuckets", "trainyardEndpoints"] {
            let role = try #require(try Repository.yaml("charts/trainyard/files/iam/\(name).yaml").first)
            let listed = try #require(role["includedPermissions"]?.arrayValue).compactMap(\.stringValue)
            #expect(listed == Set(listed).sorted(), "\(name) is sorted, and says nothing twice")
            roles[name] = Set(listed)
        }
        return roles
    }

    /// Every permission of the roles is used, and no other.
    static func expect(used: Set<String>) throws {
        let granted = try roles().values.reduce(into: Set<String>()) { $0.formUnion($1) }
        #expect(used.subtracting(granted).subtracting(boundElsewhere).sorted() == [])
        #expect(granted.subtracting(used).sorted() == elsewhere.keys.sorted())
    }

    @Test func `each role is for one kind of things`() throws {
        for (name, permissions) in try Self.roles() {
            let services = Set(permissions.map { String($0.prefix { $0 != "." }) })
            let expected: Set<String> =
                switch name {
                case "trainyardPools": ["container", "compute"]
                case "trainyardBuckets": ["storage"]
                default: ["run", "monitoring"]
                }
            #expect(services == expected, "\(name)")
        }
    }

    /// Who may make itself more than it is: none of these is in a role.
    @Test func `no role can give itself rights`() throws {
        for (name, permissions) in try Self.roles() {
            for permission in permissions {
                #expect(
                    !permission.hasPrefix("iam.") && !permission.hasPrefix("resourcemanager.")
                        && !permission.hasSuffix(".impersonate"), "\(name): \(permission)")
            }
        }
    }
}
