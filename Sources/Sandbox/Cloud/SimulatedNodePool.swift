public import Encoding

/// A GKE node pool as it is now.
public struct SimulatedNodePool: Sendable, Hashable {
    public var name: String
    public var zones: [String]
    /// The request's `NodeConfig`: machine type, accelerators, labels, taints, spot.
    public var config: JSONValue
    /// `placementPolicy.tpuTopology`: of several TPU hosts, which come and go together.
    public var topology: String?
    /// GKE's word: `PROVISIONING`, `RUNNING`, `RUNNING_WITH_ERROR`, `STOPPING`, `ERROR`.
    public var status: String
    /// The machines that exist.
    public var instances: [SimulatedInstance]
    /// Its machines come only when a ProvisioningRequest asks for them.
    public var isQueued = false
}

/// A machine of a node pool.
public struct SimulatedInstance: Sendable, Hashable {
    /// What a machine is doing.
    public enum State: String, Sendable, Hashable {
        case running = "RUNNING"
        /// Preempted: it has had its notice and ends at `terminatesAt`.
        case preempting = "PREEMPTING"
        /// Its pool is being deleted or made smaller.
        case stopping = "STOPPING"
    }

    /// The same for a machine that comes back after a preemption.
    public var name: String
    public var zone: String
    public var state: State
    /// Differs between a machine and the one that replaces it under the same name.
    public var id: UInt64
    public var createdAt: Timestamp
    /// When a preempted machine, or one with a maximum run duration, ends.
    public var terminatesAt: Timestamp?
}
