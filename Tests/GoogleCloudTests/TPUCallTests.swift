import Encoding
import GoogleCloud
import HTTP
import Testing

@Suite struct TPUCallTests {
    static let zone = LocationName(project: "p1", location: "us-east5-b")
    static let root = "https://tpu.googleapis.com/v2/projects/p1/locations/us-east5-b"
    static let requestID = "6f1c1c1e-0d1c-4b6e-9a52-0d6f0a8f0b11"
    static let name = "projects/p1/locations/us-east5-b/operations/operation-1"

    @Test func `nodes from create to delete`() async throws {
        var configuration = TPUNodeConfiguration(acceleratorType: "v6e-8", runtimeVersion: "v2-alpha-tpuv6e")
        configuration.networkConfig = .init(network: "default", enableExternalIps: true)
        configuration.schedulingConfig = .init(spot: true)
        configuration.serviceAccount = .init(email: "tpu@p1.iam.gserviceaccount.com")
        configuration.metadata = ["startup-script": "#! /bin/bash\necho hi"]
        configuration.labels = ["managed-by": "ml-operator"]
        configuration.tags = ["tpu"]
        configuration.dataDisks = [.init(sourceDisk: "projects/p1/zones/us-east5-b/disks/d1", mode: "READ_ONLY")]
        let body: JSONValue = [
            "acceleratorType": "v6e-8", "runtimeVersion": "v2-alpha-tpuv6e",
            "networkConfig": ["network": "default", "enableExternalIps": true], "schedulingConfig": ["spot": true],
            "serviceAccount": [
                "email": "tpu@p1.iam.gserviceaccount.com",
                "scope": ["https://www.googleapis.com/auth/cloud-platform"],
            ],
            "metadata": ["startup-script": "#! /bin/bash\necho hi"], "labels": ["managed-by": "ml-operator"],
            "tags": ["tpu"],
            "dataDisks": [["sourceDisk": "projects/p1/zones/us-east5-b/disks/d1", "mode": "READ_ONLY"]],
        ]
        let operation = try await expectCall(
            "POST \(Self.root)/nodes?nodeId=train-1", body: body,
            reply: [
                "name": .string(Self.name),
                "metadata": ["target": "projects/p1/locations/us-east5-b/nodes/train-1", "statusDetail": "waiting"],
            ]
        ) { google throws(APIError) in
            try await TPUClient(google).createNode("train-1", configuration, in: Self.zone)
        }
        #expect(!operation.isDone)
        #expect(operation.target == "projects/p1/locations/us-east5-b/nodes/train-1")
        #expect(operation.statusDetail == "waiting")
        var reply = body
        reply["name"] = "projects/p1/locations/us-east5-b/nodes/train-1"
        reply["state"] = "READY"
        reply["health"] = "HEALTHY"
        reply["id"] = "9223372036854775807"
        reply["networkEndpoints"] = [["ipAddress": "10.0.0.1", "port": 8470], [:]]
        let node = try await expectCall("GET \(Self.root)/nodes/train-1", reply: reply) { google throws(APIError) in
            try await TPUClient(google).node("train-1", in: Self.zone)
        }
        #expect(node.configuration == configuration)
        #expect(node.state == .known(.ready))
        #expect(node.networkEndpoints?.map(\.ipAddress) == ["10.0.0.1", nil])
        let nodes = try await expectCalls(
            [
                "GET https://tpu.googleapis.com/v2/projects/p1/locations/-/nodes",
                "GET https://tpu.googleapis.com/v2/projects/p1/locations/-/nodes?pageToken=2",
            ],
            replies: [
                ["nextPageToken": "2", "unreachable": ["us-south1-a"]],
                ["nodes": [reply, ["name": "n", "state": "ASLEEP"]], "unreachable": ["us-south1-a"]],
            ]
        ) { google throws(APIError) in
            try await TPUClient(google).nodes(in: LocationName(project: "p1", location: "-"))
        }
        #expect(nodes.items.first == node)
        #expect(nodes.items.last?.state == .other("ASLEEP"))
        #expect(nodes.unreachable == ["us-south1-a"])
        for verb in ["stop", "start"] {
            _ = try await expectCall(
                "POST \(Self.root)/nodes/train-1:\(verb)", body: [:], reply: ["name": .string(Self.name)]
            ) { google throws(APIError) in
                verb == "stop"
                    ? try await TPUClient(google).stopNode("train-1", in: Self.zone)
                    : try await TPUClient(google).startNode("train-1", in: Self.zone)
            }
        }
        let deleted = try await expectCall(
            "DELETE \(Self.root)/nodes/train-1",
            reply: ["name": .string(Self.name), "done": true, "response": ["@type": "google.protobuf.Empty"]]
        ) { google throws(APIError) in try await TPUClient(google).deleteNode("train-1", in: Self.zone) }
        #expect(deleted.isDone)
        #expect(deleted.failure == nil)
    }

    @Test func `queued resources from create to delete`() async throws {
        let node = TPUNodeConfiguration(acceleratorType: "v6e-16", runtimeVersion: "v2-alpha-tpuv6e")
        var spot = QueuedResourceConfiguration(
            tpu: .init(nodeSpec: [.init(parent: Self.zone, nodeId: "train-1", node: node)]))
        spot.spot = .init()
        spot.queueingPolicy = .init(validUntilDuration: "21600s")
        let path = "\(Self.root)/queuedResources"
        let body: JSONValue = [
            "tpu": [
                "nodeSpec": [
                    [
                        "parent": "projects/p1/locations/us-east5-b", "nodeId": "train-1",
                        "node": ["acceleratorType": "v6e-16", "runtimeVersion": "v2-alpha-tpuv6e"],
                    ]
                ]
            ], "spot": [:], "queueingPolicy": ["validUntilDuration": "21600s"],
        ]
        _ = try await expectCall(
            "POST \(path)?queuedResourceId=q1&requestId=\(Self.requestID)", body: body,
            reply: ["name": .string(Self.name)]
        ) { google throws(APIError) in
            try await TPUClient(google).createQueuedResource("q1", spot, requestID: Self.requestID, in: Self.zone)
        }
        var slices = QueuedResourceConfiguration(
            tpu: .init(nodeSpec: [
                .init(
                    parent: Self.zone, multisliceParams: .init(nodeCount: 4, nodeIdPrefix: "slice"),
                    node: TPUNodeConfiguration(
                        acceleratorConfig: .init(type: "V6E", topology: "4x4"), runtimeVersion: "v2-alpha-tpuv6e"))
            ]))
        slices.guaranteed = .init()
        slices.reservationName = "projects/p1/locations/us-east5-b/reservations/r1"
        _ = try await expectCall(
            "POST \(path)?queuedResourceId=ms1&requestId=\(Self.requestID)",
            body: [
                "tpu": [
                    "nodeSpec": [
                        [
                            "parent": "projects/p1/locations/us-east5-b",
                            "multisliceParams": ["nodeCount": 4, "nodeIdPrefix": "slice"],
                            "node": [
                                "acceleratorConfig": ["type": "V6E", "topology": "4x4"],
                                "runtimeVersion": "v2-alpha-tpuv6e",
                            ],
                        ]
                    ]
                ], "guaranteed": [:], "reservationName": "projects/p1/locations/us-east5-b/reservations/r1",
            ], reply: ["name": .string(Self.name)]
        ) { google throws(APIError) in
            try await TPUClient(google).createQueuedResource("ms1", slices, requestID: Self.requestID, in: Self.zone)
        }
        var reply = body
        reply["name"] = "projects/p1/locations/us-east5-b/queuedResources/q1"
        reply["state"] = [
            "state": "FAILED", "stateInitiator": "SERVICE",
            "failedData": ["error": ["code": 8, "message": "There is no more capacity in the zone \"us-east5-b\""]],
        ]
        let queued = try await expectCall("GET \(path)/q1", reply: reply) { google throws(APIError) in
            try await TPUClient(google).queuedResource("q1", in: Self.zone)
        }
        #expect(queued.configuration == spot)
        #expect(queued.state == .known(.failed))
        #expect(queued.failure?.code == .stockedOut)
        let all = try await expectCall(
            "GET \(path)",
            reply: [
                "queuedResources": [
                    ["name": "a", "state": ["state": "DREAMING"]], ["name": "b", "state": ["state": "FAILED"]],
                    ["name": "c"],
                ]
            ]
        ) { google throws(APIError) in try await TPUClient(google).queuedResources(in: Self.zone) }
        #expect(all.items.map(\.state) == [.other("DREAMING"), .known(.failed), nil])
        #expect(all.items.map(\.failure?.code) == [nil, .unavailable, nil])
        _ = try await expectCall(
            "DELETE \(path)/q1?force=true&requestId=\(Self.requestID)", reply: ["name": .string(Self.name)]
        ) { google throws(APIError) in
            try await TPUClient(google).deleteQueuedResource(
                "q1", force: true, requestID: Self.requestID, in: Self.zone)
        }
        _ = try await expectCall("POST \(path)/q1:reset", body: [:], reply: ["name": .string(Self.name)]) {
            google throws(APIError) in try await TPUClient(google).resetQueuedResource("q1", in: Self.zone)
        }
    }

    @Test func `operations end well, badly or not yet`() async throws {
        let failed: JSONValue = [
            "name": .string(Self.name), "done": true,
            "error": ["code": 9, "message": "Insufficient reserved capacity."],
        ]
        let operation = try await expectCall(
            "GET \(Self.root)/operations/operation-1", reply: failed
        ) { google throws(APIError) in try await TPUClient(google).operation(Self.name) }
        #expect(operation.failure?.message == "Insufficient reserved capacity.")
        let operations = try await expectCall(
            "GET \(Self.root)/operations",
            reply: [
                "operations": [
                    failed, ["name": "a"], ["name": "b", "done": true, "error": [:]],
                    ["name": "c", "error": ["code": 8]],
                ]
            ]
        ) { google throws(APIError) in try await TPUClient(google).operations(in: Self.zone) }
        #expect(operations.items.map(\.isDone) == [true, false, true, false])
        #expect(operations.items.map { $0.failure == nil } == [false, true, true, true])
        _ = try await expectCall("POST \(Self.root)/operations/operation-1:cancel") { google throws(APIError) in
            try await TPUClient(google).cancelOperation(Self.name)
        }
        let types = try await expectCall(
            "GET \(Self.root)/acceleratorTypes",
            reply: [
                "acceleratorTypes": [
                    [
                        "name": "projects/p1/locations/us-east5-b/acceleratorTypes/v6e-8", "type": "v6e-8",
                        "acceleratorConfigs": [["type": "V6E", "topology": "2x4"]],
                    ]
                ]
            ]
        ) { google throws(APIError) in try await TPUClient(google).acceleratorTypes(in: Self.zone) }
        #expect(types.items.map(\.type) == ["v6e-8"])
        #expect(types.items.first?.acceleratorConfigs == [.init(type: "V6E", topology: "2x4")])
    }
}
