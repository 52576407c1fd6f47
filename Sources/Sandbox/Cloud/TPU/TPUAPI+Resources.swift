internal import Encoding

/// The resources as tpu v2 writes them.
extension TPUAPI {
    static func typed(_ node: JSONValue) -> JSONValue {
        var value = node
        value["@type"] = "type.googleapis.com/google.cloud.tpu.v2.Node"
        return value
    }

    static func json(_ node: TPUState.Node, in world: CloudWorld) -> JSONValue {
        var value = node.resource
        let members: [String: JSONValue] = [
            "name": .string(node.name), "state": .string(node.state.rawValue),
            "createTime": .string(node.created.description), "id": .string(String(1_000_000 + node.serial)),
            "acceleratorType": .string(node.slice.acceleratorType),
            "acceleratorConfig": ["type": .string(node.slice.type), "topology": .string(node.slice.topology)],
            "apiVersion": "V2",
        ]
        for (key, member) in members { value[key] = member }
        if value["networkConfig"] == nil { value["networkConfig"] = ["network": "default", "subnetwork": "default"] }
        if let queued = node.queuedResource {
            // The number stands in for the id in the back link.
            value["queuedResource"] = .string(
                queued.replacingPrefix(
                    "projects/\(world.project)/", with: "projects/\(world.configuration.projectNumber)/"))
        }
        if node.state == .ready {
            value["health"] = "HEALTHY"
            value["networkEndpoints"] = .array(
                (0..<node.slice.hosts).map { host in
                    ["ipAddress": .string("10.128.\(node.serial % 250).\(host % 250 + 2)"), "port": 8470]
                })
        }
        return value
    }

    static func json(_ resource: TPUState.QueuedResource) -> JSONValue {
        var value = resource.resource
        value["name"] = .string(resource.name)
        value["createTime"] = .string(resource.created.description)
        var state: JSONValue = ["state": .string(resource.state.rawValue)]
        switch resource.state {
        case .accepted: state["acceptedData"] = [:]
        case .provisioning: state["provisioningData"] = [:]
        case .active: state["activeData"] = [:]
        case .suspending: state["suspendingData"] = [:]
        case .suspended: state["suspendedData"] = [:]
        case .deleting: state["deletingData"] = [:]
        case .failed:
            state["failedData"] = [
                "error": [
                    "code": .integer(resource.failure?.code ?? 13), "message": .string(resource.failure?.message ?? ""),
                ]
            ]
        case .waiting: break
        }
        state["stateInitiator"] = resource.isByUser ? "USER" : "SERVICE"
        value["state"] = state
        return value
    }
}

extension String {
    fileprivate func replacingPrefix(_ prefix: String, with other: String) -> String {
        hasPrefix(prefix) ? other + dropFirst(prefix.count) : self
    }
}
