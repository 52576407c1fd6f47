import ControllerRuntime
public import Encoding
import GoogleCloud
import HTTP
import Kubernetes

extension ModelEndpoint {
    public enum Mode: String, Codable, Sendable, Hashable, CaseIterable {
        case apply = "Apply"
        case plan = "Plan"
    }

    /// What an endpoint would be: what would be made or changed, what it would cost, what stands in the way.
    public struct PlanStatus: Codable, Sendable, Hashable {
        public var summary: String?
        @OrEmpty public var objects: [String]
        @OrEmpty public var problems: [String]
        /// Of the instances that would run also without requests, a decimal string.
        public var hourlyCost: String?
        /// With as many instances as may run.
        public var maxHourlyCost: String?
        public var time: Timestamp?

        public init() {
            objects = []
            problems = []
        }
    }
}

/// `spec.mode: Plan`, and `trainyard plan`: says what an endpoint would be and touches nothing.
public enum ModelEndpointPlanMode {
    typealias Observation = ModelEndpointObservation

    /// The plan of an object that may not be in any cluster yet.
    ///
    /// - Parameter zones: the rules of the time zones that warm windows name.
    public static func preview(
        _ endpoint: ModelEndpoint, configuration: OperatorConfiguration, zones: [String: ZoneRules], now: Timestamp
    ) -> ModelEndpoint.PlanStatus {
        var observation = ModelEndpointObservation(endpoint: endpoint, configuration: configuration, now: now)
        observation.endpoint.status = nil
        observation.service = .absent
        observation.zones = zones
        let reference = endpoint.spec.model.artifactRef
        observation.model = .missing(
            .versionNotFound, "which version \(text(reference)) is, only a cluster knows")
        return plan(observation, isOffline: true)
    }

    /// Names of the time zones that an object needs.
    public static func zoneNames(of endpoint: ModelEndpoint) -> Set<String> {
        ModelEndpointWindows.zoneNames(endpoint.spec)
    }

    /// Rule `planning`: what is there stays as it is.
    static func decide(_ observation: Observation) -> ModelEndpointDecision? {
        guard observation.spec.mode == .plan else { return nil }
        var status = observation.status
        var plan = plan(observation, isOffline: false)
        // The same plan is no news.
        plan.time = observation.status.plan?.time
        if plan != observation.status.plan { plan.time = observation.moment }
        status.plan = plan
        return ModelEndpointDecision(
            status: status, situation: .planned(plan.summary ?? ""),
            next: plan.problems.isEmpty ? .whenChanged : .after(ModelEndpointPlan.slowRecheck))
    }

    /// Whether an object needs our finalizer: a plan makes nothing that would have to be removed.
    static func needsFinalizer(_ endpoint: ModelEndpoint) -> Bool {
        endpoint.spec.mode == .apply || endpoint.status?.resources.isEmpty == false
    }

    static func plan(_ observation: Observation, isOffline: Bool) -> ModelEndpoint.PlanStatus {
        var plan = ModelEndpoint.PlanStatus()
        plan.objects = objects(observation, isOffline: isOffline).prefix(16).map { Conditions.cut($0, to: 256) }
        plan.problems = problems(observation, isOffline: isOffline).map { Conditions.cut($0, to: 512) }
        if let hourly = ModelEndpointCost.hourly(observation) {
            plan.hourlyCost = (hourly * ModelEndpointWindows.minimum(observation)).statusText
            plan.maxHourlyCost = (hourly * observation.spec.scaling.maxReplicas).statusText
        }
        plan.summary = Conditions.cut(summary(plan), to: 1024)
        plan.time = observation.moment
        return plan
    }

    private static func text(_ reference: ModelEndpoint.Model.ArtifactReference) -> String {
        "\(reference.alias ?? reference.version ?? reference.digest ?? "") of \(reference.name)"
    }

    // MARK: What would be made

    private static func objects(_ observation: Observation, isOffline: Bool) -> [String] {
        guard observation.spec.backend.cloudRun != nil else { return [] }
        let name = observation.endpoint.metadata.name
        let id = isOffline ? "\(name)-<hash>" : ModelEndpointService.id(observation)
        let place = ModelEndpointService.location(observation).location
        var objects: [String] = []
        if let service = observation.ownService {
            objects.append("Cloud Run service \(id) in \(place) is there")
            let wanted = ModelEndpointSettings.configuration(observation.status, observation)
            objects += ModelEndpointSettings.differences(wanted, service).map {
                "its \($0.path) becomes \($0.desired); it is \($0.observed)"
            }
        } else {
            objects.append("Cloud Run service \(id) in \(place)")
        }
        if let target = observation.target {
            if observation.status.active?.templateHash != target.hash {
                objects.append(
                    "a revision that serves version \(target.model.version) with \(ModelEndpointService.image(observation))"
                )
            }
        } else {
            objects.append(
                "a revision that serves \(text(observation.spec.model.artifactRef)) with "
                    + ModelEndpointService.image(observation))
        }
        for (role, processor) in ModelEndpointProcessors.wanted(observation.spec) {
            let id = isOffline ? "\(name)-<hash>" : ModelEndpointProcessors.id(role, observation)
            objects.append("Cloud Run service \(id) in \(place): the \(role.word), with \(processor.image)")
        }
        let invokers = ModelEndpointAccess.wanted(observation.spec)
        if !invokers.isEmpty {
            objects.append("\(ModelEndpointAccess.role) on it for \(invokers.sorted().joined(separator: ", "))")
        }
        return objects
    }

    // MARK: What stands in the way

    private static func problems(_ observation: Observation, isOffline: Bool) -> [String] {
        var problems = [ModelEndpointPlan.problem(observation), ModelEndpointSurge.problem(observation)]
        switch observation.model {
        case .missing(_, let message): if !isOffline { problems.append(message) }
        case .unreadable(let error): problems.append("the version's manifest cannot be read: \(error.message)")
        case .found(let model):
            problems.append(ModelEndpointModel.unmet(observation.spec, model))
            if let hash = observation.target?.hash,
                let rejection = ModelEndpointRollout.rejection(of: hash, observation.status)
            {
                problems.append("version \(model.version) failed before (\(rejection.reason)): it is not tried again")
            }
        }
        if case .found(let service) = observation.service, observation.ownService == nil {
            problems.append("the Cloud Run service \(service.name) exists and is not this object's")
        }
        if observation.spec.suspend { problems.append("spec.suspend is true: nothing starts until it is false") }
        return problems.compactMap { $0 }
    }

    private static func summary(_ plan: ModelEndpoint.PlanStatus) -> String {
        var parts = [plan.objects.first ?? "nothing would be made"]
        if let least = plan.hourlyCost.flatMap({ Money(decimal: $0) }),
            let most = plan.maxHourlyCost.flatMap({ Money(decimal: $0) })
        {
            parts.append("\(least.display) to \(most.display) an hour")
        }
        switch plan.problems.count {
        case 0: parts.append("nothing stands in the way")
        case 1: parts.append("a problem: \(plan.problems[0])")
        default: parts.append("\(plan.problems.count) problems, the first: \(plan.problems[0])")
        }
        return parts.joined(separator: "; ")
    }
}
