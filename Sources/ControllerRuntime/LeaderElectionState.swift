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
    /// Between two tries to get the lease, and after a renewal that failed. Less than `renewDeadline`.
    public var retryPeriod: Duration
    /// From a renewal to the next one. Longer than `retryPeriod`, so that an idle operator asks less; with the
    /// defaults three tries are left before the deadline when one fails.
    public var renewPeriod: Duration { min(max(retryPeriod, renewDeadline / 4), renewDeadline / 2) }

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
    /// On the lease: after how many seconds without a renewal its holder stops changing things. Where a holder says so,
    /// the next one need not wait for the end of the lease.
    static let renewDeadlineAnnotation = "trainyard.dev/renew-deadline-seconds"

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

    /// Until when somebody else's lease must be left alone; nil when it is free, or ours, or none is known.
    var expiry: Duration? {
        guard let lease, let holder = lease.spec?.holderIdentity, !holder.isEmpty, holder != options.identity else {
            return nil
        }
        return seenAt + lifetime(of: lease)
    }

    func decide(now: Timestamp, uptime: Duration) -> Decision {
        guard let lease else { return .create(claim(over: nil, now: now)) }
        if let expiry, uptime < expiry { return .wait }
        return .replace(claim(over: lease, now: now))
    }

    /// The lease as it is left behind on a clean stop: free for the next replica at once.
    func released(now: Timestamp) -> Lease? {
        guard renewedAt != nil, var lease else { return nil }
        lease.spec?.holderIdentity = ""
        lease.spec?.leaseDurationSeconds = 1
        lease.spec?.renewTime = MicroTime(now)
        return lease
    }

    /// How long after the last renewal that we saw the lease may be taken: halfway between the moment when its holder has
    /// stopped, which it says in an annotation, and the end of the lease; without the annotation at the end. Within bounds,
    /// so that a corrupt lease blocks nobody for ever.
    private func lifetime(of lease: Lease) -> Duration {
        let promised = Duration.seconds(min(max(lease.spec?.leaseDurationSeconds ?? 0, 0), 300))
        let full = max(promised, options.leaseDuration)
        guard let text = lease.metadata.annotations?[Self.renewDeadlineAnnotation], let seconds = Double(text),
            (0...300).contains(seconds)
        else { return full }
        let deadline = max(.seconds(seconds), options.renewDeadline)
        return deadline < full ? deadline + (full - deadline) / 2 : full
    }

    private func claim(over lease: Lease?, now: Timestamp) -> Lease {
        let previous = lease?.spec
        let isOurs = previous?.holderIdentity == options.identity
        let transitions = min(max(previous?.leaseTransitions ?? 0, 0), Int(Int32.max) - 1)
        var metadata = lease?.metadata ?? ObjectMeta(name: options.leaseName, namespace: options.namespace)
        metadata.annotations = (metadata.annotations ?? [:]).merging(
            [Self.renewDeadlineAnnotation: "\(options.renewDeadline / .seconds(1))"]) { $1 }
        // A wall clock that stands still must not make a renewal look like none.
        var renewTime = MicroTime(now)
        if let last = previous?.renewTime, last.time.microTime == renewTime.time.microTime {
            renewTime = MicroTime(now + .microseconds(1))
        }
        return Lease(
            metadata: metadata,
            spec: Lease.Spec(
                holderIdentity: options.identity,
                leaseDurationSeconds: Int(max(1, options.leaseDuration.components.seconds)),
                acquireTime: isOurs ? previous?.acquireTime ?? MicroTime(now) : MicroTime(now),
                renewTime: renewTime,
                leaseTransitions: lease == nil || isOurs ? transitions : transitions + 1))
    }
}
