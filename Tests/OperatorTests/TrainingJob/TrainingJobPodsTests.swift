import ControllerRuntime
import Encoding
import Kubernetes
import Testing

@testable import Operator

/// What a pod gets to know, and what it sees as files.
@Suite struct TrainingJobPodsTests {
    private func slices(_ change: (inout TrainingJob.Spec) -> Void) throws -> [TrainingJobSlice] {
        let job = trainingJob(change)
        var attempt = TrainingJob.Attempt(number: 1)
        attempt.candidate = "spot"
        attempt.zone = "us-central1-b"
        var run = run(job)
        run.inputs = (job.spec.inputs ?? []).map { .init(name: $0.name, uri: "gs://bucket/\($0.name)/") }
        return TrainingJobSlice.all(run, attempt, RunSpec(job.spec), observation(job))
    }

    private func jobs(_ change: (inout TrainingJob.Spec) -> Void) throws -> [JSONValue] {
        try slices(change).map { TrainingJobPods.job($0).body }
    }

    /// Names and values of the trainer's variables; `#index` for the pod's index.
    private func environment(_ change: (inout TrainingJob.Spec) -> Void) throws -> [String: String] {
        let slice = try #require(try slices(change).last)
        var result: [String: String] = [:]
        for entry in TrainingJobEnvironment.variables(slice) {
            let name = try #require(entry["name"]?.stringValue)
            #expect(result[name] == nil, "\(name) is there twice")
            result[name] = entry["value"]?.stringValue ?? "#index"
        }
        return result
    }

    private let host = "mnist-a1b2c-r1-a1-0.mnist-a1b2c-r1.ml.svc"

    @Test func `torchrun finds everything in its variables`() throws {
        let variables = try environment { spec in
            spec.trainer?.image = "pytorch"
            spec.trainer?.numNodes = 4
            spec.trainer?.rendezvous = .init(type: .torch)
            spec.accelerator?.gpu?.count = 8
        }
        let expected = [
            "MASTER_ADDR": host, "MASTER_PORT": "29500", "WORLD_SIZE": "32", "NODE_RANK": "#index",
            "LOCAL_WORLD_SIZE": "8", "PET_NNODES": "4", "PET_NPROC_PER_NODE": "8", "PET_NODE_RANK": "#index",
            "PET_MASTER_ADDR": host, "PET_MASTER_PORT": "29500", "ML_RANK": "#index",
            "ML_NODE_RANK": "#index", "ML_WORLD_SIZE": "32", "ML_LOCAL_WORLD_SIZE": "8",
            "ML_COORDINATOR": "\(host):29500",
        ]
        #expect(variables.filter { expected[$0.key] != nil } == expected)
        // torchrun gives each of its eight processes its own.
        #expect(variables["RANK"] == nil)
    }

    @Test func `one process a node has its rank from the pod`() throws {
        let torch = try environment { spec in
            spec.trainer?.rendezvous = .init(type: .torch)
            spec.trainer?.numProcPerNode = 1
        }
        #expect(torch["RANK"] == "#index" && torch["LOCAL_RANK"] == "0" && torch["WORLD_SIZE"] == "1")
        let jax = try environment { spec in
            spec.trainer?.rendezvous = .init(type: .jax)
            spec.trainer?.numNodes = 2
        }
        #expect(jax["JAX_COORDINATOR_ADDRESS"] == "\(host):29500")
        #expect(jax["JAX_NUM_PROCESSES"] == "2" && jax["JAX_PROCESS_ID"] == "#index")
        #expect(jax["MASTER_ADDR"] == nil)
    }

    @Test func `of a framework's variables the user's win, of ours none`() throws {
        let variables = try environment { spec in
            spec.trainer?.rendezvous = .init(type: .torch)
            spec.trainer?.env = [
                .init(name: "MASTER_PORT", value: "1234"), .init(name: "ML_RANK", value: "7"),
                .init(name: "ML_ANYTHING", value: "7"), .init(name: "HP_EPOCHS", value: "7"),
                .init(name: "MINE", value: "$(ML_RANK)"),
            ]
        }
        #expect(variables["MASTER_PORT"] == "1234" && variables["ML_RANK"] == "#index")
        #expect(variables["ML_ANYTHING"] == nil && variables["HP_EPOCHS"] == "2" && variables["MINE"] == "$(ML_RANK)")
    }

    @Test func `each slice of a TPU run knows its hosts and the others' coordinator`() throws {
        let variables = try environment { spec in
            spec.trainer?.image = "jax"
            spec.trainer?.rendezvous = .init(type: .jax)
            spec.trainer?.env = [.init(name: "TPU_TOPOLOGY", value: "1x1"), .init(name: "TPU_LOG", value: "0")]
            spec.accelerator = .init(tpu: .init(type: "tpu-v6e-slice", topology: "4x4", slices: 2))
        }
        let hosts = (0..<4).map { "mnist-a1b2c-r1-a1-s1-\($0).mnist-a1b2c-r1.ml.svc" }.joined(separator: ",")
        let expected = [
            "TPU_WORKER_ID": "#index", "TPU_WORKER_HOSTNAMES": hosts, "TPU_TOPOLOGY": "4x4",
            "TPU_ACCELERATOR_TYPE": "v6e-16", "TPU_LOG": "0", "MEGASCALE_COORDINATOR_ADDRESS": host,
            "MEGASCALE_PORT": "8080", "MEGASCALE_NUM_SLICES": "2", "MEGASCALE_SLICE_ID": "1",
            "ML_SLICE_ID": "1", "ML_SLICE_COUNT": "2", "ML_SLICE_RANK": "#index", "ML_WORLD_SIZE": "8",
        ]
        #expect(variables.filter { expected[$0.key] != nil } == expected)
        // It would be the same in both slices; and JAX finds the TPU's.
        #expect(variables["ML_RANK"] == nil && variables["JAX_PROCESS_ID"] == nil)
    }

    @Test func `the children of distributed runs`() throws {
        let mpi = try jobs { spec in
            spec.priorityClassName = "high"
            spec.trainer?.image = "mpi"
            spec.trainer?.numNodes = 2
            spec.trainer?.numProcPerNode = 4
            spec.trainer?.rendezvous = .init(type: .mpi)
            spec.trainer?.sharedMemory = .init(sizeLimit: "8Gi")
            spec.inputs = [
                .init(name: "data", artifactRef: .init(name: "dataset"), mode: .mount, mountPath: "/gcs/data"),
                .init(name: "labels", artifactRef: .init(name: "labels"), mode: .download, mountPath: "/labels/"),
            ]
        }
        let tpu = try jobs { spec in
            spec.trainer = nil
            spec.accelerator = .init(tpu: .init(type: "tpu-v5p-slice", topology: "2x2x2", slices: 2))
        }
        try GoldenFile.check(mpi + tpu, "TrainingJob/children-distributed.yaml")
    }

    @Test(arguments: [
        ("paths of two inputs", "/data", "/data/more", "inputs[b].mountPath /data/more and /data overlap"),
        ("the same path", "/data/", "/data", "inputs[b].mountPath /data and /data overlap"),
        ("our files", "/etc/ml", "/x", "inputs[a].mountPath /etc/ml: /etc/ml is taken"),
        ("above our files", "/x", "/etc", "inputs[b].mountPath /etc: /etc/ml is taken"),
        ("everything", "/", "/x", "inputs[a].mountPath /: /etc/ml is taken"),
        ("side by side", "/data", "/data2", nil),
    ]) func `inputs that hide one another are refused`(name: String, first: String, second: String, problem: String?) {
        let job = trainingJob { spec in
            spec.inputs = [
                .init(name: "a", artifactRef: .init(name: "x"), mode: .download, mountPath: first),
                .init(name: "b", artifactRef: .init(name: "y"), mode: .mount, mountPath: second),
            ]
        }
        #expect(TrainingJobPodRules.problem(RunSpec(job.spec)) == problem)
        guard let problem else { return }
        let plan = TrainingJobPlan.plan(observation(job))
        #expect(plan.status.conditions.first { $0.type == "Stalled" }?.message == problem)
        #expect(plan.steps == [])
    }

    @Test func `what no pod can be made of is refused with the way out`() {
        func problem(_ change: (inout TrainingJob.Spec) -> Void) -> String? {
            TrainingJobPodRules.problem(RunSpec(trainingJob(change).spec))
        }
        #expect(
            problem { spec in
                spec.trainer?.image = "xla"
                spec.trainer?.rendezvous = .init(type: .torch)
                spec.accelerator = .init(tpu: .init(type: "tpu-v6e-slice", topology: "4x4", slices: 2))
            } == "trainer.rendezvous.type: Torch knows no slices; use JAX or Plain, or accelerator.tpu.slices 1")
        #expect(problem { $0.trainer?.numNodes = 256 } == nil)
        #expect(
            problem { spec in
                spec.trainer?.numNodes = 129
                spec.trainer?.numProcPerNode = 2
            }
                == "trainer.numNodes: the built-in trainer trains in at most 256 processes, not 258; name an image that "
                + "does more")
        #expect(
            problem { $0.accelerator = .init(tpu: .init(type: "tpu-v6e-slice", topology: "4x4", slices: 2)) }
                == "accelerator.tpu.slices: the built-in trainer knows no slices; name an image that does")
        #expect(
            problem { $0.inputs?[0].mode = .mount } == "inputs[data].mountPath is needed unless mode is Stream")
    }
}
