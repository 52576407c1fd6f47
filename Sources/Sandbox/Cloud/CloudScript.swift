public import Encoding

/// What goes wrong inside the simulated cloud; what goes wrong with requests is a `FaultScript`. It may be changed at any time (`SimulatedCloud.updateScript`).
public struct CloudScript: Sendable, Hashable {
    /// `<provisioning>/<zone>` where no machine is to be had: `spot/us-central1-a`. Provisioning is `spot`, `standard`,
    /// `flexstart` or `reservationbound`, in any case; `*` stands for any.
    public var stockouts: Set<String>
    /// Machines that the project may have at once, by provisioning model as above; absent is no limit.
    public var quotas: [String: Int]
    /// Machines of each reservation, by `<name>/<zone>`; what is not there does not exist.
    public var reservations: [String: Int] = [:]
    /// Buckets of other projects, which nobody here may read.
    public var foreignBuckets: Set<String>
    /// Pools whose next resize ends with that code in brackets (`INTERNAL_ERROR`, `IP_SPACE_EXHAUSTED`), by name.
    public var poolFailures: [String: String] = [:]
    /// Operations of these types (`CREATE_NODE_POOL`) never end.
    public var stuckOperations: Set<String> = []
    /// APIs that are disabled until a moment, by host (`container.googleapis.com`): 403 SERVICE_DISABLED.
    public var disabledServices: [String: Timestamp] = [:]
    /// Permissions that the caller lacks until a moment (`storage.buckets.create`): 403. In the APIs beside GKE and Cloud
    /// Storage also those of one account (`tenant@p1.iam.gserviceaccount.com/run.services.create`).
    public var deniedPermissions: [String: Timestamp] = [:]
    /// Accounts that IAM does not know until a moment, by their addresses: they cannot be members of a policy yet.
    public var unknownAccounts: [String: Timestamp] = [:]
    /// How many bytes one call of a rewrite copies; nil is all.
    public var rewriteBytes: Int64?

    /// Of the APIs beside GKE and Cloud Storage.
    public var apis = APIScript()

    /// A moment that does not come.
    public static let forever = Timestamp(seconds: 253_402_300_799)

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
