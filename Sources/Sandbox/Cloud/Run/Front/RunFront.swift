internal import HTTP
internal import Synchronization
public import Telemetry

/// Cloud Run's front on this machine: serves the services of a simulated cloud over loopback, by instances that are
/// processes of this machine.
///
/// Each service, and each of its traffic tags, has an address of its own (`uri`). Nothing moves by itself but requests:
/// `tick` moves instances, `run` ticks in real time. What becomes of a revision is what its first instance does.
public final class RunFront: Sendable {
    private struct State {
        /// By service, then by tag; the service's own is under the empty one.
        var servers: [String: [String: HTTPServer]] = [:]
        var isTicking = false
        var isStopped = false
    }

    /// While an instance comes up, and otherwise.
    private static let intervals = (busy: Duration.milliseconds(5), idle: Duration.milliseconds(50))
    /// Addresses of one service; the tags beyond them have none.
    private static let addressLimit = 32

    private let cloud: SimulatedCloud
    private let fleet: InstanceFleet
    private let traffic: FrontTraffic
    private let transport: CurlTransport
    private let state = Mutex(State())

    /// - Throws: `.missingResource` when the system gives no thread.
    public init(
        _ configuration: FrontConfiguration, cloud: SimulatedCloud, clock: any WallClock
    ) throws(SandboxError) {
        do throws(APIError) {
            transport = try CurlTransport(options: CurlOptions())
        } catch {
            throw SandboxError(.missingResource, error.message)
        }
        self.cloud = cloud
        fleet = InstanceFleet(configuration, cloud: cloud, clock: clock)
        traffic = FrontTraffic(
            cloud: cloud, fleet: fleet, transport: transport, clock: clock, sampling: configuration.sampling)
        cloud.attachFront()
    }

    /// Adds to the environment of every instance that starts from now on.
    public func setEnvironment(_ environment: [String: String]) { fleet.setEnvironment(environment) }

    /// Moves everything whose time has come. A call while another one runs returns at once.
    public func tick() async {
        guard begin() else { return }
        defer { state.withLock { $0.isTicking = false } }
        let services = cloud.runServices()
        await serve(services)
        fleet.follow(services)
        await fleet.observe(transport)
        for verdict in fleet.verdicts() {
            cloud.reportRevision(verdict.revision, of: verdict.service, failure: verdict.failure)
        }
        traffic.flush()
    }

    private func begin() -> Bool {
        state.withLock { state in
            guard !state.isTicking, !state.isStopped else { return false }
            state.isTicking = true
            return true
        }
    }

    /// Ticks until the task is cancelled.
    public func run() async {
        while !Task.isCancelled {
            await tick()
            let interval = fleet.isBusy ? Self.intervals.busy : Self.intervals.idle
            do { try await Task.sleep(for: interval) } catch { return }
        }
    }

    /// Answers nobody any more and ends all instances, within about four seconds.
    public func stop() async {
        state.withLock { $0.isStopped = true }
        await fleet.stop()
        let deadline = ContinuousClock.now + .seconds(3)
        while state.withLock({ $0.isTicking }), ContinuousClock.now < deadline { await Task.yield() }
        let servers = state.withLock { state in
            defer { state.servers = [:] }
            return state.servers.values.flatMap(\.values)
        }
        for server in servers { await server.stop(grace: .milliseconds(200)) }
        await transport.shutDown()
    }

    /// The instances that there are.
    public func instances() -> [RunInstance] { fleet.instances() }

    /// How long the latest instance of a revision took to come up: from its process to its passed startup probe.
    ///
    /// - Parameter service: `projects/P/locations/R/services/S`.
    public func coldStart(revision: String, of service: String) -> Duration? {
        fleet.coldStart(revision: revision, of: service)
    }

    // MARK: Addresses

    /// Opens and closes addresses as services and tags come and go.
    private func serve(_ services: [RunService]) async {
        var closed: [HTTPServer] = []
        for service in services where service.deletedAt == nil {
            let targets = service.routed + RunTraffic.targets(service.resource)
            let tags = Set(targets.compactMap(\.tag)).union([""])
            var servers = state.withLock { $0.servers[service.name] ?? [:] }
            for tag in tags.sorted() where servers[tag] == nil && servers.count < Self.addressLimit {
                servers[tag] = open(service, tag: tag)
            }
            for tag in servers.keys where !tags.contains(tag) {
                if let server = servers.removeValue(forKey: tag) { closed.append(server) }
            }
            let kept = servers
            state.withLock { $0.servers[service.name] = kept }
            cloud.setRunOrigins(kept.mapValues(\.origin), of: service.name)
        }
        let names = Set(services.map(\.name))
        closed += state.withLock { state in
            let gone = state.servers.filter { !names.contains($0.key) }.values.flatMap(\.values)
            state.servers = state.servers.filter { names.contains($0.key) }
            return gone
        }
        for server in closed { await server.stop(grace: .milliseconds(500)) }
    }

    /// Nil without a free port: the next tick tries again.
    private func open(_ service: RunService, tag: String) -> HTTPServer? {
        let limits = HTTPServerLimits(bodyBytes: FrontTraffic.bodyLimitBytes)
        let handler = FrontHandler(traffic: traffic, service: service.name, tag: tag.isEmpty ? nil : tag)
        return try? HTTPServer(handler: handler, limits: limits)
    }
}
