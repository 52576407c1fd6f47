import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Sandbox
import Synchronization
import Telemetry
import Testing

@testable import ControllerRuntime
@testable import Operator

/// The sweep over the simulated world: a run whose object was removed by hand, and neighbours that must survive.
@Suite(.timeLimit(.minutes(3))) struct LeakSweeperTests {
    /// To both APIs; refuses paths with a certain part.
    private final class Way: HTTPTransport {
        private let base: any HTTPTransport
        private let refused = Mutex<String?>(nil)

        init(_ base: any HTTPTransport) { self.base = base }

        func refuse(_ part: String?) { refused.withLock { $0 = part } }

        func send(_ request: HTTPRequest) async throws(APIError) -> HTTPResponse {
            if let part = refused.withLock({ $0 }), request.url.path.contains(part) {
                throw APIError(.unavailable, operation: request.operation, message: "cut")
            }
            return try await base.send(request)
        }

        func open(_ request: HTTPRequest) async throws(APIError) -> HTTPStream { try await base.open(request) }
    }

    /// What the sweeper said.
    private final class Heard: Sendable {
        private let state = Mutex<(reports: [LeakSweeper.Report], events: [String])>(([], []))

        var reports: [LeakSweeper.Report] { state.withLock { $0.reports } }
        var events: [String] { state.withLock { $0.events } }
        func note(_ report: LeakSweeper.Report) { state.withLock { $0.reports.append(report) } }
        func note(_ event: Event) { state.withLock { $0.events.append("\(event.reason): \(event.message)") } }
        func clear() { state.withLock { $0 = ([], []) } }
    }

    private struct Setting {
        let world: OperatorWorld
        let way: Way
        let heard = Heard()
        let container: ContainerClient
        let cluster: ClusterName
        let cache = ObjectCache()
        let duty: ControllerManager.Duty
        let sweeper: LeakSweeper

        /// A run in training.
        init(_ options: LeakSweepOptions = LeakSweepOptions()) async throws {
            world = try await OperatorWorld(program: Trainers.interrupted())
            way = Way(HandlerTransport(world.world))
            let server = HTTPURL(origin: "http://127.0.0.1:1", path: "/")
            let kubernetes = KubernetesClient(
                transport: way, server: server, credentials: { () throws(APIError) in "operator" })
            container = ContainerClient(
                GoogleCloudClient(transport: way, tokens: NoTokens(), clock: world.clock))
            cluster = try #require(ClusterName("projects/sandbox-project/locations/us-central1/clusters/sandbox"))
            let heard = heard
            duty = ControllerManager.Duty(kubernetes: kubernetes) { heard.note($0) }
            sweeper = LeakSweeper(
                configuration: OperatorConfiguration(
                    cluster: cluster, clusterUID: "cluster-uid", zones: ["us-central1-a"], trainerImage: "t"),
                options: options, container: container, cache: cache, clock: .virtual(world.clock),
                report: { heard.note($0) })
            try await world.create()
            try await world.run { $0?.status?.state == "Training" }
            try await plantDecoys()
            try await readStores()
        }

        var poolNames: [String] { world.world.cloud.nodePools().map(\.name).sorted() }
        var leak: String { poolNames.first { !$0.hasSuffix("-decoy") } ?? "no pool" }
        static let decoys = ["ty-0-foreign-decoy", "ty-1-nobody-decoy", "ty-2-plain-decoy"]

        /// Same prefix: the owner in another cluster; our cluster without an owner; no labels.
        private func plantDecoys() async throws {
            let uid = try await world.job()?.metadata.uid ?? ""
            let labels: [[String: String]?] = [
                Ownership.googleLabels(ownerUID: uid, clusterUID: "another-cluster"),
                [Ownership.clusterLabel: "cluster-uid", Ownership.googleRunLabel: "mnist-r1"], nil,
            ]
            for (name, labels) in zip(Self.decoys, labels) {
                let config = NodeConfig(machineType: "g2-standard-4", resourceLabels: labels)
                _ = try await container.createNodePool(
                    NodePool(name: name, config: config, initialNodeCount: 0, locations: ["us-central1-a"]),
                    in: cluster)
                try await pass(30)
            }
        }

        func readStores() async throws {
            let jobs = try await world.admin.list(TrainingJob.self)
            cache.store(TrainingJob.self).replace(with: jobs.items, resourceVersion: jobs.resourceVersion)
            let selection = ObjectSelection(labelSelector: Ownership.jobLabel)
            let nodes = try await world.admin.list(Node.self, selection)
            cache.store(Node.self, labelSelector: Ownership.jobLabel).replace(
                with: nodes.items, resourceVersion: nodes.resourceVersion)
        }

        /// Somebody takes the finalizer off and deletes the object while no operator runs.
        func removeByHand() async throws {
            try await world.patch(["metadata": ["finalizers": []]])
            try await world.delete()
            #expect(try await world.job() == nil)
            try await readStores()
        }

        /// Time without the operator.
        func pass(_ seconds: Int) async throws {
            for _ in 0..<seconds {
                world.clock.advance(by: .seconds(1))
                await world.world.tick()
            }
        }
    }

    @Test func `a pool whose object was removed by hand goes after ten minutes, and nothing else`() async throws {
        let setting = try await Setting()
        let leak = setting.leak
        await setting.sweeper.sweep(setting.duty)
        #expect(setting.heard.reports == [.complete(leakCount: 0, hourlyCost: .zero, postponedCount: 0)])
        try await setting.removeByHand()
        setting.heard.clear()
        await setting.sweeper.sweep(setting.duty)
        // One g2-standard-4 of spot, by the price list.
        let cost = Money(microdollars: 397_336)
        #expect(
            setting.heard.reports == [
                .found(leak), .complete(leakCount: 1, hourlyCost: cost, postponedCount: 0),
            ])
        #expect(setting.heard.events.count == 1)
        #expect(setting.heard.events.first?.hasPrefix("LeakFound: node pool \(leak) (run mnist-") == true)
        try await setting.pass(590)
        await setting.sweeper.sweep(setting.duty)
        #expect(setting.poolNames.contains(leak))
        try await setting.pass(10)
        setting.heard.clear()
        await setting.sweeper.sweep(setting.duty)
        #expect(setting.heard.reports.first == .deleted(leak))
        try await setting.pass(120)
        #expect(setting.poolNames == Setting.decoys)
        await setting.sweeper.sweep(setting.duty)
        #expect(setting.heard.reports.last == .complete(leakCount: 0, hourlyCost: .zero, postponedCount: 0))
    }

    @Test(arguments: ["/nodePools", "/trainingjobs"]) func `what cannot be listed to the end is not judged`(
        part: String
    ) async throws {
        let setting = try await Setting(LeakSweepOptions(grace: .zero))
        try await setting.removeByHand()
        setting.way.refuse(part)
        for _ in 0..<3 {
            await setting.sweeper.sweep(setting.duty)
            try await setting.pass(300)
        }
        #expect(setting.heard.reports.count == 3)
        for report in setting.heard.reports {
            guard case .incomplete = report else {
                Issue.record("\(report)")
                continue
            }
        }
        #expect(setting.poolNames.count == 4)
    }

    @Test func `a store that has lost an object makes nobody homeless`() async throws {
        let setting = try await Setting(LeakSweepOptions(grace: .zero))
        setting.cache.store(TrainingJob.self).replace(with: [], resourceVersion: "1")
        await setting.sweeper.sweep(setting.duty)
        #expect(setting.heard.reports == [.complete(leakCount: 0, hourlyCost: .zero, postponedCount: 0)])
        #expect(setting.poolNames.count == 4)
    }

    @Test func `a dry run reports and deletes nothing`() async throws {
        let setting = try await Setting(LeakSweepOptions(grace: .zero, mode: .dryRun))
        try await setting.removeByHand()
        await setting.sweeper.sweep(setting.duty)
        try await setting.pass(120)
        await setting.sweeper.sweep(setting.duty)
        #expect(setting.heard.events.count == 1)
        #expect(setting.heard.events.first?.hasSuffix("reported only (dry run)") == true)
        #expect(setting.poolNames.count == 4)
    }

    @Test func `a deletion that is refused is reported and tried again`() async throws {
        let setting = try await Setting(LeakSweepOptions(grace: .zero))
        let leak = setting.leak
        try await setting.removeByHand()
        setting.way.refuse("/nodePools/\(leak)")
        await setting.sweeper.sweep(setting.duty)
        guard case .deletionFailed(leak, let error)? = setting.heard.reports.dropFirst().first else {
            Issue.record("\(setting.heard.reports)")
            return
        }
        #expect(error.code == .unavailable)
        setting.way.refuse(nil)
        await setting.sweeper.sweep(setting.duty)
        #expect(setting.heard.reports.contains(.deleted(leak)))
    }

    @Test func `a bucket is nobody's leak, whatever its labels say and wherever its namespace went`() async throws {
        let setting = try await Setting(LeakSweepOptions(grace: .zero))
        let leak = setting.leak
        let uid = try #require(try await setting.world.job()?.metadata.uid)
        let storage = StorageClient(
            GoogleCloudClient(transport: setting.way, tokens: NoTokens(), clock: setting.world.clock))
        var buckets: [GoogleCloud.Bucket] = []
        for (name, owner) in [("ty-of-the-dead", uid), ("ty-of-nobody", "nobody")] {
            let labels = Ownership.googleLabels(ownerUID: owner, clusterUID: "cluster-uid")
            let configuration = BucketConfiguration(name: name, location: "us-central1", labels: labels)
            buckets.append(try await storage.insertBucket(configuration, project: "sandbox-project"))
        }
        try await setting.removeByHand()
        try await setting.world.admin.delete(
            ObjectReference(type: Namespace.resourceType, namespace: nil, name: "ml"))
        await setting.sweeper.sweep(setting.duty)
        try await setting.pass(120)
        await setting.sweeper.sweep(setting.duty)
        #expect(setting.heard.reports.contains(.deleted(leak)))
        #expect(setting.poolNames == Setting.decoys)
        for bucket in buckets { #expect(try await storage.bucket(bucket.name) == bucket) }
    }

    @Test func `a pool that lists still tell is deleted once`() async throws {
        let setting = try await Setting(LeakSweepOptions(grace: .zero))
        var script = FaultScript()
        script.add(.lingerInLists(for: .seconds(120)), on: RequestMatch(side: .cloud, verb: "delete"))
        setting.world.world.setFaults(script)
        try await setting.removeByHand()
        let before = setting.world.world.cloud.callCount("container.nodePools.delete")
        for _ in 0..<5 {
            await setting.sweeper.sweep(setting.duty)
            try await setting.pass(20)
        }
        #expect(setting.world.world.cloud.callCount("container.nodePools.delete") == before + 1)
        try await setting.pass(60)
        setting.heard.clear()
        await setting.sweeper.sweep(setting.duty)
        #expect(setting.heard.reports == [.complete(leakCount: 0, hourlyCost: .zero, postponedCount: 0)])
    }
}
