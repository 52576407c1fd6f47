import Encoding
import GoogleCloud
import HTTP
import Testing

/// What each call of GKE looks like on the wire, and how its reply reads.
@Suite struct ContainerCallTests {
    static let pools =
        "https://container.googleapis.com/v1/projects/p1/locations/us-central1/clusters/c1/nodePools"
    static let operations = "https://container.googleapis.com/v1/projects/p1/locations/us-central1/operations"
    static let operation: JSONValue = ["name": "operation-1", "operationType": "UPDATE_CLUSTER", "status": "RUNNING"]

    /// A create's body.
    func body(_ pool: NodePool) async throws -> JSONValue? {
        let transport = ScriptedTransport { _, _ in .reply(.json(Self.operation)) }
        let client = ContainerClient(
            GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()))
        _ = try await client.createNodePool(pool, in: cluster)
        let request = try #require(transport.requests.first)
        return try request.json?["nodePool"]
    }

    @Test func `a spot pool that scales itself`() async throws {
        var accelerator = AcceleratorConfig(
            acceleratorType: "nvidia-tesla-a100", acceleratorCount: 1,
            gpuDriverInstallationConfig: GPUDriverInstallationConfig(gpuDriverVersion: "DEFAULT"))
        accelerator.gpuPartitionSize = "1g.5gb"
        accelerator.gpuSharingConfig = GPUSharingConfig(
            gpuSharingStrategy: "TIME_SHARING", maxSharedClientsPerGpu: 4)
        var pool = NodePool(
            name: "a100-spot",
            config: NodeConfig(
                machineType: "a2-highgpu-1g", accelerators: [accelerator], spot: true, labels: ["team": "ml"],
                resourceLabels: ["managed-by": "ml-operator", "owner-uid": "abc"],
                taints: [NodeTaint(key: "cloud.google.com/gke-spot", value: "true", effect: "NO_SCHEDULE")],
                diskSizeGb: 200, diskType: "pd-balanced", imageType: "COS_CONTAINERD",
                oauthScopes: ["https://www.googleapis.com/auth/cloud-platform"],
                serviceAccount: "nodes@p1.iam.gserviceaccount.com",
                workloadMetadataConfig: WorkloadMetadataConfig(mode: "GKE_METADATA"),
                shieldedInstanceConfig: ShieldedInstanceConfig(
                    enableSecureBoot: true, enableIntegrityMonitoring: true),
                gvnic: FeatureSwitch(enabled: true), gcfsConfig: FeatureSwitch(enabled: true),
                reservationAffinity: ReservationAffinity(consumeReservationType: "NO_RESERVATION")),
            initialNodeCount: 0, locations: ["us-central1-a", "us-central1-c"],
            management: NodeManagement(autoRepair: true, autoUpgrade: true))
        pool.autoscaling = NodePoolAutoscaling(
            enabled: true, totalMinNodeCount: 0, totalMaxNodeCount: 4, locationPolicy: "ANY")
        pool.upgradeSettings = UpgradeSettings(strategy: "SURGE", maxSurge: 1, maxUnavailable: 0)
        pool.maxPodsConstraint = MaxPodsConstraint(maxPodsPerNode: 32)
        #expect(
            try await body(pool)
                == JSONValue(
                    parsing: """
                        {"name":"a100-spot","initialNodeCount":0,"locations":["us-central1-a","us-central1-c"],
                        "autoscaling":{"enabled":true,"totalMinNodeCount":0,"totalMaxNodeCount":4,"locationPolicy":"ANY"},
                        "management":{"autoRepair":true,"autoUpgrade":true},
                        "upgradeSettings":{"strategy":"SURGE","maxSurge":1,"maxUnavailable":0},
                        "maxPodsConstraint":{"maxPodsPerNode":"32"},
                        "config":{"machineType":"a2-highgpu-1g","spot":true,"imageType":"COS_CONTAINERD",
                        "diskType":"pd-balanced","diskSizeGb":200,"serviceAccount":"nodes@p1.iam.gserviceaccount.com",
                        "oauthScopes":["https://www.googleapis.com/auth/cloud-platform"],
                        "workloadMetadataConfig":{"mode":"GKE_METADATA"},
                        "shieldedInstanceConfig":{"enableSecureBoot":true,"enableIntegrityMonitoring":true},
                        "gvnic":{"enabled":true},"gcfsConfig":{"enabled":true},"labels":{"team":"ml"},
                        "resourceLabels":{"managed-by":"ml-operator","owner-uid":"abc"},
                        "taints":[{"key":"cloud.google.com/gke-spot","value":"true","effect":"NO_SCHEDULE"}],
                        "accelerators":[{"acceleratorType":"nvidia-tesla-a100","acceleratorCount":"1",
                        "gpuPartitionSize":"1g.5gb",
                        "gpuSharingConfig":{"gpuSharingStrategy":"TIME_SHARING","maxSharedClientsPerGpu":"4"},
                        "gpuDriverInstallationConfig":{"gpuDriverVersion":"DEFAULT"}}],
                        "reservationAffinity":{"consumeReservationType":"NO_RESERVATION"}}}
                        """))
    }

    @Test func `a pool in a reservation, a queued one and a TPU slice`() async throws {
        var config = NodeConfig(
            machineType: "a3-highgpu-8g",
            accelerators: [
                AcceleratorConfig(
                    acceleratorType: "nvidia-h100-80gb", acceleratorCount: 8,
                    gpuDriverInstallationConfig: GPUDriverInstallationConfig(
                        gpuDriverVersion: "SPECIFIC", specificVersion: "570.133.20"))
            ],
            reservationAffinity: ReservationAffinity(
                consumeReservationType: "SPECIFIC_RESERVATION", key: "compute.googleapis.com/reservation-name",
                values: ["projects/p1/reservations/r1"]))
        config.ephemeralStorageLocalSsdConfig = EphemeralStorageLocalSSDConfig(localSsdCount: 16)
        var pool = NodePool(
            name: "h100-res", config: config, initialNodeCount: 2, locations: ["us-central1-a"],
            placementPolicy: PlacementPolicy(type: "COMPACT"))
        pool.networkConfig = NodeNetworkConfig(enablePrivateNodes: true, acceleratorNetworkProfile: "auto")
        pool.bestEffortProvisioning = BestEffortProvisioning(enabled: true, minProvisionNodes: 1)
        #expect(
            try await body(pool)
                == JSONValue(
                    parsing: """
                        {"name":"h100-res","initialNodeCount":2,"locations":["us-central1-a"],
                        "config":{"machineType":"a3-highgpu-8g","accelerators":[{"acceleratorType":"nvidia-h100-80gb",
                        "acceleratorCount":"8","gpuDriverInstallationConfig":{"gpuDriverVersion":"SPECIFIC",
                        "specificVersion":"570.133.20"}}],"reservationAffinity":{
                        "consumeReservationType":"SPECIFIC_RESERVATION","key":"compute.googleapis.com/reservation-name",
                        "values":["projects/p1/reservations/r1"]},"ephemeralStorageLocalSsdConfig":{"localSsdCount":16}},
                        "placementPolicy":{"type":"COMPACT"},
                        "networkConfig":{"enablePrivateNodes":true,"acceleratorNetworkProfile":"auto"},
                        "bestEffortProvisioning":{"enabled":true,"minProvisionNodes":1}}
                        """))
        var queued = NodePool(
            name: "h100-flex",
            config: NodeConfig(machineType: "a3-highgpu-8g", flexStart: true, maxRunDuration: "604800s"))
        queued.queuedProvisioning = FeatureSwitch(enabled: true)
        #expect(
            try await body(queued) == [
                "name": "h100-flex", "queuedProvisioning": ["enabled": true],
                "config": ["machineType": "a3-highgpu-8g", "flexStart": true, "maxRunDuration": "604800s"],
            ])
        var slice = NodePool(
            name: "v6e-4x4", config: NodeConfig(machineType: "ct6e-standard-4t"), initialNodeCount: 4,
            locations: ["us-east5-b"], placementPolicy: PlacementPolicy(type: "COMPACT", tpuTopology: "4x4"))
        slice.autoscaling = NodePoolAutoscaling(enabled: true, minNodeCount: 0, maxNodeCount: 4)
        #expect(
            try await body(slice) == [
                "name": "v6e-4x4", "initialNodeCount": 4, "locations": ["us-east5-b"],
                "config": ["machineType": "ct6e-standard-4t"],
                "placementPolicy": ["type": "COMPACT", "tpuTopology": "4x4"],
                "autoscaling": ["enabled": true, "minNodeCount": 0, "maxNodeCount": 4],
            ])
    }

    @Test func `the smallest pools: one GPU, one TPU host, a slice with a workload policy`() async throws {
        let gpu = NodePool(
            name: "gpu-l4",
            config: NodeConfig(
                machineType: "g2-standard-8",
                accelerators: [
                    AcceleratorConfig(
                        acceleratorType: "nvidia-l4", acceleratorCount: 1,
                        gpuDriverInstallationConfig: GPUDriverInstallationConfig(gpuDriverVersion: "LATEST"))
                ]), initialNodeCount: 1, locations: ["us-central1-a"])
        #expect(
            try await body(gpu) == [
                "name": "gpu-l4", "initialNodeCount": 1, "locations": ["us-central1-a"],
                "config": [
                    "machineType": "g2-standard-8",
                    "accelerators": [
                        [
                            "acceleratorType": "nvidia-l4", "acceleratorCount": "1",
                            "gpuDriverInstallationConfig": ["gpuDriverVersion": "LATEST"],
                        ]
                    ],
                ],
            ])
        let host = NodePool(
            name: "v6e-1host", config: NodeConfig(machineType: "ct6e-standard-8t", spot: true), initialNodeCount: 1,
            locations: ["us-east5-b"])
        #expect(
            try await body(host) == [
                "name": "v6e-1host", "initialNodeCount": 1, "locations": ["us-east5-b"],
                "config": ["machineType": "ct6e-standard-8t", "spot": true],
            ])
        var slice = NodePool(
            name: "tpu7x-2x2x2",
            config: NodeConfig(
                machineType: "tpu7x-standard-4t", flexStart: true, diskSizeGb: 100, diskType: "hyperdisk-balanced",
                reservationAffinity: ReservationAffinity(consumeReservationType: "NO_RESERVATION")),
            initialNodeCount: 0, placementPolicy: PlacementPolicy(tpuTopology: "2x2x2", policyName: "wp-2x2x2"))
        slice.queuedProvisioning = FeatureSwitch(enabled: true)
        slice.autoscaling = NodePoolAutoscaling(enabled: true, minNodeCount: 0, maxNodeCount: 2, locationPolicy: "ANY")
        #expect(
            try await body(slice)
                == JSONValue(
                    parsing: """
                        {"name":"tpu7x-2x2x2","initialNodeCount":0,"config":{"machineType":"tpu7x-standard-4t",
                        "diskType":"hyperdisk-balanced","diskSizeGb":100,"flexStart":true,
                        "reservationAffinity":{"consumeReservationType":"NO_RESERVATION"}},
                        "queuedProvisioning":{"enabled":true},
                        "autoscaling":{"enabled":true,"locationPolicy":"ANY","minNodeCount":0,"maxNodeCount":2},
                        "placementPolicy":{"policyName":"wp-2x2x2","tpuTopology":"2x2x2"}}
                        """))
    }

    @Test func `a pool reads back with all that it was made of`() async throws {
        let pool = try await expectCall(
            "GET \(Self.pools)/ty-1",
            reply: [
                "name": "ty-1", "autoscaling": ["enabled": true, "maxNodeCount": 3, "locationPolicy": "NEW_POLICY"],
                "maxPodsConstraint": ["maxPodsPerNode": "110"], "queuedProvisioning": ["enabled": true],
                "networkConfig": ["enablePrivateNodes": true], "instanceGroupUrls": ["u"], "version": "1.35.1-gke.1",
            ]
        ) { google throws(APIError) in try await ContainerClient(google).nodePool("ty-1", in: cluster) }
        var expected = NodePool(name: "ty-1", instanceGroupUrls: ["u"])
        expected.autoscaling = NodePoolAutoscaling(enabled: true, maxNodeCount: 3, locationPolicy: "NEW_POLICY")
        expected.maxPodsConstraint = MaxPodsConstraint(maxPodsPerNode: 110)
        expected.queuedProvisioning = FeatureSwitch(enabled: true)
        expected.networkConfig = NodeNetworkConfig(enablePrivateNodes: true)
        #expect(pool == expected)
    }

    @Test func `changes of a pool`() async throws {
        let scaled = try await expectCall(
            "POST \(Self.pools)/gpu-l4:setAutoscaling",
            body: [
                "autoscaling": ["enabled": true, "minNodeCount": 0, "maxNodeCount": 3, "locationPolicy": "BALANCED"]
            ], reply: Self.operation
        ) { google throws(APIError) in
            try await ContainerClient(google).setNodePoolAutoscaling(
                "gpu-l4",
                NodePoolAutoscaling(enabled: true, minNodeCount: 0, maxNodeCount: 3, locationPolicy: "BALANCED"),
                in: cluster)
        }
        #expect(
            scaled == ContainerOperation(name: "operation-1", operationType: "UPDATE_CLUSTER", status: .running))
        var update = NodePoolUpdate(etag: "abcd")
        update.labels = ["team": "ml"]
        _ = try await expectCall(
            "PUT \(Self.pools)/gpu-l4", body: ["labels": ["labels": ["team": "ml"]], "etag": "abcd"],
            reply: Self.operation
        ) { google throws(APIError) in try await ContainerClient(google).updateNodePool("gpu-l4", update, in: cluster) }
        var all = NodePoolUpdate()
        all.resourceLabels = [:]
        all.taints = []
        all.locations = ["us-central1-b"]
        all.machineType = "g2-standard-16"
        all.diskType = "pd-ssd"
        all.diskSizeGb = 300
        all.upgradeSettings = UpgradeSettings(strategy: "SURGE")
        all.queuedProvisioning = FeatureSwitch(enabled: false)
        _ = try await expectCall(
            "PUT \(Self.pools)/gpu-l4",
            body: [
                "resourceLabels": ["labels": [:]], "taints": ["taints": []], "locations": ["us-central1-b"],
                "machineType": "g2-standard-16", "diskType": "pd-ssd", "diskSizeGb": "300",
                "upgradeSettings": ["strategy": "SURGE"], "queuedProvisioning": ["enabled": false],
            ], reply: Self.operation
        ) { google throws(APIError) in try await ContainerClient(google).updateNodePool("gpu-l4", all, in: cluster) }
    }

    @Test func `versions, operations and zones that do not answer`() async throws {
        let config = try await expectCall(
            "GET https://container.googleapis.com/v1/projects/p1/locations/us-central1/serverConfig",
            reply: [
                "defaultClusterVersion": "1.35", "validNodeVersions": ["1.35", "1.34"],
                "validImageTypes": ["COS_CONTAINERD"],
                "channels": [["channel": "RAPID", "defaultVersion": "1.36", "validVersions": ["1.36"]]],
            ]
        ) { google throws(APIError) in try await ContainerClient(google).serverConfig(in: cluster) }
        #expect(config.validNodeVersions == ["1.35", "1.34"])
        #expect(config.channels?.map(\.channel) == ["RAPID"])
        #expect(config.channels?.first?.validVersions == ["1.36"])
        let operations = try await expectCall(
            "GET \(Self.operations)",
            reply: ["operations": [Self.operation], "missingZones": ["us-central1-b"]]
        ) { google throws(APIError) in try await ContainerClient(google).operations(in: cluster) }
        #expect(operations.items.map(\.name) == ["operation-1"])
        #expect(operations.unreachable == ["us-central1-b"])
        #expect(!operations.isComplete)
        _ = try await expectCall("POST \(Self.operations)/operation-1-a:cancel", body: [:]) {
            google throws(APIError) in
            try await ContainerClient(google).cancelOperation("operation-1-a", in: cluster)
        }
    }
}
