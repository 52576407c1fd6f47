import GoogleCloud

/// Which machines belong to nobody any more, and which of them may go now: a value, over what was listed.
///
/// The controllers release what they made; this finds what they cannot know of: the object was removed with its
/// finalizer taken off by hand, or the cluster came back from a backup that is older than the pool. Memory only: after
/// a restart the grace period begins anew.
struct LeakSweep: Sendable {
    /// A node pool with our labels, or a Cloud Run service by its full name.
    struct Pool: Sendable, Hashable {
        var name: String
        /// Google label `trainyard-owner-uid`.
        var ownerUID: String
        /// Google label `trainyard-run`; empty where it is missing.
        var run: String
        /// What its nodes cost an hour; nil where the price list does not say.
        var hourlyCost: Money?
        /// Already being deleted.
        var isStopping: Bool

        /// nil when the pool does not carry the labels of an object of this cluster: then it is none of our business.
        init?(_ pool: NodePool, clusterUID: String, hourlyCost: Money?) {
            guard let owner = ResourceOwner(pool), owner.clusterUID == clusterUID else { return nil }
            name = pool.name
            ownerUID = owner.ownerUID
            run = pool.config?.resourceLabels?[Ownership.googleRunLabel] ?? ""
            self.hourlyCost = hourlyCost
            isStopping = pool.status == .stopping
        }

        init(name: String, ownerUID: String, isStopping: Bool) {
            self.name = name
            self.ownerUID = ownerUID
            run = ""
            self.isStopping = isStopping
        }

        fileprivate var identity: String { "\(name) \(ownerUID)" }
    }

    /// What one sweep came to.
    struct Verdict: Sendable, Hashable {
        /// Everything without a live owner, by name.
        var leaks: [Pool] = []
        /// Seen for the first time.
        var new: [Pool] = []
        /// To be deleted now, by name.
        var deletions: [Pool] = []
        /// Would be deleted now, were it not for the limit.
        var postponedCount = 0

        /// What the leaks cost an hour, as far as their price is known.
        var hourlyCost: Money { leaks.reduce(.zero) { $0 + ($1.hourlyCost ?? .zero) } }
    }

    let options: LeakSweepOptions
    /// When a leak was first seen, by uptime.
    private var seen: [String: Duration] = [:]
    /// Of the last hour, by uptime.
    private var deletionTimes: [Duration] = []

    init(options: LeakSweepOptions) { self.options = options }

    /// Judges a complete list of pools by a complete list of owners that was read after it.
    ///
    /// - Parameters:
    ///   - owners: the uids of all objects of our kinds, those that are being deleted included.
    ///   - now: uptime.
    mutating func judge(_ pools: [Pool], owners: Set<String>, now: Duration) -> Verdict {
        var verdict = Verdict()
        verdict.leaks = pools.filter { !owners.contains($0.ownerUID) }.sorted { $0.name < $1.name }
        verdict.new = verdict.leaks.filter { seen[$0.identity] == nil }
        let present = Set(verdict.leaks.map(\.identity))
        // What has an owner again, or is gone, begins anew when it is seen again.
        seen = seen.filter { present.contains($0.key) }
        for pool in verdict.new { seen[pool.identity] = now }
        deletionTimes = deletionTimes.filter { now - $0 < .seconds(3600) }
        let ripe = verdict.leaks.filter { pool in
            !pool.isStopping && seen[pool.identity].map { now - $0 >= options.grace } == true
        }
        guard options.mode == .on else { return verdict }
        let allowed = max(0, options.deletionsPerHour - deletionTimes.count)
        verdict.deletions = Array(ripe.prefix(allowed))
        verdict.postponedCount = ripe.count - verdict.deletions.count
        return verdict
    }

    /// A deletion was asked for: it counts for the limit.
    mutating func deleted(now: Duration) { deletionTimes.append(now) }
}

/// How the sweep for leaked machines is done.
public struct LeakSweepOptions: Sendable, Hashable {
    public var interval: Duration
    /// How long a machine must have been without an owner, as the sweeps saw it, before it is deleted.
    public var grace: Duration
    public var deletionsPerHour: Int
    public var mode: Mode

    /// As the operator's command line says it.
    public enum Mode: String, Sendable, Hashable {
        case on = "true"
        case off = "false"
        /// Reports, and deletes nothing.
        case dryRun = "dry-run"
    }

    public init(
        interval: Duration = .seconds(300), grace: Duration = .seconds(600), deletionsPerHour: Int = 10,
        mode: Mode = .on
    ) {
        self.interval = interval
        self.grace = grace
        self.deletionsPerHour = deletionsPerHour
        self.mode = mode
    }
}
