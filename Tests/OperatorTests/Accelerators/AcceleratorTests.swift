import Testing

@testable import Operator

@Suite struct AcceleratorTests {
    @Test func `the default machine is the smallest that carries the GPUs`() {
        func machine(_ type: String, _ count: Int, _ model: ProvisioningModel = .spot) -> String? {
            let gpu = TrainingJob.AcceleratorSpec.GPU(type: type, count: count, driverVersion: "Default")
            guard case .machine(let machine) = MachineChoice.choose(gpu, machineType: nil, model: model) else {
                return nil
            }
            return machine.type
        }
        #expect(machine("nvidia-l4", 1) == "g2-standard-4")
        #expect(machine("nvidia-l4", 2) == "g2-standard-24")
        #expect(machine("nvidia-l4", 3) == nil)
        #expect(machine("nvidia-tesla-t4", 4) == "n1-standard-16")
        #expect(machine("nvidia-h100-80gb", 1) == "a3-highgpu-1g")
        #expect(machine("nvidia-h100-80gb", 1, .standard) == nil)
        #expect(machine("nvidia-h100-80gb", 8, .standard) == "a3-highgpu-8g")
    }

    @Test func `every row of the catalogue is sound`() {
        for accelerator in Accelerator.catalogue {
            #expect(!accelerator.machines.isEmpty)
            for machine in accelerator.machines {
                #expect(machine.acceleratorCount > 0 && machine.acceleratorCount <= 16)
                #expect(machine.vCPUCount > 0 && machine.memoryGB > 0)
            }
        }
        #expect(Set(Accelerator.catalogue.map(\.type)).count == Accelerator.catalogue.count)
    }

    @Test func `a wrong machine type is refused with the right ones`() {
        let gpu = TrainingJob.AcceleratorSpec.GPU(type: "nvidia-l4", count: 4, driverVersion: "Default")
        #expect(
            MachineChoice.choose(gpu, machineType: "g2-standard-8", model: .spot)
                == .impossible(
                    "machineType g2-standard-8 does not carry 4 × nvidia-l4 as Spot; possible are g2-standard-48"))
    }

    @Test func `prices are those of the list`() throws {
        func price(_ type: String, _ count: Int, _ model: ProvisioningModel, _ region: String) throws -> String? {
            let accelerator = try #require(Accelerator.named(type))
            let machine = try #require(accelerator.machines(count: count, model: model).first)
            return PriceTable.builtIn.hourlyPrice(of: machine, accelerator: type, model: model, region: region)?.decimal
        }
        #expect(try price("nvidia-l4", 1, .spot, "us-central1") == "0.397336")
        #expect(try price("nvidia-l4", 1, .standard, "us-central1") == "0.706832")
        #expect(try price("nvidia-tesla-t4", 2, .standard, "us-central1") == "0.889999")
        #expect(try price("nvidia-l4", 1, .spot, "mars-north1") == nil)
        #expect(PriceTable.region(ofZone: "us-central1-b") == "us-central1")
    }

    @Test func `every machine that can be bought has a price somewhere in the US, except the newest`() {
        let unpriced = Accelerator.catalogue.flatMap { accelerator in
            accelerator.machines.filter { machine in
                !machine.provisioningModels.isEmpty
                    && !["us-central1", "us-east4", "us-east5", "us-west1"].contains { region in
                        machine.provisioningModels.contains { model in
                            PriceTable.builtIn.hourlyPrice(
                                of: machine, accelerator: accelerator.type, model: model, region: region) != nil
                        }
                    }
            }.map(\.type)
        }
        #expect(
            Set(unpriced) == [
                "a3-edgegpu-8g", "a3-ultragpu-8g", "a4-highgpu-8g", "a4x-highgpu-4g", "a4x-maxgpu-4g-metal",
            ])
    }
}

@Suite struct MoneyTests {
    @Test(arguments: [
        (0, "0.00", "$0.00"), (1, "0.000001", "$0.000001"), (397_336, "0.397336", "$0.40"), (400_000, "0.40", "$0.40"),
        (3_123, "0.003123", "$0.0031"), (18_424_999, "18.424999", "$18.42"), (18_425_000, "18.425", "$18.43"),
        (1_000_000, "1.00", "$1.00"), (-2_500_000, "-2.50", "-$2.50"), (999_999, "0.999999", "$1.00"),
    ])
    func `is written as a decimal and for people`(micros: Int, decimal: String, display: String) {
        let money = Money(microdollars: Int64(micros))
        #expect(money.decimal == decimal)
        #expect(money.display == display)
        #expect(Money(decimal: decimal) == money)
    }

    @Test(arguments: ["", ".", "1.", ".5", "1.0000001", "1e3", "--1", "1.2.3", "$1", "9999999999999"])
    func `nothing else is read`(text: String) {
        #expect(Money(decimal: text) == nil)
    }

    @Test func `accrues by time without rounding away`() {
        let rate = Money(microdollars: 397_336)
        #expect(rate.accrued(over: .seconds(3600)) == rate)
        #expect(rate.accrued(over: .seconds(60)) == Money(microdollars: 6_622))
        #expect(rate.accrued(over: .milliseconds(500)) == Money(microdollars: 55))
        #expect(rate.accrued(over: .seconds(-5)) == .zero)
        #expect(Money(microdollars: .max).accrued(over: .seconds(7200)) == Money(microdollars: .max))
    }
}
