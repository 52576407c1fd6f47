internal import Encoding

/// The slices that Cloud TPU offers.
struct TPUSlice: Sendable, Equatable {
    /// `V6E`, as `AcceleratorConfig.type`.
    var type: String
    var topology: String
    /// `v6e-16`.
    var acceleratorType: String
    var chips: Int
    var hosts: Int

    private struct Generation {
        let type: String
        let prefix: String
        /// Names of v2 to v5p count TensorCores, two a chip.
        let coresPerChip: Int
        let topologies: [String]
    }

    private static let cubes = [
        "2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8", "8x8x16", "8x16x16",
    ]
    private static let generations = [
        Generation(
            type: "V2", prefix: "v2-", coresPerChip: 2, topologies: ["2x2", "4x4", "4x8", "8x8", "8x16", "16x16"]),
        Generation(
            type: "V3", prefix: "v3-", coresPerChip: 2,
            topologies: ["2x2", "4x4", "4x8", "8x8", "8x16", "16x16", "16x32", "32x32"]),
        Generation(type: "V4", prefix: "v4-", coresPerChip: 2, topologies: cubes),
        Generation(
            type: "V5LITE_POD", prefix: "v5litepod-", coresPerChip: 1,
            topologies: ["1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16"]),
        Generation(type: "V5P", prefix: "v5p-", coresPerChip: 2, topologies: cubes),
        Generation(
            type: "V6E", prefix: "v6e-", coresPerChip: 1,
            topologies: ["1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16"]),
    ]

    static let all: [TPUSlice] = generations.flatMap { generation in
        generation.topologies.map { topology in
            let chips = topology.split(separator: "x").compactMap { Int($0) }.reduce(1, *)
            // One host holds up to eight chips of the single-host 2x4; larger slices have four a host.
            let hosts = topology == "2x4" ? 1 : max(1, chips / 4)
            return TPUSlice(
                type: generation.type, topology: topology,
                acceleratorType: generation.prefix + String(chips * generation.coresPerChip), chips: chips, hosts: hosts
            )
        }
    }

    /// The slice that a node asks for.
    ///
    /// - Throws: 400 for none, for both spellings, and for one that does not exist.
    init(node: JSONValue) throws(CloudError) {
        let name = node["acceleratorType"]?.stringValue ?? ""
        let config = node["acceleratorConfig"]
        guard name.isEmpty != (config == nil) else {
            throw .invalidField(
                "node.accelerator_type", "Exactly one of accelerator_type and accelerator_config must be set.")
        }
        let found = Self.all.first { slice in
            config == nil
                ? slice.acceleratorType == name
                : slice.type == config?["type"]?.stringValue && slice.topology == config?["topology"]?.stringValue
        }
        guard let found else {
            let wanted = config.map { "\($0["type"]?.stringValue ?? "") \($0["topology"]?.stringValue ?? "")" } ?? name
            throw .invalidField("node.accelerator_type", "Accelerator type '\(wanted)' is not found.")
        }
        self = found
    }

    private init(type: String, topology: String, acceleratorType: String, chips: Int, hosts: Int) {
        self.type = type
        self.topology = topology
        self.acceleratorType = acceleratorType
        self.chips = chips
        self.hosts = hosts
    }
}
