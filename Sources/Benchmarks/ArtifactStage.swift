import Encoding
import Glibc
import GoogleCloud
import HTTP
import Kubernetes
import Operator
import Sandbox
import Synchronization
import Telemetry

/// The steps of `ArtifactLife`: what the users do, and when the operator is killed and started.
final class ArtifactStage: Sendable {
    let load: ArtifactLoad
    let world: CloudWorld
    private let server: String
    private let folder: String
    private let inFlight: Int
    private let admin: KubernetesClient
    private let operators = Mutex<(current: OperatorChild?, count: Int)>((nil, 0))

    init(load: ArtifactLoad, world: CloudWorld, server: String, folder: String, inFlight: Int) {
        self.load = load
        self.world = world
        self.server = server
        self.folder = folder
        self.inFlight = inFlight
        admin = KubernetesClient(
            transport: HandlerTransport(world.cluster), server: HTTPURL(origin: "http://127.0.0.1:1", path: "/"),
            credentials: { () throws(APIError) in "admin" })
    }

    /// Moves the cluster's and the cloud's time until cancelled.
    func tick() async {
        while !Task.isCancelled {
            await world.cluster.tick()
            world.cloud.tick()
            try? await Task.sleep(for: .milliseconds(250))  // Cancelled: the loop ends.
        }
    }

    // MARK: The operator

    func startOperator() async throws {
        let number = operators.withLock { state in
            state.count += 1
            return state.count
        }
        let kubeconfig = "\(folder)/kubeconfig"
        try Machine.write(ServerProcess.kubeconfig(server: server, user: CloudWorld.operatorToken), to: kubeconfig)
        let child = try OperatorChild(
            kubeconfig: kubeconfig, googleEndpoint: server, log: "\(folder)/operator-\(number).log",
            flags: [
                "--concurrency", String(inFlight), "--kube-api-qps", "5000", "--kube-api-burst", "5000",
                "--leader-elect", "false",
            ])
        try await child.waitUntilReady()
        operators.withLock { $0.current = child }
    }

    /// No graceful end: SIGKILL. What it had sent arrives.
    private func killOperator() async throws {
        guard let child = operators.withLock({ $0.current.take() })?.child else { return }
        child.signal(SIGKILL)
        let deadline = ContinuousClock.now + .seconds(30)
        while child.isRunning {
            guard ContinuousClock.now < deadline else { throw BenchmarkError("the operator survives SIGKILL") }
            await Machine.sleep(milliseconds: 2)
        }
        try await world.drain()
    }

    // MARK: The users

    private func each(_ indices: [Int], _ body: @escaping @Sendable (Int) async throws -> Void) async throws {
        let next = NextIndex(limit: indices.count)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<16 {
                group.addTask { while let index = next.next() { try await body(indices[index]) } }
            }
            try await group.waitForAll()
        }
    }

    private func create(_ artifact: JSONValue) async throws {
        _ = try await admin.create(GCSArtifact.resourceType, artifact)
    }

    private func delete(_ name: String, in namespace: String) async throws {
        try await admin.delete(ObjectReference(type: GCSArtifact.resourceType, namespace: namespace, name: name))
    }

    // MARK: Steps

    /// Namespaces, decoys and the operator.
    func prepare() async throws {
        let type = ResourceType(group: "", version: "v1", kind: "Namespace", plural: "namespaces", isNamespaced: false)
        for index in 0..<ArtifactLoad.namespaceCount {
            let name = JSONValue.string(ArtifactLoad.namespace(index))
            _ = try await admin.create(type, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": name]])
        }
        for decoy in ArtifactLoad.decoyBuckets {
            let configuration = BucketConfiguration(name: decoy.name, location: "us-central1", labels: decoy.labels)
            _ = try await storage.insertBucket(configuration, project: ArtifactLoad.project)
            try world.cloud.putObject(bucket: decoy.name, name: "home/precious", bytes: Array("precious".utf8))
        }
        world.set(ours: load.places(homes: Array(0..<load.homeCount)))
        try await startOperator()
        for index in ArtifactLoad.decoyBuckets.indices { try await create(ArtifactLoad.claim(index)) }
    }

    /// This process's own client of the cloud, without delay.
    private var storage: StorageClient {
        StorageClient(
            GoogleCloudClient(transport: HandlerTransport(world.cloud), tokens: NoTokens(), clock: SystemClock()))
    }

    /// The homes that are there at the end, by index.
    ///
    /// - Parameter orphans: grows by the buckets whose home was deleted meanwhile, and which are still there.
    func createHomes(orphans: inout Int) async throws -> [Int] {
        let all = Array(0..<load.homeCount)
        try await each(all) { try await self.create(ArtifactLoad.homeArtifact($0)) }
        try await world.wait("half of the buckets") { $0.inserts.count >= self.load.homeCount / 2 }
        try await killOperator()
        let unsaid = all.filter { index in
            world.cloud.bucketExists(ArtifactLoad.bucket(index)) && !world.seen.ready.contains(ArtifactLoad.home(index))
        }
        guard !unsaid.isEmpty else { throw BenchmarkError("the operator was killed too late: no reply was lost") }
        // Their buckets are there, and no status says so.
        let unwanted = Set(unsaid.prefix(max(1, load.homeCount / 4)))
        try await each(Array(unwanted)) { try await self.delete(ArtifactLoad.home($0), in: ArtifactLoad.namespace($0)) }
        try await startOperator()
        let homes = all.filter { !unwanted.contains($0) }
        try await world.wait("the homes") { seen in
            homes.allSatisfy { seen.ready.contains(ArtifactLoad.home($0)) }
                && unwanted.allSatisfy { seen.gone.contains(ArtifactLoad.home($0)) }
        }
        orphans += unwanted.count { world.cloud.bucketExists(ArtifactLoad.bucket($0)) }
        return homes
    }

    /// - Returns: how many a second, from the first request of a user to the last artifact's Ready.
    func createPrefixes(homes: [Int], isKilled: Bool) async throws -> Double {
        world.clear()
        let start = Machine.nanoseconds
        async let creation: Void = each(Array(0..<load.prefixCount)) { index in
            try await self.create(ArtifactLoad.dataArtifact(index, home: homes[index % homes.count]))
        }
        if isKilled {
            try await world.wait("half of the artifacts") { self.dataCount($0.ready) >= self.load.prefixCount / 2 }
            try await killOperator()
            try await startOperator()
        }
        try await creation
        try await world.wait("the artifacts") { self.dataCount($0.ready) >= self.load.prefixCount }
        return Double(load.prefixCount) / (Double(world.seen.lastReady - start) * 1e-9)
    }

    /// - Returns: how many a second.
    func deletePrefixes(homes: [Int], isKilled: Bool) async throws -> Double {
        world.clear()
        let start = Machine.nanoseconds
        async let deletion: Void = each(Array(0..<load.prefixCount)) { index in
            try await self.delete(ArtifactLoad.data(index), in: ArtifactLoad.namespace(homes[index % homes.count]))
        }
        if isKilled {
            try await world.wait("half of the deletions") { $0.gone.count >= self.load.prefixCount / 2 }
            try await killOperator()
            try await startOperator()
        }
        try await deletion
        try await world.wait("the deletions") { self.dataCount($0.gone) >= self.load.prefixCount }
        return Double(load.prefixCount) / (Double(Machine.nanoseconds - start) * 1e-9)
    }

    private func dataCount(_ names: Set<String>) -> Int { names.count { $0.hasPrefix("data-") } }

    /// - Returns: how many of all buckets are left.
    func deleteHomes(_ homes: [Int]) async throws -> Int {
        var places = load.places(homes: homes)
        places.bucketsMayGo = true
        world.set(ours: places)
        world.clear()
        try await each(homes) { try await self.delete(ArtifactLoad.home($0), in: ArtifactLoad.namespace($0)) }
        for index in ArtifactLoad.decoyBuckets.indices {
            try await delete("claim-\(index)", in: ArtifactLoad.namespace(index))
        }
        try await world.wait("half of the homes") { $0.gone.count >= homes.count / 2 }
        try await killOperator()
        try await startOperator()
        let count = homes.count + ArtifactLoad.decoyBuckets.count
        try await world.wait("the end of the homes") { $0.gone.count >= count }
        try await killOperator()
        return (0..<load.homeCount).count { world.cloud.bucketExists(ArtifactLoad.bucket($0)) }
    }

    // MARK: Data and decoys

    /// Two objects in each prefix, as trainers leave them.
    func plantData(homes: [Int]) throws {
        for index in 0..<load.prefixCount {
            let bucket = ArtifactLoad.bucket(homes[index % homes.count])
            for name in ["model.bin", "deep/er/log.txt"] {
                try world.cloud.putObject(
                    bucket: bucket, name: ArtifactLoad.prefix(index) + name, bytes: Array("\(index)".utf8))
            }
        }
    }

    /// Objects below a prefix whose artifact is gone.
    func leftData(homes: [Int]) -> Int {
        let places = load.places(homes: homes)
        return homes.reduce(0) { sum, home in
            let bucket = ArtifactLoad.bucket(home)
            return sum
                + world.cloud.objectNames(bucket: bucket, prefix: "a/").count {
                    places.contains(.object($0, in: bucket))
                }
        }
    }

    func plantDecoyObjects(homes: [Int]) throws {
        for decoy in load.decoyObjects(homes: homes) {
            try world.cloud.putObject(bucket: decoy.bucket, name: decoy.name, bytes: Array(decoy.name.utf8))
        }
    }

    func touchedDecoyObjects(homes: [Int]) throws -> [String] {
        try load.decoyObjects(homes: homes).filter { decoy in
            try world.cloud.readObject(bucket: decoy.bucket, name: decoy.name) != Array(decoy.name.utf8)
        }.map { "gs://\($0.bucket)/\($0.name)" }
    }

    /// Whoever planted them takes them away: a bucket that holds objects of others is not deleted.
    func removeDecoyObjects(homes: [Int]) async throws {
        for decoy in load.decoyObjects(homes: homes) {
            try await storage.deleteObject(decoy.name, in: decoy.bucket)
        }
    }

    func touchedDecoyBuckets() async throws -> [String] {
        var touched: [String] = []
        for decoy in ArtifactLoad.decoyBuckets {
            guard world.cloud.bucketExists(decoy.name) else {
                touched.append("gs://\(decoy.name)")
                continue
            }
            let bucket = try await storage.bucket(decoy.name)
            let bytes = try world.cloud.readObject(bucket: decoy.name, name: "home/precious")
            if bucket.labels != decoy.labels || bucket.metageneration != 1 || bytes != Array("precious".utf8) {
                touched.append("gs://\(decoy.name)")
            }
        }
        return touched
    }
}
