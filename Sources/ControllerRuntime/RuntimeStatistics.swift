/// The runtime's state at a moment, for the metrics.
public struct RuntimeStatistics: Sendable, Hashable {
    /// One controller's queue.
    public struct Controller: Sendable, Hashable {
        /// The plural of its kind.
        public var name: String
        public var concurrency: Int
        public var queue: WorkQueue.Statistics
    }

    /// One kind's store.
    public struct Kind: Sendable, Hashable {
        /// As `ResourceType.name`.
        public var resource: String
        public var objectCount: Int
        /// Objects that are there and cannot be read.
        public var undecodableCount: Int
        /// Since the API server was last heard about the kind (a list, an event, a bookmark); nil before the first time.
        public var silence: Duration?
    }

    public var controllers: [Controller] = []
    public var kinds: [Kind] = []
}
