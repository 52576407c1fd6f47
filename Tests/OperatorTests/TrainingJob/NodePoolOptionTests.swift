import ControllerRuntime
import Kubernetes
import Testing

@testable import Operator

@Suite struct NodePoolOptionTests {
    private func options(_ change: (inout TrainingJob.Spec) -> Void) throws -> CapacityOptions {
        let job = trainingJob(change)
        return try TrainingJobNodePool.choices(for: run(job), RunSpec(job.spec), observation(job)).get()
    }

    /// The sentence with which a spec is refused, or the machine types of its options.
    private func verdict(_ change: (inout TrainingJob.Spec) -> Void) -> String {
        let job = trainingJob(change)
        switch TrainingJobNodePool.choices(for: run(job), RunSpec(job.spec), observation(job)) {
        case .failure(let error): return error.message
        case .success(let options):
            return options.usable.map { "\($0.candidate.name) \($0.zone) \($0.machine.type)" }.joined(separator: ", ")
        }
    }

    private func gpu(_ type: String, _ count: Int = 1) -> TrainingJob.AcceleratorSpec {
        .init(gpu: .init(type: type, count: count, driverVersion: "Default"))
    }

    private func only(_ candidate: TrainingJob.Capacity.Candidate) -> TrainingJob.Capacity {
        var candidate = candidate
        candidate.zones = candidate.zones ?? ["us-central1-a"]
        return TrainingJob.Capacity(candidates: [candidate])
    }

    @Test func `a run on CPUs takes the machine type that its candidate names`() {
        #expect(
            verdict { spec in
                spec.accelerator = nil
                spec.capacity?.candidates[1].machineType = "c4a-standard-8"
            }
                == "spot us-central1-a e2-standard-4, spot us-central1-b e2-standard-4, "
                + "on-demand us-central1-a c4a-standard-8")
        #expect(
            verdict { spec in
                spec.accelerator = nil
                spec.capacity = only(.init(name: "x", provisioningModel: .spot, machineType: "g2-standard-4"))
            }
                == "candidate x: machineType g2-standard-4 carries nvidia-l4: name it in accelerator; without "
                + "accelerator the families are c2, c2d, c3, c3d, c4, c4a, c4d, e2, h3, m1, m2, m3, m4, n1, n2, n2d, "
                + "n4, n4a, n4d, t2a, t2d, x4, z3")
    }

    @Test func `a candidate may have an accelerator of its own`() throws {
        let options = try options { spec in
            spec.capacity?.candidates[0].accelerator = gpu("nvidia-tesla-t4", 2)
            spec.capacity?.candidates[1].accelerator = .init(
                tpu: .init(type: "tpu-v6e-slice", topology: "4x4", slices: 2))
        }
        #expect(
            options.usable.map { "\($0.machine.type) \($0.shape.nodeCount) \($0.pools.count)" } == [
                "n1-standard-4 1 1", "n1-standard-4 1 1", "ct6e-standard-4t 8 2",
            ])
        #expect(
            options.usable[2].pools == [
                poolName("on-demand", "us-central1-a"),
                Naming.nodePool(uid: uid, run: 1, candidate: "on-demand", zone: "us-central1-a", slice: 1),
            ])
    }

    @Test func `the cheapest comes first where that is wanted, what has no price last`() throws {
        let options = try options { spec in
            spec.capacity = .init(
                strategy: .cheapestFirst,
                candidates: [
                    .init(name: "dear", provisioningModel: .standard, zones: ["us-central1-a", "mars-north1-a"]),
                    .init(name: "cheap", provisioningModel: .spot, zones: ["us-central1-a", "us-east4-a"]),
                ])
        }
        #expect(
            options.usable.map { "\($0.candidate.name) \($0.zone) \($0.hourlyPrice?.decimal ?? "-")" } == [
                "cheap us-east4-a 0.310596", "cheap us-central1-a 0.397336", "dear us-central1-a 0.706832",
                "dear mars-north1-a -",
            ])
    }

    @Test func `what costs too much, or an unknown amount, is left out`() throws {
        let options = try options { spec in
            spec.trainer = .init(image: "mine", numNodes: 4, terminationGracePeriodSeconds: 25)
            spec.capacity?.candidates[0].maxHourlyCost = "1.58"
            spec.capacity?.candidates[1].maxHourlyCost = "5"
            spec.capacity?.candidates[1].zones = ["us-central1-a", "mars-north1-a"]
        }
        #expect(options.usable.map { "\($0.candidate.name) \($0.zone)" } == ["on-demand us-central1-a"])
        #expect(
            options.skippedText
                == " (skipped: spot in us-central1-a costs $1.59 an hour, above maxHourlyCost 1.58; "
                + "spot in us-central1-b costs $1.59 an hour, above maxHourlyCost 1.58; "
                + "on-demand in mars-north1-a has no list price to compare with maxHourlyCost 5)")
    }

    @Test func `a machine that the image cannot use is left out`() throws {
        let kernels = TrainingJob.Kernels(
            cuda: .init(computeCapabilities: ["8.0", "9.0"], minDriverVersion: "570.10"),
            cpu: .init(architectures: [.amd64]), allowCPUFallback: false)
        let options = try options { spec in
            spec.trainer?.kernels = kernels
            spec.capacity?.candidates = [
                .init(name: "l4", provisioningModel: .spot, zones: ["us-central1-a"]),
                .init(
                    name: "t4", provisioningModel: .spot, accelerator: gpu("nvidia-tesla-t4"), zones: ["us-central1-a"]),
                .init(
                    name: "b200", provisioningModel: .spot, accelerator: gpu("nvidia-b200", 8), zones: ["us-central1-a"]
                ),
            ]
        }
        #expect(options.usable.map(\.candidate.name) == ["l4"])
        #expect(
            options.skipped.map(\.message) == [
                "t4: nvidia-tesla-t4 has compute capability 7.5, the image has kernels for 8.0, 9.0",
                "b200: nvidia-b200 has compute capability 10.0, the image has kernels for 8.0, 9.0",
            ])
        let old = try self.options { spec in
            spec.trainer?.kernels = kernels
            spec.accelerator?.gpu?.driverVersion = "535.104.05"
        }
        #expect(old.usable.isEmpty)
        #expect(
            old.skipped.first?.message == "spot: driverVersion 535.104.05 is older than 570.10, which the image needs")
        let arm = try self.options { spec in
            spec.accelerator = nil
            spec.trainer?.kernels = kernels
            spec.capacity = only(.init(name: "arm", provisioningModel: .spot, machineType: "t2a-standard-4"))
        }
        #expect(arm.skipped.map(\.message) == ["arm: machine type t2a-standard-4 is arm64, the image is for amd64"])
        let anyway = try self.options { spec in
            spec.trainer?.kernels = kernels
            spec.trainer?.kernels?.allowCPUFallback = true
            spec.accelerator = gpu("nvidia-tesla-t4")
        }
        #expect(anyway.skipped.isEmpty)
    }

    @Test func `nothing is bought when everything costs too much`() {
        let job = trainingJob { spec in
            spec.capacity = only(.init(name: "spot", provisioningModel: .spot, maxHourlyCost: "0.10"))
        }
        let plan = TrainingJobPlan.plan(observation(job))
        #expect(plan.steps == [])
        let ready = plan.status.conditions.first { $0.type == "Ready" }
        #expect(ready?.reason == "MaxHourlyCostExceeded")
        #expect(
            ready?.message
                == "no candidate can be tried: spot in us-central1-a costs $0.40 an hour, above maxHourlyCost 0.10")
        #expect(plan.status.conditions.contains { $0.type == "Stalled" })
    }

    @Test func `machines that nobody gets on demand come from a reservation`() {
        let reserved = TrainingJob.Capacity.Reservation(name: "r1")
        func machine(
            _ type: String, _ model: ProvisioningModel, reservation: TrainingJob.Capacity.Reservation? = nil
        ) -> String {
            verdict { spec in
                spec.accelerator = gpu(type, type == "nvidia-gb200" ? 4 : 8)
                spec.capacity = only(.init(name: "x", provisioningModel: model, reservation: reservation))
            }
        }
        #expect(machine("nvidia-b200", .standard, reservation: reserved) == "x us-central1-a a4-highgpu-8g")
        #expect(machine("nvidia-gb200", .reservationBound, reservation: reserved) == "x us-central1-a a4x-highgpu-4g")
        #expect(
            machine("nvidia-b200", .standard)
                == "candidate x: 8 × nvidia-b200 cannot be had as Standard; possible are Spot, FlexStart, ReservationBound"
        )
        #expect(
            machine("nvidia-l4", .reservationBound, reservation: reserved)
                == "candidate x: 8 × nvidia-l4 cannot be had as ReservationBound; possible are Standard, Spot, FlexStart"
        )
    }

    @Test func `settings that a machine type does not take are refused with what it does take`() {
        func settings(
            _ type: String, _ count: Int = 1, _ change: (inout TrainingJob.Backend.NodePool) -> Void
        ) -> String {
            verdict { spec in
                spec.accelerator = gpu(type, count)
                spec.capacity = only(.init(name: "x", provisioningModel: .spot))
                var pool = TrainingJob.Backend.NodePool(policy: .createPerRun)
                change(&pool)
                spec.backend.gke = .init(nodePool: pool)
            }
        }
        #expect(
            settings("nvidia-rtx-pro-6000") { $0.bootDisk = .init(type: "pd-ssd") }
                == "candidate x: machine type g4-standard-48 does not boot from pd-ssd; possible is hyperdisk-balanced")
        #expect(
            settings("nvidia-h100-80gb", 8) { $0.localSSDCount = 4 }
                == "candidate x: machine type a3-highgpu-8g has 16 local SSDs: leave localSSDCount out")
        #expect(settings("nvidia-h100-80gb", 8) { $0.localSSDCount = 16 } == "x us-central1-a a3-highgpu-8g")
        #expect(
            settings("nvidia-tesla-t4") { $0.compactPlacement = true }
                == "candidate x: machine type n1-standard-4 cannot be placed compactly; families that can are a2, a3, "
                + "a4, c2, c2d, c3, c3d, c4, g2, h3, n2, n2d")
    }

    @Test func `a MIG partition that the GPU does not have is refused with those that it has`() {
        func partition(_ type: String, _ size: String) -> String {
            verdict { spec in
                spec.accelerator = gpu(type)
                spec.accelerator?.gpu?.partitionSize = size
                spec.capacity = only(.init(name: "x", provisioningModel: .spot))
            }
        }
        #expect(
            partition("nvidia-tesla-a100", "1g.10gb")
                == "candidate x: nvidia-tesla-a100 has no partitions of 1g.10gb; possible are 1g.5gb, 2g.10gb, "
                + "3g.20gb, 7g.40gb")
        #expect(partition("nvidia-l4", "1g.10gb") == "candidate x: nvidia-l4 cannot be partitioned")
        #expect(partition("nvidia-tesla-a100", "1g.5gb") == "x us-central1-a a2-highgpu-1g")
    }
}
