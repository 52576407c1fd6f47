import Encoding
import GoogleCloud
import Kubernetes
import Testing
import YAML

@testable import Operator

/// What is sent to Kubernetes and to GKE, whole.
@Suite struct TrainingJobGoldenTests {
    private func children(_ change: (inout TrainingJob.Spec) -> Void = { _ in }) throws -> [JSONValue] {
        let job = trainingJob(change)
        let seen = observation(job)
        let spec = RunSpec(job.spec)
        var attempt = TrainingJob.Attempt(number: 2)
        attempt.candidate = "spot"
        attempt.zone = "us-central1-b"
        return [
            TrainingJobRun.revision(run(job).revisionName ?? "", number: 1, seen).body,
            TrainingJobPods.service(run(job), seen).body,
        ] + TrainingJobSlice.all(run(job), attempt, spec, seen).map { TrainingJobPods.job($0).body }
    }

    @Test func `the children of the usual job`() throws {
        try GoldenFile.check(children(), "TrainingJob/children.yaml")
    }

    @Test func `the children of a job with an image, nodes, resources and variables of its own`() throws {
        let custom = try children { spec in
            spec.trainer?.command = ["python", "train.py"]
            spec.trainer?.args = ["--fast"]
            spec.trainer?.env = [
                .init(name: "WANDB_MODE", value: "offline"), .init(name: "ML_RANK", value: "ours"),
                .init(name: "HP_EPOCHS", value: "ours"),
            ]
            spec.trainer?.numNodes = 4
            spec.trainer?.resourcesPerNode = .init(requests: ["cpu": 6, "memory": "24Gi"], limits: ["memory": "28Gi"])
            spec.trainer?.serviceAccountName = "trainer"
            spec.accelerator?.gpu?.count = 2
            spec.checkpoint = nil
        }
        try GoldenFile.check(custom, "TrainingJob/children-custom.yaml")
    }

    @Test func `the node pool of every accelerator that can be had`() throws {
        var requests: [JSONValue] = []
        for accelerator in Accelerator.catalogue {
            for model in ProvisioningModel.allCases {
                guard let machine = accelerator.machines.first(where: { $0.provisioningModels.contains(model) })
                else { continue }
                let job = trainingJob { spec in
                    spec.accelerator?.gpu?.type = accelerator.type
                    spec.accelerator?.gpu?.count = machine.acceleratorCount
                    spec.capacity?.candidates = [
                        .init(
                            name: "only", provisioningModel: model, zones: ["us-central1-b"],
                            reservation: model == .reservationBound ? .init(name: "r1") : nil)
                    ]
                }
                requests.append(try request(job))
            }
        }
        try GoldenFile.check(requests, "TrainingJob/node-pools.yaml")
    }

    /// What differs between the requests, one line each.
    @Test func `the node pool of every row of the catalogues`() throws {
        var lines: [String] = []
        for accelerator in Accelerator.catalogue {
            for machine in accelerator.machines {
                for model in ProvisioningModel.allCases where machine.provisioningModels.contains(model) {
                    lines.append(
                        try line(
                            .init(
                                gpu: .init(
                                    type: accelerator.type, count: machine.acceleratorCount, driverVersion: "Default")),
                            machine.type, model))
                }
            }
        }
        for tpu in TPU.catalogue {
            for machine in tpu.machines {
                for topology in machine.topologies where (TPU.chipCount(of: topology) ?? 0) / machine.chipCount <= 1000
                {
                    let slice = TrainingJob.AcceleratorSpec.TPU(type: tpu.type, topology: topology, slices: 1)
                    lines.append(try line(.init(tpu: slice), machine.type, .standard))
                }
            }
        }
        lines.append(try line(nil, "e2-standard-4", .spot))
        try GoldenFile.check(lines.map { .string($0) }, "TrainingJob/node-pool-rows.yaml")
    }

    private func line(
        _ accelerator: TrainingJob.AcceleratorSpec?, _ machineType: String, _ model: ProvisioningModel
    ) throws -> String {
        let request = try request(
            trainingJob { spec in
                spec.accelerator = accelerator
                spec.capacity?.candidates = [
                    .init(
                        name: "only", provisioningModel: model, machineType: machineType, zones: ["us-central1-b"],
                        reservation: model == .reservationBound ? .init(name: "r1") : nil)
                ]
            })
        let config = request["config"] ?? [:]
        func text(_ path: [String]) -> String? {
            config.value(at: path).flatMap { $0.stringValue ?? $0.integerValue.map { String($0) } }
        }
        let taints = (config["taints"]?.arrayValue ?? []).compactMap { $0["key"]?.stringValue }
        let gpu = config["accelerators"]?[0]
        let gpus = gpu.map { gpu in
            "\(gpu["acceleratorCount"]?.stringValue ?? "") \(gpu["acceleratorType"]?.stringValue ?? "")"
        }
        let parts: [String?] = [
            text(["machineType"]), gpus,
            gpu?.value(at: ["gpuDriverInstallationConfig", "gpuDriverVersion"])?.stringValue,
            model.rawValue, text(["diskType"]),
            text(["ephemeralStorageLocalSsdConfig", "localSsdCount"]).map { "\($0) SSD" },
            config.value(at: ["reservationAffinity", "values"])?[0]?.stringValue,
            request["initialNodeCount"]?.integerValue.map { "\($0) nodes" },
            request.value(at: ["placementPolicy", "tpuTopology"])?.stringValue,
            request.value(at: ["placementPolicy", "policyName"])?.stringValue,
            taints.joined(separator: " "),
        ]
        return parts.compactMap { $0 }.joined(separator: ", ")
    }

    @Test func `the node pool of a slice of one host, of several, and of a run on CPUs`() throws {
        func pool(_ accelerator: TrainingJob.AcceleratorSpec?) throws -> JSONValue {
            try request(
                trainingJob { spec in
                    spec.accelerator = accelerator
                    spec.capacity?.candidates = [
                        .init(name: "only", provisioningModel: .spot, zones: ["us-central1-b"])
                    ]
                })
        }
        try GoldenFile.check(
            [
                pool(.init(tpu: .init(type: "tpu-v6e-slice", topology: "2x4", slices: 1))),
                pool(.init(tpu: .init(type: "tpu-v6e-slice", topology: "4x4", slices: 1))),
                pool(.init(tpu: .init(type: "tpu7x", topology: "2x2x2", slices: 1))), pool(nil),
            ], "TrainingJob/node-pools-tpu-cpu.yaml")
    }

    @Test func `the node pool with everything that can be set`() throws {
        let job = trainingJob { spec in
            spec.runtimeLimitSeconds = 86_400
            spec.accelerator = .init(
                gpu: .init(
                    type: "nvidia-h100-80gb", count: 8, partitionSize: "1g.10gb",
                    sharing: .init(strategy: .timeSharing, maxClientsPerGPU: 4), driverVersion: "Latest"))
            var pool = TrainingJob.Backend.NodePool(policy: .createPerRun)
            pool.bootDisk = .init(sizeGiB: 500, type: "hyperdisk-balanced")
            pool.acceleratorNetwork = .auto
            pool.compactPlacement = true
            pool.privateNodes = true
            pool.subnetwork = "training"
            spec.backend.gke = .init(nodePool: pool)
            spec.capacity = .init(candidates: [
                .init(
                    name: "reserved", provisioningModel: .standard, zones: ["us-central1-b"],
                    reservation: .init(name: "r1", project: "shared-project", block: "b1", subBlock: "s1"),
                    maxRunDurationSeconds: 7200)
            ])
        }
        try GoldenFile.check(
            [request(job) { $0.configuration.nodeServiceAccount = "nodes@test-project.iam.gserviceaccount.com" }],
            "TrainingJob/node-pool-everything.yaml")
    }

    @Test func `the node pool with a limit, a disk and a driver`() throws {
        let job = trainingJob { spec in
            spec.runtimeLimitSeconds = 7200
            spec.backend.gke = .init(
                nodePool: .init(policy: .createPerRun, bootDisk: .init(sizeGiB: 200, type: "pd-ssd")))
            spec.accelerator?.gpu?.driverVersion = "570.133.20"
        }
        try GoldenFile.check([request(job)], "TrainingJob/node-pool-custom.yaml")
    }

    private func request(
        _ job: TrainingJob, _ change: (inout TrainingJobObservation) -> Void = { _ in }
    ) throws -> JSONValue {
        var seen = observation(job)
        change(&seen)
        let spec = RunSpec(job.spec)
        let options = try TrainingJobNodePool.options(for: run(job), spec, seen).get()
        let option = try #require(options.first)
        return try JSONValue(encoding: TrainingJobNodePool.request(option, run: run(job), spec, seen))
    }
}
