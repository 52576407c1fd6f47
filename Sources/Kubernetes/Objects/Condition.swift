public import Encoding

/// One observation of an object's state (`metav1.Condition`).
public struct Condition: Codable, Sendable, Hashable {
    /// `True`, `False` or `Unknown`.
    public enum Status: String, Codable, Sendable, Hashable {
        case `true` = "True"
        case `false` = "False"
        case unknown = "Unknown"
    }

    public var type: String
    public var status: Status
    public var reason: String
    public var message: String
    /// Whole seconds; changes only when `status` changes.
    public var lastTransitionTime: Timestamp
    public var observedGeneration: Int64?

    public init(
        type: String, status: Status, reason: String, message: String, lastTransitionTime: Timestamp,
        observedGeneration: Int64? = nil
    ) {
        self.type = type
        self.status = status
        self.reason = reason
        self.message = message
        self.lastTransitionTime = lastTransitionTime
        self.observedGeneration = observedGeneration
    }
}
