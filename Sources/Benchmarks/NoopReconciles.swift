import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Operator
import Telemetry

/// Rounds of the real TrainingJobController over finished objects, through the real loop: queue → store → observe →
/// plan → compare → schedule. In this process, one round after the other, so on one core; by CPU time. A request of any
/// kind is an error: there must be nothing to do.
enum NoopReconciles {
    static func run(objectCount: Int, into results: inout Results) async throws {
        let fixture = try JobFixture()
        let parts = try InProcessOperator(transport: Refusing())
        let loop = parts.jobLoop
        for index in 0..<objectCount {
            loop.store.put(try fixture.object(index, version: 1000 + index).decode(TrainingJob.self))
        }
        try await rounds(loop, objectCount)
        let start = Machine.cpuSeconds
        var count = 0
        while Machine.cpuSeconds - start < 2 {
            for index in 0..<objectCount { loop.enqueue(JobFixture.key(index)) }
            try await rounds(loop, objectCount)
            count += objectCount
        }
        results.set(.noopReconcilesPerSecond, Double(count) / (Machine.cpuSeconds - start))
    }

    private static func rounds(_ loop: ControllerLoop<TrainingJobController>, _ count: Int) async throws {
        for _ in 0..<count {
            guard let round = await loop.reconcileNext() else { throw BenchmarkError("the queue is empty") }
            switch round.outcome {
            case .settled, .again: continue
            case .done, .failed: throw BenchmarkError("\(round.key): \(round.outcome)")
            }
        }
    }

    private struct Refusing: HTTPTransport {
        func send(_ request: HTTPRequest) async throws(APIError) -> HTTPResponse {
            throw APIError(.forbidden, operation: request.operation, message: "a round with nothing to do asked")
        }

        func open(_ request: HTTPRequest) async throws(APIError) -> HTTPStream {
            throw APIError(.forbidden, operation: request.operation, message: "a round with nothing to do asked")
        }
    }
}

/// The operator's parts in this process.
struct InProcessOperator: Sendable {
    let environment: RuntimeEnvironment
    let manager: ControllerManager
    let jobLoop: ControllerLoop<TrainingJobController>

    /// - Parameters:
    ///   - transport: goes to the API server and, for the few calls there are, to Google.
    ///   - clock: nil means the machine's.
    init(
        transport: any HTTPTransport, server: String = "http://127.0.0.1:1", token: String = "one",
        clock: (any WallClock)? = nil, leaderElection: LeaderElectionOptions? = nil,
        options: ControllerOptions = ControllerOptions()
    ) throws {
        guard let url = HTTPURL(server) else { throw BenchmarkError("a wrong address: \(server)") }
        let wall = clock ?? SystemClock()
        let client = KubernetesClient(
            transport: transport, server: url, credentials: { () throws(APIError) in token })
        environment = RuntimeEnvironment(client: client, clock: clock.map { .virtual($0) } ?? .system(wall: wall))
        manager = ControllerManager(environment: environment, leaderElection: leaderElection)
        let google = GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: wall)
        let configuration = try JobFixture.configuration()
        jobLoop = manager.add(
            TrainingJobController(
                configuration: configuration, kubernetes: client, container: ContainerClient(google),
                storage: StorageClient(google), cache: manager.cache, clock: environment.clock), options: options)
        manager.add(
            GCSArtifactController(
                configuration: configuration, kubernetes: client, storage: StorageClient(google),
                cache: manager.cache, clock: wall), options: options)
    }

    /// Runs the manager while `body` runs.
    func running<Result>(_ body: () async throws -> Result) async throws -> Result {
        async let exit = manager.run()
        do {
            let deadline = ContinuousClock.now + .seconds(120)
            while !manager.cache.isSynced {
                guard ContinuousClock.now < deadline else { throw BenchmarkError("never synced: \(manager.missing)") }
                await Machine.sleep(milliseconds: 10)
            }
            let result = try await body()
            manager.stop()
            _ = await exit
            return result
        } catch {
            manager.stop()
            _ = await exit
            throw error
        }
    }
}
