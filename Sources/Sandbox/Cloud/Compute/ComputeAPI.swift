internal import Encoding
internal import HTTP

/// compute v1, read only: zones, regions with quotas, machine and accelerator types, reservations and the managed
/// instance groups of the simulated node pools.
struct ComputeAPI: CloudAPI {
    static let routes: [Route] = {
        let project = "compute/v1/projects/{project}"
        let zone = "\(project)/zones/{zone}"
        return [
            Route(.get, project, "compute.projects.get"),
            Route(.get, "\(project)/zones", "compute.zones.list"),
            Route(.get, zone, "compute.zones.get"),
            Route(.get, "\(project)/regions", "compute.regions.list"),
            Route(.get, "\(project)/regions/{region}", "compute.regions.get"),
            Route(.get, "\(zone)/machineTypes", "compute.machineTypes.list"),
            Route(.get, "\(zone)/machineTypes/{machine}", "compute.machineTypes.get"),
            Route(.get, "\(project)/aggregated/machineTypes", "compute.machineTypes.aggregatedList"),
            Route(.get, "\(zone)/acceleratorTypes", "compute.acceleratorTypes.list"),
            Route(.get, "\(zone)/acceleratorTypes/{accelerator}", "compute.acceleratorTypes.get"),
            Route(.get, "\(project)/aggregated/acceleratorTypes", "compute.acceleratorTypes.aggregatedList"),
            Route(.get, "\(zone)/reservations", "compute.reservations.list"),
            Route(.get, "\(zone)/reservations/{reservation}", "compute.reservations.get"),
            Route(.get, "\(zone)/instanceGroupManagers", "compute.instanceGroupManagers.list"),
            Route(.get, "\(zone)/instanceGroupManagers/{group}", "compute.instanceGroupManagers.get"),
            Route(
                .post, "\(zone)/instanceGroupManagers/{group}/listManagedInstances",
                "compute.instanceGroupManagers.listManagedInstances"),
            Route(
                .get, "\(zone)/instanceGroupManagers/{group}/listErrors", "compute.instanceGroupManagers.listErrors"),
        ]
    }()

    /// Machine types that a zone does not have, as `zone/type`.
    var missing: Set<String> = []
    /// By `zone/name`.
    var reservations: [String: JSONValue] = [:]

    mutating func perform(
        _ call: APICall, in world: CloudWorld, shared: inout SharedState
    ) throws(CloudError) -> HTTPReply {
        let links = ComputeLinks(project: world.project)
        let zone = call["zone"]
        if !zone.isEmpty, !world.zones.contains(zone) {
            throw Self.notFound("projects/\(world.project)/zones/\(zone)")
        }
        switch call.method {
        case "compute.projects.get": return .json(project(links, in: world))
        case "compute.zones.list": return try list(call, "compute#zoneList", world.zones.map(links.zone))
        case "compute.zones.get": return .json(links.zone(zone))
        case "compute.regions.list":
            return try list(call, "compute#regionList", regions(in: world).map { region($0, links, in: world) })
        case "compute.regions.get":
            guard regions(in: world).contains(call["region"]) else {
                throw Self.notFound("projects/\(world.project)/regions/\(call["region"])")
            }
            return .json(region(call["region"], links, in: world))
        case "compute.machineTypes.list":
            return try list(call, "compute#machineTypeList", machines(zone).map { links.machine($0, zone: zone) })
        case "compute.machineTypes.get":
            guard let machine = machines(zone).first(where: { $0.name == call["machine"] }) else {
                throw Self.notFound("projects/\(world.project)/zones/\(zone)/machineTypes/\(call["machine"])")
            }
            return .json(links.machine(machine, zone: zone))
        case "compute.machineTypes.aggregatedList":
            return .json(
                aggregated("compute#machineTypeAggregatedList", "machineTypes", in: world) { zone in
                    machines(zone).map { links.machine($0, zone: zone) }
                })
        case "compute.acceleratorTypes.list":
            return try list(
                call, "compute#acceleratorTypeList", accelerators(zone).map { links.accelerator($0, zone: zone) })
        case "compute.acceleratorTypes.get":
            guard let found = accelerators(zone).first(where: { $0.name == call["accelerator"] }) else {
                throw Self.notFound("projects/\(world.project)/zones/\(zone)/acceleratorTypes/\(call["accelerator"])")
            }
            return .json(links.accelerator(found, zone: zone))
        case "compute.acceleratorTypes.aggregatedList":
            return .json(
                aggregated("compute#acceleratorTypeAggregatedList", "acceleratorTypes", in: world) { zone in
                    accelerators(zone).map { links.accelerator($0, zone: zone) }
                })
        case "compute.reservations.list":
            let here = reservations.filter { $0.key.hasPrefix("\(zone)/") }.sorted { $0.key < $1.key }
            return try list(call, "compute#reservationList", here.map(\.value))
        case "compute.reservations.get":
            guard let found = reservations["\(zone)/\(call["reservation"])"] else {
                throw Self.notFound("projects/\(world.project)/zones/\(zone)/reservations/\(call["reservation"])")
            }
            return .json(found)
        default:
            return try InstanceGroups(world: world, links: links).reply(call)
        }
    }

    private func machines(_ zone: String) -> [MachineCatalog.Machine] {
        MachineCatalog.machines.filter { !missing.contains("\(zone)/\($0.name)") }
    }

    /// A zone has an accelerator while it has a machine with it; those of family n1 are everywhere.
    private func accelerators(_ zone: String) -> [MachineCatalog.Accelerator] {
        let builtIn = Set(machines(zone).compactMap(\.accelerator))
        return MachineCatalog.accelerators.filter { accelerator in
            builtIn.contains(accelerator.name)
                || !MachineCatalog.machines.contains { $0.accelerator == accelerator.name }
        }
    }

    static func notFound(_ resource: String) -> CloudError {
        CloudError(status: 404, reason: "notFound", message: "The resource '\(resource)' was not found")
    }

    private func list(_ call: APICall, _ kind: String, _ items: [JSONValue]) throws(CloudError) -> HTTPReply {
        var reply = try call.page("items", try filtered(items, call.query("filter")), limit: 500)
        reply["kind"] = .string(kind)
        return .json(reply)
    }

    /// `name=x`, `name="x"` and `name eq x` are understood; nothing else is ignored silently.
    private func filtered(_ items: [JSONValue], _ filter: String?) throws(CloudError) -> [JSONValue] {
        guard let filter, !filter.isEmpty else { return items }
        var parts = filter.split(separator: "=", maxSplits: 1).map(String.init)
        if parts.count != 2 { parts = filter.split(separator: " ").filter { $0 != "eq" }.map(String.init) }
        guard parts.count == 2 else {
            throw CloudError(
                status: 400, reason: "invalid",
                message: "Invalid value for field 'filter': '\(filter)'. "
                    + "The sandbox understands field=value only.")
        }
        let name = parts[0].filter { $0 != " " }
        let value = parts[1].filter { $0 != " " && $0 != "\"" && $0 != "'" }
        return items.filter { $0[name]?.stringValue == value }
    }

    private func aggregated(
        _ kind: String, _ key: String, in world: CloudWorld, _ items: (String) -> [JSONValue]
    ) -> JSONValue {
        let scopes = world.zones.map { zone in ("zones/\(zone)", JSONValue.object([key: .array(items(zone))])) }
        return ["kind": .string(kind), "items": .object(Dictionary(uniqueKeysWithValues: scopes))]
    }

    // MARK: Regions and quotas

    private func regions(in world: CloudWorld) -> [String] {
        var found: [String] = []
        for zone in world.zones {
            let region = ComputeLinks.region(of: zone)
            if !found.contains(region) { found.append(region) }
        }
        return found.sorted()
    }

    private func project(_ links: ComputeLinks, in world: CloudWorld) -> JSONValue {
        let used = Quotas(world: world).gpus(region: nil)
        return [
            "kind": "compute#project", "name": .string(world.project),
            "id": .string(String(world.configuration.projectNumber)),
            "selfLink": .string(links.root), "xpnProjectStatus": "UNSPECIFIED_XPN_PROJECT_STATUS",
            "quotas": [
                [
                    "metric": "GPUS_ALL_REGIONS", "usage": .number(Double(used)),
                    "limit": .number(Double(world.script.apis.regionQuotas["GPUS_ALL_REGIONS"] ?? 64)),
                ]
            ],
        ]
    }

    private func region(_ name: String, _ links: ComputeLinks, in world: CloudWorld) -> JSONValue {
        let quotas = Quotas(world: world)
        let zones = world.zones.filter { ComputeLinks.region(of: $0) == name }
        return [
            "kind": "compute#region", "name": .string(name), "status": "UP",
            "id": .string(links.id("regions/\(name)")), "description": .string(name),
            "selfLink": .string("\(links.root)/regions/\(name)"),
            "zones": .array(zones.map { .string("\(links.root)/zones/\($0)") }),
            "quotas": .array(quotas.all(region: name)),
        ]
    }
}

/// A region's quotas; the usage is what the simulated node pools hold.
struct Quotas {
    let world: CloudWorld

    func all(region: String) -> [JSONValue] {
        var quotas = [quota("CPUS", usage: cpus(region: region), limit: 500)]
        for accelerator in MachineCatalog.accelerators {
            guard let metric = accelerator.quota else { continue }
            for (metric, spot) in [(metric, false), ("PREEMPTIBLE_\(metric)", true)] {
                let used = gpus(region: region, accelerator: accelerator.name, isSpot: spot)
                quotas.append(quota(metric, usage: used, limit: 16))
            }
        }
        return quotas
    }

    private func quota(_ metric: String, usage: Int64, limit: Int) -> JSONValue {
        [
            "metric": .string(metric), "usage": .number(Double(usage)),
            "limit": .number(Double(world.script.apis.regionQuotas[metric] ?? limit)),
        ]
    }

    private func cpus(region: String) -> Int64 {
        world.container.pools.values.reduce(0) { sum, pool in
            let machine = pool.resource.value(at: ["config", "machineType"])?.stringValue ?? "e2-medium"
            let cpus = MachineCatalog.machines.first { $0.name == machine }?.cpus ?? 0
            return sum + cpus * count(pool, region: region)
        }
    }

    /// GPUs that run; of all regions, accelerators or provisioning models where none is named.
    func gpus(region: String?, accelerator: String? = nil, isSpot: Bool? = nil) -> Int64 {
        world.container.pools.values.reduce(0) { sum, pool in
            if let isSpot, isSpot != (pool.provisioning == .spot) { return sum }
            let perMachine = (pool.resource.value(at: ["config", "accelerators"])?.arrayValue ?? []).reduce(Int64(0)) {
                let matches = accelerator == nil || $1["acceleratorType"]?.stringValue == accelerator
                return $0 + (matches ? $1["acceleratorCount"]?.int64 ?? 0 : 0)
            }
            return sum + perMachine * count(pool, region: region)
        }
    }

    private func count(_ pool: ContainerState.Pool, region: String?) -> Int64 {
        Int64(pool.instances.count { region == nil || ComputeLinks.region(of: $0.zone) == region })
    }
}
