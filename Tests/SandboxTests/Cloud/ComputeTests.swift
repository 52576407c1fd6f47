import Encoding
import HTTP
import Sandbox
import Testing

@Suite struct ComputeTests {
    private static let project = "https://compute.googleapis.com/compute/v1/projects/p1"
    private static let zone = "\(project)/zones/us-central1-a"

    /// A pool that asks for two L4 machines.
    private func pool(_ fixture: APIFixture, spot: Bool = true) async throws {
        let cluster = CloudFixture.cluster
        _ = try await fixture.call(
            .post, "\(cluster)/nodePools",
            [
                "nodePool": [
                    "name": "pool", "initialNodeCount": 2, "locations": ["us-central1-a"],
                    "config": [
                        "machineType": "g2-standard-8", "spot": .bool(spot),
                        "accelerators": [["acceleratorType": "nvidia-l4", "acceleratorCount": "1"]],
                    ],
                ]
            ])
        fixture.clock.advance(by: .seconds(6))
        _ = try await fixture.call(.get, cluster)
    }

    private func group(_ fixture: APIFixture) async throws -> String {
        let pool = try await fixture.call(.get, "\(CloudFixture.cluster)/nodePools/pool").json
        return try #require(pool["instanceGroupUrls"]?[0]?.stringValue)
    }

    @Test func `machine types say their CPUs, memory and GPUs`() async throws {
        let fixture = APIFixture()
        let machine = try await fixture.call(.get, "\(Self.zone)/machineTypes/a3-highgpu-8g")
        #expect(machine.json["guestCpus"] == 208)
        #expect(machine.json["memoryMb"] == .integer(1872 * 1024))
        #expect(
            machine.json["accelerators"]
                == [["guestAcceleratorType": "nvidia-h100-80gb", "guestAcceleratorCount": 8]])
        let small = try await fixture.call(.get, "\(Self.zone)/machineTypes/n1-standard-2")
        #expect(small.json["memoryMb"] == 7680)
        #expect(small.json["accelerators"] == nil)
        let list = try await fixture.call(.get, "\(Self.zone)/machineTypes?filter=name%3Dg2-standard-4")
        #expect(list.json["items"]?.arrayValue?.count == 1)
        let odd = try await fixture.call(.get, "\(Self.zone)/machineTypes?filter=guestCpus")
        #expect(odd.reason == "invalid")
    }

    @Test func `accelerators are where their machines are`() async throws {
        let fixture = APIFixture()
        for machine in ["a4-highgpu-8g"] { fixture.cloud.removeMachineType(machine, zone: "us-central1-a") }
        #expect(try await fixture.call(.get, "\(Self.zone)/machineTypes/a4-highgpu-8g").status == 404)
        #expect(try await fixture.call(.get, "\(Self.zone)/acceleratorTypes/nvidia-b200").status == 404)
        #expect(try await fixture.call(.get, "\(Self.zone)/acceleratorTypes/nvidia-tesla-t4").status == 200)
        let all = try await fixture.call(.get, "\(Self.project)/aggregated/acceleratorTypes").json
        func names(_ zone: String) -> Set<String> {
            let types = all.value(at: ["items", "zones/\(zone)", "acceleratorTypes"])?.arrayValue ?? []
            return Set(types.compactMap { $0["name"]?.stringValue })
        }
        #expect(names("us-central1-b").subtracting(names("us-central1-a")) == ["nvidia-b200"])
    }

    @Test func `zones and regions point at one another`() async throws {
        let fixture = APIFixture()
        let zones = try await fixture.call(.get, "\(Self.project)/zones").json
        #expect(
            zones["items"]?.arrayValue?.compactMap { $0["name"]?.stringValue } == [
                "us-central1-a", "us-central1-b", "us-east5-b",
            ])
        let region = try await fixture.call(.get, "\(Self.project)/regions/us-central1").json
        #expect(region["zones"]?.arrayValue?.compactMap(\.lastSegment) == ["us-central1-a", "us-central1-b"])
        #expect(zones["items"]?[0]?["region"] == region["selfLink"])
        let missing = try await fixture.call(.get, "\(Self.project)/zones/mars-a")
        #expect(
            missing.json
                == [
                    "error": [
                        "code": 404, "message": "The resource 'projects/p1/zones/mars-a' was not found",
                        "errors": [
                            [
                                "domain": "global", "reason": "notFound",
                                "message": "The resource 'projects/p1/zones/mars-a' was not found",
                            ]
                        ],
                    ]
                ])
    }

    @Test func `quotas count the machines of the pools`() async throws {
        let fixture = APIFixture { $0.regionQuotas = ["PREEMPTIBLE_NVIDIA_L4_GPUS": 2] }
        try await pool(fixture)
        let region = try await fixture.call(.get, "\(Self.project)/regions/us-central1").json
        func quota(_ metric: String) -> JSONValue? {
            region["quotas"]?.arrayValue?.first { $0["metric"]?.stringValue == metric }
        }
        #expect(quota("PREEMPTIBLE_NVIDIA_L4_GPUS")?["usage"]?.doubleValue == 2)
        #expect(quota("PREEMPTIBLE_NVIDIA_L4_GPUS")?["limit"]?.doubleValue == 2)
        #expect(quota("NVIDIA_L4_GPUS")?["usage"]?.doubleValue == 0)
        #expect(quota("CPUS")?["usage"]?.doubleValue == 16)
        let east = try await fixture.call(.get, "\(Self.project)/regions/us-east5").json
        #expect(east["quotas"]?.arrayValue?.allSatisfy { $0["usage"]?.doubleValue == 0 } == true)
        let project = try await fixture.call(.get, Self.project).json
        #expect(project["quotas"]?[0]?["usage"]?.doubleValue == 2)
    }

    @Test func `a stocked out pool shows why in its instance group`() async throws {
        let fixture = APIFixture(CloudScript(stockouts: ["spot/us-central1-a"]))
        try await pool(fixture)
        let url = try await group(fixture)
        let json = try await fixture.call(.get, url).json
        #expect(json["targetSize"] == 2)
        #expect(json.value(at: ["currentActions", "creating"]) == 2)
        #expect(json.value(at: ["status", "isStable"]) == false)
        let managed = try await fixture.call(.post, "\(url)/listManagedInstances").json
        let instances = try #require(managed["managedInstances"]?.arrayValue)
        #expect(instances.count == 2)
        #expect(instances.allSatisfy { $0["currentAction"] == "CREATING" && $0["instanceStatus"] == nil })
        #expect(
            instances[0].value(at: ["lastAttempt", "errors", "errors"])?[0]?["code"] == "ZONE_RESOURCE_POOL_EXHAUSTED")
        let errors = try await fixture.call(.get, "\(url)/listErrors").json
        #expect(errors["items"]?.arrayValue?.count == 2)
        #expect(errors["items"]?[0]?.value(at: ["error", "code"]) == "ZONE_RESOURCE_POOL_EXHAUSTED")
        #expect(
            errors["items"]?[0]?.value(at: ["instanceActionDetails", "instance"]) == instances[0]["instance"])

        fixture.cloud.updateScript { $0.stockouts = [] }
        fixture.clock.advance(by: .seconds(60))
        let healed = try await fixture.call(.post, "\(url)/listManagedInstances").json
        #expect(healed["managedInstances"]?.arrayValue?.map { $0["instanceStatus"] } == ["RUNNING", "RUNNING"])
        #expect(try await fixture.call(.get, "\(url)/listErrors").json == [:])
    }

    @Test func `a pool over its quota shows that`() async throws {
        let fixture = APIFixture(CloudScript(quotas: ["spot": 1]))
        try await pool(fixture)
        let errors = try await fixture.call(.get, "\(try await group(fixture))/listErrors").json
        #expect(errors["items"]?.arrayValue?.count == 1)
        #expect(errors["items"]?[0]?.value(at: ["error", "code"]) == "QUOTA_EXCEEDED")
    }

    @Test func `reservations are what was planted`() async throws {
        let fixture = APIFixture()
        fixture.cloud.addReservation(
            "r1", zone: "us-central1-a", machineType: "a3-highgpu-8g", count: 4, inUse: 1)
        let reservation = try await fixture.call(.get, "\(Self.zone)/reservations/r1").json
        #expect(reservation.value(at: ["specificReservation", "inUseCount"]) == "1")
        #expect(try await fixture.call(.get, "\(Self.zone)/reservations").json["items"] == [reservation])
        #expect(try await fixture.call(.get, "\(Self.zone)/reservations/r2").reason == "notFound")
        #expect(
            try await fixture.call(.get, "\(Self.project)/zones/us-central1-b/reservations").json["items"] == nil)
    }

    @Test func `nothing can be changed`() async throws {
        let fixture = APIFixture(isWrong: true)
        #expect(try await fixture.call(.post, "\(Self.zone)/reservations", [:]).status == 404)
        #expect(try await fixture.call(.delete, "\(Self.zone)/reservations/r1").status == 404)
    }
}
