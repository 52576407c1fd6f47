import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes

/// What becomes of a bucket that is not as described: a changed spec is carried out; what somebody else changed is set
/// again or told of, as `driftPolicy` says.
enum GCSArtifactDrift {
    typealias Observation = GCSArtifactObservation
    typealias Decision = GCSArtifactDecision

    /// How long a setting is set again that never becomes as described.
    static let patience: Duration = .seconds(900)

    // MARK: Rules

    /// Settings that differ from the spec are set, with the bucket's metageneration as a precondition.
    static func updating(_ observation: Observation) -> Decision? {
        guard let bucket = observation.ownBucket, observation.spec.bucket?.managementPolicy == .full else { return nil }
        let differences = GCSArtifactSettings.differences(bucket, observation)
        if differences.isEmpty { return nil }
        var patch = differences.patch
        let situation = GCSArtifactSituation.waiting(.updatingBucket, "setting \(differences.paths)")
        switch isDrift(observation) ? observation.spec.driftPolicy : nil {
        case .report?:
            // Public access is never only told of.
            guard patch.iamConfiguration != nil else { return nil }
            patch = BucketPatch(iamConfiguration: patch.iamConfiguration)
        case .correct?:
            let entries = entries(differences, .correcting, observation)
            if entries != observation.status.drift {
                var status = observation.status
                status.drift = entries
                return .record(status, situation)
            }
        case nil: break
        }
        let age = updateAge(observation)
        if let refusal = refusal(differences, age: age, observation) { return refusal }
        // Less and less often: a service that writes a setting in its own way is not asked without end.
        return Decision(
            steps: [
                .cloud(
                    .patchBucket(bucket.name, patch, metageneration: bucket.metageneration, owner: observation.owner))
            ],
            status: observation.status, situation: situation,
            next: .after(max(observation.configuration.pollInterval, age ?? .zero)))
    }

    /// A retention that somebody locked cannot become shorter: asking would be refused for ever.
    static func retentionLocked(_ observation: Observation) -> Decision? {
        guard let spec = observation.spec.bucket, spec.managementPolicy == .full, let wanted = spec.retention,
            let policy = observation.ownBucket?.retentionPolicy, policy.isLocked == true,
            policy.retentionPeriod > wanted.retentionSeconds
        else { return nil }
        let message =
            "the retention of the bucket \(spec.name) is locked at \(policy.retentionPeriod) s and can only grow: set "
            + "spec.bucket.retention.retentionSeconds to that or more"
        return Decision(status: observation.status, situation: .actionRequired(.retentionLocked, message))
    }

    /// The lock, once everything else is as described. It cannot be undone.
    static func locking(_ observation: Observation) -> Decision? {
        guard let bucket = observation.ownBucket, let spec = observation.spec.bucket, spec.managementPolicy == .full,
            let retention = spec.retention, retention.locked, let policy = bucket.retentionPolicy,
            policy.isLocked != true, policy.retentionPeriod == retention.retentionSeconds
        else { return nil }
        return Decision(
            steps: [
                .cloud(
                    .lockRetention(
                        bucket.name, seconds: policy.retentionPeriod, metageneration: bucket.metageneration,
                        owner: observation.owner))
            ],
            status: observation.status,
            situation: .waiting(.updatingBucket, "locking the retention of \(policy.retentionPeriod) s for ever"),
            next: .after(observation.configuration.pollInterval))
    }

    // MARK: Status

    /// What became of drift, once nothing is left to do.
    static func settle(_ status: inout GCSArtifact.Status, _ observation: Observation) {
        guard let bucket = observation.ownBucket, let spec = observation.spec.bucket, spec.managementPolicy == .full
        else {
            status.drift = status.drift.filter { $0.isIn(.corrected) }
            return
        }
        let differences = GCSArtifactSettings.differences(bucket, observation)
        status.drift = SettingDrift.settled(entries(differences, .reported, observation))
    }

    /// Whether the bucket was as described before, by the same description.
    private static func isDrift(_ observation: Observation) -> Bool {
        guard let spec = observation.spec.bucket, let hash = observation.status.bucket?.settingsHash else {
            return false
        }
        return hash == GCSArtifactSettings.hash(spec)
    }

    private static func entries(
        _ differences: GCSArtifactSettings.Differences, _ action: SettingDrift.Action, _ observation: Observation
    ) -> [SettingDrift] {
        SettingDrift.list(
            observation.status.drift,
            with: differences.found.map { difference in
                SettingDrift(
                    path: difference.path, desired: difference.desired, observed: difference.observed,
                    action: action.rawValue, time: observation.moment)
            })
    }

    // MARK: Patience

    /// Since when the bucket is being set; nil when it is not yet.
    private static func updateAge(_ observation: Observation) -> Duration? {
        guard let condition = observation.status.conditions.first(ofType: "Reconciling"),
            condition.reason == GCSArtifactReason.updatingBucket.rawValue,
            observation.status.observedGeneration == observation.artifact.metadata.generation
        else { return nil }
        return max(.zero, observation.now - condition.lastTransitionTime)
    }

    /// It was set again and again, and is not so.
    private static func refusal(
        _ differences: GCSArtifactSettings.Differences, age: Duration?, _ observation: Observation
    ) -> Decision? {
        let first = differences.found.first
        let message =
            "Cloud Storage does not keep \(differences.paths): \(first?.path ?? "") was set to \(first?.desired ?? "") and is "
            + "\(first?.observed ?? "")"
        let stalled = observation.status.conditions.first(ofType: "Stalled")
        let isKnown =
            stalled?.reason == GCSArtifactReason.settingRefused.rawValue && stalled?.message == message
            && observation.status.observedGeneration == observation.artifact.metadata.generation
        guard isKnown || age.map({ $0 > patience }) == true else { return nil }
        return Decision(
            status: observation.status, situation: .actionRequired(.settingRefused, message),
            next: .after(GCSArtifactPlan.slowRecheck))
    }
}
