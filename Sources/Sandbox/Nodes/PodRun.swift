import Encoding

/// A pod on its node: its containers and how far it is.
struct PodRun: Sendable {
    /// Why it is being stopped.
    enum Stop: Sendable, Hashable {
        case deleted
        case nodeShutdown
    }

    /// One container of the pod.
    struct Container: Sendable {
        enum State: Sendable {
            case waiting(reason: String, message: String?)
            case running(any RunningContainer, since: Timestamp)
            case terminated(Termination)
        }

        struct Termination: Sendable, Hashable {
            var outcome: ContainerOutcome
            var reason: String
            var message: String?
            var startedAt: Timestamp
            var finishedAt: Timestamp
            var identifier: String
        }

        let spec: JSONValue
        let isInit: Bool
        var state: State
        var lastTermination: Termination?
        var restartCount = 0
        /// Failed tries to start it since the last success.
        var failedStarts = 0
        /// Not started before.
        var notBefore: Timestamp?

        var name: String { spec["name"]?.stringValue ?? "" }
        var image: String { spec["image"]?.stringValue ?? "" }

        var running: (any RunningContainer)? {
            if case .running(let container, _) = state { container } else { nil }
        }

        var termination: Termination? {
            if case .terminated(let termination) = state { termination } else { nil }
        }

        var hasSucceeded: Bool { termination?.outcome.exitCode == 0 }
    }

    let uid: String
    let startTime: Timestamp
    var containers: [Container]
    private(set) var stop: Stop?
    private var deadline: Timestamp?
    private var isKilled = false

    init(pod: PodView, now: Timestamp) {
        uid = pod.uid
        startTime = now
        let waiting = pod.initContainers.isEmpty ? "ContainerCreating" : "PodInitializing"
        containers =
            pod.initContainers.map {
                Container(spec: $0, isInit: true, state: .waiting(reason: "PodInitializing", message: nil))
            }
            + pod.containers.map {
                Container(spec: $0, isInit: false, state: .waiting(reason: waiting, message: nil))
            }
    }

    var isAnyRunning: Bool { containers.contains { $0.running != nil } }

    /// Sends SIGTERM to all containers, once.
    mutating func beginStop(_ reason: Stop, graceSeconds: Int64, now: Timestamp) async {
        // A delete during a node's shutdown changes the reason no more; a shorter grace does count.
        let wanted = now + .seconds(graceSeconds)
        deadline = min(deadline ?? wanted, wanted)
        guard stop == nil else { return }
        stop = reason
        for container in containers { await container.running?.terminate(now: now) }
    }

    /// Takes in what ended, and kills what outlived its grace.
    mutating func poll(policy: RestartPolicy, now: Timestamp) async {
        if let deadline, deadline <= now, !isKilled {
            isKilled = true
            for container in containers { await container.running?.kill(now: now) }
        }
        for index in containers.indices {
            guard case .running(let process, let since) = containers[index].state,
                let outcome = await process.poll(now: now)
            else { continue }
            ended(
                index, policy,
                Container.Termination(
                    outcome: outcome, reason: outcome.exitCode == 0 ? "Completed" : "Error", startedAt: since,
                    finishedAt: now, identifier: process.identifier), now: now)
        }
    }

    private mutating func ended(
        _ index: Int, _ policy: RestartPolicy, _ termination: Container.Termination, now: Timestamp
    ) {
        var container = containers[index]
        let restarts = stop == nil && policy.restarts(container.isInit, exitCode: termination.outcome.exitCode)
        if restarts {
            let delay = container.restartCount == 0 ? 0 : min(300, 10 << min(container.restartCount - 1, 5))
            container.lastTermination = termination
            container.restartCount += 1
            container.notBefore = now + .seconds(delay)
            container.state = .waiting(
                reason: "CrashLoopBackOff",
                message: "back-off \(delay)s restarting failed container=\(container.name)")
        } else {
            container.state = .terminated(termination)
        }
        containers[index] = container
    }

    /// A container that could not be started at all (containerd's exit code 128).
    mutating func failedToStart(_ index: Int, _ message: String, policy: RestartPolicy, now: Timestamp) {
        ended(
            index, policy,
            Container.Termination(
                outcome: ContainerOutcome(exitCode: 128), reason: "StartError", message: message, startedAt: now,
                finishedAt: now, identifier: ""), now: now)
    }

    /// The containers to start now: the next init container, or all others when those are through.
    func startable(now: Timestamp) -> [Int] {
        guard stop == nil else { return [] }
        func isDue(_ index: Int) -> Bool {
            guard case .waiting = containers[index].state else { return false }
            return containers[index].notBefore.map { $0 <= now } ?? true
        }
        if let next = containers.firstIndex(where: { $0.isInit && !$0.hasSucceeded }) {
            return isDue(next) ? [next] : []
        }
        return containers.indices.filter { !containers[$0].isInit && isDue($0) }
    }

    /// The pod's phase.
    var phase: String {
        if let failed = containers.first(where: { $0.isInit && $0.termination != nil }), !failed.hasSucceeded {
            return isAnyRunning ? "Pending" : "Failed"
        }
        let main = containers.filter { !$0.isInit }
        if stop != nil, !isAnyRunning { return main.allSatisfy(\.hasSucceeded) ? "Succeeded" : "Failed" }
        if main.allSatisfy({ $0.termination != nil }) {
            return main.allSatisfy(\.hasSucceeded) ? "Succeeded" : "Failed"
        }
        let hasStarted = main.contains { container in
            container.running != nil || container.termination != nil || container.restartCount > 0
        }
        return hasStarted ? "Running" : "Pending"
    }
}

/// A pod's `restartPolicy`.
enum RestartPolicy: String, Sendable {
    case always = "Always"
    case onFailure = "OnFailure"
    case never = "Never"

    /// Whether a container that ended so is started again. Init containers never after a success.
    func restarts(_ isInit: Bool, exitCode: Int32) -> Bool {
        switch self {
        case .never: false
        case .onFailure: exitCode != 0
        case .always: !(isInit && exitCode == 0)
        }
    }
}
