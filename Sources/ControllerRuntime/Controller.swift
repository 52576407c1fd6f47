public import HTTP
public import Kubernetes

/// One kind's controller: read everything, decide purely, act in short calls.
///
/// The runtime calls `observe`, then `plan`, then performs the plan's steps, writes the status, emits the events and
/// sleeps as the plan says. `plan` is static: it cannot touch a client, a logger or a clock.
public protocol Controller: Sendable {
    associatedtype Object: CustomResource
    /// All that `plan` may look at: the object, its children, what it refers to, the cloud, and `now`.
    associatedtype Observation: Sendable & Equatable
    /// Side effects outside the cluster.
    associatedtype CloudAction: Sendable & Equatable = Never

    /// Reads the world. A thing that is not there is a value of the observation, not an error.
    ///
    /// - Throws: the first call's error; the runtime decides on the retry.
    func observe(_ object: Object) async throws(APIError) -> Observation

    /// Decides: no I/O, no clock, no memory.
    static func plan(_ observation: Observation) -> Plan<Object.Status, CloudAction>

    /// Does one thing outside the cluster, in seconds at most. Called again with the same action after a crash or a
    /// lost reply; re-reads live before anything destructive.
    func perform(_ action: CloudAction) async throws(APIError)

    /// What else, beside its own objects, makes the runtime look at an object again.
    static var relations: [Relation<Object>] { get }

    /// Whether the operator touches this object at all: false for a foreign `managedBy` (no finalizer, no status).
    func isManaged(_ object: Object) -> Bool

    /// Whether our finalizer must be on the object before a round: false for one that only gets a status, since nothing
    /// is made that would have to be removed.
    func needsFinalizer(_ object: Object) -> Bool
}

extension Controller {
    public static var relations: [Relation<Object>] { [] }
    public func isManaged(_ object: Object) -> Bool { true }
    public func needsFinalizer(_ object: Object) -> Bool { true }
}

extension Controller where CloudAction == Never {
    public func perform(_ action: Never) async throws(APIError) {}
}
