public import ControllerRuntime
import Encoding
public import GoogleCloud
public import HTTP
public import Kubernetes
import Synchronization
public import Telemetry
import TrainingContract

/// Runs TrainingJobs: reads the world for the plan, and does what it decided.
public final class TrainingJobController: Controller {
    public typealias Object = TrainingJob

    /// A create that the cloud refused for certain.
    private struct Refusal {
        var error: APIError
        var time: Timestamp
    }

    private let configuration: OperatorConfiguration
    private let kubernetes: KubernetesClient
    private let container: ContainerClient
    private let storage: StorageClient
    private let clock: any WallClock
    private let artifacts: ObjectStore<GCSArtifact>
    private let jobs: ObjectStore<Job>
    private let pods: ObjectStore<Pod>
    private let services: ObjectStore<Service>
    private let nodes: ObjectStore<Node>
    /// By pool name. Memory only: after a restart the create is sent, and refused, once more.
    private let refusals = Mutex<[String: Refusal]>([:])

    public init(
        configuration: OperatorConfiguration, kubernetes: KubernetesClient, container: ContainerClient,
        storage: StorageClient, cache: ObjectCache, clock: any WallClock
    ) {
        self.configuration = configuration
        self.kubernetes = kubernetes
        self.container = container
        self.storage = storage
        self.clock = clock
        artifacts = cache.store(GCSArtifact.self)
        jobs = cache.store(Job.self, labelSelector: Ownership.jobLabel)
        pods = cache.store(Pod.self, labelSelector: Ownership.jobLabel)
        services = cache.store(Service.self, labelSelector: Ownership.jobLabel)
        nodes = cache.store(Node.self, labelSelector: Ownership.jobLabel)
    }

    public static var relations: [Relation<TrainingJob>] {
        [
            .children(Job.self, labelSelector: Ownership.jobLabel),
            .children(Service.self, labelSelector: Ownership.jobLabel),
            .labelled(Pod.self, Ownership.jobLabel),
            .nodes,
            .references(GCSArtifact.self) { job in
                TrainingJobInputs.references(RunSpec(job.spec)).map {
                    ObjectKey(namespace: job.metadata.namespace, name: $0.name)
                }
            },
        ]
    }

    /// An object that another controller manages gets no finalizer and no status from us.
    public func isManaged(_ object: TrainingJob) -> Bool { object.spec.managedBy == TrainingJob.manager }

    public static func plan(
        _ observation: TrainingJobObservation
    ) -> Plan<TrainingJob.Status, TrainingJobAction> {
        TrainingJobPlan.plan(observation)
    }
}

extension Relation where Object == TrainingJob {
    /// Nodes of our pools carry the TrainingJob's namespace and name.
    fileprivate static var nodes: Relation {
        .referrers(Node.self, labelSelector: Ownership.jobLabel) { node in
            guard let name = node.metadata.labels?[Ownership.jobLabel] else { return [] }
            return [ObjectKey(namespace: node.metadata.labels?[Ownership.namespaceLabel], name: name)]
        }
    }
}

// MARK: Observing

extension TrainingJobController {
    public func observe(_ object: TrainingJob) async throws(APIError) -> TrainingJobObservation {
        var observation = TrainingJobObservation(job: object, configuration: configuration, now: clock.now)
        let name = object.metadata.name
        let namespace = object.metadata.namespace
        jobs.objects(in: namespace) { $0.metadata.labels?[Ownership.jobLabel] == name && Self.isChild($0, of: object) }
            .forEach { observation.jobs.append($0) }
        observation.jobs.sort { $0.metadata.name < $1.metadata.name }
        observation.pods = pods.objects(in: namespace) { $0.metadata.labels?[Ownership.jobLabel] == name }
            .sorted { $0.metadata.name < $1.metadata.name }
        observation.services = Set(
            services.objects(in: namespace) { Self.isChild($0, of: object) }.map(\.metadata.name))
        try await observeCloud(&observation)
        guard !object.metadata.isDeleting else { return observation }
        try await observeRevisions(&observation)
        try await observeArtifacts(&observation)
        try await observeBucket(&observation)
        return observation
    }

    private static func isChild(_ child: some KubernetesResource, of object: TrainingJob) -> Bool {
        child.metadata.ownerReferences?.contains { $0.uid == object.metadata.uid } == true
    }

    /// Node pools, operations and nodes; nothing is asked while nothing can be there.
    private func observeCloud(_ observation: inout TrainingJobObservation) async throws(APIError) {
        let status = observation.status
        let isSearching = observation.activeRun?.image != nil && !observation.spec.suspend
        guard observation.job.metadata.isDeleting || !status.resources.isEmpty || isSearching else { return }
        let known = Set(status.resources.map(\.name))
        let all = try await container.nodePools(in: configuration.cluster)
        let seen = observation
        observation.pools = all.filter { known.contains($0.name) || seen.isOurs($0) }
        observation.operations = try await container.operations(in: configuration.cluster)
        let names = known.union(observation.pools.map(\.name))
        observation.nodes = nodes.objects { node in
            node.metadata.labels?["cloud.google.com/gke-nodepool"].map(names.contains) ?? false
        }.sorted { $0.metadata.name < $1.metadata.name }
        observation.refusals = refusals(for: status.resources)
    }

    /// Refusals that came after the present intent.
    private func refusals(for resources: [CloudResource]) -> [String: APIError] {
        refusals.withLock { refusals in
            var result: [String: APIError] = [:]
            for entry in resources {
                guard let refusal = refusals[entry.name], let intent = entry.intentTime, refusal.time >= intent
                else { continue }
                result[entry.name] = refusal.error
            }
            return result
        }
    }

    /// The revisions of the active run and of the present spec, as long as one of them may be needed.
    private func observeRevisions(_ observation: inout TrainingJobObservation) async throws(APIError) {
        let hash = TrainingJobRun.presentHash(observation)
        var names: Set<String> = []
        if let run = observation.status.run {
            if run.result == nil, let name = run.revisionName { names.insert(name) }
            if run.result != nil, run.specHash != hash {
                names.insert(Naming.revision(job: observation.job.metadata.name, specHash: hash))
            }
        } else {
            names.insert(Naming.revision(job: observation.job.metadata.name, specHash: hash))
        }
        for name in names.sorted() {
            let revision = try await kubernetes.find(
                ControllerRevision.self, namespace: observation.job.metadata.namespace, name: name)
            guard let revision, Self.isChild(revision, of: observation.job), let data = revision.data else { continue }
            // One that does not decode was not written by this version: the plan says what follows from its absence.
            guard let spec = try? data.decode(RunSpec.self) else { continue }
            observation.revisions[name] = spec
        }
    }

    /// The artifacts of a run that still waits for them.
    private func observeArtifacts(_ observation: inout TrainingJobObservation) async throws(APIError) {
        guard let run = observation.activeRun, run.image == nil, let spec = observation.runSpec else { return }
        for (name, needsObjects) in TrainingJobInputs.references(spec) {
            let key = ObjectKey(namespace: observation.job.metadata.namespace, name: name)
            guard let artifact = artifacts[key], !artifact.metadata.isDeleting else { continue }
            var seen = ArtifactObservation(artifact)
            if needsObjects, seen.isReady, let uri = seen.uri.flatMap({ StorageURI($0) }) {
                seen.hasObjects = try await hasObjects(uri)
            }
            observation.artifacts[name] = seen
        }
    }

    private func hasObjects(_ uri: StorageURI) async throws(APIError) -> Bool {
        do throws(APIError) {
            let query = ObjectQuery(prefix: uri.path, pageSize: 1, limit: 1)
            return try await !storage.objects(in: uri.bucket, query).objects.isEmpty
        } catch  where error.code == .tooLarge {
            return true  // More than the one that was asked for.
        }
    }

    /// What the trainer wrote: its progress while it runs, its outputs when it has ended.
    private func observeBucket(_ observation: inout TrainingJobObservation) async throws(APIError) {
        guard let run = observation.activeRun, let prefix = run.prefix.flatMap({ StorageURI($0) }) else { return }
        if observation.activeAttempt != nil || !observation.status.resources.isEmpty {
            observation.progress = await progress(prefix)
        }
        guard let attempt = observation.activeAttempt, observation.attemptJob(run, attempt)?.isComplete == true,
            let outputs = observation.runSpec?.outputs
        else {
            observation.outputs = .found(files: [:], documents: [:])
            return
        }
        do throws(APIError) {
            observation.outputs = try await found(outputs, prefix)
        } catch {
            if error.code == .cancelled { throw error }
            observation.outputs = .unreadable(error)
        }
    }

    /// nil when there is none, and when it cannot be read: progress is news, not a condition of anything.
    private func progress(_ prefix: StorageURI) async -> ProgressReport? {
        guard let uri = prefix.appending(BucketLayout.progress),
            let bytes = try? await storage.read(uri.path, in: uri.bucket, limit: 1 << 20).bytes
        else { return nil }
        return try? JSONValue(parsing: bytes).decode(ProgressReport.self)
    }

    private func found(
        _ outputs: TrainingJob.Outputs, _ prefix: StorageURI
    ) async throws(APIError) -> OutputsObservation {
        let listing = try await storage.objects(
            in: prefix.bucket, ObjectQuery(prefix: prefix.path, limit: 20_000))
        var files: [String: OutputFile] = [:]
        for object in listing.objects {
            files[String(object.name.dropFirst(prefix.path.count))] = OutputFile(
                sizeBytes: object.size, crc32c: object.crc32c ?? "", generation: object.generation)
        }
        var documents: [String: OutputDocument] = [:]
        for name in Set((outputs.assertions ?? []).map(\.file)).sorted() {
            guard let file = files[name] else { continue }
            documents[name] = try await document(prefix.path + name, in: prefix.bucket, file)
        }
        return .found(files: files, documents: documents)
    }

    private func document(
        _ name: String, in bucket: String, _ file: OutputFile
    ) async throws(APIError) -> OutputDocument {
        guard file.sizeBytes <= 1 << 20 else { return .unusable("has more than 1 MiB") }
        let bytes = try await storage.read(name, in: bucket, generation: file.generation, limit: 1 << 20).bytes
        do throws(JSONError) {
            return .json(try JSONValue(parsing: bytes))
        } catch {
            return .unusable("is not JSON: \(error.description)")
        }
    }
}

extension ArtifactObservation {
    init(_ artifact: GCSArtifact) {
        let ready = artifact.status?.conditions.first { $0.type == "Ready" }
        let isCurrent = artifact.status?.observedGeneration == artifact.metadata.generation
        self.init(
            isReady: ready?.status == .true && isCurrent, uri: artifact.status?.uri,
            message: ready?.message ?? "it was not looked at yet", version: artifact.status?.latestVersion?.name,
            digest: artifact.status?.latestVersion?.digest, hasObjects: false)
    }
}

// MARK: Performing

extension TrainingJobController {
    public func perform(_ action: TrainingJobAction) async throws(APIError) {
        switch action {
        case .createNodePool(let pool, let owner): try await create(pool, owner)
        case .setNodePoolSize(let name, let nodeCount, let owner):
            guard let pool = try await livePool(name), isOurs(pool, owner), pool.status != .stopping else { return }
            do throws(APIError) {
                _ = try await container.setNodePoolSize(name, nodeCount: nodeCount, in: configuration.cluster)
            } catch  where error.code == .notFound {
                return
            }
        case .deleteNodePool(let name, let owner):
            guard let pool = try await livePool(name), isOurs(pool, owner), pool.status != .stopping else { return }
            do throws(APIError) {
                _ = try await container.deleteNodePool(name, in: configuration.cluster)
            } catch  where error.code == .notFound {
                return
            }
        }
    }

    private func livePool(_ name: String) async throws(APIError) -> NodePool? {
        do throws(APIError) {
            return try await container.nodePool(name, in: configuration.cluster)
        } catch  where error.code == .notFound {
            return nil
        }
    }

    private func isOurs(_ pool: NodePool, _ owner: ObjectReference) -> Bool {
        Ownership.isOurs(pool, ownerUID: owner.uid ?? "", clusterUID: configuration.clusterUID)
    }

    /// Creates a pool if the object, read live, still has the intent: a cache that is behind must not buy machines.
    private func create(_ pool: NodePool, _ owner: ObjectReference) async throws(APIError) {
        let operation = "container.nodePools.create"
        let live = try await kubernetes.find(TrainingJob.self, namespace: owner.namespace, name: owner.name)
        guard let live, live.metadata.uid == owner.uid, !live.metadata.isDeleting,
            live.status?.resources.contains(where: { $0.name == pool.name }) == true
        else {
            throw APIError(.conflict, operation: operation, message: "the object no longer intends \(pool.name)")
        }
        do throws(APIError) {
            _ = try await container.createNodePool(pool, in: configuration.cluster)
        } catch {
            switch error.code {
            case .alreadyExists: return  // The next observation says whose it is.
            case .invalid, .quotaExceeded, .stockedOut: refuse(pool.name, error)
            default: throw error
            }
        }
    }

    private func refuse(_ name: String, _ error: APIError) {
        let now = clock.now
        refusals.withLock { refusals in
            refusals = refusals.filter { now - $0.value.time < .seconds(3600) }
            refusals[name] = Refusal(error: error, time: now)
        }
    }
}
