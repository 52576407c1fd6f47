import Glibc
import System
import Telemetry
import Training
import TrainingContract

/// Several processes on one node: this one starts them, passes signals on and ends when all have ended.
struct LocalRanks: Sendable, Hashable {
    /// As many as `spec.trainer.numProcPerNode` allows.
    static let maximumCount = 64
    /// When one has ended with an error the others notice by themselves; those that do not are ended after at most this.
    static let orderlySeconds = 30.0
    /// Rank 0 then stores what there is, which takes as long as the bucket takes.
    static let storingSeconds = 900.0

    /// The variables of each.
    var environments: [[String: String]]

    /// Nil when this process is to train itself.
    ///
    /// - Throws: `.usage`.
    init?(_ options: Options, environment: [String: String]) throws(TrainingError) {
        if let count = options.processes, count > 1 {
            guard let port = WorldPlace.freeLoopbackPort() else {
                throw TrainingError(.unsupportedMachine, "this machine has no free port for its processes")
            }
            let world = [
                TrainingEnvironment.worldSize: String(count), TrainingEnvironment.coordinator: "127.0.0.1:\(port)",
                TrainingEnvironment.localWorldSize: String(count), TrainingEnvironment.rank: "0",
            ]
            environments = Self.environments(environment.merging(world) { $1 }, count: count, node: 0)
            return
        }
        guard options.processes == nil, environment[TrainingEnvironment.localRank]?.isEmpty ?? true,
            let count = try Self.processesPerNode(environment), count > 1
        else { return nil }
        let size = try environment.integer(TrainingEnvironment.worldSize, in: 1...1_000_000) ?? count
        guard size % count == 0 else {
            throw TrainingError(
                .usage,
                "\(TrainingEnvironment.worldSize) is \(size), which is not a multiple of "
                    + "\(TrainingEnvironment.localWorldSize), \(count)")
        }
        let nodes = 0...(size / count - 1)
        let rank = try environment.integer(TrainingEnvironment.rank, in: nodes)
        let node = try environment.integer(TrainingEnvironment.nodeRank, in: nodes) ?? rank ?? 0
        environments = Self.environments(
            environment.merging([TrainingEnvironment.worldSize: String(size)]) { $1 }, count: count, node: node)
    }

    /// Processes on this node; nil where nothing says it.
    static func processesPerNode(_ environment: [String: String]) throws(TrainingError) -> Int? {
        try environment.filter { !$0.value.isEmpty }
            .integer(TrainingEnvironment.localWorldSize, in: 1...maximumCount)
    }

    private static func environments(
        _ environment: [String: String], count: Int, node: Int
    ) -> [[String: String]] {
        (0..<count).map { local in
            environment.merging([
                TrainingEnvironment.rank: String(node * count + local), TrainingEnvironment.localRank: String(local),
            ]) { $1 }
        }
    }

    /// Runs them all, with this process's command line.
    ///
    /// - Throws: `.unsupportedMachine` when one cannot be started.
    func run(
        _ arguments: [String], clock: any WallClock, log: Log, shouldStop: @Sendable () -> Bool
    ) async throws(TrainingError) -> TrainerExitCode {
        var running: [Int32] = []
        for environment in environments {
            do throws(Subprocess.StartError) {
                running.append(
                    try Subprocess.start(
                        "/proc/self/exe", Self.withoutProcesses(arguments),
                        environment: environment.map { "\($0.key)=\($0.value)" }, output: STDOUT_FILENO,
                        error: STDERR_FILENO))
            } catch {
                for pid in running { Subprocess.reap(pid) }
                throw TrainingError(.unsupportedMachine, "a process of this node cannot be started: \(error)")
            }
        }
        return await supervise(running, clock: clock, log: log, shouldStop: shouldStop)
    }

    private static func withoutProcesses(_ arguments: [String]) -> [String] {
        guard let flag = arguments.firstIndex(of: "--processes") else { return arguments }
        return Array(arguments[..<flag]) + arguments.dropFirst(flag + 2)
    }

    private func supervise(
        _ pids: [Int32], clock: any WallClock, log: Log, shouldStop: @Sendable () -> Bool
    ) async -> TrainerExitCode {
        var running = pids
        var exits: [Subprocess.Exit] = []
        var isSignalled = false
        var failureTime: Duration?
        while !running.isEmpty {
            for pid in running {
                guard let exit = Subprocess.exit(of: pid) else { continue }
                Subprocess.reap(pid)
                running.removeAll { $0 == pid }
                exits.append(exit)
                if case .signal(let number) = exit {
                    log.error("a process was killed", [.pid: .integer(Int(pid)), .signal: .integer(Int(number))])
                }
            }
            if shouldStop(), !isSignalled {
                isSignalled = true
                for pid in running { kill(pid, SIGTERM) }
            }
            if failureTime == nil, exits.contains(where: { $0 != .status(0) && $0 != .status(75) }) {
                failureTime = clock.uptime
            }
            if let since = failureTime { endLate(running, first: pids[0], after: clock.uptime - since, log: log) }
            // Nobody cancels this task; if somebody did, the loop would only turn faster.
            try? await clock.sleep(for: .milliseconds(50))
        }
        return Self.code(exits)
    }

    /// Kills the processes that had their time to end by themselves.
    private func endLate(_ running: [Int32], first: Int32, after time: Duration, log: Log) {
        let isWriter = environments[0][TrainingEnvironment.rank] == "0"
        for pid in running {
            let limit = pid == first && isWriter ? Self.storingSeconds : orderlySeconds
            guard time > .seconds(limit) else { continue }
            log.error("a process that did not end was killed", [.pid: .integer(Int(pid))])
            kill(pid, SIGKILL)
        }
    }

    /// The silence that a process bears, and a little more.
    private var orderlySeconds: Double {
        let peer = environments[0][TrainingEnvironment.peerTimeoutSeconds].flatMap(Double.init) ?? .infinity
        return min(Self.orderlySeconds, peer + 10)
    }

    /// The first process's reason; that another one is gone is a reason only when there is no better.
    private static func code(_ exits: [Subprocess.Exit]) -> TrainerExitCode {
        let codes = exits.map { exit -> TrainerExitCode in
            guard case .status(let status) = exit else { return .peerLost }
            return TrainerExitCode(rawValue: status) ?? .software
        }
        let reasons = codes.filter { $0 != .success && $0 != .peerLost }
        return reasons.first ?? codes.first { $0 != .success } ?? .success
    }
}
