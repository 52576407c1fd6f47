import Encoding
import Glibc
import HTTP
import Kubernetes
import Operator

/// The figures that make sense against a real API server: cold start, memory, and how many new objects a second get
/// their first status. Makes a namespace, the operator's CRDs where they are missing, and the objects; takes away what
/// it made. Google is the canned server, which nothing is asked of but the cluster's name.
struct RealCluster: Sendable {
    let kubeconfig: String
    let objectCount: Int
    let namespace = "trainyard-bench-" + String(UInt32.random(in: .min ... .max), radix: 36)

    init(kubeconfig: String, objectCount: Int) {
        self.kubeconfig = kubeconfig
        self.objectCount = objectCount
    }

    func run(into results: inout Results) async throws {
        let connection = try ClusterConnection.find(kubeconfig: kubeconfig, environment: [:])
        let client = try connection.client(userAgent: "trainyard-benchmarks")
        try await ServerProcess.with(objects: 0) { google in
            let made = try await install(client)
            do {
                try await measure(client, google, &results)
            } catch {
                await remove(client, made)
                throw error
            }
            await remove(client, made)
        }
    }

    private func measure(
        _ client: KubernetesClient, _ google: ServerProcess, _ results: inout Results
    ) async throws {
        let empty = try await footprint(google).bytes
        results.set(.emptyResidentMB, empty / 1e6)
        say("creating \(objectCount) objects …")
        try await fill(client)
        let full = try await footprint(google)
        results.set(.coldStartSeconds, full.seconds)
        results.set(.bytesPerObject, (full.bytes - empty) / Double(objectCount))
        results.remark("first statuses a second: " + Text.number(try await firstStatuses(client, google, count: 500)))
    }

    // MARK: Objects

    /// The names of the CRDs that were missing.
    ///
    /// - Parameter isBare: without their schemas and rules.
    func install(_ client: KubernetesClient, isBare: Bool = false) async throws -> [String] {
        var made: [String] = []
        for full in try Idle.crds() {
            let crd = isBare ? Self.bare(full) : full
            let name = crd.value(at: ["metadata", "name"])?.stringValue ?? ""
            if try await client.find(Self.crdType, namespace: nil, name: name) == nil {
                try await client.create(Self.crdType, crd)
                made.append(name)
            }
        }
        try await client.create(Self.namespaceType, ["metadata": ["name": .string(namespace)]])
        let deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline {
            // A CRD is served a moment after it was made.
            if (try? await client.listPage(TrainingJob.resourceType, limit: 1)) != nil,
                (try? await client.listPage(GCSArtifact.resourceType, limit: 1)) != nil
            {
                return made
            }
            await Machine.sleep(milliseconds: 200)
        }
        throw BenchmarkError("the API server does not serve TrainingJobs")
    }

    /// A definition that takes everything: the server has next to nothing to check.
    private static func bare(_ crd: JSONValue) -> JSONValue {
        var crd = crd
        let versions = crd.value(at: ["spec", "versions"])?.arrayValue ?? []
        crd.set(
            .array(
                versions.map { version in
                    var version = version
                    version["schema"] = [
                        "openAPIV3Schema": ["type": "object", "x-kubernetes-preserve-unknown-fields": true]
                    ]
                    version["selectableFields"] = nil
                    return version
                }), at: ["spec", "versions"])
        return crd
    }

    func remove(_ client: KubernetesClient, _ crds: [String]) async {
        // What fails here is left over; the next lines of this program say that it is over.
        for name in crds { try? await client.delete(ObjectReference(type: Self.crdType, namespace: nil, name: name)) }
        try? await client.delete(ObjectReference(type: Self.namespaceType, namespace: nil, name: namespace))
    }

    /// Objects that another manager owns: the operator reads them and touches none.
    ///
    /// - Parameter statusKeys: what of a finished job's status they have; nil: all of it, their full size.
    func fill(_ client: KubernetesClient, statusKeys: Set<String>? = nil) async throws {
        let fixture = try JobFixture()
        let indices = NextIndex(limit: objectCount)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    while let index = indices.next() {
                        var object = fixture.object(index, version: 0)
                        object.set(.string(namespace), at: ["metadata", "namespace"])
                        for key in ["resourceVersion", "uid", "managedFields", "finalizers", "creationTimestamp"] {
                            object.set(nil, at: ["metadata", key])
                        }
                        object.set("kueue.x-k8s.io/multikueue", at: ["spec", "managedBy"])
                        let whole = object["status"]?.objectValue ?? [:]
                        let status = JSONValue.object(whole.filter { statusKeys?.contains($0.key) ?? true })
                        var stored = try await client.create(TrainingJob.resourceType, object)
                        stored["status"] = status
                        _ = try await client.send(
                            .replace(
                                TrainingJob.resourceType, stored, subresource: "status",
                                fieldManager: "trainyard-operator"))
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    // MARK: Figures

    private func footprint(_ google: ServerProcess) async throws -> (bytes: Double, seconds: Double) {
        let start = Machine.nanoseconds
        let running = try started(google)
        try await running.waitUntilReady()
        let seconds = Double(Machine.nanoseconds - start) * 1e-9
        try await running.child.settle()
        return (try running.child.memory("VmRSS"), seconds)
    }

    func started(_ google: ServerProcess) throws -> OperatorChild {
        try OperatorChild(
            kubeconfig: kubeconfig, googleEndpoint: google.origin,
            log: "\(google.folder)/operator-\(Machine.nanoseconds).log",
            flags: ["--leader-election-namespace", namespace])
    }

    /// New suspended jobs get a finalizer and a status each: from the operator's start to the last of them.
    private func firstStatuses(_ client: KubernetesClient, _ google: ServerProcess, count: Int) async throws -> Double {
        for index in 0..<count {
            var object = JobFixture.fresh("fresh-\(index)", version: 0)
            object["metadata"] = ["name": .string("fresh-\(index)"), "namespace": .string(namespace)]
            try await client.create(TrainingJob.resourceType, object)
        }
        let running = try started(google)
        try await running.waitUntilReady()
        let start = Machine.nanoseconds
        let deadline = ContinuousClock.now + .seconds(120)
        let selection = ObjectSelection(namespace: namespace)
        while ContinuousClock.now < deadline {
            let jobs = try await client.list(TrainingJob.self, selection).items
            let done = jobs.count { $0.metadata.name.hasPrefix("fresh-") && $0.status?.observedGeneration ?? -1 > 0 }
            if done == count {
                try await release(client, jobs)
                return Double(count) / (Double(Machine.nanoseconds - start) * 1e-9)
            }
            await Machine.sleep(milliseconds: 100)
        }
        throw BenchmarkError("the new objects do not get their first status")
    }

    /// Takes the finalizers away, so that the namespace can go without the operator.
    private func release(_ client: KubernetesClient, _ jobs: [TrainingJob]) async throws {
        for job in jobs where job.metadata.finalizers?.isEmpty == false {
            try await client.mergePatch(ObjectReference(job), ["metadata": ["finalizers": []]])
        }
    }

    private static let crdType = ResourceType(
        group: "apiextensions.k8s.io", version: "v1", kind: "CustomResourceDefinition",
        plural: "customresourcedefinitions", isNamespaced: false)
    private static let namespaceType = ResourceType(
        group: "", version: "v1", kind: "Namespace", plural: "namespaces", isNamespaced: false)
}
