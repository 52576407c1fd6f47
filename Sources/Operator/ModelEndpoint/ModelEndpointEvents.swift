import ControllerRuntime
import Kubernetes

/// Events as a function of what changed: each is told once, after the status that says the same was written.
enum ModelEndpointEvents {
    typealias Status = ModelEndpoint.Status

    static func events(from old: Status, to new: Status) -> [Event] {
        begun(old, new) + shifted(old, new) + promoted(old, new) + rejected(old, new) + drifted(old, new)
            + stalled(old, new) + warmed(old, new) + spent(old, new)
    }

    private static func begun(_ old: Status, _ new: Status) -> [Event] {
        guard let candidate = new.candidate, candidate.revision != old.candidate?.revision else { return [] }
        return [
            Event(
                .normal, reason: ModelEndpointReason.deploying.rawValue, action: "Deploy",
                message: "\(candidate.revision) with version \(candidate.modelVersion ?? "")")
        ]
    }

    private static func shifted(_ old: Status, _ new: Status) -> [Event] {
        guard let candidate = new.candidate, let weight = candidate.weight,
            candidate.revision == old.candidate?.revision,
            weight != old.candidate?.weight
        else { return [] }
        return [
            Event(
                .normal, reason: ModelEndpointReason.rollingOut.rawValue, action: "ShiftTraffic",
                message: "\(candidate.revision) gets \(weight)% of the requests")
        ]
    }

    private static func promoted(_ old: Status, _ new: Status) -> [Event] {
        guard let active = new.active, active.revision != old.active?.revision else { return [] }
        let before = old.active.map { " instead of \($0.revision)" } ?? ""
        return [
            Event(
                .normal, reason: ModelEndpointReason.serving.rawValue, action: "Promote",
                message: "\(active.revision) serves version \(active.modelVersion ?? "")\(before)")
        ]
    }

    private static func rejected(_ old: Status, _ new: Status) -> [Event] {
        new.rejectedModels.filter { !old.rejectedModels.contains($0) }.map { rejection in
            Event(
                .warning, reason: rejection.reason, action: "Reject",
                message: "version \(rejection.version ?? ""): \(rejection.message ?? "")")
        }
    }

    private static func drifted(_ old: Status, _ new: Status) -> [Event] {
        let fresh = new.drift.filter {
            $0.action != ModelEndpointUpkeep.Action.corrected.rawValue && !old.drift.contains($0)
        }
        return fresh.map { entry in
            let end = entry.action == ModelEndpointUpkeep.Action.reported.rawValue ? "it stays so" : "it is set again"
            return Event(
                .warning, reason: ModelEndpointReason.drifted.rawValue, action: "CompareService",
                message: "\(entry.path) was changed to \(entry.observed ?? "") from \(entry.desired ?? ""): \(end)")
        }
    }

    private static func stalled(_ old: Status, _ new: Status) -> [Event] {
        guard let now = new.conditions.first(ofType: "Stalled"),
            now.reason != old.conditions.first(ofType: "Stalled")?.reason
        else { return [] }
        return [Event(.warning, reason: now.reason, action: "Reconcile", message: now.message)]
    }
}
