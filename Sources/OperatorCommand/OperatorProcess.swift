import ControllerRuntime
import Encoding
import Glibc
import GoogleCloud
import HTTP
import Kubernetes
import Operator
import Synchronization
import System
import Telemetry

/// The operator's wiring: flags → clients → controllers → run → exit status.
struct OperatorProcess: Sendable {
    let options: Options
    let environment: [String: String]
    let stop: StopRequest
    private let log: Log
    private let registry = MetricsRegistry()
    private let clock = SystemClock()
    private let startup: Startup
    /// Set when the controllers are about to run.
    private let running = Running()

    private final class Running: Sendable {
        let manager = Mutex<ControllerManager?>(nil)
    }

    /// What the cloud and the cluster say about where this is.
    private struct Place: Sendable {
        var kubernetes: KubernetesClient
        var clusterUID: String
        var zones: [String]
    }

    /// Google's APIs.
    private struct Google: Sendable {
        var transport: any HTTPTransport
        var tokens: any TokenSource
        /// Of all calls of this process.
        var limits: CallLimits

        /// - Parameter gate: what changes something passes it.
        func client(gate: MutationGate?, clock: any WallClock, userAgent: String) -> GoogleCloudClient {
            GoogleCloudClient(
                transport: gate.map { GatedTransport(transport, gate: $0) } ?? transport, tokens: tokens, clock: clock,
                limits: limits, userAgent: userAgent)
        }
    }

    /// - Parameters:
    ///   - log: nil writes to standard error.
    ///   - shortestPause: between two tries of what does not work yet at the start.
    init(
        options: Options, environment: [String: String], stop: StopRequest, log: Log? = nil,
        shortestPause: Duration = .seconds(1)
    ) {
        self.options = options
        self.environment = environment
        self.stop = stop
        let log = log ?? Log(level: options.logLevel)
        self.log = log
        startup = Startup(stop: stop, log: log, shortestPause: shortestPause)
    }

    /// Runs until a signal comes or the lease is lost; returns the exit status.
    func run() async -> Int32 {
        log.info("starting", [.version: .string(Version.text)])
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
        // First of all: it tells why the rest does not come.
        let health = try healthServer()
        _ = ProcessMetrics(registry, version: Version.text)
        if let health { log.info("serving health and metrics", [.address: .string(health.origin)]) }
        let result: Result<Int32, any Error>
        do {
            result = .success(try await work())
        } catch {
            result = .failure(error)
        }
        await health?.stop()
        return try result.get()
    }

    private func work() async throws -> Int32 {
        let httpMetrics = HTTPClientMetrics(registry)
        let google = try google(metrics: httpMetrics)
        let prices = try await startup.keepTrying { try PriceFile.table(options.priceFile) }
        let policies = try await startup.keepTrying { try TenantPolicyFile.policies(options.tenantPolicyFile) }
        let cluster = try await clusterName(google)
        let place = try await startup.keepTrying { try await findPlace(cluster, google, metrics: httpMetrics) }

        let metrics = runtimeMetrics()
        let runtime = RuntimeEnvironment(
            client: place.kubernetes, clock: .system(wall: clock), report: reporter(metrics))
        let manager = ControllerManager(environment: runtime, leaderElection: leaderElection())
        registry.beforeEachPage { metrics.take(manager.statistics) }
        ModelEndpointMetrics.register(registry, cache: manager.cache)
        let configuration = OperatorConfiguration(
            cluster: cluster, clusterUID: place.clusterUID, zones: place.zones, trainerImage: options.trainerImage,
            progressInterval: options.progressInterval, prices: prices,
            nodeServiceAccount: options.nodeServiceAccount, accessMembers: options.accessMembers,
            runtimeAccounts: options.tenantAccounts, tenantPolicies: policies,
            publicNamespaces: options.publicNamespaces)
        let gated = google.client(gate: manager.gate, clock: clock, userAgent: userAgent)
        let storage = StorageClient(gated.with(tokens: tenantTokens(google, kubernetes: place.kubernetes)))
        addControllers(
            to: manager, configuration, kubernetes: place.kubernetes, google: gated,
            storage: storage, invoker: try invoker(google))
        addLeakSweep(to: manager, configuration, google: gated)
        stop.onRequest { manager.stop() }
        running.manager.withLock { $0 = manager }
        startup.finished()

        let exit = await manager.run()
        log.info("stopped", [.reason: exit == .stopped ? "asked to" : "the lease was lost"])
        return exit == .stopped ? 0 : ExitStatus.leadershipLost
    }

    private var userAgent: String { "trainyard-operator/\(Version.text)" }

    /// As given, or as the metadata server of this GKE node says.
    private func clusterName(_ google: Google) async throws -> ClusterName {
        if let cluster = options.cluster { return cluster }
        let name = try await startup.keepTrying(patience: .seconds(30)) {
            do throws(APIError) {
                return try await ClusterName.fromMetadataServer(
                    environment: environment, transport: google.transport)
            } catch {
                // `.unreadable` is waited for: a pod's metadata server may need some seconds.
                throw ConfigurationError(
                    .unreadable,
                    "--cluster is not given, and the metadata server does not say which cluster this is "
                        + "(\(error.message)): give --cluster projects/P/locations/L/clusters/C")
            }
        }
        log.info("the metadata server says which cluster this is", [.name: .string(name.description)])
        return name
    }

    /// One try: the configuration is read anew each time, as it may be what somebody mends.
    private func findPlace(
        _ cluster: ClusterName, _ google: Google, metrics: HTTPClientMetrics
    ) async throws -> Place {
        let connection = try ClusterConnection.find(
            kubeconfig: options.kubeconfig, context: options.context, environment: environment, log: log)
        let kubernetes = try connection.client(userAgent: userAgent, rateLimiter: rateLimiter(), log: log).through {
            InstrumentedTransport(
                $0, api: .kubernetes, metrics: metrics,
                restMetrics: RestClientMetrics(registry, host: connection.server.authority), log: log)
        }
        let system = try await kubernetes.get(Namespace.self, namespace: nil, name: "kube-system")
        guard let uid = system.metadata.uid, !uid.isEmpty else {
            throw APIError(.malformedResponse, operation: "GET namespaces", message: "kube-system has no uid")
        }
        let container = ContainerClient(google.client(gate: nil, clock: clock, userAgent: userAgent))
        return Place(
            kubernetes: kubernetes, clusterUID: uid, zones: try await container.cluster(cluster).locations ?? [])
    }

    private func rateLimiter() -> RateLimiter {
        let seconds = registry.histogram(
            "rest_client_rate_limiter_duration_seconds",
            help: "Time that requests to the API server wait for --kube-api-qps, watches and leases excluded.")
        return RateLimiter(
            requestsPerSecond: options.kubernetesRequestsPerSecond, burst: options.kubernetesBurst,
            onWait: { seconds.observe($0) })
    }

    /// Whom Cloud Storage is used as; an emulator asks nobody.
    private func tenantTokens(_ google: Google, kubernetes: KubernetesClient) -> any TokenSource {
        guard options.googleEndpoint == nil else { return google.tokens }
        let tenants = TenantAccounts(allowed: options.tenantAccounts, kubernetes: kubernetes, clock: clock)
        // To ask for a token changes nothing.
        let client = google.client(gate: nil, clock: clock, userAgent: userAgent)
        return TenantTokens(own: google.tokens, accounts: ImpersonatedTokens(client)) {
            namespace async throws(APIError) in try await tenants.account(of: namespace)
        }
    }

    /// Asks for signatures with the operator's own identity.
    private func signing(_ google: GoogleCloudClient, kubernetes: KubernetesClient) -> URLSigning {
        let tenants = TenantAccounts(allowed: options.tenantAccounts, kubernetes: kubernetes, clock: clock)
        let account = options.signingAccount
        return URLSigning(IAMCredentialsClient(google)) { namespace async throws(APIError) in
            try await tenants.account(of: namespace)?.account ?? account
        }
    }

    private func addControllers(
        to manager: ControllerManager, _ configuration: OperatorConfiguration, kubernetes: KubernetesClient,
        google: GoogleCloudClient, storage: StorageClient, invoker: RunInvoker
    ) {
        let controllerOptions = ControllerOptions(
            concurrency: options.concurrency, recheckInterval: options.recheckInterval)
        manager.add(
            TrainingJobController(
                configuration: configuration, kubernetes: kubernetes, container: ContainerClient(google),
                storage: storage, compute: ComputeClient(google),
                registry: ArtifactRegistryClient(google), cache: manager.cache, clock: .system(wall: clock)),
            options: controllerOptions)
        manager.add(
            GCSArtifactController(
                configuration: configuration, kubernetes: kubernetes, storage: storage, cache: manager.cache,
                clock: clock, otherUses: ModelEndpoint.uses(kubernetes),
                signing: signing(google, kubernetes: kubernetes)),
            options: controllerOptions)
        manager.add(
            ModelEndpointController(
                configuration: configuration, kubernetes: kubernetes, run: RunClient(google), invoker: invoker,
                monitoring: MonitoringClient(google), storage: storage, cache: manager.cache, clock: clock,
                zoneFile: ZoneFile.bytes),
            options: controllerOptions)
    }

    /// Calls endpoints as this process; an emulator plays the metadata server too.
    private func invoker(_ google: Google) throws(APIError) -> RunInvoker {
        let host = environment["GCE_METADATA_HOST"].flatMap { $0.isEmpty ? nil : $0 }
        let emulator = options.googleEndpoint.map { HTTPURL($0)?.authority ?? $0 }
        let identity = try MetadataServerIdentity(
            host: emulator ?? host ?? MetadataServerTokens.defaultHost, transport: google.transport, clock: clock)
        return RunInvoker(transport: google.transport, identity: identity, clock: clock)
    }

    private func addLeakSweep(
        to manager: ControllerManager, _ configuration: OperatorConfiguration, google: GoogleCloudClient
    ) {
        guard options.leakSweep.mode != .off else { return }
        let reporter = LeakReporter(registry, log: log)
        let sweeper = LeakSweeper(
            configuration: configuration, options: options.leakSweep, container: ContainerClient(google),
            run: RunClient(google), cache: manager.cache, clock: .system(wall: clock), report: { reporter.record($0) })
        manager.addDuty { await sweeper.run($0) }
    }

    private func runtimeMetrics() -> RuntimeMetrics {
        let kinds = [TrainingJob.resourceType, GCSArtifact.resourceType, ModelEndpoint.resourceType]
        let watched =
            kinds + TrainingJobController.relations.map(\.type) + GCSArtifactController.relations.map(\.type)
            + ModelEndpointController.relations.map(\.type)
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

    private func leaderElection() -> LeaderElectionOptions? {
        guard options.leaderElect else { return nil }
        let pod = environment["POD_NAMESPACE"].flatMap { $0.isEmpty ? nil : $0 }
        let host = environment["HOSTNAME"].flatMap { $0.isEmpty ? nil : $0 } ?? "operator"
        let suffix = String(UInt32.random(in: .min ... .max), radix: 16)
        return LeaderElectionOptions(
            namespace: options.leaderElectionNamespace ?? pod ?? "trainyard-system",
            identity: "\(host)_\(getpid())_\(suffix)", leaseDuration: options.leaseDuration,
            renewDeadline: options.renewDeadline, retryPeriod: options.retryPeriod)
    }

    private func healthServer() throws(APIError) -> HTTPServer? {
        guard let address = options.health else { return nil }
        let (startup, running) = (startup, running)
        let handler = HealthHandler(
            metrics: registry,
            readiness: [
                HealthCheck("start") { startup.missing },
                HealthCheck("watches") {
                    guard let manager = running.manager.withLock({ $0 }) else { return "not begun" }
                    let missing = manager.missing
                    return missing.isEmpty ? nil : missing.joined(separator: "; ")
                },
            ])
        // Probes and scrapers are few and say little; anybody in the cluster can reach this port.
        let limits = HTTPServerLimits(
            headerBytes: 16 << 10, bodyBytes: 1 << 10, connectionCount: 256, requestTimeout: .seconds(20),
            idleTimeout: .seconds(60))
        return try HTTPServer(host: address.host, port: address.port, handler: handler, limits: limits)
    }

    private func google(metrics: HTTPClientMetrics) throws(APIError) -> Google {
        var curl = CurlOptions(userAgent: userAgent)
        if let endpoint = options.googleEndpoint {
            curl.overrides = [try EndpointOverride(hosts: ["*.googleapis.com"], endpoint: endpoint)]
        }
        let transport = InstrumentedTransport(try CurlTransport(options: curl), metrics: metrics, log: log)
        let limits = CallLimits(clock: clock, metrics: CallMetrics(registry))
        guard options.googleEndpoint == nil else {
            return Google(transport: transport, tokens: NoTokens(), limits: limits)
        }
        let credentials = try Credentials.find(environment: environment, transport: transport, clock: clock)
        log.info("credentials for Google Cloud", [.path: .string(credentials.origin)])
        return Google(transport: transport, tokens: credentials.tokens, limits: limits)
    }
}
