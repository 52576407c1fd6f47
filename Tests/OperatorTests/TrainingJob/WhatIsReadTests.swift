import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Sandbox
import Telemetry
import Testing

@testable import ControllerRuntime
@testable import Operator

/// How much of a cluster the operator reads: its own kinds whole, of everybody else's only what carries its label.
@Suite struct WhatIsReadTests {
    @Test func `what others own is read by our label, and Services by their metadata`() throws {
        let clock = VirtualClock()
        let cluster = try SimulatedCluster(ClusterConfiguration(users: [:], clock: clock))
        let client = KubernetesClient(
            transport: HandlerTransport(cluster), server: HTTPURL(origin: "http://127.0.0.1:1", path: "/"))
        let google = GoogleCloudClient(transport: HandlerTransport(cluster), tokens: NoTokens(), clock: clock)
        let name = try #require(ClusterName("projects/p/locations/us-central1/clusters/c"))
        let configuration = OperatorConfiguration(
            cluster: name, clusterUID: "uid", zones: ["us-central1-a"], trainerImage: "trainer")
        let cache = ObjectCache()
        let runtimeClock = RuntimeClock.virtual(clock)
        let controller = TrainingJobController(
            configuration: configuration, kubernetes: client, container: ContainerClient(google),
            storage: StorageClient(google), cache: cache, clock: runtimeClock)
        _ = LeakSweeper(
            configuration: configuration, options: LeakSweepOptions(), container: ContainerClient(google), cache: cache,
            clock: runtimeClock, report: { _ in })
        let read = cache.all.map { "\($0.type.plural) \($0.selection.labelSelector ?? "all")" }.sorted()
        #expect(
            read == [
                "gcsartifacts all", "jobs \(Ownership.jobLabel)", "nodes \(Ownership.jobLabel)",
                "pods \(Ownership.jobLabel)", "provisioningrequests \(Ownership.jobLabel)",
                "services \(Ownership.jobLabel)", "trainingjobs all",
                "workloads \(Ownership.jobLabel)",
            ])
        #expect(type(of: controller.services) == ObjectStore<MetadataOnly<Service>>.self)
    }
}
