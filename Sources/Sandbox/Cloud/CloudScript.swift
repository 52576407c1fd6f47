/// What goes wrong in the simulated cloud. It may be changed at any time (`SimulatedCloud.updateScript`).
public struct CloudScript: Sendable, Hashable {
    /// `<provisioning>/<zone>` where no machine is to be had: `spot/us-central1-a`. Provisioning is `spot`, `standard`,
    /// `flexstart` or `reservationbound`, in any case; `*` stands for any.
    public var stockouts: Set<String>
    /// Machines that the project may have at once, by provisioning model as above; absent is no limit.
    public var quotas: [String: Int]
    /// Buckets of other projects, which nobody here may read.
    public var foreignBuckets: Set<String>
    public var faults: [CloudFault]

    public init(
        stockouts: Set<String> = [], quotas: [String: Int] = [:], foreignBuckets: Set<String> = [],
        faults: [CloudFault] = []
    ) {
        self.stockouts = stockouts
        self.quotas = quotas
        self.foreignBuckets = foreignBuckets
        self.faults = faults
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

/// One thing that happens to requests instead of the usual.
public struct CloudFault: Sendable, Hashable {
    /// What happens.
    public enum Action: Sendable, Hashable {
        /// An error reply; nothing is done. The reason is the service's word (`UNAVAILABLE`, `rateLimitExceeded`).
        case fail(status: Int, reason: String, message: String)
        /// The request is done, and its reply is lost on the way.
        case loseReply
        /// The request is lost on the way: nothing is done.
        case loseRequest
        /// Of a chunk of a resumable upload only this many bytes are kept, then the connection breaks.
        case keepOnly(bytes: Int)
    }

    /// The method's id: `container.nodePools.create`, `storage.objects.insert`, …; a trailing `*` stands for any rest.
    public var method: String
    /// Which calls of that method, counted from 1 since the cloud began; nil is every call.
    public var calls: ClosedRange<Int>?
    public var action: Action

    public init(method: String, calls: ClosedRange<Int>? = nil, action: Action) {
        self.method = method
        self.calls = calls
        self.action = action
    }

    func matches(method: String, call: Int) -> Bool {
        let named = self.method.hasSuffix("*") ? method.hasPrefix(self.method.dropLast()) : method == self.method
        return named && (calls?.contains(call) ?? true)
    }
}

/// Compute Engine's ways to have a machine.
enum Provisioning: String, Sendable {
    case spot, standard, flexstart, reservationbound
}
