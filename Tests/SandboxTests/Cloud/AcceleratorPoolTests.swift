import Encoding
import HTTP
import Testing

@testable import Sandbox

/// TPU slices, reservations and CPU pools in the simulated GKE, and the nodes that they become.
@Suite struct AcceleratorPoolTests {
    private func slice(
        _ fixture: CloudFixture, _ name: String, nodes: Int64 = 4, machineType: String = "ct6e-standard-4t",
        topology: String = "4x4", config: JSONValue = [:]
    ) async throws -> CloudFixture.Reply {
        var config = config
        config["machineType"] = .string(machineType)
        return try await fixture.call(
            .post, "\(CloudFixture.cluster)/nodePools",
            [
                "nodePool": [
                    "name": .string(name), "initialNodeCount": .integer(nodes), "locations": ["us-central1-a"],
                    "config": config, "placementPolicy": ["type": "COMPACT", "tpuTopology": .string(topology)],
                ]
            ])
    }

    private func nodes(_ fixture: CloudFixture) -> [JSONValue] {
        fixture.cloud.nodePools().flatMap { pool in
            pool.instances.map { instance in
                let node = NodeObject(instance: instance, pool: pool, project: "p1")
                var object = node.object()
                object["status"] = node.status(now: fixture.clock.now)
                return object
            }
        }
    }

    @Test func `a slice of several hosts is made at its size, and its nodes say what they are`() async throws {
        let fixture = CloudFixture()
        #expect(try await slice(fixture, "slice").status == 200)
        fixture.clock.advance(by: .seconds(5))
        fixture.cloud.tick()
        let nodes = nodes(fixture)
        #expect(nodes.count == 4)
        for node in nodes {
            let labels = node.value(at: ["metadata", "labels"])
            #expect(labels?["cloud.google.com/gke-tpu-accelerator"] == "tpu-v6e-slice")
            #expect(labels?["cloud.google.com/gke-tpu-topology"] == "4x4")
            #expect(labels?["cloud.google.com/gke-accelerator-count"] == "4")
            #expect(node.value(at: ["status", "allocatable", "google.com/tpu"]) == "4")
            #expect(node.value(at: ["spec", "taints"])?[0]?["key"] == "google.com/tpu")
        }
    }

    @Test func `a slice has the nodes of its topology or none`() async throws {
        let fixture = CloudFixture()
        let wrong = try await slice(fixture, "slice", nodes: 3)
        #expect(wrong.status == 400)
        #expect(wrong.message == "A slice 4x4 of ct6e-standard-4t has 4 nodes or none, not 3.")
        #expect(try await slice(fixture, "slice", topology: "4x5").status == 400)
    }

    @Test func `a slice that has lost a host comes back as a whole`() async throws {
        let fixture = CloudFixture()
        _ = try await slice(fixture, "slice", config: ["spot": true])
        fixture.clock.advance(by: .seconds(5))
        fixture.cloud.tick()
        let before = fixture.cloud.nodePools()[0].instances
        #expect(before.count == 4)
        #expect(fixture.cloud.preempt(instance: before[0].name))
        fixture.clock.advance(by: .seconds(31))
        fixture.cloud.tick()
        #expect(fixture.cloud.nodePools()[0].instances.isEmpty)
        fixture.clock.advance(by: .seconds(10))
        fixture.cloud.tick()
        let after = fixture.cloud.nodePools()[0].instances
        #expect(after.count == 4)
        #expect(Set(after.map(\.id)).isDisjoint(with: before.map(\.id)))
    }

    @Test func `a slice without room for all of its hosts has none of them`() async throws {
        var script = CloudScript()
        script.quotas = ["spot": 3]
        let fixture = CloudFixture(script: script)
        let create = try await slice(fixture, "slice", config: ["spot": true])
        fixture.clock.advance(by: .seconds(60))
        fixture.cloud.tick()
        let error = try await fixture.operation(create)["error"]?["message"]?.stringValue
        #expect(error?.contains("Atomic resize failed with [GCE_QUOTA_EXCEEDED]") == true)
        #expect(fixture.cloud.nodePools()[0].instances.isEmpty)
        #expect(try await fixture.pool("slice").json["status"] == "ERROR")
    }

    @Test(arguments: [
        ("ct5lp-hightpu-8t", "tpu-v5-lite-podslice", "2x4", "8"), ("ct5p-hightpu-4t", "tpu-v5p-slice", "2x2x1", "4"),
        ("ct4p-hightpu-4t", "tpu-v4-podslice", "2x2x1", "4"), ("ct6e-standard-1t", "tpu-v6e-slice", "1x1", "1"),
        ("tpu7x-standard-1t", "tpu7x", "1x1x1", "1"),
    ])
    func `a host alone has its own topology`(machine: String, type: String, topology: String, chips: String)
        async throws
    {
        let fixture = CloudFixture()
        _ = try await fixture.runningPool("pool", config: ["machineType": .string(machine)])
        let labels = try #require(nodes(fixture).first?.value(at: ["metadata", "labels"]))
        #expect(labels["cloud.google.com/gke-tpu-accelerator"]?.stringValue == type)
        #expect(labels["cloud.google.com/gke-tpu-topology"]?.stringValue == topology)
        #expect(labels["cloud.google.com/gke-accelerator-count"]?.stringValue == chips)
    }

    @Test func `partitions and shares are what a node has to give`() async throws {
        let fixture = CloudFixture()
        _ = try await fixture.runningPool(
            "pool",
            config: [
                "machineType": "a2-highgpu-1g",
                "accelerators": [
                    [
                        "acceleratorType": "nvidia-tesla-a100", "acceleratorCount": "1", "gpuPartitionSize": "2g.10gb",
                        "gpuSharingConfig": ["gpuSharingStrategy": "MPS", "maxSharedClientsPerGpu": "4"],
                    ]
                ],
            ])
        let node = try #require(nodes(fixture).first)
        #expect(node.value(at: ["status", "allocatable", "nvidia.com/gpu"]) == "12")
        let labels = node.value(at: ["metadata", "labels"])
        #expect(labels?["cloud.google.com/gke-gpu-partition-size"] == "2g.10gb")
        #expect(labels?["cloud.google.com/gke-gpu-sharing-strategy"] == "mps")
        #expect(labels?["cloud.google.com/gke-max-shared-clients-per-gpu"] == "4")
    }

    private static func reserved(_ name: String) -> JSONValue {
        [
            "reservationAffinity": [
                "consumeReservationType": "SPECIFIC_RESERVATION", "key": "compute.googleapis.com/reservation-name",
                "values": [.string(name)],
            ]
        ]
    }

    @Test func `a reservation gives the machines that it has, and says when it is missing or full`() async throws {
        var script = CloudScript()
        script.reservations = ["r1/us-central1-a": 1]
        let fixture = CloudFixture(script: script)
        _ = try await fixture.runningPool("first", config: Self.reserved("r1"))
        let label = nodes(fixture).first?.value(at: ["metadata", "labels", "cloud.google.com/reservation-name"])
        #expect(label == "r1")
        for (name, reservation, words) in [
            ("second", "projects/p1/reservations/r1", "does not have available resources"),
            ("third", "r2", "is not found in zone 'us-central1-a'"),
        ] {
            _ = try await fixture.createPool(name, config: Self.reserved(reservation))
            fixture.clock.advance(by: .seconds(2))
            let resize = try await fixture.setSize(name, 1)
            fixture.clock.advance(by: .seconds(60))
            let error = try await fixture.operation(resize)["error"]?["message"]?.stringValue ?? ""
            #expect(error.contains("[INVALID_RESERVATION]") && error.contains(words), "\(error)")
            #expect(try await fixture.deletePool(name).status == 200)
            fixture.clock.advance(by: .seconds(5))
        }
    }

    @Test func `a pool without accelerators has CPUs and memory alone`() async throws {
        let fixture = CloudFixture()
        _ = try await fixture.runningPool(
            "pool",
            config: [
                "machineType": "e2-standard-4",
                "taints": [["key": "trainyard.dev/dedicated", "value": "true", "effect": "NO_SCHEDULE"]],
            ])
        let node = try #require(nodes(fixture).first)
        #expect(node.value(at: ["status", "capacity", "cpu"]) == "4")
        #expect(node.value(at: ["status", "capacity", "nvidia.com/gpu"]) == nil)
        #expect(node.value(at: ["spec", "taints"])?.arrayValue?.count == 1)
        #expect(node.value(at: ["metadata", "labels", "cloud.google.com/gke-accelerator"]) == nil)
    }
}
