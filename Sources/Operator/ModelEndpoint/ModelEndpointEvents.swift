import ControllerRuntime
import Kubernetes

/// Events as a function of what changed: each is told once, after the status that says the same was written.
enum ModelEndpointEvents {
    typealias Status = ModelEndpoint.Status

    static func events(from old: Status, to new: Status) -> [Event] {
        begun(old, new) + shifted(old, new) + promoted(old, new) + rejected(old, new)
            + SettingDrift.events(
                from: old.drift, to: new.drift, reason: ModelEndpointReason.drifted.rawValue, action: "CompareService")
            + Event.stalled(from: old.conditions, to: new.conditions) + warmed(old, new) + spent(old, new)
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
}
