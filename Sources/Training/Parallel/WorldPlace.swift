/// This process's place among those that train together.
public struct WorldPlace: Sendable, Hashable {
    /// 0 ..< size. Rank 0 listens, sums up, and writes everything that is written.
    public var rank: Int
    /// 1 … `maximumSize`.
    public var size: Int
    /// Where rank 0 listens; not used when the size is 1.
    public var coordinatorHost: String
    public var coordinatorPort: UInt16
    /// How long the processes wait for each other at the start.
    public var rendezvousSeconds: Double
    /// How long one may be silent in the middle of a step.
    public var peerSeconds: Double

    /// Rank 0 receives and sends all gradients: more processes would only wait for it.
    public static let maximumSize = 256

    public init(
        rank: Int = 0, size: Int = 1, coordinatorHost: String = "", coordinatorPort: UInt16 = 0,
        rendezvousSeconds: Double = 600, peerSeconds: Double = 120
    ) {
        self.rank = rank
        self.size = size
        self.coordinatorHost = coordinatorHost
        self.coordinatorPort = coordinatorPort
        self.rendezvousSeconds = rendezvousSeconds
        self.peerSeconds = peerSeconds
    }

    /// The only process.
    public static let alone = WorldPlace()

    /// A port of this machine's loopback address for a coordinator; nil when there is none.
    public static func freeLoopbackPort() -> UInt16? {
        // The only caller's message is about the machine, whatever the reason.
        try? Socket.freePort()
    }
}
