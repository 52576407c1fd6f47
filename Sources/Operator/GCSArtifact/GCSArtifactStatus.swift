import Encoding
import Kubernetes

/// From where an artifact stands to its conditions.
enum GCSArtifactConditions {
    private struct Draft {
        var conditions: [Condition] = []
        let generation: Int64
        let now: Timestamp

        mutating func set(_ type: String, _ status: Condition.Status, _ reason: GCSArtifactReason, _ message: String) {
            conditions.append(
                Condition(
                    type: type, status: status, reason: reason.rawValue, message: message, lastTransitionTime: now,
                    observedGeneration: generation))
        }
    }

    /// All conditions, sorted by type. `lastTransitionTime` is `now`: the runtime keeps the old one where nothing
    /// changed.
    static func conditions(
        for situation: GCSArtifactSituation, status: GCSArtifact.Status, _ observation: GCSArtifactObservation
    ) -> [Condition] {
        var draft = Draft(generation: status.observedGeneration, now: observation.moment)
        headline(situation, status, &draft)
        if situation == .ready {
            versions(observation, status, &draft)
            aliases(observation, status, &draft)
        }
        return draft.conditions.sorted { $0.type < $1.type }
    }

    private static func headline(
        _ situation: GCSArtifactSituation, _ status: GCSArtifact.Status, _ draft: inout Draft
    ) {
        switch situation {
        case .ready:
            draft.set("Ready", .true, .ready, "\(status.uri ?? "") is as described")
        case .waiting(let reason, let message):
            draft.set("Ready", .false, reason, message)
            draft.set("Reconciling", .true, reason, message)
        case .actionRequired(let reason, let message), .deletionBlocked(let reason, let message):
            draft.set("Ready", .false, reason, message)
            draft.set("Stalled", .true, reason, message)
        case .deleting(let message):
            draft.set("Ready", .false, .deleting, message)
            draft.set("Reconciling", .true, .deleting, message)
        }
    }

    /// `VersionsPublished`: absent while there is neither a version nor a run that should become one.
    private static func versions(
        _ observation: GCSArtifactObservation, _ status: GCSArtifact.Status, _ draft: inout Draft
    ) {
        let waiting = observation.runs.filter { run in
            !GCSArtifactVersions.isKnown(run.id, completed: run.completionTime, in: status)
        }
        if let obstacle = waiting.lazy.compactMap(GCSArtifactVersions.obstacle).first {
            draft.set("VersionsPublished", .false, obstacle.reason, obstacle.message)
        } else if let run = waiting.first {
            draft.set("VersionsPublished", .false, .publishing, "publishing \(run.id)")
        } else if let latest = status.latestVersion {
            draft.set("VersionsPublished", .true, .published, "the latest is \(latest.name)")
        }
    }

    private static func aliases(
        _ observation: GCSArtifactObservation, _ status: GCSArtifact.Status, _ draft: inout Draft
    ) {
        guard let wanted = observation.spec.aliases, !wanted.isEmpty else { return }
        let missing = wanted.filter { alias in !status.aliases.contains { $0.name == alias.name } }
        guard let first = missing.first else {
            draft.set("AliasesResolved", .true, .resolved, "each alias points at a version")
            return
        }
        let target = first.version.map { "version \($0)" } ?? "a verified version"
        draft.set("AliasesResolved", .false, .versionNotFound, "alias \(first.name): \(target) does not exist yet")
    }
}

extension GCSArtifactSituation {
    /// Whether the place is ours, so that the status may name it.
    var isInPlace: Bool {
        switch self {
        case .ready, .waiting(.updatingBucket, _): true
        case .waiting, .actionRequired, .deleting, .deletionBlocked: false
        }
    }

    /// `status.state`, for display only.
    var displayState: String {
        switch self {
        case .waiting(.creatingBucket, _): "Creating"
        case .waiting(.updatingBucket, _): "Updating"
        case .waiting: "Waiting"
        case .actionRequired(.invalidSpec, _): "Invalid"
        case .actionRequired: "Stalled"
        case .ready: "Ready"
        case .deleting: "Deleting"
        case .deletionBlocked: "DeletionBlocked"
        }
    }
}
