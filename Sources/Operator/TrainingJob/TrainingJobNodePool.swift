import GoogleCloud
import Kubernetes

/// One place where a run may get its machines: a candidate in a zone.
struct CapacityOption: Sendable, Hashable {
    var candidate: TrainingJob.Capacity.Candidate
    var zone: String
    var machine: Accelerator.Machine
    /// What each node carries: the candidate's own, else the run's; nil for CPUs.
    var accelerator: TrainingJob.AcceleratorSpec?
    var shape: RunShape
    /// The derived names of its node pools, one for each slice.
    var pools: [String]
    /// List price of one node an hour; nil where the list does not have it.
    var nodePrice: Money?

    /// Of the whole run an hour.
    var hourlyPrice: Money? { nodePrice.map { $0 * shape.nodeCount } }
    /// Its nodes come with the pool, all or none, and the pool cannot be resized.
    var isMadeAtSize: Bool { shape.slice?.isMultiHost == true && !isQueued }
    /// Its nodes come all at once when they are to be had, as a ProvisioningRequest asks.
    var isQueued: Bool { candidate.provisioningModel == .flexStart }
}

/// The options of a spec.
struct CapacityOptions: Sendable, Hashable {
    /// In the order in which they are tried.
    var usable: [CapacityOption] = []
    /// Those that are not tried, and why.
    var skipped: [Skipped] = []

    struct Skipped: Sendable, Hashable {
        var reason: Reason
        /// A sentence with the candidate's name.
        var message: String
    }

    /// ` (skipped: …)`, or nothing.
    var skippedText: String {
        skipped.isEmpty ? "" : " (skipped: \(skipped.map(\.message).joined(separator: "; ")))"
    }
}

/// Why a spec that the schema accepts cannot be run.
struct InvalidSpec: Error, Sendable, Hashable {
    var message: String

    init(_ message: String) { self.message = message }
}

/// The node pools of a run: the options that a spec amounts to.
enum TrainingJobNodePool {
    /// Candidates times zones that are looked at; the ledger of attempts holds as many.
    static let maximumOptions = 24

    /// All options that can be tried, in order, or why there is none.
    static func options(
        for run: TrainingJob.Run?, _ spec: RunSpec, _ observation: TrainingJobObservation
    ) -> Result<[CapacityOption], InvalidSpec> {
        choices(for: run, spec, observation).map(\.usable)
    }

    /// All options and those that are left out, or why the spec has none.
    static func choices(
        for run: TrainingJob.Run?, _ spec: RunSpec, _ observation: TrainingJobObservation
    ) -> Result<CapacityOptions, InvalidSpec> {
        guard NodeSelection.policy(spec) == .createPerRun else { return standing(spec) }
        var options = CapacityOptions()
        for candidate in candidates(observation.spec) {
            switch offers(candidate, run, spec, observation) {
            case .failure(let error): return .failure(error)
            case .success(let offers):
                options.usable += offers.usable
                options.skipped += offers.skipped
            }
        }
        options = TenantRules.allowed(options, observation)
        guard options.usable.count <= maximumOptions else {
            return .failure(
                InvalidSpec(
                    "capacity.candidates make \(options.usable.count) pairs with their zones; at most \(maximumOptions)"
                )
            )
        }
        if observation.spec.capacity?.strategy == .cheapestFirst { options.usable = cheapestFirst(options.usable) }
        return .success(options)
    }

    /// Of nodes that we do not make: no option, but what the pods ask for must exist.
    private static func standing(_ spec: RunSpec) -> Result<CapacityOptions, InvalidSpec> {
        if let tpu = spec.accelerator?.tpu {
            return TPUSlice.choose(type: tpu.type, topology: tpu.topology, machineType: nil).map { _ in
                CapacityOptions()
            }
        }
        guard let gpu = spec.accelerator?.gpu, Accelerator.named(gpu.type) == nil else {
            return .success(CapacityOptions())
        }
        let known = Accelerator.catalogue.map(\.type).joined(separator: ", ")
        return .failure(InvalidSpec("GPU type \(gpu.type) is not known; known are \(known)"))
    }

    /// The spec's candidates; without any, on demand in the cluster's zones.
    static func candidates(_ spec: TrainingJob.Spec) -> [TrainingJob.Capacity.Candidate] {
        spec.capacity?.candidates
            ?? [TrainingJob.Capacity.Candidate(name: "on-demand", provisioningModel: .standard)]
    }

    /// One candidate in each of its zones.
    private static func offers(
        _ candidate: TrainingJob.Capacity.Candidate, _ run: TrainingJob.Run?, _ spec: RunSpec,
        _ observation: TrainingJobObservation
    ) -> Result<CapacityOptions, InvalidSpec> {
        func invalid(_ message: String) -> InvalidSpec { InvalidSpec("candidate \(candidate.name): \(message)") }
        let spec = spec.using(candidate)
        let machine: Accelerator.Machine
        switch MachineChoice.choose(spec, candidate) {
        case .failure(let error): return .failure(invalid(error.message))
        case .success(let choice): machine = choice
        }
        if let problem = NodePoolFit.problem(machine, spec, candidate) { return .failure(invalid(problem)) }
        if !observation.spec.skips(.kernels), let problem = KernelFit.problem(machine, spec) {
            let skipped = CapacityOptions.Skipped(reason: .kernelIncompatible, message: "\(candidate.name): \(problem)")
            return .success(CapacityOptions(skipped: [skipped]))
        }
        if let problem = TrainingJobFlexStart.problem(candidate, observation) {
            return .success(CapacityOptions(skipped: [.init(reason: .capacityUnavailable, message: problem)]))
        }
        if let problem = TrainingJobQueue.misfit(candidate, observation) {
            return .success(CapacityOptions(skipped: [.init(reason: .flavorNotOffered, message: problem)]))
        }
        let zones = candidate.zones ?? observation.configuration.zones
        guard !zones.isEmpty else {
            return .failure(InvalidSpec("candidate \(candidate.name) names no zones, and the cluster's are not known"))
        }
        var options = CapacityOptions()
        for zone in zones {
            let option = option(candidate, zone, machine, run, spec, observation)
            if let message = expense(option) {
                options.skipped.append(.init(reason: .maxHourlyCostExceeded, message: message))
            } else {
                options.usable.append(option)
            }
        }
        return .success(options)
    }

    private static func option(
        _ candidate: TrainingJob.Capacity.Candidate, _ zone: String, _ machine: Accelerator.Machine,
        _ run: TrainingJob.Run?, _ spec: RunSpec, _ observation: TrainingJobObservation
    ) -> CapacityOption {
        let price = observation.configuration.prices.hourlyPrice(
            of: machine, accelerator: spec.accelerator?.gpu?.type ?? "", model: candidate.provisioningModel,
            region: PriceTable.region(ofZone: zone))
        return CapacityOption(
            candidate: candidate, zone: zone, machine: machine, accelerator: spec.accelerator, shape: spec.shape,
            pools: NodeSelection.pools(
                candidate: candidate.name, zone: zone, sliceCount: spec.shape.sliceCount, run, observation),
            nodePrice: price)
    }

    /// Why an option costs more than its candidate may; nil when it does not. Without a price nobody can tell, and a
    /// limit that cannot be kept is kept by not trying.
    private static func expense(_ option: CapacityOption) -> String? {
        guard let limit = option.candidate.maxHourlyCost, let most = Money(decimal: limit) else { return nil }
        let place = "\(option.candidate.name) in \(option.zone)"
        guard let price = option.hourlyPrice else {
            return "\(place) has no list price to compare with maxHourlyCost \(limit)"
        }
        return price > most ? "\(place) costs \(price.display) an hour, above maxHourlyCost \(limit)" : nil
    }

    /// By the price of the whole run; what has no price comes last, equals stay in order.
    private static func cheapestFirst(_ options: [CapacityOption]) -> [CapacityOption] {
        options.enumerated().sorted { left, right in
            let prices = (left.element.hourlyPrice, right.element.hourlyPrice)
            switch prices {
            case (let first?, let second?) where first != second: return first < second
            case (_?, nil): return true
            case (nil, _?): return false
            default: return left.offset < right.offset
            }
        }.map(\.element)
    }
}

extension RunSpec {
    /// With the accelerator of a candidate in place of the run's, where it has one.
    func using(_ candidate: TrainingJob.Capacity.Candidate) -> RunSpec {
        var spec = self
        if let accelerator = candidate.accelerator { spec.accelerator = accelerator }
        spec.accelerator?.tpu?.machineType = candidate.machineType
        return spec
    }
}
