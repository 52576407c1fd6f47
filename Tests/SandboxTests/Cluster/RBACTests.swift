import Encoding
import HTTP
import Sandbox
import Testing

/// Who may do what, from ClusterRole rules, in the API server's words.
@Suite struct RBACTests {
    private static let rules: [JSONValue] = [
        ["apiGroups": ["example.dev"], "resources": ["widgets"], "verbs": ["get", "list", "create", "patch"]],
        ["apiGroups": ["example.dev"], "resources": ["widgets/status"], "verbs": ["update"]],
        [
            "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"],
            "verbs": ["get", "list", "delete"],
        ],
        ["apiGroups": ["batch"], "resources": ["*"], "verbs": ["*"]],
        ["apiGroups": [""], "resources": ["*/status"], "verbs": ["get"]],
        ["nonResourceURLs": ["/metrics", "/logs/*"], "verbs": ["get"]],
    ]

    private static func fixture() throws -> ClusterFixture {
        try ClusterFixture(users: ["user": SimulatedUser(name: "jane", rules: rules)])
    }

    private static let widgets = "/apis/example.dev/v1/namespaces/default/widgets"
    private static let maps = "/api/v1/namespaces/default/configmaps"

    @Test(arguments: [
        (HTTPMethod.get, widgets, true), (.delete, widgets, false), (.get, widgets + "/a", true),
        (.delete, widgets + "/a", false), (.put, widgets + "/a", false), (.put, widgets + "/a/status", true),
        (.get, widgets + "/a/status", false), (.get, widgets + "?watch=1", false), (.get, maps, false),
        (.get, maps + "/mine", true), (.get, maps + "/other", false), (.delete, maps + "/mine", true),
        (.get, maps + "?fieldSelector=metadata.name%3Dmine", true),
        (.get, maps + "?fieldSelector=metadata.name%3Dother", false), (.delete, maps, false),
        (.get, "/apis/batch/v1/jobs", true), (.delete, "/apis/batch/v1/namespaces/default/jobs", true),
        (.get, "/api/v1/nodes/a/status", true), (.get, "/api/v1/nodes/a", false), (.get, "/metrics", true),
        (.get, "/logs/x/y", true), (.get, "/debug", false), (.get, "/version", true), (.get, "/apis", true),
    ])
    func `rules allow what they name and nothing else`(method: HTTPMethod, target: String, isAllowed: Bool) async throws
    {
        let status = try await Self.fixture().call(method, target, method == .put ? [:] : nil, token: "user").status
        #expect((status != 403) == isAllowed, "\(status)")
    }

    @Test(arguments: [
        (
            HTTPMethod.delete, widgets + "/a",
            "widgets.example.dev \"a\" is forbidden: User \"jane\" cannot delete resource \"widgets\" in API group "
                + "\"example.dev\" in the namespace \"default\""
        ),
        (
            .get, "/apis/example.dev/v1/widgets?watch=1",
            "widgets.example.dev is forbidden: User \"jane\" cannot watch resource \"widgets\" in API group "
                + "\"example.dev\" at the cluster scope"
        ),
        (
            .get, widgets + "/a/status",
            "widgets.example.dev \"a\" is forbidden: User \"jane\" cannot get resource \"widgets/status\" in API group "
                + "\"example.dev\" in the namespace \"default\""
        ),
        (
            .get, "/api/v1/namespaces/kube-system",
            "namespaces \"kube-system\" is forbidden: User \"jane\" cannot get resource \"namespaces\" in API group "
                + "\"\" in the namespace \"kube-system\""
        ),
        (.get, "/debug", "forbidden: User \"jane\" cannot get path \"/debug\""),
    ])
    func `a refusal says who may not do what and where`(method: HTTPMethod, target: String, message: String)
        async throws
    {
        let reply = try await Self.fixture().call(method, target, token: "user")
        #expect(reply.status == 403 && reply.json["reason"] == "Forbidden")
        #expect(reply.message == message)
    }

    @Test func `an apply that would create needs the right to create`() async throws {
        let rules: [JSONValue] = [["apiGroups": ["example.dev"], "resources": ["widgets"], "verbs": ["patch"]]]
        let fixture = try ClusterFixture(users: ["user": SimulatedUser(name: "jane", rules: rules)])
        let target = Self.widgets + "/a?fieldManager=test"
        let type = "application/apply-patch+yaml"
        let refused = try await fixture.call(.patch, target, ClusterFixture.widget("a"), type: type, token: "user")
        #expect(refused.message.contains("cannot create resource \"widgets\""), "\(refused.message)")
        try await fixture.call(.post, Self.widgets, ClusterFixture.widget("a"))
        #expect(
            try await fixture.call(.patch, target, ClusterFixture.widget("a"), type: type, token: "user").status == 200)
    }

    @Test func `a user sees the own rights`() async throws {
        let review: JSONValue = [
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": ["namespace": "default"],
        ]
        let reply = try await Self.fixture().call(
            .post, "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review, token: "user")
        #expect(reply.status == 201)
        let rules = reply.json.value(at: ["status", "resourceRules"])?.arrayValue ?? []
        #expect(Array(rules.prefix(5)) == Self.rules.filter { $0["resources"] != nil })
        #expect(
            reply.json.value(at: ["status", "nonResourceRules"])?[0]?["nonResourceURLs"] == ["/metrics", "/logs/*"])
    }

    @Test(arguments: [
        ("get", "widgets", "", true), ("delete", "widgets", "", false), ("update", "widgets", "status", true),
    ])
    func `a user may ask for one right`(verb: String, resource: String, subresource: String, isAllowed: Bool)
        async throws
    {
        let attributes: JSONValue = [
            "verb": .string(verb), "group": "example.dev", "resource": .string(resource),
            "subresource": .string(subresource), "namespace": "default",
        ]
        let review: JSONValue = [
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": ["resourceAttributes": attributes],
        ]
        let reply = try await Self.fixture().call(
            .post, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review, token: "user")
        #expect(reply.json.value(at: ["status", "allowed"]) == .bool(isAllowed))
    }

    @Test func `the rights that were used are known`() async throws {
        let fixture = try Self.fixture()
        try await fixture.call(.get, Self.widgets, token: "user")
        try await fixture.call(.delete, Self.widgets, token: "user")
        #expect(
            fixture.cluster.usedGrants(of: "jane") == [
                ClusterGrant(group: "example.dev", resource: "widgets", verb: "list")
            ])
        #expect(
            ClusterGrant.all(in: [Self.rules[1]]) == [
                ClusterGrant(group: "example.dev", resource: "widgets/status", verb: "update")
            ])
    }
}
