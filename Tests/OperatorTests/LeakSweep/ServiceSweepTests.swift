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

/// Cloud Run services without an object, and those that were to stay.
@Suite(.timeLimit(.minutes(3))) struct ServiceSweepTests {
    private struct Setting {
        let world: OperatorWorld
        let run: RunClient
        let cache = ObjectCache()
        let reports = Reports()
        let duty: ControllerManager.Duty
        let sweep: ServiceSweep
        static let region = LocationName(project: "sandbox-project", location: "us-central1")

        init(_ options: LeakSweepOptions = LeakSweepOptions()) async throws {
            world = try await OperatorWorld(program: Trainers.interrupted())
            let transport = HandlerTransport(world.world)
            run = RunClient(GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: world.clock))
            let kubernetes = KubernetesClient(
                transport: transport, server: HTTPURL(origin: "http://127.0.0.1:1", path: "/"),
                credentials: { () throws(APIError) in "operator" })
            duty = ControllerManager.Duty(kubernetes: kubernetes) { _ in }
            let cluster = try #require(ClusterName("projects/sandbox-project/locations/us-central1-a/clusters/sandbox"))
            let reports = reports
            sweep = ServiceSweep(
                configuration: OperatorConfiguration(
                    cluster: cluster, clusterUID: "cluster-uid", zones: ["us-central1-a"], trainerImage: "t"),
                options: options, run: run, cache: cache, clock: .virtual(world.clock), report: { reports.note($0) })
        }

        func make(_ id: String, _ labels: [String: String]?) async throws {
            var configuration = RunServiceConfiguration(
                template: RunRevisionTemplate(containers: [RunContainer(image: "i:1")]))
            configuration.labels = labels
            _ = try await run.createService(id, configuration, in: Self.region)
            try await pass(60)
        }

        func pass(_ seconds: Int) async throws {
            for _ in 0..<seconds {
                world.clock.advance(by: .seconds(1))
                await world.world.tick()
            }
        }

        var ids: [String] {
            get async throws {
                try await run.services(in: Self.region).items.compactMap { $0.name.split(separator: "/").last }
                    .map(String.init).sorted()
            }
        }
    }

    private final class Reports: Sendable {
        private let all = Mutex<[LeakSweeper.Report]>([])
        func note(_ report: LeakSweeper.Report) { all.withLock { $0.append(report) } }
        var list: [LeakSweeper.Report] { all.withLock { $0 } }
    }

    private static func labels(_ owner: String, _ end: String?, cluster: String = "cluster-uid") -> [String: String] {
        var labels = Ownership.googleLabels(ownerUID: owner, clusterUID: cluster)
        labels[Ownership.onDeletionLabel] = end
        return labels
    }

    @Test func `a service whose object is gone goes after ten minutes, and nothing else`() async throws {
        let setting = try await Setting()
        try await setting.make("leak", Self.labels("gone", Ownership.goesWithObject))
        try await setting.make("orphan", Self.labels("gone", "orphan"))
        try await setting.make("older", Self.labels("gone", nil))
        try await setting.make("other", Self.labels("gone", Ownership.goesWithObject, cluster: "another"))
        try await setting.make("plain", nil)
        #expect(await setting.sweep.sweep(setting.duty) == 1)
        let name = "projects/sandbox-project/locations/us-central1/services/leak"
        #expect(setting.reports.list == [.found(name)])
        try await setting.pass(590)
        #expect(await setting.sweep.sweep(setting.duty) == 1)
        #expect(try await setting.ids.count == 5)
        try await setting.pass(10)
        #expect(await setting.sweep.sweep(setting.duty) == 1)
        #expect(setting.reports.list.last == .deleted(name))
        try await setting.pass(60)
        #expect(try await setting.ids == ["older", "orphan", "other", "plain"])
        #expect(await setting.sweep.sweep(setting.duty) == 0)
    }

    @Test func `a service with a living object stays, and a dry run deletes nothing`() async throws {
        let setting = try await Setting(LeakSweepOptions(grace: .zero))
        let object = try await setting.world.admin.create(
            ModelEndpoint.resourceType,
            [
                "metadata": ["name": "digits", "namespace": "default"],
                "spec": [
                    "backend": ["type": "CloudRun", "cloudRun": ["location": "us-central1"]],
                    "model": ["artifactRef": ["name": "m", "alias": "a"]],
                ],
            ])
        let uid = try #require(object.value(at: ["metadata", "uid"])?.stringValue)
        try await setting.make("mine", Self.labels(uid, Ownership.goesWithObject))
        for _ in 0..<2 { #expect(await setting.sweep.sweep(setting.duty) == 0) }
        #expect(try await setting.ids == ["mine"])
        let dry = try await Setting(LeakSweepOptions(grace: .zero, mode: .dryRun))
        try await dry.make("leak", Self.labels("gone", Ownership.goesWithObject))
        for _ in 0..<2 { #expect(await dry.sweep.sweep(dry.duty) == 1) }
        #expect(try await dry.ids == ["leak"])
    }
}
