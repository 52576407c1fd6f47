public import Kubernetes

/// What one round decided.
public struct Plan<Status: CustomResourceStatus, CloudAction: Sendable & Equatable>: Sendable, Equatable {
    /// One side effect.
    public enum Step: Sendable, Equatable {
        case apply(Manifest)
        case delete(ObjectReference)
        /// Deletes without grace: only for what nobody is left to stop, such as a pod whose node is gone.
        case deleteAtOnce(ObjectReference)
        case cloud(CloudAction)
    }

    /// When the object is looked at again.
    public enum Next: Sendable, Equatable {
        /// When it or something related changes, or at the periodic re-check. The status write of this very round is
        /// no such change: a plan that only records a fact and then goes on says `.after(.zero)`.
        case whenChanged
        /// After a time, or earlier when something changes.
        case after(Duration)
        /// The runtime removes our finalizer: nothing of ours is left.
        case finalized
    }

    /// In order; the first failure ends the round.
    public var steps: [Step]
    /// Complete, derived afresh each time. Condition times are set by the runtime (`Conditions.merge`).
    public var status: Status
    /// Emitted after the status write succeeded.
    public var events: [Event]
    public var next: Next

    public init(steps: [Step] = [], status: Status, events: [Event] = [], next: Next = .whenChanged) {
        self.steps = steps
        self.status = status
        self.events = events
        self.next = next
    }
}

/// Something that happened to an object, told to its user.
public struct Event: Sendable, Hashable {
    /// Kubernetes' two kinds.
    public enum Kind: String, Sendable, Hashable {
        case normal = "Normal"
        case warning = "Warning"
    }

    public var kind: Kind
    /// CamelCase, stable, the same as the condition's.
    public var reason: String
    /// The verb, e.g. `CreateNodePool`.
    public var action: String
    /// What changed and what to do.
    public var message: String

    public init(_ kind: Kind, reason: String, action: String, message: String) {
        self.kind = kind
        self.reason = reason
        self.action = action
        self.message = message
    }
}
