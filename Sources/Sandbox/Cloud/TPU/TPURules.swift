internal import Encoding

/// What Cloud TPU refuses beyond the shape of the message.
struct TPURules {
    var nodeIDs: [String]
    var node: JSONValue
    var slice: TPUSlice
    var provisioning: Provisioning
    private var policy: JSONValue?

    /// - Throws: 400 INVALID_ARGUMENT with the first rule that is broken.
    static func check(queuedResource body: JSONValue, id: String, parent: String) throws(CloudError) -> TPURules {
        guard RunRules.isName(id, maximum: 63) else {
            throw .invalidField(
                "queued_resource_id", "Queued resource id '\(id)' must match [a-z]([-a-z0-9]*[a-z0-9])?.")
        }
        let specs = body.value(at: ["tpu", "nodeSpec"])?.arrayValue ?? []
        guard specs.count == 1, let spec = specs.first, let node = spec["node"] else {
            throw .invalidField("queued_resource.tpu.node_spec", "Exactly one node spec with a node must be set.")
        }
        guard spec["parent"]?.stringValue == parent else {
            throw .invalidField(
                "queued_resource.tpu.node_spec.parent", "The node's parent must be the queued resource's: \(parent).")
        }
        guard body["spot"] == nil || body["guaranteed"] == nil else {
            throw .invalidField("queued_resource.tier", "Only one of spot and guaranteed may be set.")
        }
        try check(node: node)
        let provisioning: Provisioning =
            body["spot"] != nil ? .spot : body["reservationName"] != nil ? .reservationbound : .standard
        let rules = TPURules(
            nodeIDs: try nodeIDs(spec), node: node, slice: try TPUSlice(node: node), provisioning: provisioning,
            policy: body["queueingPolicy"])
        if let policy = body["queueingPolicy"]?.objectValue, policy.count != 1 {
            throw .invalidField(
                "queued_resource.queueing_policy", "Exactly one condition of the queueing policy must be set.")
        }
        return rules
    }

    private static func nodeIDs(_ spec: JSONValue) throws(CloudError) -> [String] {
        let id = spec["nodeId"]?.stringValue ?? ""
        guard let several = spec["multisliceParams"] else {
            try check(nodeID: id)
            return [id]
        }
        guard id.isEmpty else {
            throw .invalidField(
                "queued_resource.tpu.node_spec", "Only one of node_id and multislice_params may be set.")
        }
        guard let count = several["nodeCount"]?.integerValue, (2...256).contains(count) else {
            throw .invalidField(
                "queued_resource.tpu.node_spec.multislice_params.node_count", "node_count must be greater than 1.")
        }
        let prefix = several["nodeIdPrefix"]?.stringValue ?? "node"
        try check(nodeID: prefix)
        return (0..<count).map { "\(prefix)-\($0)" }
    }

    static func check(nodeID id: String) throws(CloudError) {
        guard RunRules.isName(id, maximum: 40) else {
            throw .invalidField("node_id", "Node id '\(id)' must match [a-z]([-a-z0-9]*[a-z0-9])?.")
        }
    }

    static func check(node: JSONValue) throws(CloudError) {
        guard node["runtimeVersion"]?.stringValue?.isEmpty == false else {
            throw .invalidField("node.runtime_version", "runtime_version must be set.")
        }
        let scheduling = node["schedulingConfig"]
        let kinds = ["spot", "preemptible", "reserved"].filter { scheduling?[$0] == true }
        guard kinds.count <= 1 else {
            throw .invalidField(
                "node.scheduling_config", "Only one of spot, preemptible and reserved may be set.")
        }
    }

    static func provisioning(node: JSONValue) -> Provisioning {
        let scheduling = node["schedulingConfig"]
        if scheduling?["spot"] == true || scheduling?["preemptible"] == true { return .spot }
        return scheduling?["reserved"] == true ? .reservationbound : .standard
    }

    /// - Throws: 429 RESOURCE_EXHAUSTED with a `QuotaFailure`.
    static func checkQuota(chips: Int, zone: String, held: Int, in world: CloudWorld) throws(CloudError) {
        guard let limit = world.script.apis.tpuQuota[zone], held + chips > limit else { return }
        let text = "Quota limit 'TPUsPerProjectPerZoneForTPUAPI' has been exceeded. Limit: \(limit) in zone \(zone)."
        var error = CloudError(status: 429, reason: "RESOURCE_EXHAUSTED", message: text)
        error.details = [
            [
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [
                    [
                        "subject": .string("project:\(world.project)"),
                        "description": .string(text), "quotaId": "TPUsPerProjectPerZoneForTPUAPI",
                        "quotaValue": .string(String(limit)), "quotaDimensions": ["zone": .string(zone)],
                    ]
                ],
            ]
        ]
        throw error
    }

    /// When a resource that still waits fails.
    func validUntil(_ now: Timestamp) -> Timestamp? {
        if let duration = policy?["validUntilDuration"]?.duration { return now + duration }
        return (policy?["validUntilTime"] ?? policy?.value(at: ["validInterval", "endTime"]))?.stringValue
            .flatMap { Timestamp($0) }
    }
}
