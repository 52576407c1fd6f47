import Encoding

/// Does what the annotations `sandbox.trainyard.dev/…` ask for; nobody but the sandbox reads them.
///
/// - `seed` of a GCSArtifact: a local folder, whose files are put below the artifact's `status.uri` as soon as the
///   bucket exists.
/// - `stockout` of a TrainingJob: `<provisioning>/<zone>`, separated by commas: no such machines while the job exists.
/// - `preempt-after` of a TrainingJob: seconds, separated by commas: the nth number of seconds after its nth pod
///   began to run, that pod's machine is reclaimed.
/// - `preempt-at-step` of a TrainingJob: steps, separated by commas: when its status first shows the nth of them, or a
///   later one, the machine of a pod that runs then is reclaimed.
actor SandboxAnnotations {
    private static let prefix = "sandbox.trainyard.dev/"
    private static let fileLimit = 10_000
    /// A larger seed file is refused: it is read into memory.
    private static let sizeLimitBytes = 1 << 30

    private let cluster: ClusterAccess
    private let cloud: SimulatedCloud
    private let ownStockouts: Set<String>
    private var stockouts: Set<String> = []
    private var seeded: Set<String> = []
    private var complaints: [String: String] = [:]
    private var preempted: [String: [String]] = [:]
    private var events = EventRecorder()

    init(cluster: ClusterAccess, cloud: SimulatedCloud, stockouts: Set<String>) {
        self.cluster = cluster
        self.cloud = cloud
        ownStockouts = stockouts
    }

    func apply(now: Timestamp) async {
        let group = ["apis", "trainyard.dev", "v1alpha1"]
        // Absent where a test's world has no such kind.
        if let artifacts = await cluster.list(group + ["gcsartifacts"]) {
            for artifact in artifacts { await seed(artifact, now: now) }
        }
        if let jobs = await cluster.list(group + ["trainingjobs"]) {
            applyStockouts(of: jobs)
            for job in jobs { await preempt(job, now: now) }
        }
    }

    private static func annotation(_ name: String, of object: JSONValue) -> String? {
        object.value(at: ["metadata", "annotations", prefix + name])?.stringValue
    }

    private static func uid(of object: JSONValue) -> String {
        object.value(at: ["metadata", "uid"])?.stringValue ?? ""
    }

    // MARK: Seeds

    private func seed(_ artifact: JSONValue, now: Timestamp) async {
        let uid = Self.uid(of: artifact)
        guard let folder = Self.annotation("seed", of: artifact), !seeded.contains(uid),
            let location = artifact.value(at: ["status", "uri"])?.stringValue.flatMap({ StorageLocation($0) }),
            cloud.bucketExists(location.bucket)
        else { return }
        guard let names = LocalFiles.files(below: folder, limit: Self.fileLimit), !names.isEmpty else {
            await complain(artifact, "The folder \(folder) that should fill this artifact is not there or empty", now)
            return
        }
        for name in names {
            do throws(SandboxError) {
                try put(folder + "/" + name, bucket: location.bucket, name: location.name + name)
            } catch {
                await complain(artifact, error.message, now)
                return
            }
        }
        seeded.insert(uid)
        let message = "Put \(names.count) files from \(folder) into gs://\(location.bucket)/\(location.name)"
        await tell(artifact, kind: "GCSArtifact", "Seeded", message, isWarning: false, now)
    }

    private func put(_ path: String, bucket: String, name: String) throws(SandboxError) {
        guard let size = LocalFiles.size(path), size <= Self.sizeLimitBytes,
            let bytes = LocalFiles.read(path, limit: size)
        else { throw SandboxError(.storage, "The file \(path) that should fill this artifact cannot be read") }
        let contentType = name.hasSuffix(".gz") ? "application/gzip" : "application/octet-stream"
        try cloud.putObject(bucket: bucket, name: name, bytes: bytes, contentType: contentType)
    }

    private func complain(_ artifact: JSONValue, _ message: String, _ now: Timestamp) async {
        guard complaints.updateValue(message, forKey: Self.uid(of: artifact)) != message else { return }
        await tell(artifact, kind: "GCSArtifact", "SeedFailed", message, isWarning: true, now)
    }

    private func tell(
        _ object: JSONValue, kind: String, _ reason: String, _ message: String, isWarning: Bool, _ now: Timestamp
    ) async {
        let about = ClusterEvent.reference(object, apiVersion: "trainyard.dev/v1alpha1", kind: kind)
        let event = ClusterEvent(
            about: about, isWarning: isWarning, reason: reason, message: message, component: "sandbox")
        await cluster.send(events.write(for: event, now: now))
    }

    // MARK: Stockouts

    private func applyStockouts(of jobs: [JSONValue]) {
        let entries = jobs.compactMap { Self.annotation("stockout", of: $0) }.flatMap(Self.list)
        let wanted = ownStockouts.union(entries)
        guard wanted != stockouts else { return }
        cloud.updateScript { script in
            // Those that a test put there by hand stay.
            script.stockouts.subtract(stockouts)
            script.stockouts.formUnion(wanted)
        }
        stockouts = wanted
    }

    private static func list(_ text: String) -> [String] {
        text.split(separator: ",").map { item in
            String(item.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
    }

    // MARK: Preemptions

    /// The next preemption that a job's annotations ask for.
    private enum Preemption {
        /// So long after the pod's start.
        case after(Duration)
        case now
    }

    private func preempt(_ job: JSONValue, now: Timestamp) async {
        let done = preempted[Self.uid(of: job)] ?? []
        guard let next = Self.preemption(number: done.count, of: job),
            let namespace = job.value(at: ["metadata", "namespace"])?.stringValue,
            let name = job.value(at: ["metadata", "name"])?.stringValue,
            let pods = await cluster.list(ClusterPath.pods(namespace))
        else { return }
        for pod in pods.map(PodView.init(object:)) where pod.labels["trainyard.dev/job"]?.stringValue == name {
            guard let node = pod.nodeName, pod.phase == "Running", !done.contains(pod.uid) else { continue }
            if case .after(let delay) = next {
                guard let start = pod.status["startTime"]?.stringValue.flatMap({ Timestamp($0) }), start + delay <= now
                else { continue }
            }
            cloud.preempt(instance: node)
            preempted[Self.uid(of: job)] = done + [pod.uid]
            return
        }
    }

    private static func preemption(number: Int, of job: JSONValue) -> Preemption? {
        func entry(_ name: String) -> Int64? {
            let entries = annotation(name, of: job).map(list) ?? []
            return entries.indices.contains(number) ? Int64(entries[number]) : nil
        }
        if let seconds = entry("preempt-after") { return .after(.seconds(seconds)) }
        guard let wanted = entry("preempt-at-step"),
            let step = job.value(at: ["status", "trainerStatus", "step"])?.integerValue, step >= wanted
        else { return nil }
        return .now
    }
}
