import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Sandbox
import Synchronization

@testable import ControllerRuntime
@testable import Operator

/// Sees every request of the operator and the world at every tick, and knows what must never be so. Of no controller:
/// what it knows of them are labels, conditions and finalizers.
final class Oracle: Sendable {
    private struct State {
        var violations: [String] = []
        /// Objects of the story by uid, with a name that is the same in every plan.
        var aliases: [String: String] = [:]
        var creates: [String: Int] = [:]
        var deletes: [String: Int] = [:]
        var statusWriteCount = 0
        /// Node pools that one object may have at a time: one for each slice of its runs.
        var poolLimit = 1
        /// Data may be left behind by a finalizer: its kind is going.
        var isKindGoing = false
        /// Names that each alias was given to.
        var heardCount = 0
        /// Services may stay after their objects.
        var mayOrphan = false
    }

    let world: SandboxWorld
    let admin: KubernetesClient
    private let clusterUID: String
    private let canaries: [[UInt8]]
    private let clock: VirtualClock
    private let state = Mutex(State())

    init(world: SandboxWorld, admin: KubernetesClient, clusterUID: String, canaries: [String], clock: VirtualClock) {
        self.world = world
        self.admin = admin
        self.clusterUID = clusterUID
        self.canaries = canaries.map { Array($0.utf8) }
        self.clock = clock
    }

    var violations: [String] { state.withLock(\.violations) }
    /// Successful creates and deletes by kind, as the servers count them.
    var creates: [String: Int] { state.withLock(\.creates) }
    var deletes: [String: Int] { state.withLock(\.deletes) }
    var statusWriteCount: Int { state.withLock(\.statusWriteCount) }

    /// An object of the story: what it owns may be changed.
    func know(_ uid: String, as alias: String) { state.withLock { $0.aliases[uid] = alias } }

    /// The story's runs have so many slices.
    func expectSlices(_ count: Int) { state.withLock { $0.poolLimit = count } }

    /// From now on the definition of GCSArtifacts is being deleted.
    func kindIsGoing() { state.withLock { $0.isKindGoing = true } }

    /// From now on services may stay after their objects.
    func expectOrphans() { state.withLock { $0.mayOrphan = true } }

    func violated(_ invariant: String, _ what: String) {
        state.withLock { state in
            let line = "\(invariant): \(what)"
            if state.violations.count < 20, !state.violations.contains(line) { state.violations.append(line) }
        }
    }

    /// What the operator says of itself: log lines are made from it.
    func heard(_ text: String) {
        for canary in canaries where text.contains(String(decoding: canary, as: UTF8.self)) {
            violated("I10", "a secret is in a report")
        }
    }

    func isOurs(_ labels: JSONValue?) -> Bool {
        guard let owner = labels?[Ownership.ownerLabel]?.stringValue,
            labels?[Ownership.clusterLabel]?.stringValue == clusterUID
        else { return false }
        return state.withLock { $0.aliases[owner] != nil }
    }

    // MARK: Requests

    /// I3, I10: before it is handled.
    func willHandle(_ request: HTTPRequest) async {
        let traced = TracedRequest(request)
        guard traced.isChange else { return }
        for canary in canaries where request.body.firstRange(of: canary) != nil {
            violated("I10", "a secret is in the body of \(traced.line)")
        }
        switch traced.side {
        case .cloud: await checkCloudOwnership(request, traced)
        case .cluster: await checkClusterOwnership(request, traced)
        }
    }

    private func checkCloudOwnership(_ request: HTTPRequest, _ traced: TracedRequest) async {
        let segments = request.url.decodedSegments ?? []
        if let index = segments.firstIndex(where: { $0.hasPrefix("nodePools") }) {
            guard segments.count > index + 1 else {
                await checkPoolCreate(request)
                return
            }
            let name = String(segments[index + 1].prefix { $0 != ":" })
            let pool = world.cloud.nodePools().first { $0.name == name }
            if let pool, !isOurs(pool.config["resourceLabels"]) {
                violated("I3", "\(traced.line): the pool is not ours")
            }
        } else if request.url.authority.hasPrefix("run."), let index = segments.firstIndex(of: "services") {
            checkService(request, segments, index, traced)
        } else if let index = segments.contains("rewriteTo")
            ? segments.lastIndex(of: "b") : segments.firstIndex(of: "b"),
            segments.count > index + 1
        {
            guard let bucket = await bucket(segments[index + 1]) else { return }
            // A marker and a probe lie among the outputs, whoever made the bucket.
            if Self.isProbe(request, segments) { return }
            if segments.first == "upload", request.body.firstRange(of: Array(".trainyard/".utf8)) != nil { return }
            // In prefix mode the bucket belongs to another object of the cluster.
            if !isOurs(bucket["labels"]) { violated("I3", "\(traced.line): the bucket is not ours") }
        }
    }

    /// A service is made with our labels, and changed only where it has them.
    private func checkService(_ request: HTTPRequest, _ segments: [String], _ index: Int, _ traced: TracedRequest) {
        guard segments.count > index + 1 else {
            let labels = (try? JSONValue(parsing: request.body))?["labels"]
            if request.method == .post, !isOurs(labels) { violated("I3", "a service is created without our labels") }
            return
        }
        let id = String(segments[index + 1].prefix { $0 != ":" })
        guard let labels = world.cloud.runServiceLabels(id) else { return }
        // A service that an earlier object left is taken back by its name.
        let isAdopted = request.method == .patch && request.url.queryValue("updateMask") == "labels"
        if !isOurs(.object(labels.mapValues { .string($0) })), !isAdopted {
            violated("I3", "\(traced.line): the service is not ours")
        }
    }

    /// No revision that is not ready is to get requests.
    private func checkWeights() {
        for finding in world.cloud.runTrafficViolations { violated("weights", finding) }
    }

    /// Machines are bought only for an object that is there, is not going, and is not in a namespace that goes.
    private func checkPoolCreate(_ request: HTTPRequest) async {
        let labels = (try? JSONValue(parsing: request.body))?.value(at: ["nodePool", "config", "resourceLabels"])
        guard isOurs(labels), let uid = labels?[Ownership.ownerLabel]?.stringValue else {
            violated("I3", "a pool is created without our labels")
            return
        }
        let jobs = try? await admin.list(TrainingJob.resourceType).items
        let job = jobs?.first { $0.value(at: ["metadata", "uid"])?.stringValue == uid }
        guard let job else {
            violated("I1", "a pool is created for an object that is gone")
            return
        }
        if job.value(at: ["metadata", "deletionTimestamp"]) != nil {
            violated("I1", "a pool is created for an object that is going")
        }
        if job.value(at: ["status", "resources"])?.arrayValue?.isEmpty ?? true {
            violated("I1", "a pool is created without an entry in the ledger")
        }
        let namespace = job.value(at: ["metadata", "namespace"])?.stringValue ?? ""
        let live = try? await admin.find(Namespace.self, namespace: nil, name: namespace)
        if live?.metadata.isDeleting ?? true { violated("I1", "a pool is created in a namespace that is going") }
    }

    func bucket(_ name: String) async -> JSONValue? {
        let url = HTTPURL(origin: "https://storage.googleapis.com", segments: ["storage", "v1", "b", name])
        let response = try? await HandlerTransport(world.cloud).send(HTTPRequest(.get, url))
        guard let response, response.isSuccess else { return nil }
        return try? JSONValue(parsing: response.body)
    }

    private func checkClusterOwnership(_ request: HTTPRequest, _ traced: TracedRequest) async {
        let kinds = ["jobs", "pods", "services", "controllerrevisions", "secrets"]
        let segments = request.url.decodedSegments ?? []
        guard request.method != .post, let index = segments.lastIndex(where: kinds.contains),
            segments.count > index + 1
        else { return }
        let read = HTTPRequest(
            .get, HTTPURL(origin: request.url.origin, path: request.url.path),
            headers: ["Authorization": "Bearer admin"])
        guard let response = try? await HandlerTransport(world).send(read), response.isSuccess,
            let object = try? JSONValue(parsing: response.body)
        else { return }
        let uids = Set(state.withLock { $0.aliases.keys })
        let owners = object.value(at: ["metadata", "ownerReferences"])?.arrayValue ?? []
        let label = object.value(at: ["metadata", "labels", Ownership.uidLabel])?.stringValue ?? ""
        if !uids.contains(label), !owners.contains(where: { uids.contains($0["uid"]?.stringValue ?? "") }) {
            violated("I3", "\(traced.line): the object is not ours")
        }
    }

    /// I2, I4, I7, I8: after it was handled, whether or not the reply arrives.
    func didHandle(_ request: HTTPRequest, _ response: HTTPResponse) async {
        let traced = TracedRequest(request)
        guard traced.isChange, response.isSuccess, !traced.isEvent else { return }
        count(request, response, traced)
        if traced.side == .cloud {
            checkPools()
            checkWeights()
        }
        guard traced.side == .cluster, let object = try? JSONValue(parsing: response.body) else { return }
        if request.method == .patch, traced.path.hasSuffix("/status"), traced.path.contains("/trainyard.dev/") {
            await checkStatus(object)
        }
        if request.method == .patch, !traced.path.hasSuffix("/status") { await checkFinalizer(object) }
    }

    /// A bucket is tried out by an object that comes and goes; a process that starts again tries once more.
    private static func isProbe(_ request: HTTPRequest, _ segments: [String]) -> Bool {
        let folder = ".trainyard/probe/"
        guard segments.first == "upload" else {
            return request.method == .delete && segments.last?.hasPrefix(folder) == true
        }
        return request.body.firstRange(of: Array(folder.utf8)) != nil
    }

    private func count(_ request: HTTPRequest, _ response: HTTPResponse, _ traced: TracedRequest) {
        let segments = request.url.decodedSegments ?? []
        // Each call makes another; what is there twice is removed.
        if Self.isProbe(request, segments) || segments.contains("notificationConfigs") { return }
        // A prediction is no create.
        if request.url.authority.hasSuffix(".run.app") { return }
        let kinds = ["nodePools", "jobs", "services", "controllerrevisions", "pods", "revisions", "o", "b"]
        guard let kind = segments.last(where: kinds.contains) else { return }
        let isCustom = segments.last.map { $0.contains(":") } ?? false
        state.withLock { state in
            switch request.method {
            case .post where !isCustom && (traced.side == .cloud || response.status == 201):
                state.creates[kind, default: 0] += 1
            case .patch where response.status == 201: state.creates[kind, default: 0] += 1
            case .delete: state.deletes[kind, default: 0] += 1
            default: break
            }
        }
    }

    // MARK: States

    /// I2: of the world as it is.
    func look() async { checkPools() }

    /// At most the node pools of one place live at a time: one that gave nothing is left before the next is tried.
    private func checkPools() {
        var counts: [String: Int] = [:]
        for pool in world.cloud.nodePools() where isOurs(pool.config["resourceLabels"]) {
            counts[pool.config.value(at: ["resourceLabels", Ownership.ownerLabel])?.stringValue ?? "", default: 0] += 1
        }
        let limit = state.withLock(\.poolLimit)
        for (_, count) in counts where count > limit { violated("I2", "\(count) node pools of one object at once") }
    }

    /// I8: Flux's rules for statuses, and that Ready is no lie.
    private func checkStatus(_ object: JSONValue) async {
        state.withLock { $0.statusWriteCount += 1 }
        let status = object["status"] ?? [:]
        let metadata = object["metadata"] ?? [:]
        let conditions = status["conditions"]?.arrayValue ?? []
        func value(_ type: String) -> String? {
            conditions.first { $0["type"]?.stringValue == type }?["status"]?.stringValue
        }
        func isTrue(_ type: String) -> Bool { value(type) == "True" }
        let name =
            "\(object["kind"]?.stringValue ?? "") \(conditions.map { "\($0["type"]?.stringValue ?? "")=\($0["status"]?.stringValue ?? "")/\($0["reason"]?.stringValue ?? "")" })"
        let generation = metadata["generation"]?.integerValue ?? 0
        let observed = status["observedGeneration"]?.integerValue ?? -1
        let rules: [(String, Bool)] = [
            ("FAIL0001", isTrue("Ready") && (isTrue("Reconciling") || isTrue("Stalled") || isTrue("Failed"))),
            ("FAIL0002", value("Ready") == nil),
            ("FAIL0003", isTrue("Reconciling") && value("Ready") != "False"),
            ("FAIL0004", isTrue("Stalled") && value("Ready") != "False"),
            ("FAIL0005", isTrue("Reconciling") && isTrue("Stalled")),
            ("FAIL0006", observed > generation),
            ("FAIL0007", observed < generation && isTrue("Ready")),
            ("a False negative left lying", value("Reconciling") == "False" || value("Stalled") == "False"),
            (
                "a condition of another generation",
                conditions.contains { $0["observedGeneration"]?.integerValue ?? -1 > generation }
            ),
        ]
        for (rule, isBroken) in rules where isBroken { violated("I8", "\(rule): \(name)") }
        let uid = metadata["uid"]?.stringValue ?? ""
        let poolCount = pools(of: uid).count
        if poolCount > 0, isTrue("ComputeReleased") || isTrue("Ready") {
            violated("I8", "\(name): says that compute is released while a pool is there")
        }
        guard isTrue("Ready"), let wanted = object.value(at: ["spec", "bucket", "name"])?.stringValue else { return }
        let bucket = await bucket(wanted)
        if bucket?.value(at: ["labels", Ownership.ownerLabel])?.stringValue != uid {
            violated("I8", "\(name): Ready without its bucket")
        }
    }

    private func pools(of uid: String) -> [SimulatedNodePool] {
        world.cloud.nodePools().filter { pool in
            let labels = pool.config["resourceLabels"]
            return isOurs(labels) && labels?[Ownership.ownerLabel]?.stringValue == uid
        }
    }

    /// I4: the finalizer leaves only when nothing of the object is left that should go with it.
    private func checkFinalizer(_ object: JSONValue) async {
        let metadata = object["metadata"] ?? [:]
        let finalizers = metadata["finalizers"]?.arrayValue ?? []
        guard metadata["deletionTimestamp"] != nil, !finalizers.contains(.string(Ownership.finalizer)) else { return }
        let uid = metadata["uid"]?.stringValue ?? ""
        let left = pools(of: uid)
        if !left.isEmpty { violated("I4", "the finalizer went while \(left.count) node pools are left") }
        if object["kind"] == "ModelEndpoint", object.value(at: ["spec", "deletionPolicy"]) != "Orphan",
            world.cloud.runServiceOwners().contains(uid)
        {
            violated("I4", "the finalizer went while the service is left")
        }
        guard object.value(at: ["spec", "deletionPolicy"]) == "DeleteBucket", !state.withLock(\.isKindGoing),
            let name = object.value(at: ["spec", "bucket", "name"])?.stringValue, let bucket = await bucket(name)
        else { return }
        if bucket.value(at: ["labels", Ownership.ownerLabel])?.stringValue == uid {
            violated("I4", "the finalizer went while the bucket is left")
        }
    }

    // MARK: The end

    /// I1: everything in the cloud that carries our labels has a living owner, or was to be kept.
    func checkLeaks() async throws {
        let jobs = try await admin.list(TrainingJob.resourceType).items
        let uids = Set(jobs.compactMap { $0.value(at: ["metadata", "uid"])?.stringValue })
        for pool in world.cloud.nodePools() where isOurs(pool.config["resourceLabels"]) {
            let owner = pool.config.value(at: ["resourceLabels", Ownership.ownerLabel])?.stringValue ?? ""
            if !uids.contains(owner) { violated("I1", "a node pool has no owner any more") }
        }
        let endpoints = try await admin.list(ModelEndpoint.resourceType).items
        let served = Set(endpoints.compactMap { $0.value(at: ["metadata", "uid"])?.stringValue })
        for owner in world.cloud.runServiceOwners() where !served.contains(owner) && !state.withLock(\.mayOrphan) {
            violated("I1", "a Cloud Run service has no owner any more")
        }
    }

    /// The whole world without what depends on when things happened.
    func endState(buckets: [String]) async throws -> [String] {
        var lines: [String] = []
        let kinds = [
            TrainingJob.resourceType, GCSArtifact.resourceType, ModelEndpoint.resourceType, Job.resourceType,
            Service.resourceType, ControllerRevision.resourceType,
        ]
        for kind in kinds {
            for object in try await admin.list(kind).items {
                let name = object.value(at: ["metadata", "name"])?.stringValue ?? ""
                let finalizers = (object.value(at: ["metadata", "finalizers"])?.arrayValue ?? []).map {
                    $0.serializedText()
                }
                let isOwn = kind.group == "trainyard.dev"
                let status = isOwn ? EndState.masked(object["status"] ?? .null).serializedText() : ""
                lines.append("\(kind.kind) \(name) \(finalizers) \(status)")
            }
        }
        let pods = try await admin.list(Pod.resourceType).items.map { pod in
            "Pod \(pod.value(at: ["metadata", "labels", "batch.kubernetes.io/job-name"])?.stringValue ?? "") "
                + (pod.value(at: ["status", "phase"])?.stringValue ?? "")
        }
        lines += pods
        lines += world.cloud.runServiceLines().map { "Service \($0)" }
        let secrets = ResourceType(group: "", version: "v1", kind: "Secret", plural: "secrets")
        lines += try await admin.list(secrets).items.map { secret in
            let keys = (secret["data"]?.objectValue ?? [:]).keys.sorted()
            return "Secret \(secret.value(at: ["metadata", "name"])?.stringValue ?? "") \(keys)"
        }
        lines += world.cloud.nodePools().map { "NodePool \($0.name) \($0.status) \($0.instances.count)" }
        for name in buckets {
            guard let bucket = await bucket(name) else { continue }
            let labels = (bucket["labels"] ?? .null).serializedText()
            lines.append("Bucket \(name) \(labels) \(world.cloud.objectNames(bucket: name))")
        }
        let aliases = state.withLock(\.aliases)
        return lines.map { EndState.renamed($0, aliases) }.sorted()
    }
}

/// What of an object is the same whenever and however often things happened.
enum EndState {
    private static let dropped: Set<String> = [
        "cost", "activeSeconds", "message", "trainerStatus", "checkpoint", "generation", "metageneration", "digest",
        "summary", "count", "toStep", "fromStep", "hint", "node", "time", "nodes", "observedGeneration",
        "logURL", "preflight", "storage", "modelDigest", "templateHash", "settingsHash",
    ]

    static func masked(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let members):
            var result: [String: JSONValue] = [:]
            for (key, member) in members where !dropped.contains(key) && !key.hasSuffix("Time") {
                result[key] = masked(member)
            }
            return .object(result)
        case .array(let elements): return .array(elements.map(masked))
        default: return value
        }
    }

    /// Uids by their aliases, also where they are shortened; derived hashes by a word.
    static func renamed(_ line: String, _ aliases: [String: String]) -> String {
        var line = line
        for (uid, alias) in aliases {
            line = line.replacing(uid, with: "<\(alias)>").replacing("-\(uid.prefix(5))-", with: "-<\(alias)>-")
        }
        return line.replacing(/ty-[0-9a-f]{16}/, with: "ty-<hash>")
    }
}
