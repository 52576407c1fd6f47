import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Sandbox

@testable import ControllerRuntime
@testable import Operator

extension Workflow {
    private static let zone = ["us-central1-a"]

    /// Two slices of two hosts each.
    @Sendable private static func slices(_ spec: inout TrainingJob.Spec) {
        spec.trainer = .init(image: FaultWorld.image, terminationGracePeriodSeconds: 25)
        spec.accelerator = .init(tpu: .init(type: "tpu-v6e-slice", topology: "2x4", slices: 2))
        spec.capacity = .init(candidates: [
            .init(name: "spot", provisioningModel: .spot, machineType: "ct6e-standard-4t", zones: zone),
            .init(name: "on-demand", provisioningModel: .standard, machineType: "ct6e-standard-4t", zones: zone),
        ])
    }

    /// What a run lives through on its way to machines.
    static let capacity: [Workflow] = [
        Workflow(
            name: "slices", setting: "slices",
            make: {
                let world = try await Workflow.world()()
                world.oracle.expectSlices(2)
                // Room for one slice and a half of spot machines: the second slice fails, both go.
                world.world.cloud.updateScript { $0.quotas["spot"] = 3 }
                return world
            },
            story: { world in
                try await world.createJob(slices)
                try await world.expectJob("the end") { $0?.isOver == true }
            }),
        Workflow(
            name: "a reservation that is not there", setting: "reservation",
            make: world(),
            story: { world in
                try await world.createJob { spec in
                    spec.capacity = .init(candidates: [
                        .init(
                            name: "reserved", provisioningModel: .standard, zones: zone,
                            reservation: .init(name: "r1")),
                        .init(name: "on-demand", provisioningModel: .standard, zones: zone),
                    ])
                }
                try await world.expectJob("the end") { $0?.isOver == true }
            }),
        Workflow(
            name: "no machines in time", setting: "deadline", make: world(stockouts: ["*/*"]),
            story: { world in
                try await world.createJob { spec in
                    spec.pendingDeadlineSeconds = 60
                    spec.capacity = .init(candidates: [.init(name: "spot", provisioningModel: .spot, zones: zone)])
                }
                try await world.expectJob("the end") { $0?.isOver == true }
            }),
        Workflow(
            name: "kept pool", setting: "kept", make: world(),
            story: { world in
                try await world.createJob { spec in
                    spec.backend.gke = .init(nodePool: .init(policy: .createPerRun, keepIdleSeconds: 120))
                }
                try await world.expectJob("waiting for the next run") { $0?.status?.state == "Idle" }
                try await world.patchJob(["spec": ["rerunToken": "2"]])
                try await world.expectJob("the second run's end") { job in
                    job?.status?.run?.number == 2 && job?.isOver == true
                }
            }),
        Workflow(
            name: "existing nodes", setting: "existing",
            make: {
                let world = try await Workflow.world()()
                try await world.makeStandingPool()
                return world
            },
            story: { world in
                try await world.createJob { spec in
                    spec.capacity = nil
                    var pool = TrainingJob.Backend.NodePool(policy: .existing)
                    pool.selector = .init(matchLabels: ["team": "ml"])
                    pool.tolerations = [.init(key: "team", operator: .equal, value: "ml", effect: .noSchedule)]
                    spec.backend.gke = .init(nodePool: pool)
                }
                try await world.expectJob("the end") { $0?.isOver == true }
            }),
        Workflow(
            name: "nodes of a compute class", setting: "compute class",
            make: {
                let world = try await Workflow.world()()
                try await world.makeStandingPool(
                    labels: ["cloud.google.com/compute-class": "gpus"],
                    taint: NodeTaint(key: "cloud.google.com/compute-class", value: "gpus", effect: "NO_SCHEDULE"))
                return world
            },
            story: { world in
                try await world.createJob { spec in
                    spec.capacity = nil
                    var pool = TrainingJob.Backend.NodePool(policy: .computeClass)
                    pool.computeClassName = "gpus"
                    spec.backend.gke = .init(nodePool: pool)
                }
                try await world.expectJob("the end") { $0?.isOver == true }
                let isStanding = world.world.cloud.nodePools().contains { $0.name == "standing" }
                guard isStanding, world.ownPools.isEmpty else {
                    throw Stuck(description: "a pool was made or taken")
                }
            }),
        Workflow(
            name: "queued machines", setting: "flex", make: world(),
            story: { world in
                try await world.createJob { spec in
                    spec.trainer?.numNodes = 2
                    spec.trainer?.image = FaultWorld.image
                    spec.capacity = .init(candidates: [.init(name: "flex", provisioningModel: .flexStart, zones: zone)])
                }
                try await world.expectJob("the end") { $0?.isOver == true }
                try await world.expectNoRequests()
            }),
        Workflow(
            name: "queued for in vain", setting: "flex, stocked out", make: world(stockouts: ["flexstart/*"]),
            story: { world in
                try await world.createJob { spec in
                    spec.capacity = .init(candidates: [
                        .init(name: "flex", provisioningModel: .flexStart, zones: zone, maxWaitSeconds: 60),
                        .init(name: "on-demand", provisioningModel: .standard, zones: zone),
                    ])
                }
                try await world.expectJob("the end") { $0?.isOver == true }
                try await world.expectNoRequests()
            }),
        Workflow(
            name: "queued and deleted", setting: "flex, stocked out", make: world(stockouts: ["flexstart/*"]),
            story: { world in
                try await world.createJob { spec in
                    spec.capacity = .init(candidates: [.init(name: "flex", provisioningModel: .flexStart, zones: zone)])
                }
                guard
                    try await world.run(until: {
                        try await world.admin.list(
                            ProvisioningRequest.self, ObjectSelection(namespace: world.namespace)
                        ).items.isEmpty == false
                    })
                else { throw Stuck(description: "nothing is asked for") }
                try await world.deleteJob()
                try await world.expectJob("nothing") { $0 == nil }
                try await world.expectNoRequests()
            }),
    ]
}

extension FaultWorld {
    /// Neither requests for machines nor their templates are left.
    func expectNoRequests() async throws {
        let selection = ObjectSelection(namespace: namespace)
        let template = ResourceType(group: "", version: "v1", kind: "PodTemplate", plural: "podtemplates")
        guard
            try await run(until: {
                let requests = try await admin.list(ProvisioningRequest.self, selection).items.count
                return try await requests + admin.list(template, selection).items.count == 0
            })
        else { throw Stuck(description: "a request for machines is left") }
    }

    /// A pool that somebody else has made, with one L4 machine that is there already.
    func makeStandingPool(
        labels: [String: String] = ["team": "ml"],
        taint: NodeTaint = NodeTaint(key: "team", value: "ml", effect: "NO_SCHEDULE")
    ) async throws {
        guard let cluster = ClusterName("projects/sandbox-project/locations/us-central1/clusters/sandbox") else {
            return
        }
        let container = ContainerClient(
            GoogleCloudClient(transport: HandlerTransport(world), tokens: NoTokens(), clock: clock))
        let config = NodeConfig(
            machineType: "g2-standard-4",
            accelerators: [AcceleratorConfig(acceleratorType: "nvidia-l4", acceleratorCount: 1)],
            labels: labels, taints: [taint])
        _ = try await container.createNodePool(
            NodePool(name: "standing", config: config, initialNodeCount: 1, locations: ["us-central1-a"]), in: cluster)
        for _ in 0..<30 where world.cloud.nodePools().first?.instances.isEmpty ?? true {
            clock.advance(by: .seconds(1))
            await world.tick()
        }
        clock.advance(by: .seconds(1))
        await world.tick()
    }
}
