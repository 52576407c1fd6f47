import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes

/// The controller's table of contents: the first rule that answers decides.
///
/// The order is part of the safety. Deletion comes first; nothing is created, changed or published in a place that is
/// wrong, another artifact's, or in a bucket that is not ours.
enum GCSArtifactPlan {
    typealias Observation = GCSArtifactObservation
    typealias Decision = GCSArtifactDecision

    /// How often an object looks whether somebody has acted, where no watch tells.
    static let slowRecheck: Duration = .seconds(60)

    static let rules = RuleChain<Observation, Decision>(
        [
            .init("deleting", GCSArtifactDeletion.deleting),
            .init("invalidSpec", invalidSpec),
            .init("managementConflict", GCSArtifactBucket.managementConflict),
            .init("prefixConflict", prefixConflict),
            .init("waitingForBucket", GCSArtifactBucket.waiting),
            .init("observedBucket", GCSArtifactBucket.observed),
            .init("adoptingBucket", GCSArtifactBucket.adopting),
            .init("bucketNotOurs", GCSArtifactBucket.notOurs),
            .init("recordingIntent", GCSArtifactBucket.recordingIntent),
            .init("creatingBucket", GCSArtifactBucket.creating),
            .init("locationMismatch", GCSArtifactBucket.locationMismatch),
            .init("retentionLocked", GCSArtifactDrift.retentionLocked),
            .init("updatingBucket", GCSArtifactDrift.updating),
            .init("lockingRetention", GCSArtifactDrift.locking),
            .init("grantingAccess", GCSArtifactAccess.granting),
            .init("configuringNotifications", GCSArtifactNotifications.configuring),
            .init("recordingVersions", GCSArtifactVersions.recording),
            .init("publishingVersions", GCSArtifactVersions.publishing),
            .init("removingVersions", GCSArtifactRetention.removing),
            .init("signingURLs", GCSArtifactSignedURLs.signing),
            .init("copyingSource", GCSArtifactImport.copying),
        ], otherwise: ready)

    /// Decides, and derives the rest of the status from the decision.
    static func plan(_ observation: Observation) -> Plan<GCSArtifact.Status, GCSArtifactAction> {
        let decision = rules.decide(observation)
        var status = decision.status
        status.observedGeneration = observation.artifact.metadata.generation ?? 0
        status.state = decision.situation.displayState
        if decision.situation.isInPlace { describePlace(&status, observation) }
        if decision.situation == .ready { GCSArtifactDrift.settle(&status, observation) }
        if decision.situation == .ready {
            GCSArtifactRetention.apply(&status, observation)
            GCSArtifactImport.apply(&status, observation)
            GCSArtifactSignedURLs.apply(&status, observation)
            GCSArtifactVerification.apply(&status, observation)
            GCSArtifactUsage.apply(&status, observation)
        }
        GCSArtifactVersions.resolveAliases(&status, observation)
        status.conditions = GCSArtifactConditions.conditions(for: decision.situation, status: status, observation)
        return Plan(
            steps: decision.steps, status: status,
            events: GCSArtifactEvents.events(from: observation.status, to: status),
            next: decision.situation == .ready ? next(decision.next, observation) : decision.next)
    }

    /// No later than what nobody tells of is looked at anyway.
    private static let periodicRecheck: Duration = .seconds(600)

    /// Earlier where a signed URL is to be made again before that.
    private static func next(_ next: Decision.Next, _ observation: Observation) -> Decision.Next {
        let retry = observation.notificationFailure == nil ? nil : GCSArtifactNotifications.retryInterval
        guard let renewal = [GCSArtifactSignedURLs.next(observation), retry].compactMap({ $0 }).min() else {
            return next
        }
        return switch next {
        case .whenChanged: .after(min(renewal, periodicRecheck))
        case .after(let delay): .after(min(delay, renewal))
        case .finalized: next
        }
    }

    private static func describePlace(_ status: inout GCSArtifact.Status, _ observation: Observation) {
        status.uri = observation.place?.description
        guard let bucket = observation.dataBucket, let spec = observation.spec.bucket else { return }
        var described = GCSArtifact.Status.BucketStatus()
        described.externalRef = GCSArtifactBucket.externalReference(bucket.name)
        described.projectNumber = String(bucket.projectNumber)
        described.location = bucket.location
        described.metageneration = String(bucket.metageneration)
        described.owned = spec.isManaged
        described.settingsHash = settingsHash(bucket, spec, observation)
        status.bucket = described
        // What is only observed is nothing that is to be released.
        guard spec.isManaged else {
            status.resources = []
            return
        }
        // An adopted bucket (our labels, a lost status) gets its entry back: it exists and is ours.
        if status.resources.isEmpty {
            status.resources = [CloudResource(externalRef: described.externalRef ?? "", role: GCSArtifactBucket.role)]
        }
        for index in status.resources.indices where status.resources[index].externalRef == described.externalRef {
            status.resources[index].state = "Active"
        }
    }

    /// Of the description that the bucket was last seen to follow.
    private static func settingsHash(
        _ bucket: GoogleCloud.Bucket, _ spec: GCSArtifact.Bucket, _ observation: Observation
    ) -> String? {
        guard spec.managementPolicy == .full else { return nil }
        let isAsDescribed = GCSArtifactSettings.differences(bucket, observation).isEmpty
        return isAsDescribed ? GCSArtifactSettings.hash(spec) : observation.status.bucket?.settingsHash
    }

    /// Nothing is left to do.
    private static func ready(_ observation: Observation) -> Decision {
        // A look at the versions that failed is not left until the next recheck.
        let isUnverified =
            !observation.status.versions.isEmpty && observation.checks.isEmpty
            && observation.status.conditions.first(ofType: GCSArtifactVerification.condition) == nil
        let next: Decision.Next =
            observation.spec.source != nil
            ? .after(GCSArtifactUploads.interval)
            : isUnverified || !observation.runs.isEmpty ? .after(slowRecheck) : .whenChanged
        return Decision(status: observation.status, situation: .ready, next: next)
    }

    // MARK: Rules on the spec

    /// What the CRD's rules refuse, once more: an object may be older than a rule.
    static func invalidSpec(_ observation: Observation) -> Decision? {
        if let refusal = TenantRules.refusal(observation) {
            return Decision(status: observation.status, situation: .actionRequired(.notAllowed, refusal))
        }
        guard
            let problem = problem(of: observation.spec) ?? referenceProblem(observation)
                ?? GCSArtifactAccess.problem(observation) ?? GCSArtifactSignedURLs.problem(observation)
                ?? GCSArtifactNotifications.problem(observation)
        else { return nil }
        return Decision(status: observation.status, situation: .actionRequired(.invalidSpec, problem))
    }

    private static func problem(of spec: GCSArtifact.Spec) -> String? {
        guard (spec.bucket == nil) != (spec.bucketRef == nil) else { return "exactly one of bucket, bucketRef" }
        if spec.bucketRef != nil, spec.prefix == nil { return "prefix mode needs a prefix" }
        if let prefix = spec.prefix, !isPrefix(prefix) { return "prefix must be a folder that ends with /" }
        if let name = spec.bucket?.name, !GoogleNames.isBucket(name) { return "bucket.name is not a bucket's name" }
        switch spec.deletionPolicy {
        case .retain: break
        case .deleteObjects: if spec.prefix == nil { return "DeleteObjects needs a prefix" }
        case .deleteBucket: if spec.bucket == nil { return "DeleteBucket needs a bucket that this object manages" }
        }
        if let text = spec.budget?.maxMonthlyCost, Money(decimal: text) == nil {
            return "budget.maxMonthlyCost is no amount"
        }
        if let source = spec.source {
            if let problem = problem(of: source, spec) { return problem }
        } else if spec.layout == .dvc {
            return "layout DVC goes with source DVC"
        }
        if let problem = spec.bucket.flatMap({ problem(of: $0, spec) }) { return problem }
        let isVersioned = spec.layout == .versioned || spec.layout == .dvc
        return (isVersioned ? spec.bucket?.lifecycleRules ?? [] : []).contains {
            $0.action.type == .delete && $0.condition.isLive != false && $0.condition.matchesPrefix == nil
        }
            ? "layouts Versioned and DVC: a Delete rule must name prefixes or be for noncurrent objects only" : nil
    }

    private static func problem(of source: GCSArtifact.Source, _ spec: GCSArtifact.Spec) -> String? {
        guard (source.type == .dvc) == (spec.layout == .dvc) else { return "layout DVC goes with source DVC" }
        guard source.type == .dvc || spec.layout == .versioned else { return "a source needs layout Versioned" }
        guard (source.type == .upload) == (source.upload != nil), (source.type == .uri) == (source.uri != nil),
            (source.type == .dvc) == (source.dvc != nil)
        else { return "source.\(source.type.rawValue.lowercased()) exactly with type \(source.type.rawValue)" }
        if let upload = source.upload, upload.markerFile == nil, upload.quietSeconds == nil {
            return "source.upload needs markerFile, quietSeconds, or both"
        }
        return nil
    }

    private static func problem(of bucket: GCSArtifact.Bucket, _ spec: GCSArtifact.Spec) -> String? {
        guard bucket.isManaged else {
            if spec.deletionPolicy != .retain { return "nothing in an observed bucket is deleted" }
            if spec.access != nil { return "access to an observed bucket is not managed" }
            let bare = GCSArtifact.Bucket(name: bucket.name, managementPolicy: .observe, location: bucket.location)
            return bucket == bare ? nil : "managementPolicy Observe takes no settings"
        }
        if bucket.location == nil { return "location is needed unless managementPolicy is Observe" }
        if bucket.retention?.locked == true, bucket.managementPolicy != .full {
            return "a retention is locked only with managementPolicy Full"
        }
        if bucket.autoclass?.enabled == true {
            if bucket.lifecycleRules?.contains(where: { $0.action.type == .setStorageClass }) == true {
                return "Autoclass excludes SetStorageClass rules"
            }
            if let storageClass = bucket.storageClass, storageClass != .standard {
                return "Autoclass needs storageClass Standard"
            }
        }
        return nil
    }

    private static func isPrefix(_ prefix: String) -> Bool {
        prefix.hasSuffix("/") && !prefix.hasPrefix("/") && GoogleNames.isObject(prefix)
            && !prefix.split(separator: "/", omittingEmptySubsequences: false).dropLast().contains {
                $0.isEmpty || $0 == "." || $0 == ".."
            }
    }

    private static func referenceProblem(_ observation: Observation) -> String? {
        guard let referenced = observation.referenced else { return nil }
        if referenced.bucket == nil { return "bucketRef: \(referenced.name) has no bucket of its own" }
        if referenced.isObserved, observation.spec.deletionPolicy != .retain {
            return "bucketRef: \(referenced.name) only observes its bucket: nothing in it is deleted"
        }
        return nil
    }

    /// The artifact that was there first keeps the place.
    static func prefixConflict(_ observation: Observation) -> Decision? {
        guard let other = observation.conflict else { return nil }
        let place = observation.place?.description ?? observation.prefix
        let message =
            "\(place) overlaps with \(other), which was here first: delete this object and make it with another prefix"
        return Decision(
            status: observation.status, situation: .actionRequired(.prefixConflict, message), next: .after(slowRecheck))
    }
}
