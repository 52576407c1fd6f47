import Encoding

/// A container that was started: a process of this machine or a script.
protocol RunningContainer: Sendable {
    /// How it ended; nil while it runs. May be asked again.
    func poll(now: Timestamp) async -> ContainerOutcome?
    /// SIGTERM.
    func terminate(now: Timestamp) async
    /// SIGKILL to it and all that it started.
    func kill(now: Timestamp) async
    /// For `containerID`.
    var identifier: String { get }
}

/// The end of a container.
struct ContainerOutcome: Sendable, Hashable {
    /// 128 + signal when a signal ended it.
    var exitCode: Int32
    var signal: Int32?

    static let killed = ContainerOutcome(exitCode: 137, signal: 9)
}

/// A scripted container on the sandbox's clock.
actor ScriptedContainer: RunningContainer {
    nonisolated let identifier: String
    private let startedAt: Timestamp
    private let result: PodResult
    private var pendingSteps: [PodResult.Step]
    private var outcome: ContainerOutcome?
    /// When its answer to SIGTERM is done.
    private var terminatesAt: Timestamp?

    init(identifier: String, startedAt: Timestamp, result: PodResult) {
        self.identifier = identifier
        self.startedAt = startedAt
        self.result = result
        pendingSteps = result.steps.filter { $0.after <= result.duration }.sorted { $0.after < $1.after }
    }

    func poll(now: Timestamp) async -> ContainerOutcome? {
        while outcome == nil, terminatesAt == nil, let step = pendingSteps.first, startedAt + step.after <= now {
            pendingSteps.removeFirst()
            await step.run()
        }
        if outcome != nil { return outcome }
        if let terminatesAt {
            if terminatesAt <= now { finish(result.onTerminate?.exitCode ?? 143) }
        } else if startedAt + result.duration <= now {
            finish(result.exitCode)
        }
        return outcome
    }

    private func finish(_ exitCode: Int32) {
        outcome = ContainerOutcome(exitCode: exitCode, signal: exitCode > 128 ? exitCode - 128 : nil)
    }

    func terminate(now: Timestamp) async {
        guard outcome == nil, terminatesAt == nil, let termination = result.onTerminate else { return }
        terminatesAt = now + termination.after
        await termination.run()
    }

    func kill(now: Timestamp) { outcome = outcome ?? .killed }
}
