import Encoding
import HTTP
import Sandbox
import Testing

/// Updates, autoscaling, capacity rules and failures of node pools.
@Suite struct NodePoolChangeTests {
    private func create(_ fixture: CloudFixture, _ pool: JSONValue) async throws -> CloudFixture.Reply {
        try await fixture.call(.post, "\(CloudFixture.cluster)/nodePools", ["nodePool": pool])
    }

    @Test func `labels and taints are replaced as a whole, and the machines stay`() async throws {
        let fixture = CloudFixture()
        let before = try await fixture.runningPool(
            "pool", config: ["labels": ["old": "1"], "resourceLabels": ["old": "1"], "spot": true])
        let etag = try await fixture.pool("pool").json["etag"]?.stringValue ?? ""
        let url = "\(CloudFixture.cluster)/nodePools/pool"
        let update = try await fixture.call(
            .put, url,
            [
                "labels": ["labels": ["new": "2"]], "resourceLabels": ["labels": ["new": "2"]],
                "taints": ["taints": [["key": "a", "value": "b", "effect": "NO_SCHEDULE"]]],
                "etag": .string(etag),
            ])
        #expect(update.json["operationType"] == "UPGRADE_NODES")
        #expect(try await fixture.pool("pool").json["status"] == "RECONCILING")
        fixture.clock.advance(by: .seconds(2))
        #expect(try await fixture.operation(update)["status"] == "DONE")
        let pool = try await fixture.pool("pool").json
        #expect(pool["status"] == "RUNNING")
        #expect(pool["config"]?["labels"] == ["new": "2"])
        #expect(pool["config"]?["resourceLabels"] == ["new": "2"])
        #expect(pool["config"]?["taints"]?[0]?["key"] == "a")
        #expect(fixture.cloud.nodePools()[0].instances.map(\.id) == [before.id])

        let stale = try await fixture.call(.put, url, ["tags": ["tags": ["x"]], "etag": .string(etag)])
        #expect((stale.status, stale.reason) == (409, "ABORTED"))
        #expect(try await fixture.call(.put, url, ["etag": .string(etag)]).status == 409)
        #expect(try await fixture.call(.put, url, [:]).status == 400)
        #expect(
            try await fixture.call(.put, url, ["locations": ["us-central1-b"], "tags": ["tags": ["x"]]])
                .status == 400)
    }

    @Test func `another machine type makes the nodes anew, other locations move them`() async throws {
        let fixture = CloudFixture()
        let before = try await fixture.runningPool("pool", config: ["machineType": "n2-standard-4"])
        let url = "\(CloudFixture.cluster)/nodePools/pool"
        _ = try await fixture.call(.put, url, ["machineType": "n2-standard-8"])
        #expect(fixture.cloud.nodePools()[0].instances.map(\.state) == [.stopping])
        fixture.clock.advance(by: .seconds(2))
        fixture.cloud.tick()
        let after = fixture.cloud.nodePools()[0]
        #expect(after.config["machineType"] == "n2-standard-8")
        #expect(after.instances.map(\.state) == [.running])
        #expect(after.instances.map(\.id) != [before.id])
        _ = try await fixture.call(.put, url, ["locations": ["us-central1-b"]])
        fixture.clock.advance(by: .seconds(2))
        fixture.cloud.tick()
        #expect(fixture.cloud.nodePools()[0].instances.map(\.zone) == ["us-central1-b"])
    }

    @Test func `an update can be cancelled, a create cannot`() async throws {
        let fixture = CloudFixture()
        let create = try await fixture.createPool("pool")
        func cancel(_ operation: CloudFixture.Reply) async throws -> CloudFixture.Reply {
            try await fixture.call(
                .post, "\(CloudFixture.operations)/\(operation.json["name"]?.stringValue ?? ""):cancel", [:]
            )
        }
        #expect(try await cancel(create).reason == "FAILED_PRECONDITION")
        fixture.clock.advance(by: .seconds(2))
        let update = try await fixture.call(
            .put, "\(CloudFixture.cluster)/nodePools/pool", ["imageType": "UBUNTU_CONTAINERD"])
        #expect(try await cancel(update).json == [:])
        let cancelled = try await fixture.operation(update)
        #expect(cancelled["status"] == "DONE")
        #expect(cancelled["error"]?["code"] == 1)
        #expect(try await fixture.pool("pool").json["status"] == "RUNNING")
        #expect(try await fixture.setSize("pool", 1).status == 200)
    }

    @Test func `an autoscaled pool keeps to its limits`() async throws {
        let fixture = CloudFixture()
        _ = try await create(
            fixture,
            [
                "name": "pool", "locations": ["us-central1-a", "us-central1-b"], "initialNodeCount": 0,
                "autoscaling": ["enabled": true, "totalMinNodeCount": 1, "totalMaxNodeCount": 4],
            ])
        fixture.clock.advance(by: .seconds(4))
        fixture.cloud.tick()
        #expect(fixture.cloud.nodePools()[0].instances.count == 1)
        #expect(!fixture.cloud.autoscale(pool: "nobody", nodesPerZone: 1))
        #expect(fixture.cloud.autoscale(pool: "pool", nodesPerZone: 2))
        #expect(fixture.cloud.nodePools()[0].instances.count == 4)

        let url = "\(CloudFixture.cluster)/nodePools/pool:setAutoscaling"
        let change = try await fixture.call(
            .post, url, ["autoscaling": ["enabled": true, "minNodeCount": 0, "maxNodeCount": 1]])
        #expect(change.status == 200)
        fixture.clock.advance(by: .seconds(2))
        #expect(fixture.cloud.autoscale(pool: "pool", nodesPerZone: 9))
        #expect(
            fixture.cloud.nodePools()[0].instances.map(\.zone).sorted() == [
                "us-central1-a", "us-central1-b",
            ])
        _ = try await fixture.call(.post, url, ["autoscaling": ["enabled": false]])
        fixture.clock.advance(by: .seconds(2))
        #expect(try await fixture.pool("pool").json["autoscaling"] == nil)
        #expect(!fixture.cloud.autoscale(pool: "pool", nodesPerZone: 1))
    }

    @Test(
        arguments: [
            (
                ["autoscaling": ["enabled": true, "minNodeCount": 0, "totalMaxNodeCount": 3]],
                "limits per zone and total limits exclude each other"
            ),
            (
                ["autoscaling": ["enabled": true, "minNodeCount": 3, "maxNodeCount": 2]],
                "not less than the minimum"
            ),
            (["autoscaling": ["enabled": true]], "the maximum must be at least 1"),
            (["queuedProvisioning": ["enabled": true]], "queued_provisioning needs autoscaling"),
            (
                [
                    "queuedProvisioning": ["enabled": true],
                    "autoscaling": ["enabled": true, "totalMaxNodeCount": 3],
                ], "NO_RESERVATION"
            ),
            (
                [
                    "initialNodeCount": 1, "queuedProvisioning": ["enabled": true],
                    "autoscaling": ["enabled": true, "totalMaxNodeCount": 3],
                    "config": ["reservationAffinity": ["consumeReservationType": "NO_RESERVATION"]],
                ], "an initial node count of 0"
            ),
            (
                [
                    "config": [
                        "flexStart": true, "reservationAffinity": ["consumeReservationType": "ANY_RESERVATION"],
                    ]
                ], "flex_start cannot consume a reservation"
            ),
            (
                [
                    "config": ["flexStart": true],
                    "autoscaling": ["enabled": true, "totalMaxNodeCount": 3, "locationPolicy": "BALANCED"],
                ], "location policy ANY"
            ),
            (["config": ["flexStart": true, "maxRunDuration": "604801s"]], "max_run_duration"),
            (
                ["config": ["reservationAffinity": ["consumeReservationType": "SPECIFIC_RESERVATION"]]],
                "A specific reservation needs its key"
            ),
            (
                [
                    "config": [
                        "machineType": "a2-highgpu-2g",
                        "accelerators": [["acceleratorType": "nvidia-tesla-a100", "acceleratorCount": "1"]],
                    ]
                ], "has 2 x nvidia-tesla-a100, not 1 x nvidia-tesla-a100"
            ),
            (
                [
                    "config": [
                        "machineType": "g2-standard-8",
                        "accelerators": [["acceleratorType": "nvidia-tesla-t4", "acceleratorCount": 1]],
                    ]
                ], "has 1 x nvidia-l4"
            ),
            (
                [
                    "config": [
                        "machineType": "n2-standard-8",
                        "accelerators": [["acceleratorType": "nvidia-tesla-t4", "acceleratorCount": 1]],
                    ]
                ], "cannot be attached"
            ),
            (
                [
                    "config": ["machineType": "ct6e-standard-4t"],
                    "placementPolicy": ["type": "COMPACT", "tpuTopology": "4x4"], "initialNodeCount": 3,
                ], "has 4 nodes or none, not 3"
            ),
            (
                [
                    "config": ["machineType": "ct6e-standard-4t"],
                    "placementPolicy": ["tpuTopology": "2x2x2"],
                ],
                "does not fit machine type"
            ),
            (
                ["config": ["machineType": "ct6e-standard-8t"], "placementPolicy": ["tpuTopology": "4x4"]],
                "does not fit machine type"
            ),
            (
                [
                    "config": ["machineType": "ct5p-hightpu-4t"], "placementPolicy": ["tpuTopology": "2x2x2"],
                    "autoscaling": ["enabled": true, "maxNodeCount": 1],
                ], "scales to 2 nodes or to none"
            ),
        ] as [(JSONValue, String)])
    func `what does not fit together is refused`(settings: JSONValue, sentence: String) async throws {
        let fixture = CloudFixture()
        var pool = settings
        pool["name"] = "pool"
        if pool["locations"] == nil { pool["locations"] = ["us-central1-a"] }
        let reply = try await create(fixture, pool)
        #expect((reply.status, reply.reason) == (400, "INVALID_ARGUMENT"))
        #expect(reply.message.contains(sentence), "\(reply.message)")
    }

    @Test func `a TPU slice comes whole or not at all, and keeps its size`() async throws {
        let fixture = CloudFixture(script: CloudScript(quotas: ["standard": 3]))
        let slice: JSONValue = [
            "name": "slice", "locations": ["us-central1-a"], "initialNodeCount": 4,
            "config": ["machineType": "ct6e-standard-4t"],
            "placementPolicy": ["type": "COMPACT", "tpuTopology": "4x4"],
        ]
        let operation = try await create(fixture, slice)
        fixture.clock.advance(by: .seconds(10))
        let message = try await fixture.operation(operation)["error"]?["message"]?.stringValue ?? ""
        #expect(message.contains("Atomic resize failed with [GCE_QUOTA_EXCEEDED]"), "\(message)")
        #expect(try await fixture.pool("slice").json["status"] == "ERROR")
        #expect(fixture.cloud.nodePools()[0].instances.isEmpty)

        fixture.cloud.updateScript { $0.quotas = [:] }
        #expect(try await fixture.pool("slice").json["status"] == "RUNNING")
        #expect(fixture.cloud.nodePools()[0].instances.count == 4)
        #expect(try await fixture.setSize("slice", 2).status == 400)
        #expect(try await fixture.setSize("slice", 0).status == 200)
    }

    @Test func `a create can fail for good and leave its pool`() async throws {
        var script = CloudScript()
        script.poolFailures = ["pool": "IP_SPACE_EXHAUSTED"]
        let fixture = CloudFixture(script: script)
        let operation = try await create(
            fixture, ["name": "pool", "initialNodeCount": 1, "locations": ["us-central1-a"]])
        fixture.clock.advance(by: .seconds(10))
        let ended = try await fixture.operation(operation)
        #expect(ended["status"] == "DONE")
        #expect(ended["error"]?["code"] == 13)
        let pool = try await fixture.pool("pool").json
        #expect(pool["status"] == "ERROR")
        #expect(pool["conditions"]?[0]?["code"] == "IP_SPACE_EXHAUSTED")
        #expect(fixture.cloud.computeResources().count == 1)
        #expect(try await fixture.deletePool("pool").status == 200)
    }

    @Test func `an operation that never ends blocks the cluster`() async throws {
        var script = CloudScript()
        script.stuckOperations = ["CREATE_NODE_POOL"]
        let fixture = CloudFixture(script: script)
        let operation = try await fixture.createPool("pool")
        fixture.clock.advance(by: .seconds(86400))
        #expect(try await fixture.operation(operation)["status"] == "RUNNING")
        #expect(try await fixture.deletePool("pool").reason == "FAILED_PRECONDITION")
        fixture.cloud.updateScript { $0.stuckOperations = [] }
        #expect(try await fixture.operation(operation)["status"] == "DONE")
    }

    @Test func `a disabled API and a missing permission say what is missing, until their moment`()
        async throws
    {
        var script = CloudScript()
        script.disabledServices = ["container.googleapis.com": VirtualClock().now + .seconds(60)]
        script.deniedPermissions = ["container.clusters.update": CloudScript.forever]
        let fixture = CloudFixture(script: script)
        let disabled = try await fixture.pool("pool")
        #expect((disabled.status, disabled.reason) == (403, "PERMISSION_DENIED"))
        let info = disabled.json["error"]?["details"]?[0]
        #expect(info?["reason"] == "SERVICE_DISABLED")
        #expect(info?["metadata"]?["service"] == "container.googleapis.com")
        #expect(info?["metadata"]?["consumer"] == "projects/42")
        fixture.clock.advance(by: .seconds(60))
        #expect(try await fixture.pool("pool").status == 404)
        let denied = try await fixture.createPool("pool")
        #expect(denied.json["error"]?["details"]?[0]?["reason"] == "IAM_PERMISSION_DENIED")
        #expect(denied.message.contains("container.clusters.update"))
        fixture.cloud.updateScript { $0.deniedPermissions = [:] }
        #expect(try await fixture.createPool("pool").status == 200)
    }

    @Test func `clusters and versions are told`() async throws {
        let fixture = CloudFixture()
        let root = "https://container.googleapis.com/v1/projects/p1/locations"
        for location in ["-", "us-central1"] {
            let clusters = try await fixture.call(.get, "\(root)/\(location)/clusters").json["clusters"]
            #expect(clusters?[0]?["name"] == "c1")
        }
        let config = try await fixture.call(.get, "\(root)/us-central1/serverConfig").json
        #expect(config["validImageTypes"] == ["COS_CONTAINERD", "UBUNTU_CONTAINERD"])
    }
}
