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
        let attempt = TrainingJob.Attempt(number: 2)
        return [
            TrainingJobRun.revision(run(job).revisionName ?? "", number: 1, seen).body,
            TrainingJobPods.service(run(job), seen).body,
            TrainingJobPods.job(run(job), attempt, pool: poolName("spot", "us-central1-b"), spec, seen).body,
        ]
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
                        .init(name: "only", provisioningModel: model, zones: ["us-central1-b"])
                    ]
                }
                requests.append(try request(job))
            }
        }
        try GoldenFile.check(requests, "TrainingJob/node-pools.yaml")
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

    private func request(_ job: TrainingJob) throws -> JSONValue {
        let seen = observation(job)
        let spec = RunSpec(job.spec)
        let options = try TrainingJobNodePool.options(for: run(job), spec, seen).get()
        let option = try #require(options.first)
        return try JSONValue(encoding: TrainingJobNodePool.request(option, run: run(job), spec, seen))
    }
}
