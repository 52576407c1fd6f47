import ControllerRuntime
import Encoding
import Glibc
import GoogleCloud
import HTTP
import Kubernetes
import Operator
import Synchronization
import Telemetry

/// The operator's wiring: flags → clients → controllers → run → exit status.
struct OperatorProcess: Sendable {
    let options: Options
    let environment: [String: String]
    let signals: StopSignals
    private let log: Log
    private let registry = MetricsRegistry()
    private let clock = SystemClock()
    /// What keeps the process from being ready before the controllers run.
    private let startup = Startup()

    /// Filled by the start, read by the readiness page.
    private final class Startup: Sendable {
        let problem = Mutex<String?>("starting")
    }

    /// What the cloud and the cluster say about where this is.
    private struct Place: Sendable {
        var clusterUID: String
        var zones: [String]
    }

    init(options: Options, environment: [String: String], signals: StopSignals) {
        self.options = options
        self.environment = environment
        self.signals = signals
        self.log = Log(level: options.logLevel)
    }

    /// Runs until a signal comes or the lease is lost; returns the exit status.
    func run() async -> Int32 {
        log.info("starting", [.version: .string(Options.version)])
        do {
            return try await start()
        } catch let error as ConfigurationError {
            log.error("configuration cannot be used", [.errorMessage: .string(error.message)])
            return ExitStatus.configuration
        } catch let error as APIError where error.code == .cancelled {
            return 0
        } catch let error as APIError {
            log.error("cannot start", [.errorMessage: .string(error.description)])
            return error.code == .unavailable ? ExitStatus.unavailable : ExitStatus.configuration
        } catch {
            log.error("cannot start", [.errorMessage: .string("\(error)")])
            return ExitStatus.configuration
        }
    }

    private func start() async throws -> Int32 {
        guard let cluster = options.cluster else { return ExitStatus.usage }
        let connection = try ClusterConnection.find(kubeconfig: options.kubeconfig, environment: environment)
        let httpMetrics = HTTPClientMetrics(registry)
        let restMetrics = RestClientMetrics(registry, host: connection.server.authority)
        let kubernetes = try connection.client(userAgent: userAgent).through {
            InstrumentedTransport($0, api: .kubernetes, metrics: httpMetrics, restMetrics: restMetrics, log: log)
        }
        let metrics = runtimeMetrics()
        let runtime = RuntimeEnvironment(
            client: kubernetes, clock: .system(wall: clock), report: reporter(metrics))
        let manager = ControllerManager(environment: runtime, leaderElection: leaderElection(connection))
        _ = ProcessMetrics(registry, version: Options.version)
        registry.beforeEachPage { metrics.take(manager.statistics) }
        signals.onStop { manager.stop() }
        let health = try healthServer(manager)
        if let health { log.info("serving health and metrics", [.address: .string(health.origin)]) }

        let google = try googleClient(gate: manager.gate, metrics: httpMetrics)
        let place = try await findPlace(cluster, kubernetes: kubernetes, container: ContainerClient(google))
        let configuration = OperatorConfiguration(
            cluster: cluster, clusterUID: place.clusterUID, zones: place.zones, trainerImage: options.trainerImage,
            progressInterval: options.progressInterval)
        addControllers(to: manager, configuration, kubernetes: kubernetes, google: google)
        startup.problem.withLock { $0 = nil }

        let exit = await manager.run()
        await health?.stop()
        log.info("stopped", [.reason: exit == .stopped ? "asked to" : "the lease was lost"])
        return exit == .stopped ? 0 : ExitStatus.leadershipLost
    }

    private var userAgent: String { "trainyard-operator/\(Options.version)" }

    private func addControllers(
        to manager: ControllerManager, _ configuration: OperatorConfiguration, kubernetes: KubernetesClient,
        google: GoogleCloudClient
    ) {
        let controllerOptions = ControllerOptions(
            concurrency: options.concurrency, recheckInterval: options.recheckInterval)
        manager.add(
            TrainingJobController(
                configuration: configuration, kubernetes: kubernetes, container: ContainerClient(google),
                storage: StorageClient(google), cache: manager.cache, clock: .system(wall: clock)),
            options: controllerOptions)
        manager.add(
            GCSArtifactController(
                configuration: configuration, kubernetes: kubernetes, storage: StorageClient(google),
                cache: manager.cache, clock: clock),
            options: controllerOptions)
    }

    private func runtimeMetrics() -> RuntimeMetrics {
        let kinds = [TrainingJob.resourceType, GCSArtifact.resourceType]
        let watched = kinds + TrainingJobController.relations.map(\.type) + GCSArtifactController.relations.map(\.type)
        return RuntimeMetrics(
            registry, controllers: kinds.map(\.plural), resources: Set(watched.map(\.name)).sorted())
    }

    private func reporter(_ metrics: RuntimeMetrics) -> @Sendable (RuntimeReport) -> Void {
        let lines = RuntimeLog(log)
        return { report in
            metrics.record(report)
            lines.record(report)
            // Whoever may not act any more ends, even when a call in progress does not let go: the kernel sees to it.
            if case .leadershipLost = report { alarm(3) }
        }
    }

    private func leaderElection(_ connection: ClusterConnection) -> LeaderElectionOptions? {
        guard options.leaderElect else { return nil }
        let pod = environment["POD_NAMESPACE"].flatMap { $0.isEmpty ? nil : $0 }
        let host = environment["HOSTNAME"].flatMap { $0.isEmpty ? nil : $0 } ?? "operator"
        let suffix = String(UInt32.random(in: .min ... .max), radix: 16)
        return LeaderElectionOptions(
            namespace: options.leaderElectionNamespace ?? pod ?? "trainyard-system",
            identity: "\(host)_\(getpid())_\(suffix)", leaseDuration: options.leaseDuration,
            renewDeadline: options.renewDeadline, retryPeriod: options.retryPeriod)
    }

    private func healthServer(_ manager: ControllerManager) throws(APIError) -> HTTPServer? {
        guard let address = options.health else { return nil }
        let startup = startup
        let handler = HealthHandler(
            metrics: registry,
            readiness: [
                HealthCheck("start") { startup.problem.withLock { $0 } },
                HealthCheck("watches") {
                    let missing = manager.missing
                    return missing.isEmpty ? nil : missing.joined(separator: "; ")
                },
            ])
        return try HTTPServer(host: address.host, port: address.port, handler: handler)
    }

    /// Google's APIs; what changes something passes the gate.
    private func googleClient(
        gate: MutationGate, metrics: HTTPClientMetrics
    ) throws(APIError) -> GoogleCloudClient {
        var curl = CurlOptions(userAgent: userAgent)
        if let endpoint = options.googleEndpoint {
            curl.overrides = [try EndpointOverride(hosts: ["*.googleapis.com"], endpoint: endpoint)]
        }
        let transport = InstrumentedTransport(try CurlTransport(options: curl), metrics: metrics, log: log)
        let tokens: any TokenSource =
            options.googleEndpoint == nil
            ? try Credentials.tokenSource(environment: environment, transport: transport, clock: clock) : NoTokens()
        return GoogleCloudClient(
            transport: GatedTransport(transport, gate: gate), tokens: tokens, clock: clock, userAgent: userAgent)
    }

    /// Asks until both answer: a cluster that is not reachable yet, or a missing permission, needs no restart.
    private func findPlace(
        _ cluster: ClusterName, kubernetes: KubernetesClient, container: ContainerClient
    ) async throws(APIError) -> Place {
        var backoff = Backoff(initial: .seconds(1), maximum: .seconds(30))
        while !signals.isStopRequested {
            do throws(APIError) {
                let system = try await kubernetes.get(Namespace.self, namespace: nil, name: "kube-system")
                let described = try await container.cluster(cluster)
                guard let uid = system.metadata.uid, !uid.isEmpty else {
                    throw APIError(.malformedResponse, operation: "GET namespaces", message: "kube-system has no uid")
                }
                return Place(clusterUID: uid, zones: described.locations ?? [])
            } catch {
                startup.problem.withLock { $0 = error.description }
                log.warning("waiting for the cluster", [.errorMessage: .string(error.description)])
                let pause = max(.milliseconds(500), backoff.next(random: .random(in: 0..<1)))
                await sleepUnlessStopped(pause)
            }
        }
        throw APIError(.cancelled, operation: "start", message: "asked to stop")
    }

    /// In short pieces, so that a signal is heeded within a tenth of a second.
    private func sleepUnlessStopped(_ duration: Duration) async {
        let end = ContinuousClock.now + duration
        while ContinuousClock.now < end, !signals.isStopRequested {
            try? await Task.sleep(for: .milliseconds(100))  // Never cancelled: nothing else ends this task.
        }
    }
}
