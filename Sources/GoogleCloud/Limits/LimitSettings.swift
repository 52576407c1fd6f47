public import HTTP

/// How many calls go out, and when none do.
///
/// The rates are ours and well below what Google grants a project by default, so that an operator never uses up what
/// people and other programs of the project need; Google's own limits answer with 429 and are obeyed besides.
public struct LimitSettings: Sendable, Hashable {
    /// The rates of one API in one project.
    public struct Rates: Sendable, Hashable {
        public var read: Rate
        public var mutate: Rate

        public init(read: Rate, mutate: Rate) {
            self.read = read
            self.mutate = mutate
        }
    }

    /// When an API is left alone.
    public struct Breaker: Sendable, Hashable {
        /// Failures in a row after which it is.
        public var failures = 5
        /// Before the first probe; doubles with each probe that fails.
        public var firstPause: Duration = .seconds(5)
        public var longestPause: Duration = .seconds(60)
        /// A probe that takes longer does not keep others from trying.
        public var longestProbe: Duration = .seconds(60)

        public init() {}
    }

    /// How changes of one GKE cluster wait for one another.
    public struct Cluster: Sendable, Hashable {
        /// Waiting at the same time, of one owner and in all; more are refused with `.rateLimited`.
        public var waitingPerOwner = 4
        public var waiting = 64
        public var longestWait: Duration = .seconds(20)
        /// After the cluster said that an operation is running.
        public var rest: Duration = .seconds(5)

        public init() {}
    }

    /// By the first part of the methods' ids.
    public var rates: [String: Rates] = [
        // A new pool takes minutes; one change is made at a time anyway.
        "container": Rates(read: Rate(perSecond: 10, burst: 50), mutate: Rate(perSecond: 2, burst: 10)),
        "compute": Rates(read: Rate(perSecond: 10, burst: 30), mutate: Rate(perSecond: 2, burst: 5)),
        "tpu": Rates(read: Rate(perSecond: 5, burst: 20), mutate: Rate(perSecond: 1, burst: 5)),
        "run": Rates(read: Rate(perSecond: 10, burst: 30), mutate: Rate(perSecond: 1, burst: 10)),
        // All buckets together; Cloud Storage starts at 1,000 writes and 5,000 reads a second in each bucket.
        "storage": Rates(read: Rate(perSecond: 2000, burst: 2000), mutate: Rate(perSecond: 800, burst: 800)),
        "monitoring": Rates(read: Rate(perSecond: 10, burst: 30), mutate: Rate(perSecond: 1, burst: 5)),
        "iamcredentials": Rates(read: Rate(perSecond: 20, burst: 100), mutate: Rate(perSecond: 1, burst: 5)),
    ]
    /// Of every other API.
    public var otherRates = Rates(read: Rate(perSecond: 5, burst: 20), mutate: Rate(perSecond: 1, burst: 5))
    /// A call that would wait longer for its rate is refused with `.rateLimited`.
    public var longestRateWait: Duration = .seconds(30)
    public var breaker = Breaker()
    public var cluster = Cluster()

    public init() {}
}
