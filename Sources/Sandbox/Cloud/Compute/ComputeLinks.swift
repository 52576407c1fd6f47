internal import Encoding

/// Compute's resources refer to one another by URL.
struct ComputeLinks {
    let project: String

    var root: String { "https://www.googleapis.com/compute/v1/projects/\(project)" }

    func id(_ path: String) -> String { String(StableHash.fnv1a("\(project)/\(path)") >> 1) }

    /// `us-central1-a` → `us-central1`.
    static func region(of zone: String) -> String {
        zone.lastIndex(of: "-").map { String(zone[..<$0]) } ?? zone
    }

    func zone(_ name: String) -> JSONValue {
        [
            "kind": "compute#zone", "name": .string(name), "status": "UP", "id": .string(id("zones/\(name)")),
            "description": .string(name), "selfLink": .string("\(root)/zones/\(name)"),
            "region": .string("\(root)/regions/\(Self.region(of: name))"),
        ]
    }

    func machine(_ machine: MachineCatalog.Machine, zone: String) -> JSONValue {
        let path = "zones/\(zone)/machineTypes/\(machine.name)"
        var value: JSONValue = [
            "kind": "compute#machineType", "name": .string(machine.name), "id": .string(id(path)),
            "guestCpus": .integer(machine.cpus), "memoryMb": .integer(machine.memoryMebibytes),
            "isSharedCpu": .bool(machine.name.hasPrefix("e2-medium")), "zone": .string(zone),
            "architecture": machine.name.hasPrefix("a4x-") ? "ARM64" : "X86_64", "maximumPersistentDisks": 128,
            "maximumPersistentDisksSizeGb": "263168", "selfLink": .string("\(root)/\(path)"),
        ]
        if let accelerator = machine.accelerator {
            value["accelerators"] = [
                ["guestAcceleratorType": .string(accelerator), "guestAcceleratorCount": .integer(machine.count)]
            ]
        }
        return value
    }

    func accelerator(_ accelerator: MachineCatalog.Accelerator, zone: String) -> JSONValue {
        let path = "zones/\(zone)/acceleratorTypes/\(accelerator.name)"
        return [
            "kind": "compute#acceleratorType", "name": .string(accelerator.name), "id": .string(id(path)),
            "description": .string(accelerator.description), "zone": .string("\(root)/zones/\(zone)"),
            "maximumCardsPerInstance": .integer(accelerator.maximumPerMachine), "selfLink": .string("\(root)/\(path)"),
        ]
    }
}
