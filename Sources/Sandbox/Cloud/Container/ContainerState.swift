internal import Encoding

/// GKE's node pools and operations as a machine over time: calls in `ContainerAPI`, the passing of time in
/// `ContainerState+Time.swift`. Pure.
struct ContainerState: Sendable {
    struct Pool: Sendable {
        var name: String
        /// The request's `nodePool`.
        var resource: JSONValue
        var zones: [String]
        /// How many machines each zone should have.
        var targets: [String: Int]
        var status: Status = .provisioning
        var failure: Failure?
        var instances: [SimulatedInstance] = []
        /// Machines that are missing are not tried before this.
        var retryAt: Timestamp?
        /// Distinguishes pools that had the same name one after the other.
        var serial: UInt64
        var revision = 1

        enum Status: String, Sendable {
            case provisioning = "PROVISIONING"
            case running = "RUNNING"
            case runningWithError = "RUNNING_WITH_ERROR"
            case reconciling = "RECONCILING"
            case stopping = "STOPPING"
            case error = "ERROR"
        }
    }

    /// Why machines could not be had.
    struct Failure: Sendable, Equatable {
        /// `GCE_STOCKOUT`, `GCE_QUOTA_EXCEEDED` or what the script says.
        var code: String
        var message: String
        var canonicalCode = "RESOURCE_EXHAUSTED"
        /// gRPC's.
        var number: Int64 = 8
    }

    struct Operation: Sendable {
        enum Kind: String, Sendable {
            case create = "CREATE_NODE_POOL"
            case setSize = "SET_NODE_POOL_SIZE"
            case delete = "DELETE_NODE_POOL"
            case update = "UPGRADE_NODES"
        }

        var name: String
        var kind: Kind
        var pool: String
        var start: Timestamp
        var isRunning = false
        /// Whether machines have been asked for.
        var hasTried = false
        var end: Timestamp?
        var failure: Failure?
    }

    private(set) var serial: UInt64 = 0
    var pools: [String: Pool] = [:]
    /// Oldest first.
    var operations: [Operation] = []

    /// The one mutating operation that a cluster has at a time.
    var activeOperation: Operation? { operations.last { $0.end == nil } }

    mutating func nextSerial() -> UInt64 {
        serial += 1
        return serial
    }

    mutating func begin(_ kind: Operation.Kind, pool: String, now: Timestamp) -> Operation {
        let number = nextSerial()
        let operation = Operation(
            name: "operation-\(now.seconds)\(now.nanoseconds / 1_000_000)-\(String(number, radix: 16))", kind: kind,
            pool: pool, start: now)
        operations.append(operation)
        if operations.count > 1000 { operations.removeFirst(operations.count - 1000) }
        return operation
    }
}

extension ContainerState.Pool {
    /// How the config asks for machines.
    var provisioning: Provisioning {
        let config = resource["config"]
        if config?["spot"]?.boolValue == true || config?["preemptible"]?.boolValue == true { return .spot }
        if config?["flexStart"]?.boolValue == true { return .flexstart }
        return .standard
    }

    /// Differs after every change.
    var etag: String {
        StableHash.hex(UInt32(truncatingIfNeeded: StableHash.fnv1a("\(serial)/\(revision)")))
    }

    /// Of a slice of several TPU hosts. A workload policy has it in its name here.
    var topology: String? {
        let placement = resource["placementPolicy"]
        return placement?["tpuTopology"]?.stringValue
            ?? placement?["policyName"]?.stringValue?.split(separator: "-").last.map(String.init)
    }

    /// Machines come only when a ProvisioningRequest asks for them, all of them or none.
    var isQueued: Bool { resource.value(at: ["queuedProvisioning", "enabled"])?.boolValue == true }

    /// A slice of several TPU hosts: all of its machines, or none.
    var isAtomic: Bool { topology != nil }

    /// The name of the reservation that its machines come from, and nowhere else.
    var reservation: String? {
        let affinity = resource.value(at: ["config", "reservationAffinity"])
        guard affinity?["consumeReservationType"]?.stringValue == "SPECIFIC_RESERVATION" else { return nil }
        let parts = affinity?["values"]?[0]?.stringValue?.split(separator: "/").map(String.init) ?? []
        return parts.firstIndex(of: "reservations").flatMap { parts.dropFirst($0 + 1).first } ?? parts.first
    }

    /// Keeps the sizes between the limits of the autoscaler, of which there is no more here: `QueuedProvisioning`, and who
    /// tests scaling up, say it with `SimulatedCloud.autoscale`.
    mutating func followAutoscaling() {
        guard let autoscaling = resource["autoscaling"], autoscaling["enabled"]?.boolValue == true
        else { return }
        func number(_ name: String) -> Int? { autoscaling[name]?.integerValue.map { Int($0) } }
        for zone in zones {
            let wanted = max(targets[zone] ?? 0, number("minNodeCount") ?? 0)
            targets[zone] = min(wanted, number("maxNodeCount") ?? .max)
        }
        var missing = (number("totalMinNodeCount") ?? 0) - targets.values.reduce(0, +)
        while missing > 0, let zone = zones.min(by: { targets[$0] ?? 0 < targets[$1] ?? 0 }) {
            targets[zone, default: 0] += 1
            missing -= 1
        }
    }

    /// From `config.maxRunDuration`.
    var maximumRunDuration: Duration? {
        guard let text = resource.value(at: ["config", "maxRunDuration"])?.stringValue,
            let seconds = Double(text.dropLast())
        else { return nil }
        return .milliseconds(Int64(seconds * 1000))
    }

    /// Machines that should be there and are not.
    func missing(in zone: String) -> Int {
        max(0, (targets[zone] ?? 0) - instances.count { $0.zone == zone })
    }

    var isComplete: Bool { zones.allSatisfy { missing(in: $0) == 0 } }

    /// Adds a machine in the first free place of the zone.
    mutating func addInstance(zone: String, cluster: String, id: UInt64, now: Timestamp) {
        let taken = Set(instances.map(\.name))
        var slot = 0
        var name = instanceName(zone: zone, cluster: cluster, slot: slot)
        while taken.contains(name) {
            slot += 1
            name = instanceName(zone: zone, cluster: cluster, slot: slot)
        }
        instances.append(
            SimulatedInstance(
                name: name, zone: zone, state: .running, id: id, createdAt: now,
                terminatesAt: maximumRunDuration.map { now + $0 }))
    }

    /// `gke-<cluster>-<pool>-<hash>-<4>`, at most 63 characters.
    func instanceName(zone: String, cluster: String, slot: Int) -> String {
        let group = StableHash.fnv1a("\(cluster)/\(name)/\(zone)/\(serial)")
        let place = StableHash.fnv1a("\(group)/\(slot)")
        let digits = String(place % 1_679_616, radix: 36)  // 36 to the power of 4
        return "gke-\(cluster.prefix(10))-\(name.prefix(26))-\(StableHash.hex(UInt32(truncatingIfNeeded: group)))-"
            + String(repeating: "0", count: 4 - digits.count) + digits
    }
}

/// Hashes that are the same in every process, for names and etags.
enum StableHash {
    static func fnv1a(_ text: String) -> UInt64 {
        text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    /// Eight hex digits.
    static func hex(_ value: UInt32) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}
