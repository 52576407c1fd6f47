import ControllerRuntime
import Kubernetes

extension ModelEndpointEvents {
    /// A warm window opens or closes.
    static func warmed(_ old: Status, _ new: Status) -> [Event] {
        guard old.warmWindow?.name != new.warmWindow?.name else { return [] }
        let count = new.replicas ?? 0
        let what =
            new.warmWindow.map { "window \($0.name) is open\($0.endTime.map { " until \($0)" } ?? "")" }
            ?? "window \(old.warmWindow?.name ?? "") is over"
        return [
            Event(
                .normal, reason: ModelEndpointReason.warmWindow.rawValue, action: "Scale",
                message:
                    "\(what): \(count) instance\(count == 1 ? "" : "s") run\(count == 1 ? "s" : "") also without requests"
            )
        ]
    }

    /// The budget is used up and only warns: where it stops, `Stalled` says so.
    static func spent(_ old: Status, _ new: Status) -> [Event] {
        guard let now = new.conditions.first(ofType: "WithinBudget"), now.status == .false,
            old.conditions.first(ofType: "WithinBudget")?.status != .false,
            new.cost?.limitReached == nil
        else { return [] }
        return [Event(.warning, reason: now.reason, action: "CountCost", message: now.message)]
    }
}
