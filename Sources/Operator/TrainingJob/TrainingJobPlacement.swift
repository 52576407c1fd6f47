import Encoding

/// Where the pods of a slice may run and what they ask for.
enum TrainingJobPlacement {
    static func nodeSelector(_ slice: TrainingJobSlice) -> JSONValue {
        var selector = NodeSelection.nodeSelector(pool: slice.pool)
        if let tpu = slice.shape.slice {
            // GKE's admission of TPU pods wants both.
            selector["cloud.google.com/gke-tpu-accelerator"] = .string(tpu.tpu.type)
            selector["cloud.google.com/gke-tpu-topology"] = .string(tpu.topology)
        }
        return selector
    }

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
