import Encoding
import Glibc
import HTTP
import Kubernetes
import Operator

/// The operator beside what others build operators with, in turns on one real API server: how long until all
/// TrainingJobs are read, what memory they take, and how many statuses two workers patch a second.
struct Comparison: Sendable {
    private var kubeconfig = ""
    private var informer: String?
    private var kopf: String?
    private var handlers = ""
    private var objectCount = 10_000
    private var rounds = 3
    private var patchCount = 2_000
    private var isBare = false

    init(_ arguments: some Collection<String>) throws {
        var flags = Flags(arguments)
        while let flag = flags.next() {
            switch flag {
            case "--kubeconfig": kubeconfig = try flags.value()
            case "--informer": informer = try flags.value()
            case "--kopf": kopf = try flags.value()
            case "--handlers": handlers = try flags.value()
            case "--objects": objectCount = try flags.number(1...100_000)
            case "--rounds": rounds = try flags.number(1...20)
            case "--patches": patchCount = try flags.number(1...100_000)
            case "--bare": isBare = true
            default: throw flags.unknown
            }
        }
        guard !kubeconfig.isEmpty else { throw BenchmarkError("--kubeconfig is needed\n\(usage)") }
        guard kopf == nil || !handlers.isEmpty else { throw BenchmarkError("--kopf needs --handlers\n\(usage)") }
    }

    private enum Contender: String, CaseIterable {
        case trainyard = "trainyard-operator"
        case informer = "client-go dynamic informer"
        case kopf = "kopf"
    }

    private var contenders: [Contender] {
        Contender.allCases.filter { ($0 != .informer || informer != nil) && ($0 != .kopf || kopf != nil) }
    }

    private struct Measured {
        var emptyBytes: [Double] = []
        var seconds: [Double] = []
        var bytes: [Double] = []
        var patchesPerSecond: [Double] = []
        /// CPU time of the contender for each patch; not of kopf, which patches while it still reads.
        var patchMilliseconds: [Double] = []
    }

    /// - Returns: the table.
    func run() async throws -> String {
        let cluster = RealCluster(kubeconfig: kubeconfig, objectCount: objectCount)
        let client = try ClusterConnection.find(kubeconfig: kubeconfig, environment: [:])
            .client(userAgent: "trainyard-benchmarks")
        return try await ServerProcess.with(objects: 0) { google in
            let made = try await cluster.install(client, isBare: isBare)
            do {
                let table = try await measure(cluster, client, google)
                await cluster.remove(client, made)
                return table
            } catch {
                await cluster.remove(client, made)
                throw error
            }
        }
    }

    private func measure(
        _ cluster: RealCluster, _ client: KubernetesClient, _ google: ServerProcess
    ) async throws -> String {
        let stage = Stage(comparison: self, cluster: cluster, client: client, google: google)
        var all: [Contender: Measured] = [:]
        for contender in contenders {
            say("\(contender.rawValue) without objects …")
            let bytes = try await stage.rest(contender, objects: 0).bytes
            all[contender, default: Measured()].emptyBytes.append(bytes)
        }
        say("creating \(objectCount) objects …")
        try await cluster.fill(client, statusKeys: ["observedGeneration", "state", "conditions"])
        for round in 1...rounds {
            for contender in contenders {
                say("round \(round): \(contender.rawValue) …")
                let found = try await stage.rest(contender, objects: objectCount)
                all[contender, default: Measured()].seconds.append(found.seconds)
                all[contender, default: Measured()].bytes.append(found.bytes)
                let patches = try await stage.patches(contender)
                all[contender, default: Measured()].patchesPerSecond.append(patches.perSecond)
                if let milliseconds = patches.milliseconds {
                    all[contender, default: Measured()].patchMilliseconds.append(milliseconds)
                }
            }
        }
        return try await table(all, cluster, client)
    }

    private func table(
        _ all: [Contender: Measured], _ cluster: RealCluster, _ client: KubernetesClient
    ) async throws -> String {
        let page = try await client.listPage(
            TrainingJob.resourceType, ObjectSelection(namespace: cluster.namespace), limit: 1)
        let size = page.items.first?.value.serialized().count ?? 0
        var rows = [["", "synced, s", "empty, MB", "full, MB", "KB per object", "status patches/s", "CPU ms a patch"]]
        for contender in contenders {
            guard let found = all[contender] else { continue }
            let (empty, full) = (Self.median(found.emptyBytes), Self.median(found.bytes))
            let perObject = (full - empty) / Double(objectCount) / 1e3
            let values = [
                Self.median(found.seconds), empty / 1e6, full / 1e6, perObject, Self.median(found.patchesPerSecond),
            ]
            let cpu = found.patchMilliseconds.isEmpty ? "–" : Text.number(Self.median(found.patchMilliseconds))
            rows.append([contender.rawValue] + values.map(Text.number) + [cpu])
        }
        return Text.columns(rows)
            + "\n\(objectCount) objects of \(size) bytes, medians of \(rounds) rounds, \(patchCount) patches a round; "
            + (isBare ? "the definition without its schema and rules" : "our definition with its schema and rules")
    }

    private static func median(_ values: [Double]) -> Double {
        values.isEmpty ? .nan : values.sorted()[values.count / 2]
    }

    // MARK: One of them at work

    private struct Stage {
        let comparison: Comparison
        let cluster: RealCluster
        let client: KubernetesClient
        let google: ServerProcess

        /// From the start of the process to the last object read, and its memory at rest.
        func rest(_ contender: Contender, objects: Int) async throws -> (seconds: Double, bytes: Double) {
            let start = Machine.nanoseconds
            if contender == .trainyard {
                let running = try cluster.started(google)
                try await running.waitUntilReady()
                let seconds = Double(Machine.nanoseconds - start) * 1e-9
                try await running.child.settle()
                return (seconds, try running.child.memory("VmRSS"))
            }
            let peer = try peer(contender, objects: objects, patches: 0)
            defer { withExtendedLifetime(peer.child) {} }
            let line = try await peer.line(with: "synced")
            let seconds = Double(Machine.nanoseconds - start) * 1e-9
            guard line["objects"]?.integerValue == Int64(objects) else {
                throw BenchmarkError("\(contender.rawValue) read \(line["objects"]?.serializedText() ?? "nothing")")
            }
            try await peer.child.settle()
            return (seconds, try peer.child.memory("VmRSS"))
        }

        /// How many a second, and the CPU time of each in the contender's processes where that can be told apart.
        func patches(_ contender: Contender) async throws -> (perSecond: Double, milliseconds: Double?) {
            if contender == .trainyard { return try await ownPatches() }
            let peer = try peer(contender, objects: comparison.objectCount, patches: comparison.patchCount)
            defer { withExtendedLifetime(peer.child) {} }
            _ = try await peer.line(with: "synced")
            let before = peer.child.cpuSeconds
            let speed = try await peer.line(with: "patchesPerSecond")["patchesPerSecond"]?.doubleValue ?? .nan
            let cpu = (peer.child.cpuSeconds - before) * 1e3 / Double(comparison.patchCount)
            return (speed, contender == .kopf ? nil : cpu)
        }

        /// By the operator's client; the operator itself reads each of them, as the peers do.
        private func ownPatches() async throws -> (perSecond: Double, milliseconds: Double?) {
            let running = try cluster.started(google)
            try await running.waitUntilReady()
            defer { withExtendedLifetime(running) {} }
            try await running.child.settle()
            let indices = NextIndex(limit: comparison.patchCount)
            let mark = Int.random(in: 0..<1_000_000)
            let start = Machine.nanoseconds
            let before = Machine.cpuSeconds + running.child.cpuSeconds
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<2 {
                    group.addTask {
                        while let index = indices.next() {
                            let reference = ObjectReference(
                                type: TrainingJob.resourceType, namespace: cluster.namespace,
                                name: JobFixture.name(index % comparison.objectCount))
                            let patch: JSONValue = ["status": ["restarts": .integer(Int64(mark + index + 1))]]
                            try await client.mergePatch(reference, patch, subresource: "status")
                        }
                    }
                }
                try await group.waitForAll()
            }
            let seconds = Double(Machine.nanoseconds - start) * 1e-9
            let cpu = Machine.cpuSeconds + running.child.cpuSeconds - before
            let count = Double(comparison.patchCount)
            return (count / seconds, cpu * 1e3 / count)
        }

        private func peer(_ contender: Contender, objects: Int, patches: Int) throws -> Peer {
            let log = "\(google.folder)/peer-\(Machine.nanoseconds).log"
            if contender == .informer {
                let arguments = ["-kubeconfig", comparison.kubeconfig, "-patches", String(patches)]
                return Peer(child: try Child(comparison.informer ?? "", arguments, log: log), log: log)
            }
            let child = try Child(
                comparison.kopf ?? "", ["run", "--all-namespaces", "--standalone", comparison.handlers],
                environment: [
                    "KUBECONFIG=\(comparison.kubeconfig)", "OBJECTS=\(objects)", "PATCHES=\(patches)",
                    "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1",
                ], log: log)
            return Peer(child: child, log: log)
        }
    }

    /// A program that says in lines of JSON what it has done.
    private struct Peer {
        let child: Child
        let log: String

        func line(with key: String) async throws -> JSONValue {
            let deadline = ContinuousClock.now + .seconds(300)
            while ContinuousClock.now < deadline {
                for text in (Machine.read(log) ?? "").split(separator: "\n") where text.hasPrefix("{") {
                    // Not all of it may be written yet.
                    if let line = try? JSONValue(parsing: String(text)), line[key] != nil { return line }
                }
                guard child.isRunning else { break }
                await Machine.sleep(milliseconds: 5)
            }
            throw BenchmarkError("a peer never said '\(key)': " + String((Machine.read(log) ?? "").suffix(600)))
        }
    }
}
