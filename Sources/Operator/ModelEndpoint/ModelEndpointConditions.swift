import Encoding
import GoogleCloud
import Kubernetes

/// From where an endpoint stands to its conditions and the words of its columns.
enum ModelEndpointConditions {
    typealias Observation = ModelEndpointObservation
    typealias Status = ModelEndpoint.Status

    private struct Draft {
        var conditions: [Condition] = []
        let generation: Int64
        let now: Timestamp

        mutating func set(
            _ type: String, _ status: Condition.Status, _ reason: ModelEndpointReason, _ message: String
        ) {
            let text = reason.hint.map { "\(message). \($0)" } ?? message
            conditions.append(
                Condition(
                    type: type, status: status, reason: reason.rawValue, message: text, lastTransitionTime: now,
                    observedGeneration: generation))
        }
    }

    /// All conditions, sorted by type. `lastTransitionTime` is `now`: the runtime keeps the old one where nothing
    /// changed.
    static func conditions(
        for situation: ModelEndpointSituation, status: Status, _ observation: Observation
    ) -> [Condition] {
        var draft = Draft(generation: status.observedGeneration, now: observation.moment)
        headline(situation, status, &draft)
        available(situation, status, observation, &draft)
        settings(status, observation, &draft)
        if observation.spec.mode == .apply, case let budget? = ModelEndpointBudget.condition(observation) {
            draft.set("WithinBudget", budget.status, budget.reason, budget.message)
        }
        return draft.conditions.sorted { $0.type < $1.type }
    }

    private static func headline(_ situation: ModelEndpointSituation, _ status: Status, _ draft: inout Draft) {
        switch situation {
        case .serving:
            draft.set("Ready", .true, .serving, "version \(status.active?.modelVersion ?? "") serves")
        case .suspended:
            draft.set("Ready", .true, .suspended, "no instance runs, as spec.suspend says")
        case .planned(let message):
            draft.set("Ready", .true, .planned, message)
        case .waiting(let reason, let message):
            draft.set("Ready", .false, reason, message)
            draft.set("Reconciling", .true, reason, message)
        case .actionRequired(let reason, let message):
            draft.set("Ready", .false, reason, message)
            draft.set("Stalled", .true, reason, message)
        case .deleting(let message):
            draft.set("Ready", .false, .deleting, message)
            draft.set("Reconciling", .true, .deleting, message)
        }
    }

    /// `Available`: something serves, whether or not it is what is wanted now.
    private static func available(
        _ situation: ModelEndpointSituation, _ status: Status, _ observation: Observation, _ draft: inout Draft
    ) {
        if case .deleting = situation { return }
        guard !observation.spec.suspend else {
            return draft.set("Available", .false, .suspended, "no instance runs, as spec.suspend says")
        }
        guard !observation.isStopped else {
            return draft.set("Available", .false, .budgetExceeded, "the budget is used up: no instance runs")
        }
        guard let active = status.active, observation.ownService != nil else {
            return draft.set("Available", .false, .notServing, "no revision serves yet")
        }
        draft.set(
            "Available", .true, .serving, "\(active.revision) serves version \(active.modelVersion ?? "")")
    }

    /// `SettingsApplied`: only where drift is told of and not corrected; elsewhere `Ready` says it.
    private static func settings(_ status: Status, _ observation: Observation, _ draft: inout Draft) {
        guard observation.spec.driftPolicy == .report, observation.ownService != nil else { return }
        let reported = status.drift.filter { $0.isIn(.reported) }
        guard let first = reported.first else {
            return draft.set("SettingsApplied", .true, .applied, "the service is as described")
        }
        draft.set(
            "SettingsApplied", .false, .drifted,
            "\(first.path) is \(first.observed ?? "") and not \(first.desired ?? ""); driftPolicy Report leaves it so")
    }

    // MARK: Facts for people

    static func describe(_ status: inout Status, _ observation: Observation) {
        status.replicas = observation.isStopped ? 0 : ModelEndpointWindows.minimum(observation)
        status.warmWindow = ModelEndpointWindows.deciding(observation).map {
            Status.Warm(name: $0.window.name, minReplicas: $0.window.minReplicas, endTime: $0.end)
        }
        if let service = observation.ownService {
            status.url = service.uri
            for index in status.resources.indices where !ModelEndpointDeletion.isProcessor(status.resources[index]) {
                status.resources[index].state = "Active"
            }
            if status.resources.allSatisfy(ModelEndpointDeletion.isProcessor) {
                // An adopted service, or a lost status: it exists and is ours.
                let reference = ModelEndpointService.reference(
                    ModelEndpointService.id(observation), in: ModelEndpointService.location(observation))
                status.resources.append(
                    CloudResource(externalRef: reference, role: ModelEndpointService.role, state: "Active"))
            }
        } else if observation.service == .absent {
            status.url = nil
            // It was there: its entry stays an intent only while a create may be on its way.
            status.resources.removeAll {
                $0.state != CloudResource.intent && !ModelEndpointDeletion.isProcessor($0)
            }
        }
        let weight = 100 - (status.candidate?.weight ?? 0)
        status.active?.weight = weight
        status.traffic = traffic(status)
        ModelEndpointBudget.describe(&status, observation)
        ModelEndpointProcessors.describe(&status, observation)
        describeRefusal(&status, observation)
    }

    /// `v12 95%, v13 5%`
    private static func traffic(_ status: Status) -> String? {
        guard let active = status.active else { return nil }
        let weight = status.candidate?.weight ?? 0
        let first = "\(active.modelVersion ?? active.revision) \(100 - weight)%"
        guard weight > 0, let candidate = status.candidate else { return first }
        return "\(first), \(candidate.modelVersion ?? candidate.revision) \(weight)%"
    }

    /// A version that requirements keep out is listed beside those that failed.
    private static func describeRefusal(_ status: inout Status, _ observation: Observation) {
        let reason = ModelEndpointReason.requirementsNotMet.rawValue
        guard case .found(let model) = observation.model else { return }
        guard let unmet = ModelEndpointModel.unmet(observation.spec, model) else {
            status.rejectedModels.removeAll { $0.reason == reason && $0.digest == model.digest }
            return
        }
        let isKnown = status.rejectedModels.contains { $0.reason == reason && $0.digest == model.digest }
        guard !isKnown else { return }
        let entry = Status.Rejection(
            version: model.version, digest: model.digest, reason: reason, message: String(unmet.prefix(250)),
            time: observation.moment)
        status.rejectedModels = Array(([entry] + status.rejectedModels).prefix(ModelEndpointRollout.maximumRejections))
    }
}

extension ModelEndpointSituation {
    /// `status.state`, for display only.
    var displayState: String {
        switch self {
        case .serving: "Serving"
        case .suspended: "Suspended"
        case .planned: "Planned"
        case .waiting(let reason, _):
            switch reason {
            case .creatingService, .adoptingService: "Creating"
            case .deploying: "Deploying"
            case .smokeTesting: "SmokeTesting"
            case .rollingOut: "RollingOut"
            case .awaitingPromotion: "AwaitingPromotion"
            case .suspending: "Suspending"
            case .updatingService, .updatingAccess: "Updating"
            default: "Waiting"
            }
        case .actionRequired(.invalidSpec, _): "Invalid"
        case .actionRequired(.rolledBack, _): "RolledBack"
        case .actionRequired(.budgetExceeded, _): "OverBudget"
        case .actionRequired: "Stalled"
        case .deleting: "Deleting"
        }
    }
}
