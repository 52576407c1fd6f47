import ControllerRuntime
import Encoding
import HTTP
import Kubernetes
import Sandbox

/// The simulated API server with widgets in it, a namespace `ns`, and two users: us with a controller's rights, and an
/// administrator.
struct WidgetCluster: Sendable {
    let clock = VirtualClock()
    let server: SimulatedCluster
    /// The test's own hands.
    let admin: KubernetesClient

    init() async throws {
        var configuration = ClusterConfiguration(
            crds: [WidgetCluster.crd],
            users: [
                "admin": SimulatedUser(name: "admin", groups: ["system:masters"]),
                "us": SimulatedUser(name: "us", rules: WidgetCluster.rules),
            ], clock: clock)
        configuration.seed = 7
        server = try SimulatedCluster(configuration)
        admin = WidgetCluster.client(over: server, token: "admin")
        try await admin.create(Namespace.resourceType, ["metadata": ["name": "ns"]])
    }

    static func client(over handler: any HTTPHandler, token: String = "us") -> KubernetesClient {
        KubernetesClient(
            transport: HandlerTransport(handler), server: HTTPURL(origin: "http://127.0.0.1:1", path: "/"),
            credentials: { () throws(APIError) in token })
    }

    /// Creates a widget.
    func create(_ name: String, size: JSONValue = 3, partner: String? = nil, manager: String? = nil) async throws {
        var spec: JSONValue = ["size": size]
        spec["partner"] = partner.map { .string($0) }
        spec["manager"] = manager.map { .string($0) }
        try await admin.create(
            Widget.resourceType, ["metadata": ["name": .string(name), "namespace": "ns"], "spec": spec])
    }

    /// Creates somebody else's object.
    func createForeign(_ type: ResourceType, _ name: String) async throws {
        try await admin.create(
            type,
            [
                "metadata": ["name": .string(name), "namespace": "ns", "labels": ["whose": "theirs"]],
                "spec": WidgetController.spec(of: type),
            ])
    }

    func delete(_ name: String) async throws {
        try await admin.delete(ObjectReference(type: Widget.resourceType, namespace: "ns", name: name))
    }

    func resize(_ name: String, to size: JSONValue) async throws {
        let reference = ObjectReference(type: Widget.resourceType, namespace: "ns", name: name)
        try await admin.mergePatch(reference, ["spec": ["size": size]])
    }

    /// The widget as the cluster has it.
    func widget(_ name: String) async throws -> Widget? { try await admin.find(namespace: "ns", name: name) }

    func isReady(_ name: String) async throws -> Bool {
        try await widget(name)?.status?.conditions.isTrue("Ready") == true
    }

    /// Its conditions as `Type=Status/Reason`.
    func conditions(_ name: String) async throws -> [String] {
        (try await widget(name)?.status?.conditions ?? []).map { "\($0.type)=\($0.status.rawValue)/\($0.reason)" }
    }

    /// Whose label an object of that name carries.
    func owner(of type: ResourceType, _ name: String) async throws -> String? {
        try await admin.find(type, namespace: "ns", name: name)?
            .value(at: ["metadata", "labels", "whose"])?.stringValue
    }

    static let rules: [JSONValue] = [
        ["apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get", "list", "watch", "patch"]],
        ["apiGroups": ["example.com"], "resources": ["widgets/status"], "verbs": ["update", "patch"]],
        ["apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]],
        [
            "apiGroups": ["", "batch"], "resources": ["services", "jobs"],
            "verbs": ["get", "list", "watch", "create", "patch", "delete"],
        ],
        ["apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]],
        ["apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]],
    ]

    /// Its schema has no `status.note`: a field that a newer controller would write.
    static let crd: JSONValue = [
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": ["name": "widgets.example.com"],
        "spec": [
            "group": "example.com", "scope": "Namespaced",
            "names": ["kind": "Widget", "plural": "widgets", "singular": "widget"],
            "versions": [
                [
                    "name": "v1", "served": true, "storage": true, "subresources": ["status": [:]],
                    "schema": ["openAPIV3Schema": schema],
                ]
            ],
        ],
    ]

    private static let schema: JSONValue = [
        "type": "object", "required": ["spec"],
        "properties": [
            "spec": [
                "type": "object", "required": ["size"],
                "properties": [
                    "size": ["x-kubernetes-int-or-string": true], "partner": ["type": "string"],
                    "manager": ["type": "string"],
                ],
            ],
            "status": [
                "type": "object",
                "properties": [
                    "observedGeneration": ["type": "integer"],
                    "intended": ["type": "integer", "maximum": 100],
                    "motto": ["type": "string", "maxLength": 10],
                    "conditions": [
                        "type": "array",
                        "items": ["type": "object", "x-kubernetes-preserve-unknown-fields": true],
                    ],
                ],
            ],
        ],
    ]
}
