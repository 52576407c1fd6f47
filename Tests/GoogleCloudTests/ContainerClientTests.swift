import Encoding
import GoogleCloud
import HTTP
import Sandbox
import Testing

@Suite struct ContainerClientTests {
    static let root = "/v1/projects/p1/locations/us-central1/clusters/c1/nodePools"

    /// Makes a call against a canned reply: the request that went out.
    func request(
        reply: JSONValue = ["name": "operation-1"], _ call: (ContainerClient) async throws(APIError) -> Void
    ) async throws -> HTTPRequest {
        let transport = ScriptedTransport { _, _ in .reply(.json(reply)) }
        let client = ContainerClient(
            GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()))
        try await call(client)
        return try #require(transport.requests.first)
    }

    static let pool = NodePool(
        name: "ty-1",
        config: NodeConfig(
            machineType: "g2-standard-8",
            accelerators: [
                AcceleratorConfig(
                    acceleratorType: "nvidia-l4", acceleratorCount: 1,
                    gpuDriverInstallationConfig: GPUDriverInstallationConfig(gpuDriverVersion: "LATEST"))
            ], spot: true, maxRunDuration: "7200s", labels: ["trainyard.dev/job": "a"],
            resourceLabels: ["trainyard-run": "a-12345-r1"],
            taints: [NodeTaint(key: "nvidia.com/gpu", value: "present", effect: "NO_SCHEDULE")], diskSizeGb: 100,
            diskType: "pd-balanced", oauthScopes: ["https://www.googleapis.com/auth/cloud-platform"],
            workloadMetadataConfig: WorkloadMetadataConfig(mode: "GKE_METADATA"),
            shieldedInstanceConfig: ShieldedInstanceConfig(enableSecureBoot: true, enableIntegrityMonitoring: true),
            gvnic: FeatureSwitch(enabled: true)),
        initialNodeCount: 0, locations: ["us-central1-a"],
        management: NodeManagement(autoRepair: false, autoUpgrade: true))

    @Test func `a create sends the pool and nothing that is output only`() async throws {
        var pool = Self.pool
        pool.status = .running
        pool.etag = "e"
        let request = try await request { client throws(APIError) in
            _ = try await client.createNodePool(pool, in: cluster)
        }
        #expect(request.method == .post)
        #expect(request.url.description == "https://container.googleapis.com\(Self.root)")
        #expect(request.headers["Content-Type"] == "application/json")
        #expect(request.headers["Authorization"] == nil)
        #expect(
            try JSONValue(parsing: request.body) == [
                "nodePool": [
                    "name": "ty-1", "initialNodeCount": 0, "locations": ["us-central1-a"],
                    "management": ["autoRepair": false, "autoUpgrade": true],
                    "config": [
                        "machineType": "g2-standard-8", "spot": true, "maxRunDuration": "7200s",
                        "accelerators": [
                            [
                                "acceleratorType": "nvidia-l4", "acceleratorCount": "1",
                                "gpuDriverInstallationConfig": ["gpuDriverVersion": "LATEST"],
                            ]
                        ],
                        "labels": ["trainyard.dev/job": "a"], "resourceLabels": ["trainyard-run": "a-12345-r1"],
                        "taints": [["key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"]],
                        "diskSizeGb": 100, "diskType": "pd-balanced",
                        "oauthScopes": ["https://www.googleapis.com/auth/cloud-platform"],
                        "workloadMetadataConfig": ["mode": "GKE_METADATA"],
                        "shieldedInstanceConfig": ["enableSecureBoot": true, "enableIntegrityMonitoring": true],
                        "gvnic": ["enabled": true],
                    ],
                ]
            ])
    }

    @Test func `the other calls have Google's verbs and paths`() async throws {
        let size = try await request { client throws(APIError) in
            _ = try await client.setNodePoolSize("ty-1", nodeCount: 2, in: cluster)
        }
        #expect("\(size.method.rawValue) \(size.url.target)" == "POST \(Self.root)/ty-1:setSize")
        #expect(String(decoding: size.body, as: UTF8.self) == #"{"nodeCount":2}"#)
        let delete = try await request { client throws(APIError) in
            _ = try await client.deleteNodePool("ty-1", in: cluster)
        }
        #expect("\(delete.method.rawValue) \(delete.url.target)" == "DELETE \(Self.root)/ty-1")
        #expect(delete.body.isEmpty)
        let operation = try await request { client throws(APIError) in
            _ = try await client.operation("operation-1-a", in: cluster)
        }
        #expect(operation.url.target == "/v1/projects/p1/locations/us-central1/operations/operation-1-a")
        let get = try await request(reply: ["name": "c1"]) { client throws(APIError) in
            _ = try await client.cluster(cluster)
        }
        #expect(get.url.target == "/v1/projects/p1/locations/us-central1/clusters/c1")
    }

    @Test func `a reply may have numbers as strings, unknown words and new fields`() async throws {
        let transport = ScriptedTransport { _, _ in
            .reply(
                .json([
                    "name": "ty-1", "status": "SOMETHING_NEW", "newField": [1, 2],
                    "config": ["accelerators": [["acceleratorType": "nvidia-l4", "acceleratorCount": "8"], [:]]],
                    "conditions": [["code": "NEW_CODE", "canonicalCode": "INTERNAL"]],
                ]))
        }
        let client = ContainerClient(
            GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()))
        let pool = try await client.nodePool("ty-1", in: cluster)
        #expect(pool.status == .unspecified)
        #expect(pool.config?.accelerators?.map(\.acceleratorCount) == [8, 0])
        #expect(pool.initialNodeCount == nil)
    }

    @Test func `an empty list is a reply without its member`() async throws {
        let world = CloudWorld()
        #expect(try await world.container.nodePools(in: cluster) == [])
        #expect(try await world.container.operations(in: cluster) == Listing())
    }

    @Test func `a reply that does not decode is malformed, not a crash`() async throws {
        for body in ["", "[]", #"{"name":7}"#, #"{"status":"RUNNING"}"#] {
            let transport = ScriptedTransport { _, _ in .reply(HTTPResponse(status: 200, body: Array(body.utf8))) }
            let client = ContainerClient(
                GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()))
            let error = await failure { () async throws(APIError) in try await client.nodePool("a", in: cluster) }
            #expect(error?.code == .malformedResponse)
        }
    }

    @Test(arguments: ["", "A", "a/b", "a:setSize", "../a", "a%2Fb", "-a", "a-", String(repeating: "a", count: 41)])
    func `a name that is none never leaves the process`(name: String) async {
        let client = ContainerClient(
            GoogleCloudClient(transport: NoTransport(), tokens: NoTokens(), clock: ImpatientClock()))
        let errors = [
            await failure { () async throws(APIError) in try await client.nodePool(name, in: cluster) },
            await failure { () async throws(APIError) in try await client.deleteNodePool(name, in: cluster) },
            await failure { () async throws(APIError) in
                try await client.setNodePoolSize(name, nodeCount: 1, in: cluster)
            },
            await failure { () async throws(APIError) in
                try await client.createNodePool(NodePool(name: name), in: cluster)
            },
        ]
        for error in errors {
            #expect(error?.code == .invalid)
            #expect(error?.message.contains("unexpected request") == false)
        }
    }

    @Test(arguments: [
        "projects/p1/locations/us-central1/clusters", "projects/p1/locations/us-central1/clusters/C",
        "projects/p1/zones/us-central1-a/clusters/c", "projects/p 1/locations/us-central1/clusters/c",
        "projects/p1/locations/-/clusters/c", "/projects/p1/locations/us-central1/clusters/c", "",
    ])
    func `a cluster's name is read in full or not at all`(text: String) {
        #expect(ClusterName(text) == nil)
        #expect(cluster.description == "projects/p1/locations/us-central1/clusters/c1")
        #expect(ClusterName("projects/example.com:p/locations/us-central1-a/clusters/c1")?.project == "example.com:p")
    }

    @Test func `a pool's whole life works against the simulated cloud`() async throws {
        let world = CloudWorld()
        let create = try await world.container.createNodePool(Self.pool, in: cluster)
        #expect(create.operationType == "CREATE_NODE_POOL")
        #expect(create.targets(nodePool: "ty-1"))
        #expect(!create.targets(nodePool: "1"))
        let busy = await failure { () async throws(APIError) in
            try await world.container.setNodePoolSize("ty-1", nodeCount: 1, in: cluster)
        }
        #expect(busy?.code == .rateLimited)
        let exists = await failure { () async throws(APIError) in
            try await world.container.createNodePool(Self.pool, in: cluster)
        }
        #expect(exists?.code == .alreadyExists)

        world.clock.advance(by: .seconds(2))
        #expect(try await world.container.operation(create.name, in: cluster).isDone)
        _ = try await world.container.setNodePoolSize("ty-1", nodeCount: 1, in: cluster)
        world.clock.advance(by: .seconds(2))
        let pool = try await world.container.nodePool("ty-1", in: cluster)
        #expect(pool.status == .running)
        #expect(pool.config?.resourceLabels == ["trainyard-run": "a-12345-r1"])
        #expect(world.cloud.nodePools()[0].instances.count == 1)

        _ = try await world.container.deleteNodePool("ty-1", in: cluster)
        world.clock.advance(by: .seconds(2))
        let gone = await failure { () async throws(APIError) in
            try await world.container.nodePool("ty-1", in: cluster)
        }
        #expect(gone?.code == .notFound)
    }

    @Test func `a stockout reads as one from the operation and from the pool`() async throws {
        let world = CloudWorld(script: .init(stockouts: ["spot/us-central1-a"]))
        _ = try await world.container.createNodePool(Self.pool, in: cluster)
        world.clock.advance(by: .seconds(2))
        let resize = try await world.container.setNodePoolSize("ty-1", nodeCount: 1, in: cluster)
        world.clock.advance(by: .seconds(5))
        #expect(try await world.container.operation(resize.name, in: cluster).failure?.code == .stockedOut)
        let pool = try await world.container.nodePool("ty-1", in: cluster)
        #expect(pool.status == .error)
        #expect(pool.failure?.code == .stockedOut)
        #expect(pool.failure?.reason == "GCE_STOCKOUT")
    }
}
