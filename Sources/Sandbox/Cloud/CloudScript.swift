/// What goes wrong inside the simulated cloud; what goes wrong with requests is a `FaultScript`. It may be changed at any time (`SimulatedCloud.updateScript`).
public struct CloudScript: Sendable, Hashable {
    /// `<provisioning>/<zone>` where no machine is to be had: `spot/us-central1-a`. Provisioning is `spot`, `standard`,
    /// `flexstart` or `reservationbound`, in any case; `*` stands for any.
    public var stockouts: Set<String>
    /// Machines that the project may have at once, by provisioning model as above; absent is no limit.
    public var quotas: [String: Int]
    /// Buckets of other projects, which nobody here may read.
    public var foreignBuckets: Set<String>

    public init(
        stockouts: Set<String> = [], quotas: [String: Int] = [:], foreignBuckets: Set<String> = []
    ) {
        self.stockouts = stockouts
        self.quotas = quotas
        self.foreignBuckets = foreignBuckets
    }

    func isStockedOut(provisioning: Provisioning, zone: String) -> Bool {
        stockouts.contains { entry in
            let parts = entry.split(separator: "/").map { $0.lowercased() }
            return parts.count == 2 && (parts[0] == "*" || parts[0] == provisioning.rawValue)
                && (parts[1] == "*" || parts[1] == zone)
        }
    }

    func quota(_ provisioning: Provisioning) -> Int? {
        quotas.first { $0.key.lowercased() == provisioning.rawValue }?.value
    }
}

/// Compute Engine's ways to have a machine.
enum Provisioning: String, Sendable {
    case spot, standard, flexstart, reservationbound
}
