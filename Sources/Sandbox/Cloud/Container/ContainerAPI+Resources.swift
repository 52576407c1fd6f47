internal import Encoding

/// The resources as container v1 writes them: default values (0, false, empty) are left out.
extension ContainerAPI {
    private var cluster: String { "\(parent)/clusters/\(configuration.clusterName)" }
    private var root: String { "https://container.googleapis.com/v1/" }

    func json(clusterWith state: ContainerState) -> JSONValue {
        var value: JSONValue = [
            "name": .string(configuration.clusterName), "location": .string(configuration.location),
            "locations": .array(configuration.zones.map(JSONValue.string)), "status": "RUNNING",
            "selfLink": .string(root + cluster), "currentMasterVersion": "1.33.5-gke.1080000",
            "id": .string(StableHash.hex(UInt32(truncatingIfNeeded: StableHash.fnv1a(cluster)))),
            "workloadIdentityConfig": ["workloadPool": .string("\(configuration.project).svc.id.goog")],
        ]
        if !state.pools.isEmpty {
            value["nodePools"] = .array(state.pools.values.sorted { $0.name < $1.name }.map(json))
        }
        return value
    }

    func json(_ pool: ContainerState.Pool) -> JSONValue {
        var value = pool.resource
        if value["initialNodeCount"]?.integerValue == 0 { value["initialNodeCount"] = nil }
        value["locations"] = .array(pool.zones.map(JSONValue.string))
        value["status"] = .string(pool.status.rawValue)
        value["selfLink"] = .string("\(root)\(cluster)/nodePools/\(pool.name)")
        value["version"] = "1.33.5-gke.1080000"
        value["podIpv4CidrSize"] = 24
        value["etag"] = .string(pool.etag)
        value["instanceGroupUrls"] = .array(
            pool.zones.map { zone in
                let group = pool.instanceName(zone: zone, cluster: configuration.clusterName, slot: 0).dropLast(5)
                return .string(
                    "https://www.googleapis.com/compute/v1/projects/\(configuration.project)/zones/\(zone)"
                        + "/instanceGroupManagers/\(group)-grp")
            })
        fillDefaults(&value)
        if let failure = pool.failure {
            value["statusMessage"] = .string(failure.message)
            value["conditions"] = conditions(failure)
        }
        return value
    }

    /// What GKE fills in when the request leaves it out.
    private func fillDefaults(_ value: inout JSONValue) {
        let defaults: [(String, JSONValue)] = [
            ("diskSizeGb", 100), ("diskType", "pd-balanced"), ("imageType", "COS_CONTAINERD"),
            ("serviceAccount", "default"), ("machineType", "e2-medium"),
            ("metadata", ["disable-legacy-endpoints": "true"]),
            ("shieldedInstanceConfig", ["enableIntegrityMonitoring": true]),
        ]
        for (key, fallback) in defaults where value.value(at: ["config", key]) == nil {
            value.set(fallback, at: ["config", key])
        }
        if value["management"] == nil { value["management"] = ["autoRepair": true, "autoUpgrade": true] }
    }

    private func conditions(_ failure: ContainerState.Failure) -> JSONValue {
        [
            [
                "canonicalCode": .string(failure.canonicalCode), "code": .string(failure.code),
                "message": .string(failure.message),
            ]
        ]
    }

    func json(_ operation: ContainerState.Operation) -> JSONValue {
        let status = operation.end != nil ? "DONE" : operation.isRunning ? "RUNNING" : "PENDING"
        var value: JSONValue = [
            "name": .string(operation.name), "operationType": .string(operation.kind.rawValue),
            "status": .string(status), "location": .string(configuration.location),
            "selfLink": .string("\(root)\(parent)/operations/\(operation.name)"),
            "targetLink": .string("\(root)\(cluster)/nodePools/\(operation.pool)"),
            "startTime": .string(operation.start.description),
        ]
        if let end = operation.end { value["endTime"] = .string(end.description) }
        if let failure = operation.failure {
            value["error"] = ["code": .integer(failure.number), "message": .string(failure.message)]
            value["statusMessage"] = .string(failure.message)
            value["nodepoolConditions"] = conditions(failure)
        }
        return value
    }
}
