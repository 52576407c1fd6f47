internal import Encoding

/// How sizes, provisioning and accelerators have to fit together.
extension NodePoolRules {
    // MARK: Autoscaling and provisioning

    /// Limits are per zone or for all zones together, never both.
    func check(autoscaling: JSONValue?) throws(CloudError) {
        guard let autoscaling, autoscaling["enabled"]?.boolValue == true else { return }
        func number(_ name: String) -> Int64? { autoscaling[name]?.integerValue }
        let perZone = (number("minNodeCount"), number("maxNodeCount"))
        let total = (number("totalMinNodeCount"), number("totalMaxNodeCount"))
        guard (perZone.0 ?? perZone.1) == nil || (total.0 ?? total.1) == nil else {
            throw ContainerAPI.invalid(
                "node_pool.autoscaling: limits per zone and total limits exclude each other.")
        }
        let (least, most) = (total.0 ?? total.1) == nil ? perZone : total
        guard let most, most >= 1, (0...most).contains(least ?? 0) else {
            throw ContainerAPI.invalid(
                "node_pool.autoscaling: the maximum must be at least 1 and not less than the minimum.")
        }
    }

    func checkProvisioning(_ pool: JSONValue) throws(CloudError) {
        let config = pool["config"] ?? [:]
        let consumes = config.value(at: ["reservationAffinity", "consumeReservationType"])?.stringValue
        let isScaled = pool.value(at: ["autoscaling", "enabled"])?.boolValue == true
        if config["flexStart"]?.boolValue == true {
            guard consumes == nil || consumes == "NO_RESERVATION" else {
                throw ContainerAPI.invalid("flex_start cannot consume a reservation.")
            }
            let policy = pool.value(at: ["autoscaling", "locationPolicy"])?.stringValue
            guard !isScaled || policy == "ANY" else {
                throw ContainerAPI.invalid("flex_start needs the location policy ANY.")
            }
        }
        if pool.value(at: ["queuedProvisioning", "enabled"])?.boolValue == true {
            guard isScaled else { throw ContainerAPI.invalid("queued_provisioning needs autoscaling.") }
            guard consumes == "NO_RESERVATION" else {
                throw ContainerAPI.invalid(
                    "queued_provisioning needs the reservation affinity NO_RESERVATION.")
            }
            guard pool["initialNodeCount"]?.integerValue ?? 0 == 0 else {
                throw ContainerAPI.invalid("queued_provisioning needs an initial node count of 0.")
            }
        }
        if consumes == "SPECIFIC_RESERVATION" {
            let affinity = config["reservationAffinity"]
            guard affinity?["key"]?.stringValue == "compute.googleapis.com/reservation-name",
                affinity?["values"]?.arrayValue?.isEmpty == false
            else {
                throw ContainerAPI.invalid("A specific reservation needs its key and at least one value.")
            }
        }
    }

    // MARK: Accelerators

    /// Which GPU the machine families with built-in ones have.
    private static let builtIn: [(prefix: String, type: String)] = [
        ("g2-standard-", "nvidia-l4"), ("a2-highgpu-", "nvidia-tesla-a100"),
        ("a2-megagpu-", "nvidia-tesla-a100"),
        ("a2-ultragpu-", "nvidia-a100-80gb"), ("a3-highgpu-", "nvidia-h100-80gb"),
        ("a3-edgegpu-", "nvidia-h100-80gb"),
        ("a3-megagpu-", "nvidia-h100-mega-80gb"), ("a3-ultragpu-", "nvidia-h200-141gb"),
        ("a4-highgpu-", "nvidia-b200"),
    ]
    private static let attachable: Set<String> = [
        "nvidia-tesla-t4", "nvidia-tesla-v100", "nvidia-tesla-p100", "nvidia-tesla-p4",
    ]
    private static let g2Counts: [Substring: Int64] = [
        "4": 1, "8": 1, "12": 1, "16": 1, "24": 2, "32": 1, "48": 4, "96": 8,
    ]

    func checkAccelerators(_ config: JSONValue) throws(CloudError) {
        guard let accelerator = config["accelerators"]?[0],
            let machine = config["machineType"]?.stringValue,
            let type = accelerator["acceleratorType"]?.stringValue
        else { return }
        let count = accelerator["acceleratorCount"].flatMap {
            $0.integerValue ?? $0.stringValue.flatMap { Int64($0) }
        }
        if let family = Self.builtIn.first(where: { machine.hasPrefix($0.prefix) }) {
            let size = machine.dropFirst(family.prefix.count)
            let wanted =
                family.type == "nvidia-l4" ? Self.g2Counts[size] : Int64(size.prefix { $0 != "g" })
            guard type == family.type, wanted == nil || count == wanted else {
                throw ContainerAPI.invalid(
                    "Machine type \"\(machine)\" has \(wanted.map(String.init) ?? "its own") x \(family.type), not "
                        + "\(count ?? 0) x \(type).")
            }
        } else if Self.attachable.contains(type), !machine.hasPrefix("n1-") {
            throw ContainerAPI.invalid(
                "Accelerator type \"\(type)\" cannot be attached to machine type \"\(machine)\".")
        }
    }

    // MARK: TPU slices

    /// Several hosts are one slice: the topology says how many there are, all of them or none.
    func checkSlice(_ pool: JSONValue, nodeCount: Int64) throws(CloudError) {
        guard let machine = pool.value(at: ["config", "machineType"])?.stringValue,
            machine.contains("t"),
            let chips = MachineShape(machineType: machine)?.tpuChips, chips > 0
        else { return }
        guard let topology = pool.value(at: ["placementPolicy", "tpuTopology"])?.stringValue else {
            return
        }
        let sides = topology.split(separator: "x", omittingEmptySubsequences: false).map {
            Int64($0) ?? 0
        }
        let isFlat = machine.hasPrefix("ct5lp") || machine.hasPrefix("ct6e") || machine.hasPrefix("ct3")
        let product: Int64 = sides.reduce(1) { $0.multipliedReportingOverflow(by: $1).partialValue }
        guard sides.count == (isFlat ? 2 : 3), sides.allSatisfy({ (1...1024).contains($0) }),
            product.isMultiple(of: chips), product <= chips || machine.hasSuffix("-4t")
        else {
            throw ContainerAPI.invalid(
                "TPU topology \"\(topology)\" does not fit machine type \"\(machine)\".")
        }
        let hosts = product / chips
        guard hosts > 1 else { return }
        guard nodeCount == 0 || nodeCount == hosts else {
            throw ContainerAPI.invalid(
                "A slice \(topology) of \(machine) has \(hosts) nodes or none, not \(nodeCount).")
        }
        guard (pool["locations"]?.arrayValue?.count ?? 1) == 1 else {
            throw ContainerAPI.invalid("A slice of several hosts has one location.")
        }
        let most = pool.value(at: ["autoscaling", "maxNodeCount"])?.integerValue
        guard pool.value(at: ["autoscaling", "enabled"])?.boolValue != true || most ?? hosts == hosts
        else {
            throw ContainerAPI.invalid(
                "A slice \(topology) of \(machine) scales to \(hosts) nodes or to none.")
        }
    }

    /// A resize of a pool that exists.
    func check(size: Int64, of pool: JSONValue) throws(CloudError) {
        try checkSlice(pool, nodeCount: size)
    }
}
