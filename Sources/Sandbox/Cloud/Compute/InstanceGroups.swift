internal import Encoding
internal import HTTP

/// The managed instance groups behind the simulated node pools: one a pool and zone.
struct InstanceGroups {
    let world: CloudWorld
    let links: ComputeLinks

    private struct Group {
        var name: String
        var pool: ContainerState.Pool
        var zone: String
        var instances: [SimulatedInstance] { pool.instances.filter { $0.zone == zone } }
    }

    func reply(_ call: APICall) throws(CloudError) -> HTTPReply {
        let groups = groups(zone: call["zone"])
        if call.method == "compute.instanceGroupManagers.list" {
            var reply = try call.page("items", groups.map(json), limit: 500)
            reply["kind"] = "compute#instanceGroupManagerList"
            return .json(reply)
        }
        guard let group = groups.first(where: { $0.name == call["group"] }) else {
            throw ComputeAPI.notFound(
                "projects/\(world.project)/zones/\(call["zone"])/instanceGroupManagers/\(call["group"])")
        }
        return switch call.method {
        case "compute.instanceGroupManagers.listManagedInstances":
            .json(try call.page("managedInstances", managedInstances(group), limit: 500))
        case "compute.instanceGroupManagers.listErrors": .json(try call.page("items", errors(group), limit: 500))
        default: .json(json(group))
        }
    }

    private func groups(zone: String) -> [Group] {
        world.container.pools.values.sorted { $0.name < $1.name }.filter { $0.zones.contains(zone) }.map { pool in
            let base = pool.instanceName(zone: zone, cluster: world.configuration.clusterName, slot: 0).dropLast(5)
            return Group(name: "\(base)-grp", pool: pool, zone: zone)
        }
    }

    private func json(_ group: Group) -> JSONValue {
        let path = "zones/\(group.zone)/instanceGroupManagers/\(group.name)"
        let missing = group.pool.missing(in: group.zone)
        let running = group.instances.count { $0.state == .running }
        return [
            "kind": "compute#instanceGroupManager", "name": .string(group.name), "id": .string(links.id(path)),
            "zone": .string("\(links.root)/zones/\(group.zone)"), "selfLink": .string("\(links.root)/\(path)"),
            "baseInstanceName": .string(String(group.name.dropLast(4))),
            "targetSize": .integer(Int64(group.pool.targets[group.zone] ?? 0)),
            "currentActions": [
                "creating": .integer(Int64(missing)), "none": .integer(Int64(running)),
                "deleting": .integer(Int64(group.instances.count - running)),
            ],
            "status": ["isStable": .bool(missing == 0 && running == group.instances.count)],
        ]
    }

    private func managedInstances(_ group: Group) -> [JSONValue] {
        var found: [JSONValue] = group.instances.map { instance in
            var value: JSONValue = [
                "name": .string(instance.name), "id": .string(String(instance.id)),
                "instance": .string("\(links.root)/zones/\(group.zone)/instances/\(instance.name)"),
                "currentAction": "NONE", "instanceStatus": "RUNNING",
            ]
            if instance.state != .running {
                value["currentAction"] = instance.state == .stopping ? "DELETING" : "NONE"
                value["instanceStatus"] = "STOPPING"
            }
            return value
        }
        for name in missingNames(group) {
            var value: JSONValue = [
                "name": .string(name), "currentAction": "CREATING",
                "instance": .string("\(links.root)/zones/\(group.zone)/instances/\(name)"),
            ]
            if let failure = failure(group) {
                value["lastAttempt"] = ["errors": ["errors": [failure]]]
            }
            found.append(value)
        }
        return found
    }

    private func errors(_ group: Group) -> [JSONValue] {
        guard let failure = failure(group) else { return [] }
        return missingNames(group).map { name in
            [
                "error": failure, "timestamp": .string(world.now.description),
                "instanceActionDetails": [
                    "action": "CREATING",
                    "instance": .string("\(links.root)/zones/\(group.zone)/instances/\(name)"),
                ],
            ]
        }
    }

    /// Free names, in the order in which the group will use them.
    private func missingNames(_ group: Group) -> [String] {
        let taken = Set(group.instances.map(\.name))
        let count = group.pool.missing(in: group.zone)
        return (0..<count + taken.count).lazy.map {
            group.pool.instanceName(zone: group.zone, cluster: world.configuration.clusterName, slot: $0)
        }.filter { !taken.contains($0) }.prefix(count).map(\.self)
    }

    /// Why this group's last attempt failed; nil when nothing stands in its way.
    private func failure(_ group: Group) -> JSONValue? {
        guard group.pool.missing(in: group.zone) > 0 else { return nil }
        if world.script.isStockedOut(provisioning: group.pool.provisioning, zone: group.zone) {
            return [
                "code": "ZONE_RESOURCE_POOL_EXHAUSTED",
                "message": .string(
                    "The zone 'projects/\(world.project)/zones/\(group.zone)' does not have enough resources "
                        + "available to fulfill the request. Try a different zone, or try again later."),
            ]
        }
        let used = world.container.pools.values.reduce(0) { sum, pool in
            sum + (pool.provisioning == group.pool.provisioning ? pool.instances.count : 0)
        }
        guard let limit = world.script.quota(group.pool.provisioning), used >= limit else { return nil }
        return [
            "code": "QUOTA_EXCEEDED",
            "message": .string("Quota 'GPUS_ALL_REGIONS' exceeded.  Limit: \(limit).0 globally."),
        ]
    }
}
