import ControllerRuntime
import Encoding
import GoogleCloud
public import HTTP
import Kubernetes
import Synchronization
import TrainingContract

extension TrainingJobController {
    public func observe(_ object: TrainingJob) async throws(APIError) -> TrainingJobObservation {
        // Cloud Storage is asked as whom the namespace stands for.
        try await CallOwner.named(object.metadata.namespace ?? "") { () async throws(APIError) in
            try await look(at: object)
        }
    }

    private func look(at object: TrainingJob) async throws(APIError) -> TrainingJobObservation {
        var observation = TrainingJobObservation(job: object, configuration: configuration, now: clock.now)
        let (now, uptime) = (observation.now, clock.uptime)
        observation.clockJumps = clockWatch.withLock { watch in
            watch.look(wall: now, uptime: uptime)
            return watch.jumps
        }
        let name = object.metadata.name
        let namespace = object.metadata.namespace
        // These stores are indexed by the job's label.
        observation.jobs = jobs.objects(in: namespace, labelled: name).filter { Self.isChild($0, of: object) }
            .sorted { $0.metadata.name < $1.metadata.name }
        observation.pods = try await ownPods(observation)
        observation.isQueueServed = workloads.isServed
        observation.workload = object.status?.run.flatMap { workloads[ObjectKey(namespace: namespace, name: $0.id)] }
        observation.isProvisioningServed = provisioningRequests.isServed
        for request in provisioningRequests.objects(in: namespace, labelled: name)
        where Self.isChild(request, of: object) {
            observation.provisioningRequests[request.metadata.name] = request
        }
        observation.services = Set(
            services.objects(in: namespace, labelled: name).filter { Self.isChild($0, of: object) }
                .map(\.metadata.name))
        try await observeCloud(&observation)
        guard !object.metadata.isDeleting else {
            stepWatch.withLock { $0.forget(observation.uid) }
            return observation
        }
        try await observeRevisions(&observation)
        try await observeArtifacts(&observation)
        try await observeMarker(&observation)
        try await observePriority(&observation)
        try await observePreflight(&observation)
        try await observeBucket(&observation)
        await observeLog(&observation)
        return observation
    }

    /// By label and uid: a namesake's pods are not ours, and ours may have lost their owner.
    ///
    /// Before a further attempt is started they are read live: two attempts never run side by side because a watch is
    /// behind.
    private func ownPods(_ observation: TrainingJobObservation) async throws(APIError) -> [Pod] {
        let metadata = observation.job.metadata
        let jobUIDs = Set(observation.jobs.compactMap(\.metadata.uid))
        func isOurs(_ pod: Pod) -> Bool {
            guard let labels = pod.metadata.labels, labels[Ownership.jobLabel] == metadata.name else { return false }
            return labels[Ownership.uidLabel] == metadata.ownerUID
                || pod.metadata.ownerReferences?.contains { jobUIDs.contains($0.uid) } == true
        }
        var found = pods.objects(in: metadata.namespace, labelled: metadata.name).filter(isOurs)
        if let run = observation.activeRun, let attempt = observation.activeAttempt, attempt.number > 1,
            observation.attemptJobs(run, attempt).isEmpty
        {
            let selection = ObjectSelection(
                namespace: metadata.namespace, labelSelector: "\(Ownership.jobLabel)=\(metadata.name)")
            found = try await kubernetes.list(Pod.self, selection).items.filter(isOurs)
        }
        return found.sorted { $0.metadata.name < $1.metadata.name }
    }

    private static func isChild(_ child: some KubernetesResource, of object: TrainingJob) -> Bool {
        child.metadata.ownerReferences?.contains { $0.uid == object.metadata.uid } == true
    }

    /// Node pools, operations and nodes; nothing is asked while nothing can be there.
    private func observeCloud(_ observation: inout TrainingJobObservation) async throws(APIError) {
        let status = observation.status
        let isSearching = observation.activeRun?.image != nil && !observation.spec.suspend
        // Without a run the status is new, or somebody lost it: then machines may be there that it does not know.
        let isUnknown = status.run == nil
        guard observation.job.metadata.isDeleting || !status.resources.isEmpty || isSearching || isUnknown else {
            return
        }
        let known = Set(status.resources.map(\.name))
        let age = observation.job.metadata.isDeleting ? Duration.zero : configuration.pollInterval / 2
        let all = try await poolList.value(notOlderThan: age, uptime: { self.clock.uptime }) { () throws(APIError) in
            try await container.nodePools(in: configuration.cluster)
        }
        let seen = observation
        observation.pools = all.filter { known.contains($0.name) || seen.isOurs($0) }
        observation.operations = try await operationList.value(
            notOlderThan: age, uptime: { self.clock.uptime }
        ) { () throws(APIError) in try await container.operations(in: configuration.cluster).items }
        // A list may be some seconds old, and may leave something out: nothing is forgotten that was not asked for by name.
        for name in known.subtracting(all.map(\.name)).sorted() {
            if let pool = try await livePool(name) { observation.pools.append(pool) }
        }
        let names = known.union(observation.pools.map(\.name))
        let podNodes = Set(observation.pods.compactMap { $0.spec?.nodeName })
        observation.nodes = nodes.objects { node in
            node.metadata.labels?["cloud.google.com/gke-nodepool"].map(names.contains) ?? false
                || podNodes.contains(node.metadata.name)
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
        var names: Set<String> = []
        let run = observation.status.run
        if let run, run.result == nil || TrainingJobPartialOutputs.isWanted(observation), let name = run.revisionName {
            names.insert(name)
        }
        if run.map({ $0.result != nil && TrainingJobRun.isChanged($0, observation) }) ?? true {
            let hash = TrainingJobRun.presentHash(observation)
            names.insert(Naming.revision(job: observation.job.metadata.name, uid: observation.uid, specHash: hash))
        }
        for name in names.sorted() {
            let revision = try await kubernetes.find(
                ControllerRevision.self, namespace: observation.job.metadata.namespace, name: name)
            guard let revision, !revision.metadata.isDeleting else { continue }
            guard Self.isChild(revision, of: observation.job) else {
                observation.unreadableRevisions[name] = "it does not belong to this object"
                continue
            }
            do throws(JSONError) {
                observation.revisions[name] = try (revision.data ?? .null).decode(RunSpec.self)
            } catch {
                observation.unreadableRevisions[name] = error.message
            }
        }
    }

    /// The artifacts of a run that still waits for them, or that is planned.
    private func observeArtifacts(_ observation: inout TrainingJobObservation) async throws(APIError) {
        let isPlanning = observation.status.run == nil && observation.spec.mode == .plan
        let isWaiting = observation.activeRun.map { $0.image == nil } ?? false
        guard let spec = isPlanning ? RunSpec(observation.spec) : isWaiting ? observation.runSpec : nil else { return }
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
        if TrainingJobPartialOutputs.isDue(observation) {
            guard let place = observation.status.run?.prefix.flatMap({ StorageURI($0) }),
                let outputs = observation.recordedSpec?.outputs
            else { return }
            return try await observeOutputs(outputs, place, &observation)
        }
        guard let run = observation.activeRun, let prefix = run.prefix.flatMap({ StorageURI($0) }) else { return }
        if observation.activeAttempt ?? observation.succeededAttempt != nil || !observation.status.resources.isEmpty {
            let read = await progress(prefix)
            observation.progress = read.report
            let seen = observation
            let uptime = clock.uptime
            observation.sameStepFor = stepWatch.withLock {
                $0.age(seen, isReadable: read.isReadable, uptime: uptime)
            }
        }
        guard observation.succeededAttempt != nil, let outputs = observation.runSpec?.outputs else {
            observation.outputs = .found(files: [:], documents: [:])
            return
        }
        try await observeOutputs(outputs, prefix, &observation)
    }

    private func observeOutputs(
        _ outputs: TrainingJob.Outputs, _ prefix: StorageURI, _ observation: inout TrainingJobObservation
    ) async throws(APIError) {
        do throws(APIError) {
            observation.outputs = try await found(outputs, prefix)
        } catch {
            if error.code == .cancelled { throw error }
            observation.outputs = .unreadable(error)
        }
    }

    /// Nothing when there is none, and when it cannot be read: progress is news, not a condition of anything.
    private func progress(_ prefix: StorageURI) async -> (report: ProgressReport?, isReadable: Bool) {
        guard let uri = prefix.appending(BucketLayout.progress) else { return (nil, true) }
        do throws(APIError) {
            let bytes = try await storage.read(uri.path, in: uri.bucket, limit: 1 << 20).bytes
            // What is no report is as good as none.
            return (try? JSONValue(parsing: bytes).decode(ProgressReport.self), true)
        } catch {
            return (nil, error.code == .notFound)
        }
    }

    /// What a pod that stands still said last, before it is ended; without it the attempt ends all the same.
    private func observeLog(_ observation: inout TrainingJobObservation) async {
        guard TrainingJobStall.isOverdue(observation),
            let pod = TrainingJobStall.runningPods(observation).first
        else { return }
        observation.logTail = try? await kubernetes.log(
            ofPod: pod.metadata.name, namespace: pod.metadata.namespace, container: TrainingJobPods.container,
            lineCount: TrainingJobStall.logLineCount)
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
