import Encoding
import HTTP
import Sandbox

@testable import Operator

extension Workflow {
    /// Runs of several pods, and what the failure policy does.
    static let running: [Workflow] = [
        Workflow(
            name: "machines that are replaced", setting: "replace", make: world(program: Trainers.scripted([79, 0])),
            story: { world in
                try await world.createJob { spec in
                    spec.failurePolicy = .init(
                        maxRestarts: 1,
                        rules: [
                            .init(
                                name: "bad-gpu", onExitCodes: .init(operator: .isIn, values: [79]),
                                action: .replaceNode)
                        ])
                }
                try await world.expectJob("the end") { $0?.isOver == true }
            }),
        Workflow(
            name: "one rank of three fails", setting: "three nodes", make: world(program: oneRankFails),
            story: { world in
                try await world.createJob { spec in
                    spec.trainer?.image = FaultWorld.image
                    spec.trainer?.numNodes = 3
                    spec.trainer?.rendezvous = .init(type: .mpi)
                    spec.trainer?.sharedMemory = .init(sizeLimit: "1Gi")
                    spec.inputs = [
                        .init(name: "seen", artifactRef: .init(name: "dataset"), mode: .mount, mountPath: "/seen"),
                        .init(name: "copied", artifactRef: .init(name: "dataset"), mode: .download, mountPath: "/copy"),
                    ]
                }
                try await world.expectJob("the end") { $0?.isOver == true }
            }),
        Workflow(
            name: "two slices, one is reclaimed", setting: "two slices", make: world(program: unending),
            story: { world in
                world.oracle.expectSlices(2)
                try await world.createJob { spec in
                    spec.trainer?.image = FaultWorld.image
                    spec.trainer?.rendezvous = .init(type: .jax)
                    spec.accelerator = .init(tpu: .init(type: "tpu-v6e-slice", topology: "2x2", slices: 2))
                    spec.capacity?.candidates = [
                        .init(name: "spot", provisioningModel: .spot, zones: ["us-central1-b"])
                    ]
                }
                try await world.expectJob("training") { $0?.status?.state == "Training" }
                try await world.expectRunningPod(count: 2)
                for instance in world.ownPools.last?.instances ?? [] {
                    world.world.cloud.preempt(instance: instance.name)
                }
                try await world.expectJob("the end") { $0?.isOver == true }
            }),
    ]

    /// In the first attempt rank 1 fails, and the others wait for it until they are told to stop.
    private static let oneRankFails: @Sendable (PodContext) async -> PodResult = { context in
        if context.containerName.hasPrefix("download-") { return PodResult(exitCode: 0, after: .seconds(2)) }
        let succeeding = Trainers.succeeding()
        guard context.environment["ML_ATTEMPT"] == "1" else { return await succeeding(context) }
        return context.environment["ML_RANK"] == "1"
            ? PodResult(exitCode: 1, after: .seconds(5), log: "broken") : PodResult(after: .seconds(100_000))
    }
}
