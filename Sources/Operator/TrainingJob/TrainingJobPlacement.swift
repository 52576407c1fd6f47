import Encoding

/// What the pods of a run ask for.
enum TrainingJobPlacement {
    static func resources(_ spec: RunSpec) -> JSONValue {
        let limits = limits(spec)
        var resources: JSONValue = [:]
        if !limits.isEmpty { resources["limits"] = .object(limits) }
        resources["requests"] = spec.trainer?.resourcesPerNode?.requests.map { .object($0) }
        return resources
    }

    /// The user's, and all accelerators of the node.
    static func limits(_ spec: RunSpec) -> [String: JSONValue] {
        var limits = spec.trainer?.resourcesPerNode?.limits ?? [:]
        let shape = spec.shape
        if let name = shape.resourceName { limits[name] = .string(String(shape.acceleratorsPerNode)) }
        return limits
    }
}
