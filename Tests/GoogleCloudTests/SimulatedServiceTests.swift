import CloudChecks
import Encoding
import GoogleCloud
import HTTP
import Sandbox
import Testing

/// The clients against the simulated APIs, which know nothing of the clients: both follow Google's description.
@Suite struct SimulatedServiceTests {
    private struct World {
        let clock = VirtualClock()
        let cloud: SimulatedCloud
        let client: GoogleCloudClient

        init(_ script: CloudScript = CloudScript(), change: (inout APIScript) -> Void = { _ in }) {
            var script = script
            change(&script.apis)
            cloud = SimulatedCloud(
                CloudConfiguration(
                    project: "project-1", projectNumber: 42, zones: ["us-central1-a"], clusterName: "c1", clock: clock,
                    script: script, inspection: .ofTests, tpuZones: ["us-east5-b"]))
            client = GoogleCloudClient(transport: HandlerTransport(cloud), tokens: NoTokens(), clock: clock)
        }
    }

    private static let region = LocationName(project: "project-1", location: "us-central1")
    private static let zone = LocationName(project: "project-1", location: "us-central1-a")
    private static let tpuZone = LocationName(project: "project-1", location: "us-east5-b")

    @Test func `Cloud Run: a service becomes ready, shifts traffic, fails and goes`() async throws {
        let world = World { $0.crashingImages = ["bad"] }
        let run = RunClient(world.client)
        func configuration(_ image: String) -> RunServiceConfiguration {
            RunServiceConfiguration(template: RunRevisionTemplate(containers: [RunContainer(image: image)]))
        }
        let created = try await run.createService("web", configuration("good"), in: Self.region)
        #expect(!created.isDone)
        world.clock.advance(by: .seconds(3))
        #expect(try await run.operation(created.name).isDone)
        let service = try await run.service("web", in: Self.region)
        #expect(service.isReady)
        let first = try #require(service.trafficStatuses?.first?.revision)
        let stale = try #require(created.response?.etag ?? service.etag)

        var both = configuration("bad")
        both.traffic = [
            RunTrafficTarget(type: .revision, revision: first, percent: 90),
            RunTrafficTarget(type: .latest, percent: 10, tag: "canary"),
        ]
        let patched = try await run.patchService(
            "web", both, etag: service.etag, updateMask: ["template", "traffic"], in: Self.region)
        world.clock.advance(by: .seconds(5))
        #expect(try await run.operation(patched.name).failure != nil)
        let failed = try await run.service("web", in: Self.region)
        #expect(!failed.isReady)
        #expect(failed.terminalCondition?.revisionReason == "HEALTH_CHECK_CONTAINER_ERROR")
        #expect(failed.generation == 2)
        await #expect(throws: APIError.self) {
            try await run.patchService("web", both, etag: stale, updateMask: ["traffic"], in: Self.region)
        }
        #expect(try await run.revisions(of: "web", in: Self.region).items.count == 2)
        var policy = try await run.policy(ofService: "web", in: Self.region)
        policy = try await run.setPolicy(policy, ofService: "web", in: Self.region)
        #expect(try await run.grantedPermissions(["run.services.get"], onService: "web", in: Self.region).count == 1)
        _ = try await run.deleteService("web", etag: failed.etag, in: Self.region)
        world.clock.advance(by: .seconds(1))
        #expect(try await run.services(in: Self.region).items.isEmpty)
    }

    @Test func `TPU: a queued resource waits, runs, is suspended and goes`() async throws {
        let world = World(CloudScript(stockouts: ["spot/us-east5-b"]))
        let tpu = TPUClient(world.client)
        var configuration = QueuedResourceConfiguration(
            tpu: QueuedResourceConfiguration.TPU(nodeSpec: [
                QueuedResourceConfiguration.NodeSpec(
                    parent: Self.tpuZone, nodeId: "train",
                    node: TPUNodeConfiguration(acceleratorType: "v6e-16", runtimeVersion: "v2-alpha-tpuv6e"))
            ]))
        configuration.spot = QueuedResourceConfiguration.Spot()
        let request = "6f1c1c1e-0d1c-4b6e-9a52-0d6f0a8f0b11"
        let created = try await tpu.createQueuedResource("q1", configuration, requestID: request, in: Self.tpuZone)
        let again = try await tpu.createQueuedResource("q1", configuration, requestID: request, in: Self.tpuZone)
        #expect(again.name == created.name)
        world.clock.advance(by: .seconds(1))
        #expect(try await tpu.queuedResource("q1", in: Self.tpuZone).state == .known(.waitingForResources))
        world.cloud.updateScript { $0.stockouts = [] }
        _ = try await tpu.queuedResources(in: Self.tpuZone)
        world.clock.advance(by: .seconds(3))
        #expect(try await tpu.queuedResource("q1", in: Self.tpuZone).state == .known(.active))
        let node = try await tpu.node("train", in: Self.tpuZone)
        #expect(node.networkEndpoints?.count == 4)
        world.cloud.preemptTPU(node: node.name)
        world.clock.advance(by: .seconds(2))
        let suspended = try await tpu.queuedResource("q1", in: Self.tpuZone)
        #expect(suspended.state == .known(.suspended))
        #expect(suspended.stateInitiator == "SERVICE")
        #expect(suspended.configuration == configuration)
        let other = "6f1c1c1e-0d1c-4b6e-9a52-0d6f0a8f0b12"
        _ = try await tpu.deleteQueuedResource("q1", force: true, requestID: other, in: Self.tpuZone)
        world.clock.advance(by: .seconds(2))
        #expect(try await tpu.queuedResources(in: Self.tpuZone).items.isEmpty)
    }

    @Test func `Compute: machines, quotas and why a pool has no machines`() async throws {
        let world = World(CloudScript(stockouts: ["spot/us-central1-a"]))
        let compute = ComputeClient(world.client)
        let machine = try await compute.machineType("g2-standard-8", in: Self.zone)
        #expect(machine.guestCpus == 8)
        #expect(try await compute.acceleratorTypes(project: "project-1").items.contains { $0.name == "nvidia-l4" })
        #expect(try await compute.region("us-central1", project: "project-1").quotas?.isEmpty == false)
        world.cloud.addReservation("r1", zone: "us-central1-a", machineType: "g2-standard-8", count: 4, inUse: 1)
        #expect(try await compute.reservations(in: Self.zone).items.map(\.freeCount) == [3])

        let cluster =
            "https://container.googleapis.com/v1/projects/project-1/locations/us-central1/clusters/c1/nodePools"
        func send(_ method: HTTPMethod, _ url: String, _ body: JSONValue? = nil) async throws -> JSONValue {
            let request = HTTPRequest(method, try #require(HTTPURL(url)), body: body?.serialized() ?? [])
            return try JSONValue(parsing: try await HandlerTransport(world.cloud).send(request).body)
        }
        _ = try await send(
            .post, cluster, ["nodePool": ["name": "pool", "initialNodeCount": 1, "config": ["spot": true]]])
        world.clock.advance(by: .seconds(6))
        let url = try #require(try await send(.get, "\(cluster)/pool")["instanceGroupUrls"]?[0]?.stringValue)
        let group = try #require(InstanceGroupName(url: url))
        #expect(try await compute.instanceGroup(group).targetSize == 1)
        #expect(try await compute.managedInstances(of: group).items.map(\.failure?.code) == [.stockedOut])
        #expect(try await compute.errors(of: group).items.map(\.failure?.code) == [.stockedOut])
    }

    @Test func `the other APIs answer what their clients read`() async throws {
        let world = World()
        let account = "tenant@project-1.iam.gserviceaccount.com"
        world.cloud.addServiceAccount(account)
        #expect(try await IAMClient(world.client).serviceAccount(account, project: "project-1").email == account)
        _ = try await IAMClient(world.client).policy(ofServiceAccount: account, project: "project-1")
        let projects = ResourceManagerClient(world.client)
        _ = try await projects.project("project-1")
        _ = try await projects.policy(ofProject: "project-1")
        #expect(try await projects.grantedPermissions(["run.services.get"], onProject: "project-1").count == 1)
        world.cloud.disableService("tpu.googleapis.com")
        let services = ServiceUsageClient(world.client)
        #expect(try await services.service("tpu.googleapis.com", project: "project-1").isEnabled == false)
        #expect(try await services.services(["run.googleapis.com"], project: "project-1").map(\.isEnabled) == [true])
        #expect(
            try await services.enabledServices(project: "project-1").items.contains { $0.id == "run.googleapis.com" })
        world.cloud.setPrices([
            SimulatedSKU(
                id: "A", description: "L4", resourceGroup: "GPU", usageType: "OnDemand", regions: ["us-central1"],
                nanodollars: 560_004_000)
        ])
        let billing = BillingClient(world.client)
        #expect(try await billing.skus(of: "6F81-5844-456A").items.map(\.unitPrice?.amount) == [0.560004])
        #expect(try await billing.services().items.count == 5)
        #expect(try await billing.billingInfo(project: "project-1").billingEnabled == true)
        let now = world.clock.now
        world.cloud.plant([
            SimulatedTimeSeries(
                metric: "run.googleapis.com/request_count", resource: "cloud_run_revision", kind: .delta,
                points: [SimulatedTimeSeries.Point(start: now + .seconds(-60), end: now, value: .int64(7))])
        ])
        let rows = try await MonitoringClient(world.client).query(
            "fetch cloud_run_revision::run.googleapis.com/request_count | within 5m", project: "project-1")
        #expect(rows.items.first?.pointData?.first?.values == [.integer(7)])
    }
}
