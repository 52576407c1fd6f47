internal import Encoding
public import HTTP
internal import Synchronization
internal import Telemetry

/// A Google Cloud project that exists in memory only: GKE node pools (container v1), Cloud Storage (storage v1), the
/// APIs of `SimulatedAPIs`, the metadata server and what Cloud Run services answer.
///
/// Requests are routed by host (`container.googleapis.com`, `run.googleapis.com`, `*.run.app`, …) or, for clients that
/// name the emulator itself, by path. Time is the configuration's clock: nothing moves by itself, every request and
/// every `tick()` first moves what is due. Credentials are checked where the configuration says so.
public final class SimulatedCloud: OptionServing {
    struct State: Sendable {
        var container = ContainerState()
        var storage = StorageState()
        var apis: SimulatedAPIs
        var script: CloudScript
        /// Requests so far, by method.
        var callCounts: [String: Int] = [:]
        /// What requests so far had to be allowed to do.
        var usedPermissions: Set<String> = []
        var inspectedCount = 0
        var refusedCount = 0
    }

    public let configuration: CloudConfiguration
    private let container: ContainerAPI
    private let storage: StorageAPI
    let state: Mutex<State>
    /// Who serves the traffic of Cloud Run services, by their names.
    let runOrigins = Mutex<[String: RunOrigin]>([:])

    public init(_ configuration: CloudConfiguration) {
        self.configuration = configuration
        container = ContainerAPI(configuration: configuration)
        storage = StorageAPI(configuration: configuration)
        state = Mutex(State(apis: SimulatedAPIs(configuration), script: configuration.script))
    }

    public func respond(to request: HTTPRequest) async -> HTTPReply {
        await respond(to: request, options: ServingOptions())
    }

    /// With what a fault script asks for.
    func respond(to request: HTTPRequest, options: ServingOptions) async -> HTTPReply {
        if let reply = await runReply(request) { return reply }
        if MetadataAPI.serves(request) {
            let account = Identities.defaultAccount(configuration)
            return await metadataReply(request, identity: MetadataAPI.Identity(account: account, instance: nil))
        }
        if let refusal = inspect(request) { return refusal }
        let now = configuration.clock.now
        let outcome: StorageAPI.Outcome = state.withLock { state in
            advance(&state, to: now)
            if let reply = serviceReply(request, &state, now) { return .reply(reply) }
            guard let service = service(of: request) else {
                return .reply(
                    CloudError(
                        status: 404, reason: "NOT_FOUND", message: "The sandbox does not simulate this Google API."
                    ).rpcReply)
            }
            if let refusal = refusal(request, isStorage: service == .storage, state, now) { return .reply(refusal) }
            return switch service {
            case .container: .reply(containerReply(request, &state, now))
            case .storage: storageOutcome(request, options, &state, now)
            }
        }
        return switch outcome {
        case .reply(let reply): reply
        case .write(let upload): storage.reply(to: upload, state)
        }
    }

    /// Whether there are no machines, and no operation is under way: nothing here moves by itself.
    var isIdle: Bool {
        state.withLock { $0.container.pools.isEmpty && $0.container.operations.allSatisfy { $0.end != nil } }
    }

    /// Moves everything whose time has come.
    public func tick() {
        let now = configuration.clock.now
        state.withLock { advance(&$0, to: now) }
    }

    func advance(_ state: inout State, to now: Timestamp) {
        state.container.advance(to: now, in: world(state))
        let world = world(state, now)
        state.apis.advance(in: world)
        let last = state.storage.lifecycleCheckedAt
        if last.map({ now >= $0 + configuration.timings.lifecycle }) ?? true {
            state.storage.applyLifecycle(now: now)
            state.storage.lifecycleCheckedAt = now
        }
    }

    private func world(_ state: State) -> ContainerState.World {
        ContainerState.World(
            project: configuration.project, cluster: configuration.clusterName, timings: configuration.timings,
            script: state.script)
    }

    // MARK: Requests

    /// The reply to a request that does not agree with Google's description of its API.
    private func inspect(_ request: HTTPRequest) -> HTTPReply? {
        guard let findings = configuration.inspection?.findings(request) else { return nil }
        state.withLock { state in
            state.inspectedCount += 1
            if !findings.isEmpty { state.refusedCount += 1 }
        }
        if findings.isEmpty { return nil }
        let message =
            "This request does not agree with Google's discovery document: \(findings.joined(separator: "; "))"
        let isStorage = service(of: request) == .storage
        let error = CloudError(status: 400, reason: isStorage ? "invalid" : "INVALID_ARGUMENT", message: message)
        return isStorage ? error.storageReply : error.rpcReply
    }

    private enum Service { case container, storage }

    private func service(of request: HTTPRequest) -> Service? {
        let host = request.url.authority.prefix { $0 != ":" }
        let path = request.url.path
        let isStoragePath = ["/storage/v1", "/upload/storage/v1", "/download/storage/v1"].contains(
            where: path.hasPrefix)
        if host == "storage.googleapis.com" || isStoragePath { return .storage }
        if host == "container.googleapis.com" || path.hasPrefix("/v1/projects/") { return .container }
        return nil
    }

    private func containerReply(_ request: HTTPRequest, _ state: inout State, _ now: Timestamp) -> HTTPReply {
        do throws(CloudError) {
            let call = try container.call(request)
            state.callCounts[call.method, default: 0] += 1
            state.usedPermissions.insert(call.permission)
            try state.script.checkAccess(
                "container.googleapis.com", call.permission, configuration, now: now)
            return .json(
                try container.perform(call, body: request.body, state: &state.container, now: now))
        } catch {
            return error.rpcReply
        }
    }

    private func storageOutcome(
        _ request: HTTPRequest, _ options: ServingOptions, _ state: inout State, _ now: Timestamp
    ) -> StorageAPI.Outcome {
        do throws(CloudError) {
            let call = try StorageCall(request)
            state.callCounts[call.method, default: 0] += 1
            if let permission = call.permission { state.usedPermissions.insert(permission) }
            try state.script.checkAccess(
                "storage.googleapis.com", call.permission, configuration, now: now)
            var context = StorageAPI.Context(request: request, now: now, script: state.script)
            context.chunkLimit = options.chunkKeeps
            context.caller = state.apis.shared.caller(request, now: now).map { principal in
                StorageAPI.Context.Caller(
                    member: Identities.member(principal), projectPolicy: state.apis.shared.identities.projectPolicy)
            }
            return try storage.perform(call, context, state: &state.storage)
        } catch {
            return .reply(error.storageReply)
        }
    }
}

// MARK: For the sandbox and for tests

extension SimulatedCloud {
    /// The node pools that exist, by name.
    public func nodePools() -> [SimulatedNodePool] {
        state.withLock { state in
            state.container.pools.values.sorted { $0.name < $1.name }.map { pool in
                SimulatedNodePool(
                    name: pool.name, zones: pool.zones, config: pool.resource["config"] ?? [:], topology: pool.topology,
                    status: pool.status.rawValue, instances: pool.instances, isQueued: pool.isQueued)
            }
        }
    }

    /// Full names of everything that would cost money by the hour; a pool counts until it is gone.
    public func computeResources() -> [String] {
        state.withLock { state in
            state.container.pools.keys.sorted().map(container.resourceName) + state.apis.costlyResources()
        }
    }

    /// Gives a machine the notice of its preemption: it ends 30 seconds later, and its group asks for another.
    ///
    /// - Returns: false when no running machine has this name.
    @discardableResult
    public func preempt(instance: String) -> Bool {
        let now = configuration.clock.now
        return state.withLock { state in
            advance(&state, to: now)
            return state.container.preempt(instance: instance, now: now, in: world(state))
        }
    }

    /// Plays the cluster autoscaler, within the pool's limits: so many machines in each zone.
    ///
    /// - Returns: false when there is no such pool, or it is not scaled automatically.
    @discardableResult
    public func autoscale(pool name: String, nodesPerZone count: Int) -> Bool {
        let now = configuration.clock.now
        return state.withLock { state in
            advance(&state, to: now)
            guard var pool = state.container.pools[name],
                pool.resource.value(at: ["autoscaling", "enabled"])?.boolValue == true
            else { return false }
            for zone in pool.zones { pool.targets[zone] = max(0, count) }
            pool.followAutoscaling()
            for zone in pool.zones {
                let own = pool.instances.indices.filter { pool.instances[$0].zone == zone }
                for index in own.dropFirst(pool.targets[zone] ?? 0).reversed() {
                    pool.instances.remove(at: index)
                }
            }
            state.container.pools[name] = pool
            advance(&state, to: now)
            return true
        }
    }

    /// Changes what goes wrong from now on.
    public func updateScript(_ change: (inout CloudScript) -> Void) {
        state.withLock { change(&$0.script) }
    }

    /// Forgets the resumable uploads that are under way: their next request gets 410.
    public func loseUploadSessions() {
        state.withLock { state in
            state.storage.lostSessions.formUnion(state.storage.sessions.keys)
            state.storage.sessions = [:]
        }
    }

    /// How many requests a method got, by its id (`container.nodePools.create`).
    public func callCount(_ method: String) -> Int {
        state.withLock { $0.callCounts[method] ?? 0 }
    }

    /// What the requests so far had to be allowed to do, in IAM's words: what a role must hold.
    public var usedPermissions: Set<String> { state.withLock(\.usedPermissions) }

    /// Requests that the configuration's inspection looked at.
    public var inspectedRequestCount: Int { state.withLock { $0.inspectedCount } }

    /// Of those, the ones with a finding.
    public var refusedRequestCount: Int { state.withLock { $0.refusedCount } }

    public func bucketExists(_ name: String) -> Bool {
        state.withLock { $0.storage.buckets[name] != nil }
    }

    /// Stores an object as if somebody had uploaded it.
    ///
    /// - Throws: `.notFound` when there is no such bucket, `.storage` when the disk cannot hold it.
    public func putObject(
        bucket: String, name: String, bytes: [UInt8], contentType: String = "application/octet-stream"
    ) throws(SandboxError) {
        do throws(CloudError) {
            let blob = try storage.store.blob(bytes)
            let now = configuration.clock.now
            try state.withLock { state throws(CloudError) in
                guard let stored = state.storage.buckets[bucket] else {
                    throw StorageAPI.notFound("There is no bucket \(bucket).")
                }
                let object = StoredObject(
                    name: name, generation: state.storage.nextGeneration(now: now),
                    attributes: ["contentType": .string(contentType)], storageClass: stored.storageClass, blob: blob,
                    created: now, updated: now, classChanged: now)
                state.storage.buckets[bucket]?.put(object, now: now)
            }
        } catch {
            throw SandboxError(error.status == 404 ? .notFound : .storage, error.message)
        }
    }

    /// The live bytes of an object; nil when there is none.
    ///
    /// - Throws: `.storage` when the disk cannot be read.
    public func readObject(bucket: String, name: String) throws(SandboxError) -> [UInt8]? {
        let blob = state.withLock { $0.storage.buckets[bucket]?.object(name)?.blob }
        do throws(CloudError) {
            return try blob.map { blob throws(CloudError) in try blob.read(0..<blob.size) }
        } catch {
            throw SandboxError(.storage, error.message)
        }
    }

    /// The names of a bucket's live objects, sorted.
    public func objectNames(bucket: String, prefix: String = "") -> [String] {
        state.withLock { state in
            (state.storage.buckets[bucket]?.objects ?? [:])
                .filter { $0.key.hasPrefix(prefix) && $0.value.last?.isLive == true }.keys.sorted()
        }
    }
}
