import ControllerRuntime
public import Encoding
import Kubernetes

extension TrainingJob {
    /// What a run would be: which machines would be tried in which order, what would be made, what stands in the way.
    public struct PlanStatus: Codable, Sendable, Hashable {
        /// One place where machines would be looked for.
        public struct Candidate: Codable, Sendable, Hashable {
            public var name: String
            public var zone: String?
            public var machineType: String?
            public var provisioningModel: String?
            public var nodes: Int?
            /// Of all nodes together, a decimal string.
            public var hourlyCost: String?
            public var verdict: String?
            public var detail: String?

            public init(name: String) { self.name = name }
        }

        public var summary: String?
        @OrEmpty public var candidates: [Candidate]
        @OrEmpty public var objects: [String]
        @OrEmpty public var problems: [String]
        /// The most that the run could cost, where the spec bounds it.
        public var maxCost: String?
        public var time: Timestamp?

        public init() {
            candidates = []
            objects = []
            problems = []
        }
    }
}

/// `spec.mode: Plan`, and `trainyard plan`: says what a run would be and touches nothing.
public enum TrainingJobPlanMode {
    /// The plan of an object that may not be in any cluster yet.
    ///
    /// - Parameter artifacts: by name, what is known of each GCSArtifact that the spec refers to.
    public static func preview(
        _ job: TrainingJob, configuration: OperatorConfiguration, artifacts: [String: ArtifactObservation],
        now: Timestamp
    ) -> TrainingJob.PlanStatus {
        var observation = TrainingJobObservation(job: job, configuration: configuration, now: now)
        observation.job.status = nil
        if job.metadata.uid == nil { observation.job.metadata.uid = unknownUID }
        observation.artifacts = artifacts
        return plan(observation)
    }

    /// Names of the GCSArtifacts that an object refers to, sorted.
    public static func artifactNames(of job: TrainingJob) -> [String] {
        Set(TrainingJobInputs.references(RunSpec(job.spec)).map(\.name)).sorted()
    }

    /// Stands in names for what only a cluster gives.
    private static let unknownUID = "<uid>"

    /// Rule `planning`: nothing is made, and what an earlier life may have left goes.
    static func decide(_ observation: TrainingJobObservation) -> TrainingJobDecision? {
        guard observation.spec.mode == .plan, observation.status.run == nil else { return nil }
        var status = observation.status
        if TrainingJobRelease.holdsSomething(observation) {
            let progress = TrainingJobRelease.everything(observation)
            return TrainingJobDecision(
                steps: progress.steps, status: progress.status,
                situation: progress.blocked
                    ?? .waiting(.releasingCompute, "mode is Plan: what is left of a lost run is released first"),
                next: .after(observation.configuration.pollInterval))
        }
        var plan = plan(observation)
        // The same plan is no news.
        plan.time = observation.status.plan?.time
        if plan != observation.status.plan { plan.time = observation.moment }
        status.plan = plan
        // What stands in the way may go without any object changing: a bucket is filled.
        return TrainingJobDecision(
            status: status, situation: .planned(plan.summary ?? ""),
            next: plan.problems.isEmpty ? .whenChanged : .after(observation.configuration.pollInterval))
    }

    /// Whether an object needs our finalizer: a plan makes nothing that would have to be released.
    static func needsFinalizer(_ job: TrainingJob) -> Bool {
        job.spec.mode == .apply || job.status?.run != nil || job.status?.resources.isEmpty == false
    }

    static func plan(_ observation: TrainingJobObservation) -> TrainingJob.PlanStatus {
        let spec = RunSpec(observation.spec)
        let choices = (try? TrainingJobNodePool.choices(for: nil, spec, observation).get()) ?? CapacityOptions()
        let options = choices.usable
        var plan = TrainingJob.PlanStatus()
        plan.candidates = options.map { candidate($0, spec, observation) }
        plan.objects = objects(options, spec, observation).map { Conditions.cut($0, to: 256) }
        plan.problems = problems(options, spec, observation).prefix(16).map { Conditions.cut($0, to: 512) }
        let prices = options.compactMap(\.hourlyPrice)
        let highest = prices.count == options.count ? prices.max() : nil
        plan.maxCost = maxCost(highest, observation.spec)?.statusText
        plan.summary = Conditions.cut(summary(plan) + choices.skippedText, to: 1024)
        plan.time = observation.moment
        return plan
    }

    private static func candidate(
        _ option: CapacityOption, _ spec: RunSpec, _ observation: TrainingJobObservation
    ) -> TrainingJob.PlanStatus.Candidate {
        var candidate = TrainingJob.PlanStatus.Candidate(name: option.candidate.name)
        candidate.zone = option.zone
        candidate.machineType = option.machine.type
        candidate.provisioningModel = option.candidate.provisioningModel.rawValue
        candidate.nodes = option.shape.nodeCount
        let price = option.hourlyPrice
        candidate.hourlyCost = price?.statusText
        candidate.verdict = "Tried"
        if price == nil {
            let isRefused = observation.spec.budget.map { $0.onExceeded != .warn } ?? false
            candidate.verdict = isRefused ? Reason.priceUnknown.rawValue : "Tried"
            candidate.detail = "no list price is known"
        }
        return candidate
    }

    // MARK: What would be made

    private static func objects(
        _ options: [CapacityOption], _ spec: RunSpec, _ observation: TrainingJobObservation
    ) -> [String] {
        let name = observation.job.metadata.name
        let id = Naming.runID(job: name, uid: observation.uid, number: 1)
        let revision = Naming.revision(job: name, uid: observation.uid, specHash: SpecHash.hash(spec))
        let nodes = spec.shape.nodeCount
        var objects = [
            "ControllerRevision \(revision): the spec of the run", "Service \(id): how the pods find each other",
            "Job \(Naming.attemptJob(runID: id, attempt: 1)): \(nodes) pod\(nodes == 1 ? "" : "s"), one a node",
        ]
        if let first = options.first {
            let others = options.count > 1 ? ", or the next candidate" : ""
            let pool =
                observation.uid == unknownUID
                ? "ty-<hash>-r1-\(first.zone.suffix(1))" : first.pools.joined(separator: ", ")
            objects.append(
                "NodePool \(pool): \(nodes) × \(first.machine.type) in \(first.zone)\(others); one at a time")
        }
        if let outputs = spec.outputs {
            objects.append("outputs below \(outputs.prefix) of GCSArtifact \(outputs.artifactRef.name)")
        }
        if let checkpoint = spec.checkpoint {
            let folder = TrainingJobPods.checkpointFolder(runID: id)
            objects.append("checkpoints below \(folder) of GCSArtifact \(checkpoint.artifactRef.name)")
        }
        return objects
    }

    // MARK: What stands in the way

    private static func problems(
        _ options: [CapacityOption], _ spec: RunSpec, _ observation: TrainingJobObservation
    ) -> [String] {
        var problems: [String] = []
        if let invalid = TrainingJobInputs.invalid(observation), case .actionRequired(_, let text) = invalid.situation {
            problems.append(text)
        }
        for (name, needsObjects) in TrainingJobInputs.references(spec) {
            guard let text = TrainingJobInputs.problem(name, needsObjects: needsObjects, observation),
                !problems.contains(text)
            else { continue }
            problems.append(text)
        }
        if let budget = observation.spec.budget, budget.onExceeded != .warn {
            problems += [
                TrainingJobBudget.unpayable(budget, options, spec, observation)
                    ?? TrainingJobBudget.tooSmall(budget, options, spec)
            ].compactMap { $0 }
        }
        if observation.spec.suspend { problems.append("spec.suspend is true: nothing starts until it is false") }
        return problems
    }

    /// The dearest candidate for as long as the run may train, with a quarter of an hour for verification and release; at
    /// most the budget, where it stops the run. Nil where nothing bounds it.
    private static func maxCost(_ hourly: Money?, _ spec: TrainingJob.Spec) -> Money? {
        let byTime = spec.runtimeLimitSeconds.flatMap { limit in hourly?.accrued(over: .seconds(limit + 900)) }
        let byBudget = spec.budget.flatMap { $0.onExceeded == .warn ? nil : Money(decimal: $0.maxCost) }
        return [byTime, byBudget].compactMap { $0 }.min()
    }

    private static func summary(_ plan: TrainingJob.PlanStatus) -> String {
        var parts: [String] = []
        if let first = plan.candidates.first {
            let price = first.hourlyCost.flatMap { Money(decimal: $0) }.map { "\($0.display) an hour" }
            parts.append(
                "\(plan.candidates.count) candidate\(plan.candidates.count == 1 ? "" : "s"), first \(first.name) in "
                    + "\(first.zone ?? "") (\(first.nodes ?? 1) × \(first.machineType ?? ""), \(price ?? "price unknown"))"
            )
        } else {
            parts.append("no machine can be tried")
        }
        if let most = plan.maxCost.flatMap({ Money(decimal: $0) }) { parts.append("at most \(most.display)") }
        switch plan.problems.count {
        case 0: parts.append("nothing stands in the way")
        case 1: parts.append("a problem: \(plan.problems[0])")
        default: parts.append("\(plan.problems.count) problems, the first: \(plan.problems[0])")
        }
        return parts.joined(separator: "; ")
    }
}
