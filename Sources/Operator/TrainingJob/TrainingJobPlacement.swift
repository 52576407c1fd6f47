import Encoding

/// What the pods of a slice ask for.
enum TrainingJobPlacement {
    /// The user's, and all accelerators of the node.
    static func resources(_ slice: TrainingJobSlice) -> JSONValue {
        var limits = slice.spec.trainer?.resourcesPerNode?.limits ?? [:]
        let shape = slice.shape
        if let name = shape.resourceName { limits[name] = .string(String(shape.acceleratorsPerNode)) }
        var resources: JSONValue = [:]
        if !limits.isEmpty { resources["limits"] = .object(limits) }
        resources["requests"] = slice.spec.trainer?.resourcesPerNode?.requests.map { .object($0) }
        return resources
    }
}
