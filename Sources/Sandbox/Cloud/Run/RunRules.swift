internal import Encoding

/// What Cloud Run refuses beyond the shape of the message.
struct RunRules {
    let world: CloudWorld
    let location: String

    /// Regions that have a GPU.
    private static let regions: [String: Set<String>] = [
        "nvidia-l4": [
            "us-central1", "us-east4", "europe-west1", "europe-west4", "asia-southeast1", "asia-south1",
        ],
        "nvidia-rtx-pro-6000": ["us-central1", "europe-west4"],
    ]

    /// - Throws: 400 INVALID_ARGUMENT with the first rule that is broken.
    func check(_ service: JSONValue, id: String) throws(CloudError) {
        guard let template = service["template"], let containers = template["containers"]?.arrayValue,
            !containers.isEmpty
        else {
            throw .invalidField(
                "service.template.containers", "Revision template should contain at least one container.")
        }
        if let name = template["revision"]?.stringValue, !name.isEmpty {
            guard name.hasPrefix("\(id)-"), Self.isName(name, maximum: 63) else {
                throw .invalidField(
                    "service.template.revision",
                    "Revision name must be prefixed by the name of the enclosing Service followed by a hyphen.")
            }
        }
        try check(scalingOf: service)
        try check(template: template)
        let volumes = Set((template["volumes"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue })
        for (index, container) in containers.enumerated() {
            try check(container: container, volumes: volumes, at: "service.template.containers[\(index)]")
        }
        try checkGPU(service, template: template, containers: containers)
        try check(traffic: service["traffic"]?.arrayValue ?? [])
    }

    /// - Throws: 400 when the name of a new service is not one.
    static func check(serviceID id: String) throws(CloudError) {
        guard isName(id, maximum: 49) else {
            throw .invalidField(
                "service_id",
                "Violation in CreateServiceRequest.service_id: only lowercase, digits, and hyphens; must begin with "
                    + "letter, and cannot end with hyphen; must be less than 50 characters")
        }
    }

    /// `[a-z]([-a-z0-9]*[a-z0-9])?`
    static func isName(_ name: String, maximum: Int) -> Bool {
        guard let first = name.utf8.first, (0x61...0x7A).contains(first), name.utf8.count <= maximum else {
            return false
        }
        return name.last != "-"
            && name.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-")
            }
    }

    // MARK: Template

    private func check(template: JSONValue) throws(CloudError) {
        if let text = template["timeout"] {
            guard let timeout = text.duration, timeout > .zero, timeout <= .seconds(3600) else {
                throw .invalidField(
                    "service.template.timeout", "timeout must be greater than 0s and at most 3600s.")
            }
        }
        if let concurrency = template["maxInstanceRequestConcurrency"]?.integerValue, !(0...1000).contains(concurrency)
        {
            throw .invalidField(
                "service.template.max_instance_request_concurrency", "concurrency must be between 0 and 1000.")
        }
        let usesBucket = (template["volumes"]?.arrayValue ?? []).contains { $0["gcs"] != nil }
        if usesBucket, template["executionEnvironment"] == "EXECUTION_ENVIRONMENT_GEN1" {
            throw .invalidField(
                "service.template.execution_environment",
                "Cloud Storage volumes are only supported in the second generation execution environment.")
        }
    }

    private func check(scalingOf service: JSONValue) throws(CloudError) {
        for (scaling, path) in [
            (service["scaling"], "service.scaling"),
            (service.value(at: ["template", "scaling"]), "service.template.scaling"),
        ] {
            let minimum = scaling?["minInstanceCount"]?.integerValue ?? 0
            let maximum = scaling?["maxInstanceCount"]?.integerValue ?? 100
            guard minimum >= 0, maximum >= 0 else {
                throw .invalidField("\(path).min_instance_count", "Instance counts must not be negative.")
            }
            // Zero is the default value: no limit was set.
            guard maximum == 0 || minimum <= maximum else {
                throw .invalidField(
                    "\(path).min_instance_count",
                    "min_instance_count (\(minimum)) must be less than or equal to max_instance_count (\(maximum)).")
            }
        }
        if service.value(at: ["scaling", "scalingMode"]) != "MANUAL",
            service.value(at: ["scaling", "manualInstanceCount"]) != nil
        {
            throw .invalidField(
                "service.scaling.manual_instance_count", "manual_instance_count needs scaling_mode MANUAL.")
        }
    }

    // MARK: Containers

    private func check(container: JSONValue, volumes: Set<String>, at path: String) throws(CloudError) {
        guard container["image"]?.stringValue?.isEmpty == false else {
            throw .invalidField("\(path).image", "Violation in \(path).image: required field is missing.")
        }
        for (name, value) in container.value(at: ["resources", "limits"])?.objectValue ?? [:] {
            guard ["cpu", "memory", "nvidia.com/gpu"].contains(name) else {
                throw .invalidField("\(path).resources.limits", "Unsupported resource limit: '\(name)'.")
            }
            guard let text = value.stringValue, let amount = Self.quantity(text), amount > 0 else {
                throw .invalidField("\(path).resources.limits[\(name)]", "Invalid quantity for '\(name)'.")
            }
            if name == "cpu", amount > 1, ![2, 4, 6, 8, 20, 22, 24, 30].contains(amount) {
                throw .invalidField(
                    "\(path).resources.limits[cpu]", "Invalid value specified for cpu. CPU must be 1, 2, 4, 6 or 8.")
            }
        }
        for mount in container["volumeMounts"]?.arrayValue ?? [] {
            guard let name = mount["name"]?.stringValue, volumes.contains(name) else {
                throw .invalidField(
                    "\(path).volume_mounts", "Volume mount refers to a volume that is not declared.")
            }
        }
        var names: Set<String> = []
        for variable in container["env"]?.arrayValue ?? [] {
            guard let name = variable["name"]?.stringValue, names.insert(name).inserted, name != "PORT" else {
                throw .invalidField("\(path).env", "Environment variables must have unique names other than PORT.")
            }
            guard (variable["value"]?.stringValue?.utf8.count ?? 0) <= 32768 else {
                throw .invalidField("\(path).env", "The value of \(name) is longer than 32768 bytes.")
            }
        }
        for kind in ["startupProbe", "livenessProbe", "readinessProbe"] {
            if let probe = container[kind] { try check(probe: probe, kind: kind, at: path) }
        }
    }

    private func check(probe: JSONValue, kind: String, at path: String) throws(CloudError) {
        guard ["httpGet", "tcpSocket", "grpc"].count(where: { probe[$0] != nil }) == 1 else {
            throw .invalidField(
                "\(path).\(kind)", "Exactly one of httpGet, tcpSocket and grpc must be set in \(kind).")
        }
        let longest: Int64 = kind == "startupProbe" ? 240 : 3600
        let period = probe["periodSeconds"]?.integerValue ?? 10
        let timeout = probe["timeoutSeconds"]?.integerValue ?? 1
        guard (1...longest).contains(period), timeout >= 1, timeout <= period else {
            throw .invalidField(
                "\(path).\(kind)",
                "periodSeconds must be between 1 and \(longest), and timeoutSeconds must not be greater.")
        }
    }

    // MARK: GPUs

    private func checkGPU(_ service: JSONValue, template: JSONValue, containers: [JSONValue]) throws(CloudError) {
        let users = containers.filter { $0.value(at: ["resources", "limits", "nvidia.com/gpu"]) != nil }
        let accelerator = template.value(at: ["nodeSelector", "accelerator"])?.stringValue
        guard let container = users.first else {
            if accelerator != nil {
                throw .invalidField(
                    "service.template.node_selector", "An accelerator needs a container with an nvidia.com/gpu limit.")
            }
            return
        }
        guard users.count == 1, container.value(at: ["resources", "limits", "nvidia.com/gpu"]) == "1" else {
            throw .invalidField(
                "service.template.containers", "Only one container of a revision may have a GPU, and only one GPU.")
        }
        guard let accelerator, let regions = Self.regions[accelerator] else {
            throw .invalidField(
                "service.template.node_selector.accelerator",
                "GPUs need a node selector: nvidia-l4 or nvidia-rtx-pro-6000.")
        }
        guard regions.contains(location) else {
            throw .invalidField(
                "service.template.node_selector.accelerator", "\(accelerator) is not available in \(location).")
        }
        if template["executionEnvironment"] == "EXECUTION_ENVIRONMENT_GEN1" {
            throw .invalidField(
                "service.template.execution_environment", "GPUs need the second generation execution environment.")
        }
        try check(resources: container["resources"] ?? [:], isLarge: accelerator == "nvidia-rtx-pro-6000")
        try checkQuota(service, template: template, accelerator: accelerator)
    }

    private func check(resources: JSONValue, isLarge: Bool) throws(CloudError) {
        let cpu = resources.value(at: ["limits", "cpu"])?.stringValue.flatMap(Self.quantity) ?? 1
        let memory = resources.value(at: ["limits", "memory"])?.stringValue.flatMap(Self.quantity) ?? 512 * 1_048_576
        let least: (cpu: Double, gibibytes: Double) = isLarge ? (20, 80) : (4, 16)
        guard cpu >= least.cpu else {
            throw .invalidField(
                "service.template.containers.resources.limits[cpu]",
                "Total CPU < \(Int(least.cpu)) is not supported with gpu.")
        }
        guard memory >= least.gibibytes * 1_073_741_824 else {
            throw .invalidField(
                "service.template.containers.resources.limits[memory]",
                "Total memory < \(Int(least.gibibytes))Gi is not supported with gpu.")
        }
        if resources["cpuIdle"] == true {
            throw .invalidField(
                "service.template.containers.resources.cpu_idle", "GPUs need CPU always allocated: cpu_idle false.")
        }
    }

    private func checkQuota(_ service: JSONValue, template: JSONValue, accelerator: String) throws(CloudError) {
        let limits = [service["scaling"], template["scaling"]].compactMap { $0?["maxInstanceCount"]?.integerValue }
            .filter { $0 > 0 }
        let requested = limits.min() ?? 100
        let allowed = Int64(world.script.apis.runGPUQuota[accelerator] ?? 0)
        guard requested > allowed else { return }
        let family = accelerator == "nvidia-l4" ? "NvidiaL4" : "NvidiaRtxPro6000"
        let redundancy = template["gpuZonalRedundancyDisabled"] == true ? "NoZonalRedundancy" : ""
        throw .invalidArgument(
            "Max instances must be set to \(allowed) or fewer in order to set GPU requirements.\nQuota violated:\n"
                + "\(family)GpuAlloc\(redundancy)PerProjectRegion requested: \(requested) allowed: \(allowed)")
    }

    // MARK: Traffic

    private func check(traffic: [JSONValue]) throws(CloudError) {
        guard !traffic.isEmpty else { return }
        var sum: Int64 = 0
        var tags: Set<String> = []
        for (index, target) in traffic.enumerated() {
            let path = "service.traffic[\(index)]"
            let percent = target["percent"]?.integerValue ?? 0
            guard (0...100).contains(percent) else {
                throw .invalidField("\(path).percent", "Traffic percent must be between 0 and 100.")
            }
            sum += percent
            let revision = target["revision"]?.stringValue ?? ""
            switch target["type"]?.stringValue {
            case "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION" where revision.isEmpty:
                throw .invalidField("\(path).revision", "A revision must be set.")
            case "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION": break
            default:
                guard revision.isEmpty else {
                    throw .invalidField("\(path).revision", "A revision may not be set with type LATEST.")
                }
            }
            if let tag = target["tag"]?.stringValue, !tag.isEmpty {
                guard Self.isName(tag, maximum: 46), tags.insert(tag).inserted else {
                    throw .invalidField("\(path).tag", "Tags must be unique names of lowercase, digits and hyphens.")
                }
            } else if percent == 0 {
                throw .invalidField(path, "Traffic targets need a percent or a tag.")
            }
        }
        guard sum == 100 else {
            throw .invalidField("service.traffic", "Traffic percentages must add up to 100: they add up to \(sum).")
        }
    }

    /// `500m`, `4`, `16Gi`; nil for what is no quantity.
    static func quantity(_ text: String) -> Double? {
        let units: [(String, Double)] = [
            ("Ki", 1024), ("Mi", 1_048_576), ("Gi", 1_073_741_824), ("m", 0.001), ("k", 1e3), ("M", 1e6), ("G", 1e9),
        ]
        for (suffix, factor) in units where text.hasSuffix(suffix) {
            return Double(text.dropLast(suffix.count)).map { $0 * factor }
        }
        return Double(text)
    }
}
