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
            settings(observation, status, &draft)
            access(observation, &draft)
            versions(observation, status, &draft)
            aliases(observation, status, &draft)
            contents(observation, status, &draft)
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

    /// `SettingsApplied`: only where drift is told of and not corrected; elsewhere `Ready` says it.
    private static func settings(
        _ observation: GCSArtifactObservation, _ status: GCSArtifact.Status, _ draft: inout Draft
    ) {
        guard observation.spec.driftPolicy == .report, observation.spec.bucket?.managementPolicy == .full else {
            return
        }
        let drifted = status.drift.filter { $0.isIn(.reported) }
        guard let first = drifted.first else {
            draft.set("SettingsApplied", .true, .applied, "the bucket is as described")
            return
        }
        let more = drifted.count > 1 ? ", and \(drifted.count - 1) more" : ""
        draft.set(
            "SettingsApplied", .false, .drifted,
            "\(first.path) is \(first.observed ?? "") and not \(first.desired ?? "")\(more); driftPolicy Report leaves it so"
        )
    }

    /// `AccessGranted` is there exactly while the object has bindings: it is looked for when they are to go.
    private static func access(_ observation: GCSArtifactObservation, _ draft: inout Draft) {
        let bindings = observation.spec.access?.bindings ?? []
        guard !bindings.isEmpty, observation.policy != nil else { return }
        let members = Set(bindings.flatMap(\.members)).count
        draft.set(
            GCSArtifactAccess.condition, .true, .granted,
            "\(members) member\(members == 1 ? "" : "s") hold the roles of spec.access")
    }

    /// `VersionsPublished`: absent while there is neither a version nor a run that should become one.
    private static func versions(
        _ observation: GCSArtifactObservation, _ status: GCSArtifact.Status, _ draft: inout Draft
    ) {
        let waiting = observation.runs.filter { run in
            !GCSArtifactVersions.isKnown(run.id, completed: run.completionTime, in: status)
        }
        if let obstacle = waiting.lazy.compactMap({ GCSArtifactVersions.obstacle($0, observation.spec) }).first {
            draft.set("VersionsPublished", .false, obstacle.reason, obstacle.message)
        } else if let run = waiting.first {
            draft.set("VersionsPublished", .false, .publishing, "publishing \(run.id)")
        } else if let verdict = GCSArtifactImport.verdict(observation) {
            draft.set("VersionsPublished", .false, verdict.reason, verdict.message)
        } else if let name = observation.unnameable {
            draft.set(
                "VersionsPublished", .false, .versionNameInvalid,
                "the folder \(name.prefix(100)) cannot be a version: names are letters, digits, -, _ and ., at most 63")
        } else if let name = observation.arriving.first {
            draft.set("VersionsPublished", .false, .uploading, "waiting for the rest of \(name)")
        } else if let latest = status.latestVersion {
            draft.set("VersionsPublished", .true, .published, "the latest is \(latest.name)")
        }
    }

    /// `Verified` once there is a version; `WithinBudget` where there is a budget and the place was counted.
    private static func contents(
        _ observation: GCSArtifactObservation, _ status: GCSArtifact.Status, _ draft: inout Draft
    ) {
        if let verdict = GCSArtifactVerification.verdict(observation, status) {
            draft.set(
                GCSArtifactVerification.condition, verdict.isTrue ? .true : .false, verdict.reason, verdict.message)
        }
        if let verdict = GCSArtifactNotifications.verdict(observation) {
            draft.set(
                GCSArtifactNotifications.condition, verdict.isTrue ? .true : .false, verdict.reason, verdict.message)
        }
        if let verdict = GCSArtifactSignedURLs.verdict(observation) {
            draft.set(
                GCSArtifactSignedURLs.condition, verdict.isTrue ? .true : .false, verdict.reason, verdict.message)
        }
        guard let budget = observation.spec.budget, let storage = status.storage else { return }
        if let excess = GCSArtifactUsage.excess(budget, storage) {
            draft.set("WithinBudget", .false, .overBudget, "\(excess); nothing is deleted for it")
        } else {
            draft.set("WithinBudget", .true, .withinBudget, "it holds \(storage.size ?? "")")
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
        case .ready, .waiting(.updatingBucket, _), .waiting(.updatingAccess, _): true
        case .waiting, .actionRequired, .deleting, .deletionBlocked: false
        }
    }

    /// `status.state`, for display only.
    var displayState: String {
        switch self {
        case .waiting(.creatingBucket, _): "Creating"
        case .waiting(.updatingBucket, _), .waiting(.updatingAccess, _): "Updating"
        case .waiting: "Waiting"
        case .actionRequired(.invalidSpec, _): "Invalid"
        case .actionRequired: "Stalled"
        case .ready: "Ready"
        case .deleting: "Deleting"
        case .deletionBlocked: "DeletionBlocked"
        }
    }
}
