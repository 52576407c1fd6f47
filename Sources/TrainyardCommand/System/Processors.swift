import CSystem

/// The processors that this process may use.
enum Processors {
    /// At least 1.
    static var count: Int { Int(trainyard_affinity_count()) }
}
