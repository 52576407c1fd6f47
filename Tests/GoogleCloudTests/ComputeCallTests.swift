import Encoding
import GoogleCloud
import HTTP
import Testing

@Suite struct ComputeCallTests {
    static let project = "https://compute.googleapis.com/compute/v1/projects/p1"
    static let zone = LocationName(project: "p1", location: "us-central1-a")
    static let root = "\(project)/zones/us-central1-a"

    @Test func `zones and regions, with the quotas that are left`() async throws {
        let zones = try await expectCall(
            "GET \(Self.project)/zones",
            reply: [
                "items": [
                    ["name": "us-central1-a", "status": "UP", "region": "r", "id": "18446744073709551615"],
                    ["name": "us-central1-b", "status": "MELTED"], ["name": "us-central1-c"],
                ]
            ]
        ) { google throws(APIError) in try await ComputeClient(google).zones(project: "p1") }
        #expect(zones.items.map(\.name) == ["us-central1-a", "us-central1-b", "us-central1-c"])
        #expect(zones.items.map(\.status) == [.known(.up), .other("MELTED"), nil])
        #expect(zones.isComplete)
        let region = try await expectCall(
            "GET \(Self.project)/regions/us-central1",
            reply: [
                "name": "us-central1", "status": "UP", "zones": ["a", "b"],
                "quotas": [["metric": "NVIDIA_L4_GPUS", "limit": 8, "usage": 3.0], ["metric": "CPUS", "limit": 24]],
            ]
        ) { google throws(APIError) in try await ComputeClient(google).region("us-central1", project: "p1") }
        #expect(region.zones == ["a", "b"])
        #expect(region.quota("NVIDIA_L4_GPUS")?.free == 5)
        #expect(region.quota("CPUS")?.free == 24)
        #expect(region.quota("NVIDIA_B200_GPUS") == nil)
        let blind = try await expectCall(
            "GET \(Self.project)/regions/us-central1",
            reply: [
                "name": "us-central1", "quotas": [["metric": "CPUS"]],
                "quotaStatusWarning": ["code": "QUOTA_INFO_UNAVAILABLE", "message": "m"],
            ]
        ) { google throws(APIError) in try await ComputeClient(google).region("us-central1", project: "p1") }
        #expect(blind.quotaStatusWarning?.code == "QUOTA_INFO_UNAVAILABLE")
        #expect(blind.quota("CPUS") == nil)
    }

    @Test func `machine types and accelerators of a zone`() async throws {
        let reply: JSONValue = [
            "name": "g2-standard-8", "guestCpus": 8, "memoryMb": 32768, "architecture": "X86_64",
            "zone": "us-central1-a", "deprecated": ["state": "DEPRECATED", "replacement": "u"],
            "accelerators": [["guestAcceleratorType": "nvidia-l4", "guestAcceleratorCount": 1]],
        ]
        let machine = try await expectCall("GET \(Self.root)/machineTypes/g2-standard-8", reply: reply) {
            google throws(APIError) in try await ComputeClient(google).machineType("g2-standard-8", in: Self.zone)
        }
        #expect(machine.guestCpus == 8)
        #expect(machine.memoryMb == 32768)
        #expect(machine.accelerators?.first?.guestAcceleratorType == "nvidia-l4")
        #expect(machine.accelerators?.first?.guestAcceleratorCount == 1)
        #expect(machine.deprecated?.state == "DEPRECATED")
        let machines = try await expectCalls(
            ["GET \(Self.root)/machineTypes", "GET \(Self.root)/machineTypes?pageToken=t%2F1"],
            replies: [["items": [reply], "nextPageToken": "t/1"], ["items": [["name": "e2-micro"]]]]
        ) { google throws(APIError) in try await ComputeClient(google).machineTypes(in: Self.zone) }
        #expect(machines.items.map(\.name) == ["g2-standard-8", "e2-micro"])
        #expect(machines.items.first == machine)
        let accelerators = try await expectCall(
            "GET \(Self.root)/acceleratorTypes",
            reply: ["items": [["name": "nvidia-l4", "maximumCardsPerInstance": 8, "description": "NVIDIA L4"]]]
        ) { google throws(APIError) in try await ComputeClient(google).acceleratorTypes(in: Self.zone) }
        #expect(accelerators.items.map(\.name) == ["nvidia-l4"])
        #expect(accelerators.items.map(\.maximumCardsPerInstance) == [8])
    }

    @Test func `an aggregated list says which zones did not answer`() async throws {
        let list = try await expectCalls(
            [
                "GET \(Self.project)/aggregated/acceleratorTypes",
                "GET \(Self.project)/aggregated/acceleratorTypes?pageToken=2",
            ],
            replies: [
                [
                    "items": [
                        "zones/b": ["acceleratorTypes": [["name": "nvidia-t4", "zone": "b"]]],
                        "zones/a": ["acceleratorTypes": [["name": "nvidia-l4", "zone": "a"]]],
                        "zones/empty": ["warning": ["code": "NO_RESULTS_ON_PAGE", "message": "m"]],
                        "zones/down": ["warning": ["code": "UNREACHABLE"]],
                    ], "nextPageToken": "2",
                ],
                ["items": ["zones/c": ["acceleratorTypes": [["name": "nvidia-l4"]]]], "unreachables": ["zones/d"]],
            ]
        ) { google throws(APIError) in try await ComputeClient(google).acceleratorTypes(project: "p1") }
        #expect(list.items.map(\.name) == ["nvidia-l4", "nvidia-t4", "nvidia-l4"])
        #expect(list.unreachable == ["zones/down", "zones/d"])
    }

    @Test func `reservations, and what is free in them`() async throws {
        let reply: JSONValue = [
            "name": "r1", "zone": "z", "status": "READY", "specificReservationRequired": true,
            "specificReservation": [
                "count": "8", "inUseCount": 3,
                "instanceProperties": [
                    "machineType": "a3-highgpu-8g",
                    "guestAccelerators": [["acceleratorType": "nvidia-h100-80gb", "acceleratorCount": 8]],
                ],
            ],
        ]
        let reservation = try await expectCall("GET \(Self.root)/reservations/r1", reply: reply) {
            google throws(APIError) in try await ComputeClient(google).reservation("r1", in: Self.zone)
        }
        #expect(reservation.freeCount == 5)
        #expect(reservation.specificReservationRequired == true)
        #expect(reservation.specificReservation?.instanceProperties?.machineType == "a3-highgpu-8g")
        let list = try await expectCall(
            "GET \(Self.root)/reservations",
            reply: [
                "items": [reply, ["name": "r2", "status": "FROZEN", "specificReservation": ["count": "4"]]],
                "warning": [
                    "code": "UNREACHABLE", "data": [["key": "scope", "value": "zones/us-central1-a"], ["key": "x"]],
                ],
            ]
        ) { google throws(APIError) in try await ComputeClient(google).reservations(in: Self.zone) }
        #expect(list.items.first == reservation)
        #expect(list.items.map(\.freeCount) == [5, 0])
        #expect(list.unreachable == ["zones/us-central1-a"])
    }

    @Test func `why the machines of a node pool do not come`() async throws {
        let group = try #require(
            InstanceGroupName(
                url: "https://www.googleapis.com/compute/v1/projects/p1/zones/us-central1-a/instanceGroupManagers/gke-g"
            ))
        #expect(group == InstanceGroupName(zone: Self.zone, name: "gke-g"))
        let root = "\(Self.root)/instanceGroupManagers/gke-g"
        let manager = try await expectCall(
            "GET \(root)",
            reply: [
                "name": "gke-g", "targetSize": 2, "currentActions": ["creating": 1, "none": 1],
                "status": ["isStable": false], "fingerprint": "f",
            ]
        ) { google throws(APIError) in try await ComputeClient(google).instanceGroup(group) }
        #expect(manager.targetSize == 2)
        #expect(manager.currentActions?.creating == 1)
        #expect(manager.status?.isStable == false)
        func machine(_ action: String, _ status: String?, _ code: String) -> JSONValue {
            var value: JSONValue = [
                "currentAction": .string(action),
                "lastAttempt": ["errors": ["errors": [["code": .string(code), "message": "m"]]]],
            ]
            if let status { value["instanceStatus"] = .string(status) }
            return value
        }
        let machines = try await expectCall(
            "POST \(root)/listManagedInstances",
            reply: [
                "managedInstances": [
                    machine("CREATING", nil, "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS"),
                    machine("RECREATING", "STAGING", "QUOTA_EXCEEDED"),
                    machine("CREATING", "RUNNING", "QUOTA_EXCEEDED"), machine("NONE", nil, "QUOTA_EXCEEDED"),
                    ["currentAction": "DANCING", "instance": "i"],
                ]
            ]
        ) { google throws(APIError) in try await ComputeClient(google).managedInstances(of: group) }
        #expect(machines.items.map(\.failure?.code) == [.stockedOut, .quotaExceeded, nil, nil, nil])
        #expect(machines.items.last?.currentAction == .other("DANCING"))
        let errors = try await expectCall(
            "GET \(root)/listErrors",
            reply: [
                "items": [
                    [
                        "timestamp": "2026-11-21T00:00:00Z", "error": ["code": "GPU_STOCKOUT", "message": "no L4"],
                        "instanceActionDetails": ["action": "CREATING", "instance": "i"],
                    ], [:],
                ]
            ]
        ) { google throws(APIError) in try await ComputeClient(google).errors(of: group) }
        #expect(errors.items.map(\.failure?.code) == [.stockedOut, nil])
        #expect(errors.items.first?.failure?.message == "no L4")
        #expect(errors.items.first?.action == .known(.creating))
    }

    @Test(arguments: [
        "", "gke-g", "http://www.googleapis.com/compute/v1/projects/p1/zones/us-central1-a/instanceGroupManagers/g",
        "https://x/projects/p1/zones/us-central1-a/instances/g", "https://x/projects/p1/regions/us/instanceGroups/g",
        "https://x/projects/p1/zones/us-central1-a/instanceGroups/..", "https://x/projects//zones/z/instanceGroups/g",
        "https://x/projects/p1/zones/us-central1-a/instanceGroups/g/listErrors",
    ])
    func `a URL that names no group is none`(url: String) {
        #expect(InstanceGroupName(url: url) == nil)
    }
}
