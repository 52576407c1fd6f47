import Encoding

/// GKE's autoscaler for node pools with queued provisioning: their machines come when a ProvisioningRequest asks for them,
/// all at once, and as late as they are to be had.
struct QueuedProvisioning: Sendable {
    static let className = "queued-provisioning.gke.io"
    private static let group = ["apis", "autoscaling.x-k8s.io", "v1"]
    private static let consumer = "autoscaling.x-k8s.io/consume-provisioning-request"
    /// How long machines are kept for pods that do not come.
    private static let booking: Duration = .seconds(600)

    private let cloud: SimulatedCloud
    private let cluster: ClusterAccess

    init(cloud: SimulatedCloud, cluster: ClusterAccess) {
        self.cloud = cloud
        self.cluster = cluster
    }

    /// One look at all requests. Nothing is asked while no pool could serve one.
    func changes(pods: [PodView], now: Timestamp) async -> ClusterChanges {
        let pools = cloud.nodePools().filter(\.isQueued)
        guard !pools.isEmpty, let requests = await cluster.list(Self.group + ["provisioningrequests"]) else {
            return ClusterChanges()
        }
        var changes = ClusterChanges()
        for request in requests where request.value(at: ["metadata", "deletionTimestamp"]) == nil {
            changes.append(await change(of: ProvisioningView(object: request), pools, pods, now))
        }
        return changes
    }

    private func change(
        of request: ProvisioningView, _ pools: [SimulatedNodePool], _ pods: [PodView], _ now: Timestamp
    ) async -> ClusterChanges {
        guard request.className == Self.className, !request.isTrue("Failed") else { return ClusterChanges() }
        guard request.isTrue("Accepted") else {
            let path = ["api", "v1", "namespaces", request.namespace, "podtemplates", request.template]
            guard await cluster.get(path) != nil else { return ClusterChanges() }
            return request.setting(
                [("Accepted", true, "Accepted", "Provisioning Request was successfully queued.")], now: now)
        }
        let path = ["api", "v1", "namespaces", request.namespace, "podtemplates", request.template]
        guard let template = await cluster.get(path),
            let name = template.value(
                at: ["template", "spec", "nodeSelector", "cloud.google.com/gke-nodepool"])?.stringValue,
            let pool = pools.first(where: { $0.name == name }), pool.status != "STOPPING"
        else { return ClusterChanges() }
        guard request.isTrue("Provisioned") else { return provision(request, pool, now) }
        return expire(request, pool, pods, now)
    }

    /// The machines are asked for after a while, and are there or not.
    private func provision(
        _ request: ProvisioningView, _ pool: SimulatedNodePool, _ now: Timestamp
    ) -> ClusterChanges {
        if pool.instances.count >= request.count {
            return request.setting(
                [("Provisioned", true, "Provisioned", "Provisioning Request was successfully provisioned.")], now: now)
        }
        guard let accepted = request.time("Accepted"),
            now >= accepted + cloud.configuration.timings.queuedProvisioning
        else { return ClusterChanges() }
        cloud.autoscale(pool: pool.name, nodesPerZone: request.count)
        return request.setting(
            [
                (
                    "Provisioned", false, "ResourcePoolExhausted",
                    "Provisioning Request wasn't provisioned yet: resources are not available now, it stays queued."
                )
            ], now: now)
    }

    /// A booking ends after ten minutes; machines that nobody uses then go.
    private func expire(
        _ request: ProvisioningView, _ pool: SimulatedNodePool, _ pods: [PodView], _ now: Timestamp
    ) -> ClusterChanges {
        guard !request.isTrue("BookingExpired"), let since = request.time("Provisioned"), now >= since + Self.booking
        else { return ClusterChanges() }
        let isUsed = pods.contains {
            $0.namespace == request.namespace && $0.annotations[Self.consumer]?.stringValue == request.name
        }
        if !isUsed { cloud.autoscale(pool: pool.name, nodesPerZone: 0) }
        return request.setting(
            [
                (
                    "BookingExpired", true, "BookingExpired",
                    "Capacity booking for the Provisioning Request has expired and the nodes may be scaled down."
                )
            ], now: now)
    }

    /// As GKE's clusters have it, as far as anybody here reads it.
    static let definition: JSONValue = [
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": ["name": "provisioningrequests.autoscaling.x-k8s.io"],
        "spec": [
            "group": "autoscaling.x-k8s.io", "scope": "Namespaced",
            "names": [
                "kind": "ProvisioningRequest", "listKind": "ProvisioningRequestList", "plural": "provisioningrequests",
                "singular": "provisioningrequest", "shortNames": ["provreq", "provreqs"],
            ],
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
                "type": "object", "required": ["podSets", "provisioningClassName"],
                "properties": [
                    "provisioningClassName": ["type": "string", "maxLength": 253],
                    "parameters": [
                        "type": "object", "maxProperties": 100,
                        "additionalProperties": ["type": "string", "maxLength": 255],
                    ],
                    "podSets": [
                        "type": "array", "minItems": 1, "maxItems": 32,
                        "items": [
                            "type": "object", "required": ["count", "podTemplateRef"],
                            "properties": [
                                "count": ["type": "integer", "format": "int32", "minimum": 1],
                                "podTemplateRef": [
                                    "type": "object", "required": ["name"],
                                    "properties": ["name": ["type": "string", "maxLength": 253]],
                                ],
                            ],
                        ],
                    ],
                ],
                "x-kubernetes-validations": [["rule": "self == oldSelf", "message": "Value is immutable"]],
            ],
            "status": [
                "type": "object",
                "properties": [
                    "conditions": [
                        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
                        "items": [
                            "type": "object",
                            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
                            "properties": [
                                "type": ["type": "string"],
                                "status": ["type": "string", "enum": ["True", "False", "Unknown"]],
                                "reason": ["type": "string", "minLength": 1], "message": ["type": "string"],
                                "lastTransitionTime": ["type": "string", "format": "date-time"],
                                "observedGeneration": ["type": "integer", "format": "int64"],
                            ],
                        ],
                    ]
                ],
            ],
        ],
    ]
}

/// What the autoscaler reads of a ProvisioningRequest.
struct ProvisioningView: Sendable {
    let object: JSONValue

    var name: String { object.value(at: ["metadata", "name"])?.stringValue ?? "" }
    var namespace: String { object.value(at: ["metadata", "namespace"])?.stringValue ?? "default" }
    var className: String? { object.value(at: ["spec", "provisioningClassName"])?.stringValue }
    private var podSet: JSONValue? { object.value(at: ["spec", "podSets"])?[0] }
    var template: String { podSet?.value(at: ["podTemplateRef", "name"])?.stringValue ?? "" }
    var count: Int { Int(podSet?["count"]?.integerValue ?? 0) }
    private var conditions: [JSONValue] { object.value(at: ["status", "conditions"])?.arrayValue ?? [] }

    private func condition(_ type: String) -> JSONValue? { conditions.first { $0["type"]?.stringValue == type } }

    func isTrue(_ type: String) -> Bool { condition(type)?["status"]?.stringValue == "True" }

    func time(_ type: String) -> Timestamp? {
        condition(type)?["lastTransitionTime"]?.stringValue.flatMap { Timestamp($0) }
    }

    /// Writes conditions, where they change anything.
    func setting(
        _ changes: [(type: String, status: Bool, reason: String, message: String)], now: Timestamp
    ) -> ClusterChanges {
        var list = conditions
        for change in changes {
            list = ConditionList.setting(
                change.type, change.status ? "True" : "False", reason: change.reason, message: change.message, in: list,
                now: now)
        }
        guard list != conditions else { return ClusterChanges() }
        let path =
            ["apis", "autoscaling.x-k8s.io", "v1", "namespaces", namespace, "provisioningrequests", name] + ["status"]
        return ClusterChanges(writes: [.merge(path, ["status": ["conditions": .array(list)]])])
    }
}
