internal import Encoding

/// What GKE refuses beyond the shape of the message.
struct NodePoolRules {
    let zones: [String]

    struct Checked {
        var name: String
        var zones: [String]
        /// Per zone.
        var nodeCount: Int
    }

    /// - Throws: 400 INVALID_ARGUMENT with the first rule that is broken.
    func check(_ pool: JSONValue) throws(CloudError) -> Checked {
        guard let name = pool["name"]?.stringValue, Self.isName(name) else {
            throw ContainerAPI.invalid(
                "Invalid value for field \"node_pool.name\": must be a match of regex "
                    + "'(?:[a-z](?:[-a-z0-9]{0,38}[a-z0-9])?)'")
        }
        let wanted = (pool["locations"]?.arrayValue ?? []).compactMap(\.stringValue)
        for zone in wanted where !zones.contains(zone) {
            throw ContainerAPI.invalid("Location \"\(zone)\" is not a zone of the cluster.")
        }
        guard Set(wanted).count == wanted.count else { throw ContainerAPI.invalid("Locations are repeated.") }
        let count = pool["initialNodeCount"]?.integerValue ?? 0
        guard (0...1000).contains(count) else {
            throw ContainerAPI.invalid("node_pool.initial_node_count must be between 0 and 1000.")
        }
        try check(autoscaling: pool["autoscaling"])
        try check(config: pool["config"] ?? [:])
        try checkProvisioning(pool)
        try checkAccelerators(pool["config"] ?? [:])
        try checkSlice(pool, nodeCount: count)
        return Checked(name: name, zones: wanted.isEmpty ? zones : wanted, nodeCount: Int(count))
    }

    private func check(config: JSONValue) throws(CloudError) {
        for accelerator in config["accelerators"]?.arrayValue ?? [] {
            let count = accelerator["acceleratorCount"].flatMap {
                $0.integerValue ?? $0.stringValue.flatMap { Int64($0) }
            }
            guard accelerator["acceleratorType"]?.stringValue?.isEmpty == false, let count, count > 0 else {
                throw ContainerAPI.invalid("Accelerators need a type and a count of at least 1.")
            }
        }
        let spot = config["spot"]?.boolValue == true
        let flexStart = config["flexStart"]?.boolValue == true
        if spot, flexStart || config["preemptible"]?.boolValue == true {
            throw ContainerAPI.invalid("Only one of spot, preemptible and flex_start may be set.")
        }
        try check(maxRunDuration: config["maxRunDuration"]?.stringValue, flexStart: flexStart)
        if let size = config["diskSizeGb"]?.integerValue, size < 10 {
            throw ContainerAPI.invalid("node_pool.config.disk_size_gb must be at least 10.")
        }
        for (key, value) in config["resourceLabels"]?.objectValue ?? [:] {
            guard Self.isLabel(key, isKey: true), Self.isLabel(value.stringValue ?? "", isKey: false) else {
                throw ContainerAPI.invalid("Resource label \"\(key)\" has characters that are not allowed.")
            }
        }
        for key in config["labels"]?.objectValue?.keys.sorted() ?? []
        where key.hasPrefix("cloud.google.com/gke-")
            || key.split(separator: "/").first?.hasSuffix("kubernetes.io") == true
        {
            throw ContainerAPI.invalid("Node label \"\(key)\" is reserved.")
        }
    }

    private func check(maxRunDuration text: String?, flexStart: Bool) throws(CloudError) {
        guard let text else { return }
        let seconds = Double(text.dropLast()) ?? 0
        let longest: Double = flexStart ? 7 * 86400 : 120 * 86400
        guard (30...longest).contains(seconds) else {
            throw ContainerAPI.invalid("max_run_duration must be between 30 and \(Int(longest)) seconds.")
        }
    }

    private static func isName(_ name: String) -> Bool {
        (1...40).contains(name.utf8.count) && name.first?.isLowercase == true && name.last != "-"
            && name.utf8.allSatisfy { isLowerAlphanumeric($0) || $0 == UInt8(ascii: "-") }
    }

    /// At most 63 characters; a key begins with a letter.
    private static func isLabel(_ text: String, isKey: Bool) -> Bool {
        text.utf8.count <= 63
            && text.utf8.allSatisfy { isLowerAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
            && (!isKey || text.utf8.first.map { (0x61...0x7A).contains($0) } == true)
    }

    private static func isLowerAlphanumeric(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte)
    }
}
