import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes

/// The controller's table of contents: the first rule that answers decides.
///
/// The order is part of the safety. Deletion comes first; weights follow what is recorded before anything new begins; a
/// revision gets requests only after it is ready and has answered its smoke tests.
enum ModelEndpointPlan {
    typealias Observation = ModelEndpointObservation
    typealias Decision = ModelEndpointDecision

    /// How often an object looks whether somebody has acted, where no watch tells.
    static let slowRecheck: Duration = .seconds(60)

    static let rules = RuleChain<Observation, Decision>(
        [
            .init("deleting", ModelEndpointDeletion.deleting),
            .init("planning", ModelEndpointPlanMode.decide),
            .init("invalidSpec", invalidSpec),
            .init("adopting", ModelEndpointUpkeep.adopting),
            .init("nameConflict", ModelEndpointUpkeep.nameConflict),
            .init("overBudget", ModelEndpointBudget.over),
            .init("processors", ModelEndpointProcessors.keeping),
            .init("recordingIntent", ModelEndpointUpkeep.recordingIntent),
            .init("creating", ModelEndpointUpkeep.creating),
            .init("recovering", ModelEndpointRollout.recovering),
            .init("starting", ModelEndpointRollout.starting),
            .init("updating", ModelEndpointUpkeep.updating),
            .init("suspended", suspended),
            .init("paused", ModelEndpointRollout.paused),
            .init("deploying", ModelEndpointRollout.deploying),
            .init("becomingReady", ModelEndpointRollout.becomingReady),
            .init("smokeTesting", ModelEndpointRollout.smokeTesting),
            .init("access", ModelEndpointAccess.updating),
            .init("shifting", ModelEndpointRollout.shifting),
            .init("pruning", ModelEndpointUpkeep.pruning),
        ], otherwise: settled)

    /// Decides, and derives the rest of the status from the decision.
    static func plan(_ observation: Observation) -> Plan<ModelEndpoint.Status, ModelEndpointAction> {
        var observation = observation
        if observation.status.observedGeneration != observation.endpoint.metadata.generation {
            // Another description has its own time to be set.
            observation.endpoint.status?.updateStartTime = nil
        }
        let decision = rules.decide(observation)
        var status = decision.status
        status.observedGeneration = observation.endpoint.metadata.generation ?? 0
        if !observation.endpoint.metadata.isDeleting {
            if observation.spec.mode == .apply {
                status.plan = nil
                ModelEndpointUpkeep.settle(&status, observation)
            }
            ModelEndpointConditions.describe(&status, observation)
        }
        status.state = decision.situation.displayState
        status.conditions = ModelEndpointConditions.conditions(for: decision.situation, status: status, observation)
        return Plan(
            steps: decision.steps, status: status,
            events: ModelEndpointEvents.events(from: observation.status, to: status),
            next: ModelEndpointTimes.next(decision.next, status, observation))
    }

    /// Nothing is left to do now.
    private static func settled(_ observation: Observation) -> Decision {
        let situation = situation(observation)
        let next: Decision.Next =
            if case .unreadable = observation.model { .after(slowRecheck) } else { .whenChanged }
        return Decision(status: observation.status, situation: situation, next: next)
    }

    /// Where an object stands whose service is as recorded.
    static func situation(_ observation: Observation) -> ModelEndpointSituation {
        switch observation.model {
        case .missing(let reason, let message):
            return reason == .versionNotVerified ? .actionRequired(reason, message) : .waiting(reason, message)
        case .unreadable(let error):
            return .waiting(.storageUnavailable, "the version's manifest cannot be read: \(error.message)")
        case .found(let model):
            if let unmet = ModelEndpointModel.unmet(observation.spec, model) {
                return .actionRequired(.requirementsNotMet, unmet)
            }
        }
        let status = observation.status
        if let hash = observation.target?.hash, let rejection = ModelEndpointRollout.rejection(of: hash, status) {
            return ModelEndpointRollout.rolledBack(rejection, status)
        }
        if let refusal = ModelEndpointUpkeep.refusal(observation) { return refusal }
        if observation.isStopped { return stopped(observation) }
        if let problem = ModelEndpointSurge.problem(observation) { return .actionRequired(.surgeTooExpensive, problem) }
        if let problem = ModelEndpointProcessors.problem(observation) {
            return .actionRequired(.processorFailed, problem)
        }
        return status.active == nil ? .waiting(.deploying, "nothing serves yet") : .serving
    }

    /// No instance runs. What was under way begins again afterwards.
    static func suspended(_ observation: Observation) -> Decision? {
        guard observation.isStopped else { return nil }
        var status = observation.status
        if status.candidate != nil {
            status.candidate = nil
            return .record(status, .waiting(.suspending, "giving up the roll-out"))
        }
        if let service = observation.ownService, service.isReconciling {
            return ModelEndpointRollout.poll(observation, .waiting(.suspending, "waiting until no instance runs"))
        }
        let situation = ModelEndpointUpkeep.refusal(observation) ?? stopped(observation)
        return Decision(status: status, situation: situation)
    }

    private static func stopped(_ observation: Observation) -> ModelEndpointSituation {
        observation.spec.suspend ? .suspended : ModelEndpointBudget.stopped(observation)
    }

    // MARK: Rules on the spec

    /// What the CRD's rules refuse, once more: an object may be older than a rule.
    static func invalidSpec(_ observation: Observation) -> Decision? {
        if let refusal = TenantRules.refusal(observation) {
            return Decision(status: observation.status, situation: .actionRequired(.notAllowed, refusal))
        }
        guard let problem = problem(observation) else { return nil }
        return Decision(status: observation.status, situation: .actionRequired(.invalidSpec, problem))
    }

    /// The first thing in the spec that cannot be; nil when there is none.
    static func problem(_ observation: Observation) -> String? {
        let spec = observation.spec
        guard spec.backend.cloudRun != nil else { return "backend.cloudRun is needed" }
        let reference = spec.model.artifactRef
        guard [reference.version, reference.alias, reference.digest].filter({ $0 != nil }).count == 1 else {
            return "model.artifactRef needs exactly one of version, alias, digest"
        }
        guard spec.scaling.minReplicas <= spec.scaling.maxReplicas else {
            return "minReplicas must not exceed maxReplicas"
        }
        for requirement in spec.model.requirements ?? [] where Double(requirement.value) == nil {
            return "model.requirements: \(requirement.value) is no number"
        }
        if let problem = problem(of: observation.rollout) { return problem }
        return problem(of: observation.predictor, observation) ?? ModelEndpointWindows.problem(observation)
            ?? ModelEndpointBudget.problem(observation) ?? ModelEndpointProcessors.invalid(observation)
            ?? ModelEndpointAccess.publicProblem(observation)
            ?? ModelEndpointAccess.problem(observation)
    }

    private static func problem(of rollout: ModelEndpoint.Rollout) -> String? {
        if rollout.steps != nil, rollout.strategy != .canary { return "steps belong to strategy Canary" }
        let weights = (rollout.steps ?? []).map(\.weight)
        if weights != weights.sorted() { return "rollout.steps: weights must rise" }
        for test in rollout.smokeTests ?? [] {
            guard let path = test.jsonPath else { continue }
            do throws(JSONPathError) {
                _ = try JSONPath(path)
            } catch {
                return "rollout.smokeTests: \(error.message)"
            }
        }
        for analysis in rollout.analysis ?? [] where Double(analysis.value) == nil {
            return "rollout.analysis: \(analysis.value) is no number"
        }
        return nil
    }

    private static func problem(
        of predictor: ModelEndpoint.Predictor, _ observation: Observation
    ) -> String? {
        if let problem = ModelEndpointCost.problem(of: predictor) { return problem }
        if let account = predictor.googleServiceAccount,
            observation.configuration.runtimeAccounts[observation.namespace]?.contains(account) != true
        {
            return "predictor.googleServiceAccount: the operator's --tenant-accounts does not allow \(account) for the "
                + "namespace \(observation.namespace)"
        }
        return problem(env: predictor.env, account: predictor.googleServiceAccount, "predictor")
    }

    /// - Parameter account: that instances act as.
    static func problem(
        env: [ModelEndpoint.Predictor.EnvironmentVariable]?, account: String?, _ component: String
    ) -> String? {
        for variable in env ?? [] {
            if variable.name.hasPrefix("ML_") || variable.name.hasPrefix("K_") || variable.name == "PORT" {
                return "\(component).env: \(variable.name) is reserved"
            }
            guard variable.valueFrom != nil else { continue }
            guard variable.value == nil else { return "\(component).env: \(variable.name) has value and valueFrom" }
            guard account != nil else {
                return "\(component).env: \(variable.name) is a secret, and secrets need "
                    + "\(component).googleServiceAccount: its rights decide which may be read"
            }
        }
        return nil
    }
}
