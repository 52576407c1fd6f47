import Encoding
import HTTP
import Sandbox
import Testing

@Suite struct NodePoolTests {
    @Test func `a pool goes from PROVISIONING to RUNNING and gets machines when it is sized`() async throws {
        let fixture = CloudFixture()
        let create = try await fixture.createPool("pool")
        #expect(create.status == 200)
        #expect(create.json["status"] == "PENDING")
        #expect(try await fixture.pool("pool").json["status"] == "PROVISIONING")

        fixture.clock.advance(by: .milliseconds(500))
        #expect(try await fixture.operation(create)["status"] == "RUNNING")
        fixture.clock.advance(by: .seconds(1))
        let created = try await fixture.operation(create)
        #expect(created["status"] == "DONE")
        #expect(created["error"] == nil)
        #expect(created["endTime"] == "2026-11-21T10:00:01.500000Z")
        #expect(try await fixture.pool("pool").json["status"] == "RUNNING")
        #expect(fixture.cloud.nodePools()[0].instances.isEmpty)

        _ = try await fixture.setSize("pool", 2)
        fixture.clock.advance(by: .seconds(1))
        fixture.cloud.tick()
        #expect(fixture.cloud.nodePools()[0].instances.isEmpty)
        fixture.clock.advance(by: .seconds(1))
        fixture.cloud.tick()
        let instances = fixture.cloud.nodePools()[0].instances
        #expect(instances.map(\.zone) == ["us-central1-a", "us-central1-a"])
        #expect(Set(instances.map(\.name)).count == 2)
        #expect(instances.allSatisfy { $0.name.hasPrefix("gke-c1-pool-") && $0.name.utf8.count <= 63 })
        #expect(instances.allSatisfy { $0.state == .running })
        #expect(
            fixture.cloud.computeResources() == [
                "//container.googleapis.com/projects/p1/locations/us-central1/clusters/c1/nodePools/pool"
            ])
    }

    @Test func `a deleted pool counts until it is gone and then answers 404`() async throws {
        let fixture = CloudFixture()
        _ = try await fixture.runningPool("pool")
        let delete = try await fixture.deletePool("pool")
        #expect(delete.json["operationType"] == "DELETE_NODE_POOL")
        #expect(try await fixture.pool("pool").json["status"] == "STOPPING")
        #expect(fixture.cloud.nodePools()[0].instances.map(\.state) == [.stopping])
        #expect(fixture.cloud.computeResources().count == 1)

        fixture.clock.advance(by: .seconds(1))
        #expect(try await fixture.pool("pool").status == 404)
        #expect(try await fixture.operation(delete)["status"] == "DONE")
        #expect(fixture.cloud.computeResources().isEmpty)
        #expect(try await fixture.deletePool("pool").reason == "NOT_FOUND")
    }

    @Test func `a stockout ends the operation with code 8 and leaves the pool in ERROR`() async throws {
        let fixture = CloudFixture(script: CloudScript(stockouts: ["Spot/us-central1-a"]))
        _ = try await fixture.createPool("pool")
        fixture.clock.advance(by: .seconds(2))
        let resize = try await fixture.setSize("pool", 1)
        fixture.clock.advance(by: .seconds(2))
        #expect(try await fixture.operation(resize)["status"] == "RUNNING")

        fixture.clock.advance(by: .seconds(1))
        let operation = try await fixture.operation(resize)
        #expect(operation["status"] == "DONE")
        #expect(operation["error"]?["code"] == 8)
        #expect(operation["error"]?["message"]?.stringValue?.contains("[GCE_STOCKOUT]") == true)
        let pool = try await fixture.pool("pool").json
        #expect(pool["status"] == "ERROR")
        #expect(pool["conditions"]?[0]?["code"] == "GCE_STOCKOUT")
        #expect(pool["conditions"]?[0]?["canonicalCode"] == "RESOURCE_EXHAUSTED")
        #expect(fixture.cloud.nodePools()[0].instances.isEmpty)
        #expect(fixture.cloud.computeResources().count == 1)

        #expect(try await fixture.deletePool("pool").status == 200)
        fixture.clock.advance(by: .seconds(1))
        #expect(try await fixture.pool("pool").status == 404)
    }

    @Test func `another zone or provisioning model is not stocked out`() async throws {
        let fixture = CloudFixture(script: CloudScript(stockouts: ["spot/us-central1-a"]))
        for (name, zone, config) in [
            ("b", "us-central1-b", ["spot": true]), ("a", "us-central1-a", [:]),
        ] as [(String, String, JSONValue)] {
            _ = try await fixture.createPool(name, zone: zone, config: config)
            fixture.clock.advance(by: .seconds(2))
            _ = try await fixture.setSize(name, 1)
            fixture.clock.advance(by: .seconds(2))
            #expect(try await fixture.pool(name).json["status"] == "RUNNING")
        }
    }

    @Test func `a stockout in one of two zones leaves machines that cost money`() async throws {
        let fixture = CloudFixture(script: CloudScript(stockouts: ["*/us-central1-b"]))
        _ = try await fixture.call(
            .post, "\(CloudFixture.cluster)/nodePools",
            ["nodePool": ["name": "pool", "initialNodeCount": 1, "config": ["machineType": "g2-standard-8"]]])
        fixture.clock.advance(by: .seconds(10))
        let pool = try await fixture.pool("pool").json
        #expect(pool["status"] == "RUNNING_WITH_ERROR")
        #expect(fixture.cloud.nodePools()[0].instances.map(\.zone) == ["us-central1-a"])

        // The group keeps asking: capacity that comes back is used, and billed.
        fixture.cloud.updateScript { $0.stockouts = [] }
        #expect(try await fixture.pool("pool").json["status"] == "RUNNING")
        #expect(fixture.cloud.nodePools()[0].instances.map(\.zone) == ["us-central1-a", "us-central1-b"])
    }

    @Test func `a quota ends the operation with its own code`() async throws {
        let fixture = CloudFixture(script: CloudScript(quotas: ["spot": 1]))
        _ = try await fixture.createPool("pool")
        fixture.clock.advance(by: .seconds(2))
        let resize = try await fixture.setSize("pool", 2)
        fixture.clock.advance(by: .seconds(3))
        let operation = try await fixture.operation(resize)
        #expect(operation["nodepoolConditions"]?[0]?["code"] == "GCE_QUOTA_EXCEEDED")
        #expect(operation["error"]?["message"]?.stringValue?.contains("[GCE_QUOTA_EXCEEDED]") == true)
        #expect(try await fixture.pool("pool").json["status"] == "RUNNING_WITH_ERROR")
    }

    @Test func `one changing operation runs at a time, the pool's own create included`() async throws {
        let fixture = CloudFixture()
        let create = try await fixture.createPool("one")
        let name = try #require(create.json["name"]?.stringValue)
        for refused in [
            try await fixture.createPool("two"), try await fixture.setSize("one", 1),
            try await fixture.deletePool("one"),
        ] {
            #expect(refused.status == 400)
            #expect(refused.reason == "FAILED_PRECONDITION")
            #expect(refused.message == "Cluster is running incompatible operation \(name).")
        }
        #expect(try await fixture.createPool("one").reason == "ALREADY_EXISTS")
        fixture.clock.advance(by: .seconds(2))
        #expect(try await fixture.createPool("two").status == 200)
    }

    @Test func `a name that is taken answers 409`() async throws {
        let fixture = CloudFixture()
        _ = try await fixture.createPool("pool")
        fixture.clock.advance(by: .seconds(2))
        let again = try await fixture.createPool("pool")
        #expect(again.status == 409)
        #expect(again.message == "Already exists: projects/p1/locations/us-central1/clusters/c1/nodePools/pool.")
    }

    @Test func `a preempted machine has 30 seconds and comes back under its name as another`() async throws {
        let fixture = CloudFixture()
        let before = try await fixture.runningPool("pool")
        #expect(fixture.cloud.preempt(instance: before.name))
        #expect(!fixture.cloud.preempt(instance: before.name))
        fixture.clock.advance(by: .seconds(29))
        fixture.cloud.tick()
        #expect(fixture.cloud.nodePools()[0].instances.map(\.state) == [.preempting])
        fixture.clock.advance(by: .seconds(1))
        fixture.cloud.tick()
        #expect(fixture.cloud.nodePools()[0].instances.isEmpty)
        fixture.clock.advance(by: .seconds(2))
        fixture.cloud.tick()
        let after = try #require(fixture.cloud.nodePools()[0].instances.first)
        #expect(after.name == before.name)
        #expect(after.id != before.id)
    }

    @Test func `a maximum run duration ends the machine for good`() async throws {
        let fixture = CloudFixture()
        let instance = try await fixture.runningPool("pool", config: ["maxRunDuration": "3600s"])
        #expect(instance.terminatesAt == instance.createdAt + .seconds(3600))
        fixture.clock.advance(by: .seconds(3700))
        fixture.cloud.tick()
        #expect(fixture.cloud.nodePools()[0].instances.isEmpty)
        fixture.clock.advance(by: .seconds(3700))
        fixture.cloud.tick()
        #expect(fixture.cloud.nodePools()[0].instances.isEmpty)
    }

    @Test func `a smaller size stops the surplus`() async throws {
        let fixture = CloudFixture()
        _ = try await fixture.runningPool("pool")
        _ = try await fixture.setSize("pool", 0)
        #expect(fixture.cloud.nodePools()[0].instances.map(\.state) == [.stopping])
        fixture.clock.advance(by: .seconds(2))
        fixture.cloud.tick()
        #expect(fixture.cloud.nodePools()[0].instances.isEmpty)
    }

    @Test(
        arguments: [
            (["name": "pool", "size": 1], "Unknown name \"size\" at 'node_pool': Cannot find field."),
            (
                ["name": "pool", "config": ["gpus": 1]],
                "Unknown name \"gpus\" at 'node_pool.config': Cannot find field."
            ),
            (["name": "pool", "status": "RUNNING"], "'node_pool.status' is output only"),
            (["name": "pool", "config": ["spot": "yes"]], "Invalid value at 'node_pool.config.spot' (TYPE_BOOL)"),
            (
                ["name": "pool", "config": ["maxRunDuration": "1h"]],
                "Invalid value at 'node_pool.config.max_run_duration'"
            ),
            (
                ["name": "pool", "config": ["taints": [["key": "a", "effect": "NoSchedule"]]]],
                "Invalid value at 'node_pool.config.taints[0].effect' (TYPE_ENUM)"
            ),
            (["name": "Pool"], "node_pool.name"),
            (["name": "p23456789012345678901234567890123456789041"], "node_pool.name"),
            (["name": "pool", "locations": ["europe-west4-a"]], "is not a zone of the cluster"),
            (["name": "pool", "config": ["spot": true, "flexStart": true]], "Only one of spot"),
            (["name": "pool", "config": ["maxRunDuration": "10s"]], "max_run_duration"),
            (["name": "pool", "config": ["resourceLabels": ["Owner": "a"]]], "Resource label \"Owner\""),
            (["name": "pool", "config": ["labels": ["cloud.google.com/gke-x": "a"]]], "is reserved"),
            (
                ["name": "pool", "config": ["accelerators": [["acceleratorType": "nvidia-l4"]]]],
                "count of at least 1"
            ),
        ] as [(JSONValue, String)])
    func `a wrong pool is refused with 400 and a sentence`(pool: JSONValue, sentence: String) async throws {
        let fixture = CloudFixture(isWrong: true)
        let reply = try await fixture.call(.post, "\(CloudFixture.cluster)/nodePools", ["nodePool": pool])
        #expect(reply.status == 400)
        #expect(reply.reason == "INVALID_ARGUMENT")
        #expect(reply.message.contains(sentence), "\(reply.message)")
        #expect(fixture.cloud.nodePools().isEmpty)
    }

    @Test func `other projects, clusters and methods are refused`() async throws {
        let fixture = CloudFixture(isWrong: true)
        let root = "https://container.googleapis.com/v1/projects"
        #expect(try await fixture.call(.get, "\(root)/p2/locations/us-central1/clusters/c1").status == 403)
        #expect(try await fixture.call(.get, "\(root)/p1/locations/us-central1/clusters/c2").status == 404)
        #expect(try await fixture.call(.get, "\(root)/p1/locations/us-central1/clusters/c1").json["name"] == "c1")
        #expect(try await fixture.call(.patch, "\(CloudFixture.cluster)/nodePools/a").status == 404)
        #expect(try await fixture.call(.get, "\(CloudFixture.cluster)?pageSize=3").status == 400)
        #expect(try await fixture.call(.get, "https://run.googleapis.com/v2/projects/p1").status == 404)
    }

    @Test func `default values are left out of replies`() async throws {
        let fixture = CloudFixture()
        _ = try await fixture.call(
            .post, "\(CloudFixture.cluster)/nodePools", ["nodePool": ["name": "pool", "initialNodeCount": 0]])
        #expect(try await fixture.pool("pool").json["initialNodeCount"] == nil)
        #expect(try await CloudFixture().call(.get, "\(CloudFixture.cluster)/nodePools").json == [:])
    }

    @Test func `a change of a pool changes its etag`() async throws {
        let fixture = CloudFixture()
        _ = try await fixture.runningPool("pool")
        let before = try await fixture.pool("pool").json["etag"]
        _ = try await fixture.setSize("pool", 0)
        #expect(try await fixture.pool("pool").json["etag"] != before)
    }
}
