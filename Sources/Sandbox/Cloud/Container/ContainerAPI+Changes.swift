internal import Encoding

/// Changes of pools that exist, and what else container v1 tells.
extension ContainerAPI {
    static let serverConfig: JSONValue = [
        "defaultClusterVersion": "1.33.5-gke.1080000", "validMasterVersions": ["1.33.5-gke.1080000"],
        "validNodeVersions": ["1.33.5-gke.1080000", "1.32.9-gke.1675000"],
        "defaultImageType": "COS_CONTAINERD",
        "validImageTypes": ["COS_CONTAINERD", "UBUNTU_CONTAINERD"],
        "channels": [["channel": "REGULAR", "defaultVersion": "1.33.5-gke.1080000"]],
    ]

    func setAutoscaling(
        _ name: String, _ body: [UInt8], _ state: inout ContainerState, _ now: Timestamp
    ) throws(CloudError) -> ContainerState.Operation {
        let request = try Self.message("SetNodePoolAutoscalingRequest", body)
        guard let autoscaling = request["autoscaling"] else {
            throw Self.invalid("autoscaling must be set.")
        }
        var pool = try pool(name, state)
        var resource = pool.resource
        resource["autoscaling"] = nil
        if autoscaling["enabled"]?.boolValue == true { resource["autoscaling"] = autoscaling }
        _ = try NodePoolRules(zones: configuration.zones).check(resource)
        try refuseWhileBusy(state)
        pool.resource = resource
        pool.followAutoscaling()
        pool.revision += 1
        state.pools[name] = pool
        return state.begin(.setSize, pool: name, now: now)
    }

    /// Labels, taints and tags are replaced as a whole; everything else makes the nodes anew.
    func update(
        _ name: String, _ body: [UInt8], _ state: inout ContainerState, _ now: Timestamp
    ) throws(CloudError) -> ContainerState.Operation {
        let request = try Self.message("UpdateNodePoolRequest", body)
        var pool = try pool(name, state)
        if let etag = request["etag"]?.stringValue, !etag.isEmpty, etag != pool.etag {
            throw CloudError(
                status: 409, reason: "ABORTED",
                message:
                    "The node pool was changed in the meantime: the etag \(etag) is not its current one.")
        }
        let ignored: Set<String> = ["etag", "name", "clusterId", "nodePoolId", "projectId", "zone"]
        let changes = (request.objectValue ?? [:]).filter { !ignored.contains($0.key) }
        guard !changes.isEmpty else { throw Self.invalid("At least one field must be updated.") }
        guard changes["locations"] == nil || changes.count == 1 else {
            throw Self.invalid("locations must be updated in a request of their own.")
        }
        var resource = pool.resource
        for (field, value) in changes {
            switch field {
            case "labels", "resourceLabels": resource.set(value["labels"] ?? [:], at: ["config", field])
            case "taints", "tags": resource.set(value[field] ?? [], at: ["config", field])
            case "locations", "upgradeSettings", "queuedProvisioning", "nodeDrainConfig",
                "maintenancePolicy":
                resource[field] = value
            case "nodeNetworkConfig": resource["networkConfig"] = value
            case "nodeVersion": resource["version"] = value
            default: resource.set(value, at: ["config", field])
            }
        }
        let checked = try NodePoolRules(zones: configuration.zones).check(resource)
        try refuseWhileBusy(state)
        pool.resource = resource
        move(&pool, to: checked.zones)
        if !Set(changes.keys).isSubset(of: ["labels", "resourceLabels", "taints", "tags", "locations"]) {
            for index in pool.instances.indices { pool.instances[index].state = .stopping }
        }
        pool.status = .reconciling
        pool.revision += 1
        state.pools[name] = pool
        return state.begin(.update, pool: name, now: now)
    }

    /// Machines of zones that the pool leaves end; new zones get as many as the others have.
    private func move(_ pool: inout ContainerState.Pool, to zones: [String]) {
        guard zones != pool.zones else { return }
        let count = pool.targets.values.max() ?? 0
        pool.zones = zones
        pool.targets = Dictionary(uniqueKeysWithValues: zones.map { ($0, count) })
        for index in pool.instances.indices where !zones.contains(pool.instances[index].zone) {
            pool.instances[index].state = .stopping
        }
    }

    /// Only updates can be cancelled.
    func cancel(_ name: String, _ state: inout ContainerState, _ now: Timestamp) throws(CloudError) {
        guard let index = state.operations.firstIndex(where: { $0.name == name }) else {
            throw Self.notFound("\(parent)/operations/\(name)")
        }
        guard state.operations[index].end == nil, state.operations[index].kind == .update else {
            throw CloudError(
                status: 400, reason: "FAILED_PRECONDITION",
                message: "Operation \(name) cannot be cancelled.")
        }
        state.operations[index].end = now
        state.operations[index].failure = ContainerState.Failure(
            code: "CANCELLED", message: "The operation was cancelled.", canonicalCode: "CANCELLED",
            number: 1)
        let pool = state.operations[index].pool
        state.pools[pool]?.instances.removeAll { $0.state == .stopping }
        state.pools[pool]?.status = .running
    }
}
