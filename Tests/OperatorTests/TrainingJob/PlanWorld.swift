import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Testing

@testable import Operator

/// A tiny world around the pure plan: performs its steps and lets time pass, without a server. It follows GKE's rules:
/// one operation per cluster at a time, a stock-out shows at the resize and leaves the pool behind.
struct PlanWorld {
    /// How the pods of an attempt end.
    enum PodScript {
        case succeed
        case exit(Int32)
        /// Compute Engine takes the machine.
        case disrupt
        case runForever
    }

    struct Crash: Error {}

    var job: TrainingJob
    var now = start
    var scripts: [PodScript] = []
    var stockouts: Set<String> = ["spot/us-central1-a"]
    var accuracy = 90.0
    var filesArePresent = true

    /// What the bucket remembers.
    var marker = MarkerObservation.absent

    private(set) var revisions: [String: RunSpec] = [:]
    private(set) var jobs: [Job] = []
    private(set) var pods: [Pod] = []
    private(set) var services: Set<String> = []
    private(set) var nodes: [Node] = []
    private(set) var pools: [NodePool] = []
    private(set) var operations: [ContainerOperation] = []
    /// Creates by pool name that reached the cloud and made something.
    private(set) var createCounts: [String: Int] = [:]
    private(set) var deleteCounts: [String: Int] = [:]
    private(set) var isFinalized = false
    private(set) var actionCount = 0
    private(set) var statusWriteCount = 0
    /// Statuses in order of writing.
    private(set) var history: [TrainingJob.Status] = []
    private var podStarts: [String: Timestamp] = [:]

    init(_ job: TrainingJob, scripts: [PodScript] = []) {
        self.job = job
        self.scripts = scripts
    }

    /// Rounds until nothing happens any more.
    ///
    /// - Parameters:
    ///   - crashAt: the process dies after this many actions (steps and status writes), and starts again.
    ///   - staleAt: this round sees the object as it was one write ago.
    mutating func settle(crashAt: Int? = nil, staleAt: Int? = nil, maximumRounds: Int = 600) async -> Bool {
        var crash = crashAt
        var previous = job
        for round in 0..<maximumRounds {
            await Task.yield()  // Many rounds with nothing to wait for: others' timeouts go on meanwhile.
            guard !isFinalized else { return true }
            let seen = round == staleAt ? previous : job
            previous = job
            let before = actionCount
            do {
                let plan = try perform(seen, crashAt: crash)
                if actionCount == before, plan.next == .whenChanged { return true }
                if case .after(let delay) = plan.next { now = now + max(delay, .seconds(1)) }
            } catch {
                if error is Crash { crash = nil }
                now = now + .seconds(2)
            }
            tick()
        }
        return false
    }

    /// `settle`, which must succeed.
    mutating func expectSettled(
        crashAt: Int? = nil, staleAt: Int? = nil, at location: SourceLocation = #_sourceLocation
    ) async {
        let isSettled = await settle(crashAt: crashAt, staleAt: staleAt)
        let conditions = job.status?.conditions.map { "\($0.type)=\($0.status.rawValue)/\($0.reason)" } ?? []
        #expect(
            isSettled, "crash \(crashAt ?? -1), stale \(staleAt ?? -1): \(conditions)", sourceLocation: location)
    }

    /// One round: observe, plan, perform, write.
    private mutating func perform(
        _ seen: TrainingJob, crashAt: Int?
    ) throws -> Plan<TrainingJob.Status, TrainingJobAction> {
        func check() throws { if let crashAt, actionCount >= crashAt { throw Crash() } }
        let plan = TrainingJobPlan.plan(observe(seen))
        for step in plan.steps {
            try check()
            actionCount += 1
            try act(step)
        }
        var status = plan.status
        status.conditions = Conditions.merge(
            status.conditions, over: seen.status?.conditions ?? [], generation: seen.metadata.generation, now: now)
        guard status != seen.status else { return finalize(plan) }
        try check()
        guard seen.metadata.resourceVersion == job.metadata.resourceVersion else {
            throw APIError(.conflict, operation: "PATCH status", message: "stale")
        }
        actionCount += 1
        statusWriteCount += 1
        job.status = status
        job.metadata.resourceVersion = String(statusWriteCount + 1)
        history.append(status)
        return finalize(plan)
    }

    private mutating func finalize(
        _ plan: Plan<TrainingJob.Status, TrainingJobAction>
    ) -> Plan<TrainingJob.Status, TrainingJobAction> {
        if plan.next == .finalized { isFinalized = true }
        return plan
    }

    func observe(_ seen: TrainingJob) -> TrainingJobObservation {
        var result = TrainingJobObservation(job: seen, configuration: configuration(), now: now)
        result.revisions = revisions
        result.artifacts = [
            "dataset": readyArtifact("gs://data-bucket/"), "runs": readyArtifact("gs://runs-bucket/"),
        ]
        result.jobs = jobs
        result.pods = pods
        result.services = services
        result.nodes = nodes
        result.pools = pools
        result.operations = operations
        result.outputs = .found(files: [:], documents: [:])
        result.marker = marker
        if jobs.contains(where: \.isComplete), filesArePresent {
            result.outputs = .found(
                files: [
                    "metrics.json": OutputFile(sizeBytes: 100, crc32c: "AAAAAA==", generation: 1),
                    "model.safetensors": OutputFile(sizeBytes: 4_800_000, crc32c: "BBBBBB==", generation: 2),
                ], documents: ["metrics.json": .json(["test_accuracy": [80.5, .number(accuracy)]])])
        }
        return result
    }

    // MARK: Acting

    private mutating func act(_ step: TrainingJobDecision.Step) throws {
        switch step {
        case .apply(let manifest): try apply(manifest)
        case .delete(let reference), .deleteAtOnce(let reference): deleteJob(reference.name)
        case .cloud(let action): try cloud(action)
        }
    }

    private mutating func apply(_ manifest: Manifest) throws {
        switch manifest.type.kind {
        case "ControllerRevision":
            revisions[manifest.name] = try manifest.body["data"]?.decode(RunSpec.self)
        case "Service": services.insert(manifest.name)
        case "Job" where !jobs.contains { $0.metadata.name == manifest.name }:
            let metadata = ObjectMeta(name: manifest.name, namespace: "ml", uid: "uid-\(manifest.name)")
            jobs.append(Job(metadata: metadata, spec: .init(completions: 1), status: .init()))
        default: break
        }
    }

    private mutating func deleteJob(_ name: String) {
        jobs.removeAll { $0.metadata.name == name }
        // SIGTERM, a checkpoint, gone.
        pods.removeAll { $0.metadata.ownerReferences?.first?.name == name }
    }

    private mutating func cloud(_ action: TrainingJobAction) throws {
        if operations.contains(where: { !$0.isDone }) {
            throw APIError(.rateLimited, operation: "nodePools", message: "Cluster is running incompatible operation")
        }
        switch action {
        case .createNodePool(let request, _):
            guard job.status?.resources.contains(where: { $0.name == request.name }) == true else {
                throw APIError(.conflict, operation: "create", message: "no intent")
            }
            guard !pools.contains(where: { $0.name == request.name }) else { return }
            var pool = request
            pool.status = .provisioning
            pools.append(pool)
            createCounts[pool.name, default: 0] += 1
            startOperation("CREATE_NODE_POOL", pool.name)
        case .setNodePoolSize(let name, _, _):
            guard pools.contains(where: { $0.name == name }) else { return }
            startOperation("SET_NODE_POOL_SIZE", name)
        case .deleteNodePool(let name, _):
            guard let index = pools.firstIndex(where: { $0.name == name }), pools[index].status != .stopping else {
                return
            }
            pools[index].status = .stopping
            deleteCounts[name, default: 0] += 1
            startOperation("DELETE_NODE_POOL", name)
        case .writeObject(let write):
            marker = .found(try JSONValue(parsing: write.text).decode(), generation: write.generation + 1)
        case .probe, .updateWorkload: break  // There is no queue here.
        }
    }

    private mutating func startOperation(_ type: String, _ pool: String) {
        var started = operation(type, on: pool, status: .running)
        started.name += "-\(operations.count)"
        started.startTime = now.description
        operations.append(started)
    }

    // MARK: Time

    private mutating func tick() {
        for index in operations.indices where !operations[index].isDone {
            guard let begun = operations[index].startTime.flatMap({ Timestamp($0) }), now - begun >= .seconds(3) else {
                continue
            }
            operations[index].status = .done
            operations[index].error = finish(operations[index])
        }
        runPods()
    }

    private mutating func finish(_ operation: ContainerOperation) -> ContainerOperation.RPCStatus? {
        guard let name = operation.targetLink?.split(separator: "/").last.map(String.init),
            let index = pools.firstIndex(where: { $0.name == name })
        else { return nil }
        switch operation.operationType {
        case "CREATE_NODE_POOL": pools[index].status = .running
        case "SET_NODE_POOL_SIZE":
            let model = pools[index].config?.spot == true ? "spot" : "on-demand"
            if stockouts.contains("\(model)/\(pools[index].locations?.first ?? "")") {
                pools[index].status = .error
                pools[index].conditions = [StatusCondition(code: "GCE_STOCKOUT", message: "[GCE_STOCKOUT]: none left")]
                return .init(code: 8, message: "[GCE_STOCKOUT]: none left")
            }
            pools[index].status = .running
            nodes = nodes.filter { $0.metadata.labels?["cloud.google.com/gke-nodepool"] != name } + [node(name)]
        default:
            pools.remove(at: index)
            nodes.removeAll { $0.metadata.labels?["cloud.google.com/gke-nodepool"] == name }
        }
        return nil
    }

    private mutating func runPods() {
        for index in jobs.indices where !jobs[index].isEnding {
            let name = jobs[index].metadata.name
            guard let begun = podStarts[name] else {
                podStarts[name] = now
                pods.append(pod(of: name, phase: "Running"))
                continue
            }
            guard now - begun >= .seconds(10) else { continue }
            let attempt = Int(name.split(separator: "a").last ?? "1") ?? 1
            endPods(
                of: name, at: index, script: scripts.indices.contains(attempt - 1) ? scripts[attempt - 1] : .succeed)
        }
    }

    private mutating func endPods(of name: String, at index: Int, script: PodScript) {
        func replace(_ pod: Pod) {
            pods.removeAll { $0.metadata.name == pod.metadata.name }
            pods.append(pod)
        }
        switch script {
        case .runForever: return
        case .succeed:
            jobs[index].status?.completionTime = now
            jobs[index].status?.conditions = [ObjectCondition(type: "Complete", status: .true)]
            replace(pod(of: name, phase: "Succeeded", exitCode: 0))
        case .exit(let code):
            jobs[index].status?.conditions = [ObjectCondition(type: "Failed", status: .true)]
            replace(pod(of: name, phase: "Failed", exitCode: code))
        case .disrupt:
            jobs[index].status?.conditions = [
                ObjectCondition(type: "Failed", status: .true, message: "Pod has condition DisruptionTarget")
            ]
            pods.removeAll { $0.metadata.ownerReferences?.first?.name == name }
            nodes.removeAll()
        }
    }

    private func pod(of job: String, phase: String, exitCode: Int32? = nil) -> Pod {
        Pod(
            metadata: ObjectMeta(
                name: "\(job)-0-abcde", namespace: "ml",
                ownerReferences: [OwnerReference(apiVersion: "batch/v1", kind: "Job", name: job, uid: "uid-\(job)")]),
            spec: .init(nodeName: "node-0"),
            status: .init(
                phase: phase,
                containerStatuses: [
                    ContainerStatus(
                        name: "trainer",
                        state: ContainerState(terminated: exitCode.map { .init(exitCode: $0, finishedAt: now) }))
                ]))
    }
}
