import Testing

@testable import Operator

@Suite struct TPUTests {
    /// What a topology amounts to: machine type, hosts, chips of a host, chips.
    private func slice(_ type: String, _ topology: String, _ machineType: String? = nil) -> String {
        switch TPUSlice.choose(type: type, topology: topology, machineType: machineType) {
        case .success(let slice):
            "\(slice.machine.type) × \(slice.hostCount), \(slice.machine.chipCount) of \(slice.chipCount) chips"
        case .failure(let error): error.message
        }
    }

    @Test(arguments: [
        ("tpu-v4-podslice", "2x2x1", "ct4p-hightpu-4t × 1, 4 of 4 chips"),
        ("tpu-v4-podslice", "2x2x2", "ct4p-hightpu-4t × 2, 4 of 8 chips"),
        ("tpu-v4-podslice", "4x4x12", "ct4p-hightpu-4t × 48, 4 of 192 chips"),
        ("tpu-v5-lite-podslice", "1x1", "ct5lp-hightpu-1t × 1, 1 of 1 chips"),
        ("tpu-v5-lite-podslice", "2x2", "ct5lp-hightpu-4t × 1, 4 of 4 chips"),
        ("tpu-v5-lite-podslice", "2x4", "ct5lp-hightpu-8t × 1, 8 of 8 chips"),
        ("tpu-v5-lite-podslice", "16x16", "ct5lp-hightpu-4t × 64, 4 of 256 chips"),
        ("tpu-v5p-slice", "16x20x28", "ct5p-hightpu-4t × 2240, 4 of 8960 chips"),
        ("tpu-v6e-slice", "4x4", "ct6e-standard-4t × 4, 4 of 16 chips"),
        ("tpu7x", "1x1x1", "tpu7x-standard-1t × 1, 1 of 1 chips"),
        ("tpu7x", "2x2x4", "tpu7x-standard-4t × 4, 4 of 16 chips"),
    ])
    func `a topology gives machine type, hosts and chips`(type: String, topology: String, expected: String) {
        #expect(slice(type, topology) == expected)
    }

    @Test func `a topology that two machine types have is on the one asked for`() {
        #expect(slice("tpu-v6e-slice", "2x4", "ct6e-standard-8t") == "ct6e-standard-8t × 1, 8 of 8 chips")
        #expect(slice("tpu-v6e-slice", "2x4", "ct6e-standard-4t") == "ct6e-standard-4t × 2, 4 of 8 chips")
    }

    @Test func `what does not exist is refused with what does`() {
        #expect(
            slice("tpu-v9", "2x2")
                == "TPU type tpu-v9 is not known; known are tpu-v4-podslice, tpu-v5-lite-podslice, tpu-v5p-slice, "
                + "tpu-v6e-slice, tpu7x")
        #expect(
            slice("tpu-v6e-slice", "4x5")
                == "tpu-v6e-slice has no topology 4x5; possible are 1x1, 2x2, 2x4, 4x4, 4x8, 8x8, 8x16, 16x16")
        #expect(
            slice("tpu-v5p-slice", "4x4")
                == "tpu-v5p-slice has no topology 4x4; possible are 2x2x1, 2x2x2, 2x2x4, 2x4x4, 4x4x4, 4x4x8, 4x8x8, "
                + "8x8x8, 8x8x16, 8x16x16, 16x16x16, 16x16x24, 16x20x28, and AxBxC with multiples of 4 in ascending "
                + "order up to 8960 chips")
        #expect(
            slice("tpu-v6e-slice", "4x4", "ct6e-standard-8t")
                == "machineType ct6e-standard-8t does not carry tpu-v6e-slice 4x4; possible are ct6e-standard-4t")
        // Descending, and beyond the 64 cubes of v4.
        for topology in ["12x4x4", "16x16x20", "4x4x6", "0x4x4", "4x4x1000", "x", "4x4x4x4"] {
            #expect(slice("tpu-v4-podslice", topology).contains("has no topology"))
        }
    }

    @Test func `every row of the catalogue is sound`() {
        #expect(Set(TPU.catalogue.map(\.type)).count == TPU.catalogue.count)
        for tpu in TPU.catalogue {
            for machine in tpu.machines {
                #expect(TPU.chipCount(of: machine.singleHostTopology) == machine.chipCount)
                for topology in machine.multiHostTopologies {
                    let chips = TPU.chipCount(of: topology) ?? 0
                    #expect(chips > machine.chipCount && chips.isMultiple(of: machine.chipCount), "\(topology)")
                    #expect(tpu.offers(topology, on: machine))
                }
            }
        }
    }

    @Test func `prices are by the chip`() throws {
        func price(_ topology: String, _ model: ProvisioningModel, _ region: String) throws -> String? {
            let slice = try TPUSlice.choose(type: "tpu-v6e-slice", topology: topology, machineType: nil).get()
            return PriceTable.builtIn.hourlyPrice(
                of: slice.offeredMachine, accelerator: "", model: model, region: region)?.decimal
        }
        #expect(try price("4x4", .standard, "us-east5") == "10.80")
        #expect(try price("4x4", .spot, "us-central1") == "2.176")
        #expect(try price("1x1", .spot, "asia-south1") == nil)
        #expect(try price("1x1", .standard, "mars-north1") == nil)
    }
}

@Suite struct RunShapeTests {
    private func shape(
        _ accelerator: TrainingJob.AcceleratorSpec?, nodes: Int? = nil
    ) -> (slices: Int, nodes: Int, resource: String?, each: Int) {
        let job = trainingJob { spec in
            spec.accelerator = accelerator
            spec.trainer?.numNodes = nodes
        }
        let shape = RunSpec(job.spec).shape
        return (shape.sliceCount, shape.nodesPerSlice, shape.resourceName, shape.acceleratorsPerNode)
    }

    private func tpu(_ topology: String, slices: Int = 1, type: String = "tpu-v6e-slice") -> TrainingJob.AcceleratorSpec
    {
        .init(tpu: .init(type: type, topology: topology, slices: slices))
    }

    @Test func `follows from the accelerator`() {
        #expect(shape(nil) == (1, 1, nil, 0))
        #expect(shape(nil, nodes: 4) == (1, 4, nil, 0))
        #expect(shape(tpu("4x4")) == (1, 4, "google.com/tpu", 4))
        #expect(shape(tpu("2x4", slices: 3)) == (3, 1, "google.com/tpu", 8))
        #expect(shape(tpu("8x8", slices: 2)) == (2, 16, "google.com/tpu", 4))
        #expect(shape(tpu("9x9")) == (1, 1, "google.com/tpu", 1))
        var gpu = TrainingJob.AcceleratorSpec.GPU(type: "nvidia-a100-80gb", count: 2, driverVersion: "Default")
        #expect(shape(.init(gpu: gpu), nodes: 2) == (1, 2, "nvidia.com/gpu", 2))
        gpu.partitionSize = "1g.10gb"
        #expect(shape(.init(gpu: gpu)) == (1, 1, "nvidia.com/gpu", 14))
        gpu.sharing = .init(strategy: .mps, maxClientsPerGPU: 8)
        #expect(shape(.init(gpu: gpu)) == (1, 1, "nvidia.com/gpu", 1))
    }

    @Test func `the machine type of a candidate is not part of what a run executes`() {
        var job = trainingJob { $0.accelerator = tpu("2x4") }
        let hash = SpecHash.hash(RunSpec(job.spec))
        job.spec.accelerator?.tpu?.machineType = "ct6e-standard-4t"
        #expect(SpecHash.hash(RunSpec(job.spec)) == hash)
        #expect(RunSpec(job.spec).shape.nodesPerSlice == 2)
    }
}
