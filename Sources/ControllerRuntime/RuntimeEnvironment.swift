public import HTTP
public import Kubernetes

/// What every part of the runtime needs from outside.
public struct RuntimeEnvironment: Sendable {
    public var client: KubernetesClient
    public var clock: RuntimeClock
    /// Uniform in 0 ..< 1; seeded in tests.
    public var random: @Sendable () -> Double
    /// Hears what happened; the command turns it into log lines and metrics. Must return quickly.
    public var report: @Sendable (RuntimeReport) -> Void

    public init(
        client: KubernetesClient, clock: RuntimeClock,
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) },
        report: @escaping @Sendable (RuntimeReport) -> Void = { _ in }
    ) {
        self.client = client
        self.clock = clock
        self.random = random
        self.report = report
    }
}

/// What happened in the runtime.
public enum RuntimeReport: Sendable {
    /// A kind's list is complete.
    case listed(ResourceType, count: Int)
    /// A watch is open.
    case watching(ResourceType)
    /// The server gave a sign of life for a kind: a page, an event, a bookmark, an opened watch. Frequent.
    case heard(ResourceType)
    /// A list or watch failed; it is tried again.
    case watchFailed(ResourceType, APIError)
    /// An object does not decode: it is left alone, the others are not affected.
    case undecodable(ResourceType, ObjectKey, message: String)
    /// A round ended.
    case reconciled(ReconcileReport)
    /// An event could not be sent; it is lost.
    case eventLost(APIError)
    /// Events were not even tried.
    case eventsDropped(EventDrop, count: Int)
    /// This replica may act from now on.
    case leadershipGained(identity: String)
    /// A try to get or keep the lease failed; it is tried again.
    case leaseFailed(APIError)
    /// This replica may not act any more.
    case leadershipLost(identity: String)
}

/// Why an event was not sent.
public enum EventDrop: String, Sendable, Hashable, CaseIterable {
    /// Its object has too many of them.
    case spam
    /// Too many events wait for a slow API server.
    case overflow
    /// The process ended first.
    case stopped
}

/// One round of one object.
public struct ReconcileReport: Sendable, Hashable {
    public var controller: String
    public var key: ObjectKey
    public var uid: String?
    public var generation: Int64?
    /// In the queue, until the round began.
    public var waited: Duration
    public var duration: Duration
    public var stepCount: Int
    public var wroteStatus: Bool
    public var outcome: ReconcileOutcome
}
