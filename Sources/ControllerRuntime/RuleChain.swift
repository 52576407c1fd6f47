/// An ordered list of pure rules: the first that answers decides. The order is part of the controller's safety.
public struct RuleChain<Observation: Sendable, Decision: Sendable>: Sendable {
    /// A rule with the name that tests and logs use.
    public struct Rule: Sendable {
        public let name: String
        public let decide: @Sendable (Observation) -> Decision?

        public init(_ name: String, _ decide: @escaping @Sendable (Observation) -> Decision?) {
            self.name = name
            self.decide = decide
        }
    }

    public let rules: [Rule]
    public let fallback: @Sendable (Observation) -> Decision

    public init(_ rules: [Rule], otherwise fallback: @escaping @Sendable (Observation) -> Decision) {
        self.rules = rules
        self.fallback = fallback
    }

    /// The names in order, for the test of the order.
    public var names: [String] { rules.map(\.name) }

    /// The first rule's answer.
    public func decide(_ observation: Observation) -> Decision {
        for rule in rules {
            if let decision = rule.decide(observation) { return decision }
        }
        return fallback(observation)
    }
}
