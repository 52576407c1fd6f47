import ControllerRuntime
public import Encoding
import Kubernetes

/// What happens when somebody else changed a setting that an object describes.
public enum DriftPolicy: String, Codable, Sendable, Hashable, CaseIterable {
    case correct = "Correct"
    case report = "Report"
}

/// A setting in the cloud that was not as described, as statuses list them.
public struct SettingDrift: Codable, Sendable, Hashable {
    /// What happens, or happened, to a difference.
    enum Action: String {
        case correcting = "Correcting"
        case corrected = "Corrected"
        case reported = "Reported"
    }

    /// Kept in a status, newest first.
    static let maximumCount = 16

    /// As in the spec: `bucket.versioning`.
    public var path: String
    public var desired: String?
    public var observed: String?
    /// An `Action`.
    public var action: String
    /// When it was seen.
    public var time: Timestamp?

    public init(path: String, desired: String?, observed: String?, action: String, time: Timestamp?) {
        self.path = path
        self.desired = desired
        self.observed = observed
        self.action = action
        self.time = time
    }

    func isIn(_ state: Action) -> Bool { action == state.rawValue }

    private func isSame(_ other: SettingDrift) -> Bool {
        path == other.path && desired == other.desired && observed == other.observed && action == other.action
    }

    // MARK: Lists

    /// The list with these differences in it: those that it has already keep their time, and what is over stays as the
    /// past.
    static func list(_ old: [SettingDrift], with found: [SettingDrift]) -> [SettingDrift] {
        let current = found.map { entry in old.first { $0.isSame(entry) } ?? entry }
        let past = old.filter { entry in
            !current.contains(entry) && !entry.isIn(.reported)
                && !(entry.isIn(.correcting) && current.contains { $0.path == entry.path })
        }
        return Array((current + past).prefix(maximumCount))
    }

    /// The list once nothing that was being set differs any more.
    static func settled(_ list: [SettingDrift]) -> [SettingDrift] {
        list.map { entry in
            guard entry.isIn(.correcting) else { return entry }
            var entry = entry
            entry.action = Action.corrected.rawValue
            return entry
        }
    }

    /// Told when they are first seen.
    static func events(from old: [SettingDrift], to new: [SettingDrift], reason: String, action: String) -> [Event] {
        new.filter { !$0.isIn(.corrected) && !old.contains($0) }.map { entry in
            let end = entry.isIn(.reported) ? "it stays so" : "it is set again"
            return Event(
                .warning, reason: reason, action: action,
                message: "\(entry.path) was changed to \(entry.observed ?? "") from \(entry.desired ?? ""): \(end)")
        }
    }
}

extension Event {
    /// What an object says when it comes to a standstill, or to another one.
    static func stalled(from old: [Condition], to new: [Condition]) -> [Event] {
        guard let now = new.first(ofType: "Stalled"), now.reason != old.first(ofType: "Stalled")?.reason else {
            return []
        }
        return [Event(.warning, reason: now.reason, action: "Reconcile", message: now.message)]
    }
}
