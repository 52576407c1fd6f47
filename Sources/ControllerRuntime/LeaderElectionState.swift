import Encoding
import Kubernetes

/// How leadership is taken and kept; client-go's defaults.
public struct LeaderElectionOptions: Sendable, Hashable {
    public var leaseName: String
    public var namespace: String
    /// Unique per process.
    public var identity: String
    /// A lease that was not renewed for so long may be taken. Whole seconds.
    public var leaseDuration: Duration
    /// A leader that could not renew for so long stops changing anything. Less than `leaseDuration`.
    public var renewDeadline: Duration
    /// Between two tries. Less than `renewDeadline`.
    public var retryPeriod: Duration

    public init(
        leaseName: String = "trainyard-operator", namespace: String, identity: String,
        leaseDuration: Duration = .seconds(15), renewDeadline: Duration = .seconds(10),
        retryPeriod: Duration = .seconds(2)
    ) {
        self.leaseName = leaseName
        self.namespace = namespace
        self.identity = identity
        self.leaseDuration = leaseDuration
        self.renewDeadline = renewDeadline
        self.retryPeriod = retryPeriod
    }
}

/// Who holds the lease, as far as this replica can know: a value. Times of other machines are never compared with ours:
/// a lease counts as alive for its duration after *we* saw it change, by our own uptime.
struct LeaderElectionState: Sendable {
    /// What to do now.
    enum Decision: Sendable, Equatable {
        case create(Lease)
        case replace(Lease)
        /// Somebody else holds it.
        case wait
    }

    let options: LeaderElectionOptions
    /// As last read or written; nil when there is none or we do not know.
    private(set) var lease: Lease?
    private var seenAt: Duration = .zero
    /// When the request of our last successful write was sent: the lease runs from then at the latest.
    private(set) var renewedAt: Duration?

    init(options: LeaderElectionOptions) { self.options = options }

    /// Until when this replica may change things; nil while it does not lead.
    var deadline: Duration? { renewedAt.map { $0 + options.renewDeadline } }

    /// Whether the lease must be read before the next decision: a leader just writes over what it wrote last.
    var needsRead: Bool { renewedAt == nil || lease == nil }

    /// The lease was read.
    mutating func leaseRead(_ read: Lease?, uptime: Duration) {
        if read?.spec != lease?.spec || lease == nil { seenAt = uptime }
        if read?.spec?.holderIdentity != options.identity { renewedAt = nil }
        lease = read
    }

    /// Our write succeeded.
    mutating func leaseWritten(_ written: Lease, requestedAt: Duration) {
        lease = written
        seenAt = requestedAt
        renewedAt = requestedAt
    }

    /// Somebody else was faster: read again.
    mutating func writeConflicted() { lease = nil }

    func decide(now: Timestamp, uptime: Duration) -> Decision {
        guard let lease else { return .create(claim(over: nil, now: now)) }
        let holder = lease.spec?.holderIdentity ?? ""
        let isFree = holder.isEmpty || holder == options.identity || uptime >= seenAt + lifetime(of: lease)
        return isFree ? .replace(claim(over: lease, now: now)) : .wait
    }

    /// The lease as it is left behind on a clean stop: free for the next replica at once.
    func released(now: Timestamp) -> Lease? {
        guard renewedAt != nil, var lease else { return nil }
        lease.spec?.holderIdentity = ""
        lease.spec?.leaseDurationSeconds = 1
        lease.spec?.renewTime = MicroTime(now)
        return lease
    }

    /// What the holder promised, within bounds, so that a corrupt lease blocks nobody for ever.
    private func lifetime(of lease: Lease) -> Duration {
        let promised = Duration.seconds(lease.spec?.leaseDurationSeconds ?? 0)
        return min(max(promised, options.leaseDuration), .seconds(300))
    }

    private func claim(over lease: Lease?, now: Timestamp) -> Lease {
        let previous = lease?.spec
        let isOurs = previous?.holderIdentity == options.identity
        let transitions = previous?.leaseTransitions ?? 0
        return Lease(
            metadata: lease?.metadata ?? ObjectMeta(name: options.leaseName, namespace: options.namespace),
            spec: Lease.Spec(
                holderIdentity: options.identity,
                leaseDurationSeconds: Int(max(1, options.leaseDuration.components.seconds)),
                acquireTime: isOurs ? previous?.acquireTime ?? MicroTime(now) : MicroTime(now),
                renewTime: MicroTime(now),
                leaseTransitions: lease == nil || isOurs ? transitions : transitions + 1))
    }
}
