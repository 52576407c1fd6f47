import Encoding
import HTTP
import Sandbox
import Testing

@Suite struct TPUTests {
    private static let zone = "https://tpu.googleapis.com/v2/projects/p1/locations/us-east5-b"
    private static let parent = "projects/p1/locations/us-east5-b"

    private static func queued(
        _ tier: JSONValue = ["spot": [:]], node: JSONValue = ["acceleratorType": "v6e-16"], spec: JSONValue = [:]
    ) -> JSONValue {
        var node = node
        node["runtimeVersion"] = node["runtimeVersion"] ?? "v2-alpha-tpuv6e"
        var nodeSpec: JSONValue = ["parent": .string(parent), "node": node]
        for (key, value) in spec.objectValue ?? [:] { nodeSpec[key] = value }
        if spec == [:] { nodeSpec["nodeId"] = "train" }
        var body: JSONValue = ["tpu": ["nodeSpec": [nodeSpec]]]
        for (key, value) in tier.objectValue ?? [:] { body[key] = value }
        return body
    }

    private func create(
        _ fixture: APIFixture, _ id: String = "q1", _ body: JSONValue = queued(), query: String = ""
    ) async throws -> CloudFixture.Reply {
        try await fixture.call(.post, "\(Self.zone)/queuedResources?queuedResourceId=\(id)\(query)", body)
    }

    private func state(_ fixture: APIFixture, _ id: String = "q1") async throws -> String? {
        try await fixture.call(.get, "\(Self.zone)/queuedResources/\(id)").json.value(at: ["state", "state"])?
            .stringValue
    }

    private func nodes(_ fixture: APIFixture) async throws -> [String] {
        let reply = try await fixture.call(.get, "\(Self.zone)/nodes")
        return (reply.json["nodes"]?.arrayValue ?? []).map {
            "\($0["name"]?.lastSegment ?? "") \($0["state"]?.stringValue ?? "")"
        }
    }

    @Test func `a queued resource is accepted, provisioned and active`() async throws {
        let fixture = APIFixture()
        let created = try await create(fixture)
        #expect(created.json["done"] == true)
        #expect(try await state(fixture) == "ACCEPTED")
        #expect(try await nodes(fixture) == [])
        fixture.clock.advance(by: .seconds(1))
        #expect(try await state(fixture) == "PROVISIONING")
        #expect(try await nodes(fixture) == ["train CREATING"])
        fixture.clock.advance(by: .seconds(3))
        #expect(try await state(fixture) == "ACTIVE")
        let node = try await fixture.call(.get, "\(Self.zone)/nodes/train").json
        #expect(node["state"] == "READY")
        #expect(node["health"] == "HEALTHY")
        #expect(node["acceleratorConfig"] == ["type": "V6E", "topology": "4x4"])
        #expect(node["networkEndpoints"]?.arrayValue?.count == 4)
        #expect(node["queuedResource"]?.stringValue == "projects/42/locations/us-east5-b/queuedResources/q1")
        #expect(fixture.cloud.computeResources() == ["//tpu.googleapis.com/\(Self.parent)/nodes/train"])
    }

    @Test func `a stockout lets it wait until there is capacity`() async throws {
        let fixture = APIFixture(CloudScript(stockouts: ["spot/us-east5-b"]))
        _ = try await create(fixture)
        fixture.clock.advance(by: .seconds(1))
        #expect(try await state(fixture) == "WAITING_FOR_RESOURCES")
        fixture.clock.advance(by: .seconds(86400))
        #expect(try await state(fixture) == "WAITING_FOR_RESOURCES")
        #expect(fixture.cloud.computeResources().isEmpty)
        fixture.cloud.updateScript { $0.stockouts = [] }
        #expect(try await state(fixture) == "PROVISIONING")
        fixture.clock.advance(by: .seconds(3))
        #expect(try await state(fixture) == "ACTIVE")
    }

    @Test func `one that waits longer than it may fails`() async throws {
        let fixture = APIFixture(CloudScript(stockouts: ["*/us-east5-b"]))
        _ = try await create(
            fixture, "q1", Self.queued(["queueingPolicy": ["validUntilDuration": "3600s"]]))
        fixture.clock.advance(by: .seconds(3599))
        #expect(try await state(fixture) == "WAITING_FOR_RESOURCES")
        fixture.clock.advance(by: .seconds(1))
        let resource = try await fixture.call(.get, "\(Self.zone)/queuedResources/q1").json
        #expect(resource.value(at: ["state", "state"]) == "FAILED")
        #expect(resource.value(at: ["state", "failedData", "error", "code"]) == 4)
    }

    @Test func `chips of a zone go to who came first`() async throws {
        let fixture = APIFixture { $0.tpuChips = ["us-east5-b": 24] }
        _ = try await create(fixture, "q1")
        _ = try await create(fixture, "q2", Self.queued(spec: ["nodeId": "other"]))
        fixture.clock.advance(by: .seconds(4))
        #expect(try await state(fixture, "q1") == "ACTIVE")
        #expect(try await state(fixture, "q2") == "WAITING_FOR_RESOURCES")
        _ = try await fixture.call(.delete, "\(Self.zone)/queuedResources/q1?force=true")
        fixture.clock.advance(by: .seconds(2))
        #expect(try await state(fixture, "q2") == "PROVISIONING")
    }

    @Test func `several slices come together`() async throws {
        let fixture = APIFixture { $0.tpuChips = ["us-east5-b": 31] }
        let spec: JSONValue = ["multisliceParams": ["nodeCount": 2, "nodeIdPrefix": "slice"]]
        _ = try await create(fixture, "q1", Self.queued(spec: spec))
        fixture.clock.advance(by: .seconds(4))
        #expect(try await state(fixture) == "WAITING_FOR_RESOURCES")
        #expect(try await nodes(fixture) == [])
        fixture.cloud.updateScript { $0.apis.tpuChips = ["us-east5-b": 32] }
        #expect(try await nodes(fixture) == ["slice-0 CREATING", "slice-1 CREATING"])
        fixture.clock.advance(by: .seconds(3))
        #expect(try await nodes(fixture) == ["slice-0 READY", "slice-1 READY"])
    }

    @Test func `a reservation must be there`() async throws {
        let fixture = APIFixture()
        let tier: JSONValue = ["guaranteed": [:], "reservationName": .string("\(Self.parent)/reservations/r1")]
        _ = try await create(fixture, "q1", Self.queued(tier))
        fixture.clock.advance(by: .seconds(1))
        let failed = try await fixture.call(.get, "\(Self.zone)/queuedResources/q1").json
        #expect(failed.value(at: ["state", "failedData", "error", "code"]) == 9)
        fixture.cloud.addReservation("r1", zone: "us-east5-b", machineType: "ct6e-standard-4t", count: 4)
        #expect(try await fixture.call(.post, "\(Self.zone)/queuedResources/q1:reset", [:]).status == 200)
        fixture.clock.advance(by: .seconds(4))
        #expect(try await state(fixture) == "ACTIVE")
    }

    @Test func `a preemption suspends the queued resource and takes its nodes`() async throws {
        let fixture = APIFixture()
        _ = try await create(fixture)
        fixture.clock.advance(by: .seconds(4))
        #expect(fixture.cloud.preemptTPU(node: "\(Self.parent)/nodes/other") == false)
        #expect(fixture.cloud.preemptTPU(node: "\(Self.parent)/nodes/train"))
        #expect(try await state(fixture) == "SUSPENDING")
        #expect(try await nodes(fixture) == ["train PREEMPTED"])
        fixture.clock.advance(by: .seconds(2))
        let resource = try await fixture.call(.get, "\(Self.zone)/queuedResources/q1").json
        #expect(resource["state"] == ["state": "SUSPENDED", "suspendedData": [:], "stateInitiator": "SERVICE"])
        #expect(try await nodes(fixture) == [])
        #expect(try await fixture.call(.delete, "\(Self.zone)/queuedResources/q1").status == 200)
    }

    @Test func `a deletion needs force while there are nodes`() async throws {
        let fixture = APIFixture()
        _ = try await create(fixture)
        fixture.clock.advance(by: .seconds(4))
        let url = "\(Self.zone)/queuedResources/q1"
        #expect(try await fixture.call(.delete, url).reason == "FAILED_PRECONDITION")
        let delete = try await fixture.call(.delete, "\(url)?force=true")
        #expect(try await state(fixture) == "DELETING")
        #expect(try await nodes(fixture) == ["train DELETING"])
        #expect(fixture.cloud.computeResources().count == 1)
        #expect(try await fixture.call(.delete, url).json["name"] == delete.json["name"])
        fixture.clock.advance(by: .seconds(2))
        #expect(try await fixture.call(.get, url).status == 404)
        #expect(try await fixture.operation("tpu.googleapis.com", delete)["done"] == true)
        #expect(fixture.cloud.computeResources().isEmpty)
    }

    @Test func `a request id makes a repeated create the same one`() async throws {
        let fixture = APIFixture()
        let query = "&requestId=6f1c1c1e-0d1c-4b6e-9a52-0d6f0a8f0b11"
        let first = try await create(fixture, query: query)
        let second = try await create(fixture, query: query)
        #expect(second == first)
        #expect(try await create(fixture).reason == "ALREADY_EXISTS")
        #expect(try await create(fixture, "q2").message.contains("nodes/train"))
        let zero = try await create(fixture, "q3", query: "&requestId=00000000-0000-0000-0000-000000000000")
        #expect(zero.field == "request_id")
    }

    @Test func `a node lives, stops, starts and ends`() async throws {
        let fixture = APIFixture(isWrong: true)
        let url = "\(Self.zone)/nodes/n1"
        let body: JSONValue = ["acceleratorType": "v6e-8", "runtimeVersion": "v2-alpha-tpuv6e"]
        let created = try await fixture.call(.post, "\(Self.zone)/nodes?nodeId=n1", body)
        #expect(created.json["done"] == nil)
        #expect(try await nodes(fixture) == ["n1 CREATING"])
        fixture.clock.advance(by: .seconds(3))
        let operation = try await fixture.operation("tpu.googleapis.com", created)
        #expect(operation.value(at: ["response", "state"]) == "READY")
        _ = try await fixture.call(.patch, "\(url)?updateMask=labels", ["labels": ["a": "b"]])
        #expect(try await fixture.call(.get, url).json["labels"] == ["a": "b"])
        #expect(try await fixture.call(.patch, url, ["labels": [:]]).field == "update_mask")
        _ = try await fixture.call(.post, "\(url):stop", [:])
        fixture.clock.advance(by: .seconds(2))
        #expect(try await nodes(fixture) == ["n1 STOPPED"])
        #expect(try await fixture.call(.post, "\(url):stop", [:]).reason == "FAILED_PRECONDITION")
        _ = try await fixture.call(.post, "\(url):start", [:])
        fixture.clock.advance(by: .seconds(2))
        #expect(fixture.cloud.preemptTPU(node: "\(Self.parent)/nodes/n1"))
        #expect(try await nodes(fixture) == ["n1 PREEMPTED"])
        let refused = try await fixture.call(.patch, "\(url)?updateMask=labels", ["labels": [:]])
        #expect(refused.message.contains("not supported while in state PREEMPTED"))
        _ = try await fixture.call(.delete, url)
        fixture.clock.advance(by: .seconds(2))
        #expect(try await fixture.call(.get, url).status == 404)
    }

    @Test func `a node without capacity ends its operation with code 8`() async throws {
        let fixture = APIFixture(CloudScript(stockouts: ["standard/us-east5-b"]))
        let body: JSONValue = ["acceleratorType": "v6e-8", "runtimeVersion": "v2-alpha-tpuv6e"]
        let created = try await fixture.call(.post, "\(Self.zone)/nodes?nodeId=n1", body)
        fixture.clock.advance(by: .seconds(3))
        let operation = try await fixture.operation("tpu.googleapis.com", created)
        #expect(operation.value(at: ["error", "code"]) == 8)
        #expect(
            operation.value(at: ["error", "message"])?.stringValue?.hasPrefix(
                "There is no more capacity in the zone \"us-east5-b\"") == true)
        #expect(try await nodes(fixture) == [])
    }

    @Test func `more chips than the quota are refused at once`() async throws {
        let fixture = APIFixture { $0.tpuQuota = ["us-east5-b": 8] }
        let reply = try await create(fixture)
        #expect(reply.status == 429)
        #expect(reply.reason == "RESOURCE_EXHAUSTED")
        #expect(
            reply.json["error"]?["details"]?[0]?["@type"] == "type.googleapis.com/google.rpc.QuotaFailure")
        #expect(reply.json["error"]?["details"]?[0]?["violations"]?[0]?["quotaValue"] == "8")
    }

    @Test(
        arguments: [
            ("no node", ["tpu": ["nodeSpec": []]], "Exactly one node spec"),
            ("both tiers", queued(["spot": [:], "guaranteed": [:]]), "Only one of spot and guaranteed"),
            ("another parent", queued(spec: ["parent": "projects/p1/locations/x", "nodeId": "n"]), "parent must be"),
            ("no accelerator", queued(node: [:]), "Exactly one of accelerator_type"),
            ("an unknown accelerator", queued(node: ["acceleratorType": "v6e-3"]), "'v6e-3' is not found"),
            (
                "both spellings",
                queued(node: ["acceleratorType": "v6e-4", "acceleratorConfig": ["type": "V6E", "topology": "2x2"]]),
                "Exactly one of accelerator_type"
            ),
            (
                "an unknown topology", queued(node: ["acceleratorConfig": ["type": "V6E", "topology": "3x3"]]),
                "'V6E 3x3' is not found"
            ),
            ("no runtime", queued(node: ["acceleratorType": "v6e-4", "runtimeVersion": ""]), "runtime_version"),
            ("one slice of several", queued(spec: ["multisliceParams": ["nodeCount": 1]]), "greater than 1"),
            ("a name and several", queued(spec: ["nodeId": "n", "multisliceParams": ["nodeCount": 2]]), "Only one of"),
            ("a bad name", queued(spec: ["nodeId": "N"]), "Node id 'N'"),
            (
                "two times", queued(["queueingPolicy": ["validUntilDuration": "1s", "validAfterDuration": "1s"]]),
                "Exactly one condition"
            ),
        ] as [(String, JSONValue, String)])
    func `a wrong queued resource is refused`(name: String, body: JSONValue, text: String) async throws {
        let fixture = APIFixture()
        let reply = try await create(fixture, "q1", body)
        #expect(reply.status == 400)
        #expect(reply.message.contains(text), "\(name): \(reply.message)")
        #expect(try await state(fixture) == nil)
    }

    @Test func `a zone without TPUs is closed and accelerator types are listed`() async throws {
        let fixture = APIFixture()
        let other = try await fixture.call(.get, "https://tpu.googleapis.com/v2/projects/p1/locations/us-east1-d/nodes")
        #expect(other.status == 403)
        #expect(other.message == "Location us-east1-d is not found or access is unauthorized.")
        let types = try await fixture.call(.get, "\(Self.zone)/acceleratorTypes?pageSize=1000").json
        let names = Set((types["acceleratorTypes"]?.arrayValue ?? []).compactMap { $0["type"]?.stringValue })
        #expect(names.isSuperset(of: ["v2-8", "v3-8", "v4-8", "v5litepod-16", "v5p-8", "v6e-1", "v6e-256"]))
        #expect(try await fixture.call(.get, "\(Self.zone)/acceleratorTypes/v6e-4").status == 200)
        #expect(try await fixture.call(.get, "\(Self.zone)/acceleratorTypes/v9-4").status == 404)
    }
}
