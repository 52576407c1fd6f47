import ControllerRuntime
import Encoding
import HTTP
import Kubernetes
import Operator
import Synchronization
import Telemetry

/// eventToReconcileP99Milliseconds: 10,000 watch events at 1,000 a second from the canned server to a controller in this
/// process that only notes when its round starts (it stands for any: what is measured lies before it). The server
/// writes the time into each object; both read the machine's monotonic clock.
enum EventLatency {
    static func run(objectCount: Int, into results: inout Results) async throws {
        let latencies = try await ServerProcess.with(objects: objectCount) { server in
            let transport = try CurlTransport(options: CurlOptions())
            guard let url = HTTPURL(server.origin) else { throw BenchmarkError("a wrong address") }
            let client = KubernetesClient(transport: transport, server: url)
            let environment = RuntimeEnvironment(client: client, clock: .system(wall: SystemClock()))
            let manager = ControllerManager(environment: environment, leaderElection: nil)
            let probe = Probe()
            manager.add(probe, options: ControllerOptions(concurrency: 4))
            async let exit = manager.run()
            try await probe.waitUntilQuiet()
            _ = probe.take()
            try await server.control("touch?count=10000&microseconds=1000")
            try await probe.waitUntilQuiet()
            manager.stop()
            _ = await exit
            await transport.shutDown()
            return probe.take()
        }
        guard latencies.count > 9_000 else {
            throw BenchmarkError("only \(latencies.count) of 10,000 events led to a round of their own")
        }
        results.set(.eventToReconcileP99Milliseconds, Text.percentile99(latencies) * 1e3)
        let median = latencies.sorted()[latencies.count / 2]
        results.remark("event to reconcile: median \(Text.number(median * 1e3)) ms of \(latencies.count)")
    }

    /// Notes how old the news is when a round starts.
    final class Probe: Controller {
        typealias Object = TrainingJob
        struct Observation: Sendable, Equatable {
            var status: TrainingJob.Status
        }

        private struct State {
            var latencies: [Double] = []
            var roundCount = 0
        }

        private let state = Mutex(State())

        func observe(_ object: TrainingJob) async throws(APIError) -> Observation {
            let now = Machine.nanoseconds
            let sent = object.metadata.annotations?["sent"].flatMap { Int64($0) }
            state.withLock { state in
                state.roundCount += 1
                if let sent { state.latencies.append(Double(now - sent) * 1e-9) }
            }
            return Observation(status: object.status ?? TrainingJob.Status())
        }

        static func plan(_ observation: Observation) -> Plan<TrainingJob.Status, Never> {
            Plan(status: observation.status)
        }

        func take() -> [Double] {
            state.withLock { state in
                defer { state.latencies = [] }
                return state.latencies
            }
        }

        /// Until no round has started for a second.
        func waitUntilQuiet() async throws {
            var last = -1
            let deadline = ContinuousClock.now + .seconds(120)
            while ContinuousClock.now < deadline {
                let count = state.withLock(\.roundCount)
                if count > 0, count == last { return }
                last = count
                await Machine.sleep(milliseconds: 1000)
            }
            throw BenchmarkError("the rounds never end")
        }
    }
}

/// firstActionP99Seconds: 100 new TrainingJobs, 20 a second, while 10,000 finished ones are due for their re-check all
/// the time (the interval is set to a millisecond). From the server's ADDED event to the first change that it gets for
/// that object; the real controllers, in this process.
enum FirstAction {
    static func run(objectCount: Int, into results: inout Results) async throws {
        let latencies = try await ServerProcess.with(objects: objectCount) { server in
            // Google's hosts are the server too: a name that does not resolve holds its callers for seconds.
            let google = try EndpointOverride(hosts: ["*.googleapis.com"], endpoint: server.origin)
            let transport = try CurlTransport(options: CurlOptions(overrides: [google]))
            let parts = try InProcessOperator(
                transport: transport, server: server.origin,
                options: ControllerOptions(recheckInterval: .milliseconds(1)))
            let log = try await parts.running {
                await Machine.sleep(milliseconds: 2000)
                try await server.control("create?count=100&microseconds=50000")
                return try await server.wait("the first actions", within: .seconds(60)) { log in
                    // The status of one object is another path, and no first action of another object.
                    Set(log.filter { $0.isChange && $0.path.contains("/trainingjobs/new") }.map(\.path))
                        .count { !$0.hasSuffix("/status") } >= 100
                }
            }
            await transport.shutDown()
            return try firstActions(log)
        }
        results.set(.firstActionP99Seconds, Text.percentile99(latencies))
    }

    private static func firstActions(_ log: [ServerProcess.Entry]) throws -> [Double] {
        try log.filter { $0.verb == "CREATED" }.map { created in
            let action = log.first { $0.isChange && $0.path.hasSuffix("/trainingjobs/" + created.path) }
            guard let action else { throw BenchmarkError("nothing was done for \(created.path)") }
            return Double(action.nanoseconds - created.nanoseconds) * 1e-9
        }
    }
}
