import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes

/// The service itself: made once, kept as described, with old revisions cleared away.
enum ModelEndpointUpkeep {
    typealias Observation = ModelEndpointObservation
    typealias Decision = ModelEndpointDecision

    /// How long a setting is set again that never becomes as described.
    static let patience: Duration = .seconds(900)

    // MARK: Whose it is

    /// A service of that name that an earlier object left (deletionPolicy Orphan) is taken back, with its URL.
    static func adopting(_ observation: Observation) -> Decision? {
        guard case .found(let service) = observation.service, service.deleteTime == nil, observation.ownService == nil,
            Ownership.isRetained(
                service.configuration.labels, for: observation.owner, clusterUID: observation.configuration.clusterUID)
        else { return nil }
        var configuration = RunServiceConfiguration()
        configuration.labels = Ownership.retainableLabels(
            observation.owner, clusterUID: observation.configuration.clusterUID)
        let id = ModelEndpointService.id(observation)
        let situation = ModelEndpointSituation.waiting(.adoptingService, "taking back the service \(id)")
        guard entry(observation) != nil else { return .record(withIntent(observation), situation) }
        return Decision(
            steps: [
                .cloud(
                    .adoptService(
                        id, configuration, etag: service.etag, in: ModelEndpointService.location(observation),
                        owner: observation.owner))
            ],
            status: observation.status, situation: situation, next: .after(observation.configuration.pollInterval))
    }

    /// Somebody else's service is never touched. The intent leaves the ledger: our create cannot have made it.
    static func nameConflict(_ observation: Observation) -> Decision? {
        guard case .found(let service) = observation.service else { return nil }
        if service.deleteTime != nil {
            return ModelEndpointRollout.poll(
                observation, .waiting(.creatingService, "waiting for the end of an earlier service of this name"))
        }
        guard observation.ownService == nil else { return nil }
        var status = observation.status
        status.resources.removeAll { $0.externalRef == reference(observation) }
        return Decision(
            status: status,
            situation: .actionRequired(
                .nameConflict, "the Cloud Run service \(service.name) exists and is not this object's"),
            next: .after(ModelEndpointPlan.slowRecheck))
    }

    // MARK: Making it

    private static func reference(_ observation: Observation) -> String {
        ModelEndpointService.reference(
            ModelEndpointService.id(observation), in: ModelEndpointService.location(observation))
    }

    static func entry(_ observation: Observation) -> CloudResource? {
        observation.status.resources.first { $0.externalRef == reference(observation) }
    }

    private static func withIntent(_ observation: Observation) -> Observation.Status {
        var status = observation.status
        var entry = CloudResource(externalRef: reference(observation), role: ModelEndpointService.role)
        entry.intentTime = observation.moment
        status.resources.removeAll { $0.externalRef == entry.externalRef }
        status.resources.append(entry)
        return status
    }

    /// What will be made is written down before it is made, and again when it has become old.
    static func recordingIntent(_ observation: Observation) -> Decision? {
        guard observation.service == .absent, let target = observation.target, !observation.isStopped else {
            return nil
        }
        let situation = ModelEndpointSituation.waiting(
            .creatingService, "creating the service for version \(target.model.version)")
        let intent = entry(observation).flatMap { $0.state == CloudResource.intent ? $0.intentTime : nil }
        let age = intent.map { observation.now - $0 }
        let isFresh = age.map { $0 >= .zero && $0 < observation.configuration.createGrace / 2 } ?? false
        let status = observation.status
        if isFresh, status.candidate?.templateHash == target.hash, status.active == nil { return nil }
        guard ModelEndpointRollout.rejection(of: target.hash, status) == nil else { return nil }
        var next = observation
        next.endpoint.status = withIntent(observation)
        // The service is gone, or was never there: whatever served does not any more.
        next.endpoint.status?.active = nil
        next.endpoint.status?.lastGoodRevision = nil
        next.endpoint.status?.settingsHash = nil
        return .record(ModelEndpointRollout.begin(target, next), situation)
    }

    static func creating(_ observation: Observation) -> Decision? {
        guard observation.service == .absent, let target = observation.target, !observation.isStopped,
            let candidate = observation.status.candidate, candidate.templateHash == target.hash,
            entry(observation)?.state == CloudResource.intent
        else { return nil }
        var configuration = ModelEndpointSettings.configuration(observation.status, observation)
        configuration.template = ModelEndpointService.template(candidate.revision, observation, target.model)
        return Decision(
            steps: [
                .cloud(
                    .createService(
                        ModelEndpointService.id(observation), configuration,
                        in: ModelEndpointService.location(observation), owner: observation.owner))
            ],
            status: observation.status,
            situation: .waiting(.creatingService, "creating the service for version \(target.model.version)"),
            next: .after(observation.configuration.pollInterval))
    }

    // MARK: Keeping it

    /// Settings and weights follow what is recorded.
    static func updating(_ observation: Observation) -> Decision? {
        guard let service = observation.ownService else { return nil }
        let wanted = ModelEndpointSettings.configuration(observation.status, observation)
        var differences = ModelEndpointSettings.differences(wanted, service)
        if differences.isEmpty { return nil }
        let isDrift = observation.status.settingsHash == hash(wanted)
        var status = observation.status
        if isDrift {
            // Whose service it is and who gets the requests is never only told of.
            if observation.spec.driftPolicy == .report {
                differences = differences.filter { ["labels", "traffic"].contains($0.field) }
            }
            status.drift = entries(differences, .correcting, observation)
        }
        // What Cloud Run does not keep is given up; the weights never are.
        if refusal(observation) != nil { differences = differences.filter(\.isWeight) }
        guard !differences.isEmpty else { return nil }
        let situation = ModelEndpointSituation.waiting(
            isDrift ? .updatingService : .rollingOut,
            "setting \(differences.map { "\($0.path) to \($0.desired)" }.joined(separator: "; "))")
        if status.drift != observation.status.drift { return .record(status, situation) }
        let age = updateAge(observation)
        if age == nil, !differences.allSatisfy(\.isWeight) { status.updateStartTime = observation.moment }
        let fields = ModelEndpointSettings.fields.filter { field in differences.contains { $0.field == field } }
        // Less and less often: a service that writes a setting in its own way is not asked without end.
        return Decision(
            steps: [ModelEndpointRollout.patch(wanted, fields, service, observation)], status: status,
            situation: situation, next: .after(max(observation.configuration.pollInterval, age ?? .zero)))
    }

    /// Since when settings are being set; nil when they are not.
    private static func updateAge(_ observation: Observation) -> Duration? {
        observation.status.updateStartTime.map { max(.zero, observation.now - $0) }
    }

    /// Settings that were set again and again, and are not so.
    static func refusal(_ observation: Observation) -> ModelEndpointSituation? {
        guard let service = observation.ownService, let age = updateAge(observation), age > patience else { return nil }
        let wanted = ModelEndpointSettings.configuration(observation.status, observation)
        let differences = ModelEndpointSettings.differences(wanted, service).filter { !$0.isWeight }
        guard !differences.isEmpty else { return nil }
        let list = differences.map { "\($0.path) was set to \($0.desired) and is \($0.observed)" }
        return .actionRequired(.settingRefused, "Cloud Run does not keep what is set: \(list.joined(separator: "; "))")
    }

    /// Of all settings and weights.
    private static func hash(_ wanted: RunServiceConfiguration) -> String {
        // It was built from words and numbers: it can be encoded.
        let text = ((try? JSONValue(encoding: wanted)) ?? .null).serializedText()
        return "v1:sha256:\(Digest.sha256Hex(text).prefix(32))"
    }

    /// What the service was last seen to follow, and what became of drift.
    static func settle(_ status: inout ModelEndpoint.Status, _ observation: Observation) {
        guard let service = observation.ownService else {
            status.updateStartTime = nil
            return
        }
        let wanted = ModelEndpointSettings.configuration(status, observation)
        let differences = ModelEndpointSettings.differences(wanted, service)
        if differences.allSatisfy(\.isWeight) { status.updateStartTime = nil }
        if differences.isEmpty {
            status.settingsHash = hash(wanted)
            status.drift = SettingDrift.settled(SettingDrift.list(status.drift, with: []))
        } else if status.settingsHash == hash(wanted), observation.spec.driftPolicy == .report {
            status.drift = entries(differences, .reported, observation)
        }
    }

    private static func entries(
        _ differences: [ModelEndpointSettings.Difference], _ action: SettingDrift.Action, _ observation: Observation
    ) -> [SettingDrift] {
        SettingDrift.list(
            observation.status.drift,
            with: differences.map { difference in
                SettingDrift(
                    path: difference.path, desired: String(difference.desired.prefix(160)),
                    observed: String(difference.observed.prefix(160)), action: action.rawValue,
                    time: observation.moment)
            })
    }

    // MARK: Clearing away

    /// The oldest revision beyond the limit; never one that serves, may serve again, or was made last.
    static func pruning(_ observation: Observation) -> Decision? {
        guard let service = observation.ownService, !service.isReconciling else { return nil }
        let status = observation.status
        var kept = Set(
            [status.active?.revision, status.candidate?.revision, status.lastGoodRevision].compactMap { $0 })
        for target in service.configuration.traffic ?? [] { if let name = target.revision { kept.insert(name) } }
        for target in service.trafficStatuses ?? [] { if let name = target.revision { kept.insert(name) } }
        for name in [service.latestCreatedRevision, service.latestReadyRevision] {
            if let last = name?.split(separator: "/").last { kept.insert(String(last)) }
        }
        let excess = observation.revisions.count - observation.rollout.revisionHistoryLimit
        let old = observation.revisions.prefix(max(0, excess)).first { !kept.contains($0.id) && $0.deleteTime == nil }
        guard let old else { return nil }
        return Decision(
            steps: [
                .cloud(
                    .deleteRevision(
                        old.id, of: ModelEndpointService.id(observation), etag: old.etag,
                        in: ModelEndpointService.location(observation), owner: observation.owner))
            ],
            status: status, situation: ModelEndpointPlan.situation(observation), next: .after(.zero))
    }
}
