public import Encoding
import HTTP
import Synchronization

/// A right that a user made use of.
public struct ClusterGrant: Sendable, Hashable, Comparable, CustomStringConvertible {
    public var group: String
    /// With the subresource after a slash.
    public var resource: String
    public var verb: String

    public init(group: String, resource: String, verb: String) {
        self.group = group
        self.resource = resource
        self.verb = verb
    }

    /// `create jobs.batch`, `update trainingjobs.trainyard.dev/status`.
    public var description: String {
        let parts = resource.split(separator: "/", maxSplits: 1)
        let name = group.isEmpty ? "\(parts[0])" : "\(parts[0]).\(group)"
        return parts.count > 1 ? "\(verb) \(name)/\(parts[1])" : "\(verb) \(name)"
    }

    public static func < (left: ClusterGrant, right: ClusterGrant) -> Bool { left.description < right.description }

    /// Every right that rules of a ClusterRole name one by one.
    public static func all(in rules: [JSONValue]) -> Set<ClusterGrant> {
        func words(_ value: JSONValue?) -> [String] { value?.arrayValue?.compactMap(\.stringValue) ?? [] }
        var grants: Set<ClusterGrant> = []
        for rule in rules {
            for group in words(rule["apiGroups"]) {
                for resource in words(rule["resources"]) {
                    for verb in words(rule["verbs"]) {
                        grants.insert(ClusterGrant(group: group, resource: resource, verb: verb))
                    }
                }
            }
        }
        return grants
    }
}

/// The rights that each user made use of.
final class GrantRecord: Sendable {
    private let used = Mutex<[String: Set<ClusterGrant>]>([:])

    func record(_ user: SimulatedUser, _ request: ResourceRequest) {
        // Who may do everything makes no use of a right.
        guard user.rules != nil else { return }
        let resource = request.subresource.map { "\(request.definition.plural)/\($0)" } ?? request.definition.plural
        let grant = ClusterGrant(group: request.definition.group, resource: resource, verb: request.verb)
        used.withLock { _ = $0[user.name, default: []].insert(grant) }
    }

    func grants(of user: String) -> Set<ClusterGrant> { used.withLock { $0[user] ?? [] } }
}

extension ResourceRequest {
    /// The name that rules with resourceNames are compared with: of the URL, or a list's only name.
    var authorizedName: String? {
        if let name { return name }
        guard ["list", "watch", "deletecollection"].contains(verb), let text = query("fieldSelector") else {
            return nil
        }
        let parts = text.split(separator: "=", omittingEmptySubsequences: true)
        return parts.count == 2 && parts[0] == "metadata.name" ? String(parts[1]) : nil
    }

    /// A namespace is in itself, as far as rights go.
    var authorizedNamespace: String? {
        definition.group.isEmpty && definition.plural == "namespaces" ? name : namespace
    }
}

extension Authorization {
    /// A SelfSubjectRulesReview with its answer: what `kubectl auth can-i --list` shows.
    func rulesReview(_ body: JSONValue) -> JSONValue {
        var review = body
        let everybody: [JSONValue] = [
            [
                "verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
                "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
            ]
        ]
        let publicPaths: JSONValue = [
            "verbs": ["get"],
            "nonResourceURLs": [
                "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz",
                "/version", "/version/",
            ],
        ]
        let own =
            user.rules ?? [
                ["verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]], ["verbs": ["*"], "nonResourceURLs": ["*"]],
            ]
        review["status"] = [
            "incomplete": false,
            "resourceRules": .array(own.filter { $0["resources"] != nil } + everybody),
            "nonResourceRules": .array(own.filter { $0["nonResourceURLs"] != nil } + [publicPaths]),
        ]
        return review
    }
}

extension ClusterState {
    /// What a server-side apply of an object that is not there asks for beside the right to patch.
    func creation(by request: ResourceRequest) -> ResourceRequest? {
        guard request.verb == "patch", request.contentType == "application/apply-patch+yaml",
            request.subresource == nil, let name = request.name, store.object(request.key(name)) == nil
        else { return nil }
        var create = request
        create.verb = "create"
        return create
    }
}
