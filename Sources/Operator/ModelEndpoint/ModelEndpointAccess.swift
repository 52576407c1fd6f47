import ControllerRuntime
import GoogleCloud

/// Who may call the service: members of `roles/run.invoker` that are this object's matter; all others stay.
enum ModelEndpointAccess {
    typealias Observation = ModelEndpointObservation
    typealias Decision = ModelEndpointDecision

    static let role = "roles/run.invoker"

    /// What is granted is written down before, and forgotten after it was taken back. Nobody calls what has never served.
    static func updating(_ observation: Observation) -> Decision? {
        guard let policy = observation.policy, observation.ownService != nil, observation.status.active != nil else {
            return nil
        }
        let wanted = wanted(observation.spec)
        let managed = Set(observation.status.invokers)
        let held = members(policy)
        let removed = managed.subtracting(wanted)
        let situation = ModelEndpointSituation.waiting(.updatingAccess, "setting who may call it")
        if !held.isDisjoint(with: removed) {
            return Decision(
                steps: [set(managed.intersection(wanted), managed: managed, observation)],
                status: observation.status, situation: situation,
                next: .after(observation.configuration.pollInterval))
        }
        guard removed.isEmpty, wanted.isSubset(of: managed) else {
            var status = observation.status
            status.invokers = wanted.sorted()
            return .record(status, situation)
        }
        guard !wanted.isSubset(of: held) else { return nil }
        return Decision(
            steps: [set(wanted, managed: managed, observation)], status: observation.status, situation: situation,
            next: .after(observation.configuration.pollInterval))
    }

    private static func set(
        _ members: Set<String>, managed: Set<String>, _ observation: Observation
    ) -> Decision.Step {
        .cloud(
            .setInvokers(
                members.sorted(), managed: managed.sorted(), of: ModelEndpointService.id(observation),
                in: ModelEndpointService.location(observation), owner: observation.owner))
    }

    /// Why the spec's members are not granted; nil when they are fine.
    static func problem(_ observation: Observation) -> String? {
        for member in observation.spec.access?.invokers ?? []
        where !observation.configuration.mayGiveAccess(to: member, in: observation.namespace) {
            return
                "access.invokers: \(member) may not be given access by this namespace: it is no service account of the "
                + "project \(observation.configuration.cluster.project), and the operator's --access-members does not "
                + "name it"
        }
        return nil
    }

    // MARK: The policy

    /// Who holds the role without a condition.
    static func members(_ policy: IAMPolicy) -> Set<String> {
        Set((policy.bindings ?? []).filter { $0.role == role && $0.condition == nil }.flatMap { $0.members ?? [] })
    }

    /// The policy with these of the managed members, and all others as they are.
    static func merged(_ policy: IAMPolicy, _ wanted: Set<String>, managed: Set<String>) -> IAMPolicy {
        let members = Self.members(policy).subtracting(managed).union(wanted)
        var policy = policy
        policy.bindings = (policy.bindings ?? []).filter { $0.role != role || $0.condition != nil }
        if !members.isEmpty { policy.bindings?.append(.init(role: role, members: members.sorted())) }
        return policy
    }
}
