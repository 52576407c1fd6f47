extension TrainingJob.FailurePolicy {
    /// What is done about failures of one kind; the first rule that matches decides.
    public struct Rule: Codable, Sendable, Hashable {
        public var name: String
        public var onReasons: [String]?
        public var onExitCodes: ExitCodes?
        public var action: Action
    }

    /// A condition on the exit code of the trainer's container.
    public struct ExitCodes: Codable, Sendable, Hashable {
        public enum Comparison: String, Codable, Sendable, Hashable {
            case isIn = "In"
            case isNotIn = "NotIn"
        }

        public var `operator`: Comparison
        public var values: [Int]

        /// A success has no failure's code.
        func matches(_ code: Int) -> Bool { code != 0 && values.contains(code) == (`operator` == .isIn) }
    }

    /// What another try starts again.
    public enum RestartScope: String, Codable, Sendable, Hashable, CaseIterable {
        /// The pods that failed, where the framework takes them back; else all.
        case failedNodes = "FailedNodes"
        case allNodes = "AllNodes"
    }

    /// What follows a failure.
    public enum Action: String, Codable, Sendable, Hashable, CaseIterable {
        /// The run ends.
        case fail = "Fail"
        /// Another try on the same machines; counts towards `maxRestarts`, unless the machines were taken away.
        case restart = "Restart"
        /// Another try that never counts.
        case restartIgnoringLimit = "RestartIgnoringLimit"
        /// As Restart, on other machines.
        case replaceNode = "ReplaceNode"
    }

    /// What the policy makes of a failure. Without a rule for it, another try is made unless that cannot help.
    func action(for failure: AttemptFailure) -> Action {
        let rule = (rules ?? []).first { rule in
            if let reasons = rule.onReasons { return reasons.contains(failure.reason.rawValue) }
            guard let codes = rule.onExitCodes, let code = failure.exitCode else { return false }
            return codes.matches(code)
        }
        return rule?.action ?? (failure.isFinal ? .fail : .restart)
    }
}

extension TrainingJob.Attempt {
    /// Whether the next attempt runs on other machines.
    var hasLostMachines: Bool {
        action == TrainingJob.FailurePolicy.Action.replaceNode.rawValue
            || cause.flatMap(Reason.init)?.losesMachines ?? false
    }
}
