import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes

/// How a revision comes to serve: deployed without requests, ready, smoke tested, then weight in stages; back again when
/// it does worse. What is recorded decides; the service follows.
enum ModelEndpointRollout {
    typealias Observation = ModelEndpointObservation
    typealias Decision = ModelEndpointDecision
    typealias Candidate = ModelEndpoint.Status.Candidate

    /// Smoke tests that may fail in a row: an instance that starts may answer 503 once.
    static let maximumTries = 3
    static let maximumRejections = 10
    /// How often Cloud Monitoring is asked while a weight holds.
    static let analysisInterval: Duration = .seconds(30)

    // MARK: Beginning

    /// The facts of a service whose status was lost come from the service itself.
    static func recovering(_ observation: Observation) -> Decision? {
        guard let service = observation.ownService, observation.status.active == nil,
            observation.status.candidate == nil
        else { return nil }
        let pinned = (service.configuration.traffic ?? []).filter { $0.revision != nil }
            .max { ($0.percent ?? 0) < ($1.percent ?? 0) }
        guard let pinned, pinned.percent ?? 0 > 0, let revision = observation.revision(pinned.revision),
            revision.isReady
        else { return nil }
        var status = observation.status
        status.active = ModelEndpointService.facts(of: revision)
        status.active?.weight = 100
        status.lastGoodRevision = revision.id
        return .record(status, .waiting(.rollingOut, "\(revision.id) serves"))
    }

    /// Another model or predictor is wanted than the one that serves, or is about to.
    static func starting(_ observation: Observation) -> Decision? {
        guard let target = observation.target, observation.ownService != nil, !observation.isStopped else {
            return nil
        }
        let status = observation.status
        if let candidate = status.candidate {
            guard candidate.templateHash != target.hash else { return nil }
        } else if status.active?.templateHash == target.hash {
            return nil
        }
        // What serves is wanted again: the candidate is given up.
        if status.active?.templateHash == target.hash {
            var status = status
            status.candidate = nil
            return .record(status, .waiting(.rollingOut, "going back to \(status.active?.revision ?? "")"))
        }
        guard rejection(of: target.hash, status) == nil else {
            guard status.candidate != nil else { return nil }
            var status = status
            status.candidate = nil
            return .record(status, .waiting(.rollingOut, "giving up the roll-out"))
        }
        guard ModelEndpointSurge.problem(observation) == nil else { return nil }
        return .record(begin(target, observation), .waiting(.deploying, "version \(target.model.version) is next"))
    }

    /// With a candidate for this target: an existing revision that is made of the same, or the next number.
    static func begin(_ target: (model: TargetModel, hash: String), _ observation: Observation) -> Observation.Status {
        var status = observation.status
        let existing = observation.revisions.last { revision in
            revision.annotations?[ModelEndpointService.Annotation.templateHash] == target.hash
                && revision.readiness?.state != .known(.failed)
        }
        var candidate = Candidate(revision: existing?.id ?? nextName(observation))
        candidate.modelVersion = target.model.version
        candidate.modelDigest = target.model.digest
        candidate.templateHash = target.hash
        candidate.producer = target.model.producer
        candidate.image = String(ModelEndpointService.image(observation).prefix(600))
        candidate.startTime = observation.moment
        status.candidate = candidate
        status.smokeTests = []
        return status
    }

    private static func nextName(_ observation: Observation) -> String {
        let id = ModelEndpointService.id(observation)
        let status = observation.status
        let named = [status.active?.revision, status.candidate?.revision, status.lastGoodRevision].compactMap { $0 }
        let latest = observation.ownService?.configuration.template?.revision.map { [$0] } ?? []
        let highest = (observation.revisions.map(\.id) + named + latest).map(ModelEndpointService.revisionNumber).max()
        return ModelEndpointService.revisionName((highest ?? 0) + 1, of: id)
    }

    static func rejection(of hash: String, _ status: Observation.Status) -> Observation.Status.Rejection? {
        status.rejectedModels.first {
            $0.templateHash == hash && $0.reason != ModelEndpointReason.requirementsNotMet.rawValue
        }
    }

    // MARK: On the way

    /// A candidate whose revision does not exist is deployed, with no request for it.
    static func deploying(_ observation: Observation) -> Decision? {
        guard let candidate = observation.status.candidate, candidate.failureReason == nil,
            let service = observation.ownService, !observation.isStopped,
            observation.revision(candidate.revision) == nil
        else { return nil }
        if let decision = late(candidate, observation) { return decision }
        let situation = ModelEndpointSituation.waiting(
            .deploying, "deploying \(candidate.revision) with version \(candidate.modelVersion ?? "")")
        let isSent = service.configuration.template?.revision == candidate.revision
        guard !isSent, let target = observation.target, target.hash == candidate.templateHash else {
            // It was sent and is not listed yet, or what it is made of cannot be seen now.
            return poll(observation, situation)
        }
        if ModelEndpointService.revisionNumber(candidate.revision)
            < ModelEndpointService.revisionNumber(nextName(observation)) - 1
        {
            // It was there once: a name is not used twice.
            var status = observation.status
            status.candidate = nil
            return .record(status, situation)
        }
        var configuration = ModelEndpointSettings.configuration(observation.status, observation)
        configuration.template = ModelEndpointService.template(candidate.revision, observation, target.model)
        return Decision(
            steps: [patch(configuration, ModelEndpointSettings.fields + ["template"], service, observation)],
            status: observation.status, situation: situation, next: .after(observation.configuration.pollInterval))
    }

    /// The candidate starts: it becomes ready, fails, or takes too long.
    static func becomingReady(_ observation: Observation) -> Decision? {
        guard let candidate = observation.status.candidate, candidate.failureReason == nil,
            let revision = observation.revision(candidate.revision), !revision.isReady
        else { return nil }
        let condition = revision.readiness
        if condition?.state == .known(.failed) {
            return fail(.revisionFailed, condition?.message ?? "\(revision.id) did not become ready", observation)
        }
        if let decision = late(candidate, observation) { return decision }
        let message = condition?.message.map { ": \($0)" } ?? ""
        return poll(observation, .waiting(.deploying, "\(candidate.revision) is starting\(message)"))
    }

    /// No weight before a real prediction.
    static func smokeTesting(_ observation: Observation) -> Decision? {
        guard let candidate = observation.status.candidate, candidate.failureReason == nil,
            candidate.smokeTested != true, observation.revision(candidate.revision)?.isReady == true
        else { return nil }
        if let failed = lastFailure(observation) { return retry(failed, observation.status, observation) }
        var status = observation.status
        let results = observation.smokeTests
        let situation = ModelEndpointSituation.waiting(.smokeTesting, "\(candidate.revision) answers its smoke tests")
        guard let failed = results.first(where: { $0.result != SmokeTests.passed }) else {
            guard !results.isEmpty || tests(observation).isEmpty else {
                // It has no URL yet.
                return late(candidate, observation) ?? poll(observation, situation)
            }
            status.smokeTests = results
            status.candidate?.smokeTested = true
            return .record(status, situation)
        }
        status.smokeTests = results
        let tries = (candidate.failedTries ?? 0) + 1
        status.candidate?.failedTries = tries
        guard tries < maximumTries else {
            var observation = observation
            observation.endpoint.status = status
            return fail(.smokeTestFailed, "smoke test \(failed.name): \(failed.message ?? "failed")", observation)
        }
        return retry(failed, status, observation)
    }

    private static func retry(
        _ failed: Observation.Status.SmokeResult, _ status: Observation.Status, _ observation: Observation
    ) -> Decision {
        let tries = status.candidate?.failedTries ?? 0
        return Decision(
            status: status,
            situation: .waiting(
                .smokeTesting,
                "smoke test \(failed.name) failed (\(tries) of \(maximumTries) tries): \(failed.message ?? "")"),
            next: .after(observation.configuration.pollInterval))
    }

    /// A smoke test that failed a moment ago: what starts gets its time, whatever wakes the object meanwhile.
    static func lastFailure(_ observation: Observation) -> Observation.Status.SmokeResult? {
        guard observation.status.candidate?.failedTries ?? 0 > 0,
            let failed = observation.status.smokeTests.first(where: { $0.result != SmokeTests.passed }),
            let time = failed.time
        else { return nil }
        let age = observation.now - time
        return age >= .zero && age < observation.configuration.pollInterval ? failed : nil
    }

    /// The smoke tests of the spec, or the one that every image of ours answers.
    static func tests(_ observation: Observation) -> [ModelEndpoint.Rollout.SmokeTest] {
        if let tests = observation.rollout.smokeTests, !tests.isEmpty { return tests }
        guard observation.predictor.image == nil else { return [] }
        return [.init(name: "ready", path: "/v2/health/ready", expectStatus: 200)]
    }

    // MARK: Weight

    /// From stage to stage, each for its time, as long as the analysis finds nothing.
    static func shifting(_ observation: Observation) -> Decision? {
        guard let candidate = observation.status.candidate, candidate.failureReason == nil,
            candidate.smokeTested == true, let service = observation.ownService, !observation.isStopped
        else { return nil }
        if let version = candidate.modelVersion, observation.changedVersions.contains(version) {
            return fail(.modelChanged, "version \(version) is not as it was published any more", observation)
        }
        guard observation.status.active != nil else { return promoted(candidate, observation) }
        let stages = observation.rollout.stages
        guard let step = candidate.step else { return enter(0, of: stages, candidate, observation) }
        let index = min(step, stages.count - 1)
        let message = "\(candidate.revision) gets \(candidate.weight ?? 0)%"
        let wanted = ModelEndpointSettings.traffic(observation.status, observation)
        guard ModelEndpointSettings.isInForce(wanted, service) else {
            return poll(observation, .waiting(.rollingOut, message))
        }
        guard let since = candidate.stepStartTime, since <= observation.now else {
            var status = observation.status
            status.candidate?.stepStartTime = observation.moment
            return .record(status, .waiting(.rollingOut, message))
        }
        if let finding = SmokeTests.finding(observation) { return fail(.analysisFailed, finding, observation) }
        let rest = Duration.seconds(stages[index].holdSeconds) - (observation.now - since)
        if rest > .zero, index < stages.count - 1 {
            let next = stages[index + 1].weight
            let end = (since + .seconds(stages[index].holdSeconds)).wholeSeconds
            let pause = observation.rollout.analysis?.isEmpty == false ? min(rest, analysisInterval) : rest
            return Decision(
                status: observation.status,
                situation: .waiting(.rollingOut, "\(message) until \(end), then \(next)%"), next: .after(pause))
        }
        guard index < stages.count - 1 else { return promoted(candidate, observation) }
        return enter(index + 1, of: stages, candidate, observation)
    }

    private static func enter(
        _ index: Int, of stages: [ModelEndpoint.Rollout.Step], _ candidate: Candidate, _ observation: Observation
    ) -> Decision {
        let weight = stages[index].weight
        if weight == 100, observation.rollout.promotion == .manual,
            observation.endpoint.metadata.annotations?[Ownership.promoteAnnotation] != candidate.revision
        {
            let name = observation.endpoint.metadata.name
            return Decision(
                status: observation.status,
                situation: .waiting(
                    .awaitingPromotion,
                    "\(candidate.revision) gets \(candidate.weight ?? 0)% and waits for: kubectl annotate mep \(name) "
                        + "\(Ownership.promoteAnnotation)=\(candidate.revision) --overwrite"))
        }
        var status = observation.status
        status.candidate?.step = index
        status.candidate?.weight = weight
        status.candidate?.stepStartTime = nil
        return .record(status, .waiting(.rollingOut, "\(candidate.revision) is to get \(weight)%"))
    }

    private static func promoted(_ candidate: Candidate, _ observation: Observation) -> Decision {
        var status = observation.status
        var active = ModelEndpoint.Status.Revision(revision: candidate.revision)
        active.modelVersion = candidate.modelVersion
        active.modelDigest = candidate.modelDigest
        active.image = candidate.image
        active.templateHash = candidate.templateHash
        active.producer = candidate.producer
        active.weight = 100
        status.active = active
        status.lastGoodRevision = candidate.revision
        status.candidate = nil
        return .record(status, .waiting(.rollingOut, "\(candidate.revision) takes over"))
    }

    // MARK: Failing

    /// Remembers the failure; what serves is told by the settings, which follow at once.
    static func fail(_ reason: ModelEndpointReason, _ message: String, _ observation: Observation) -> Decision {
        var status = observation.status
        guard let candidate = status.candidate else { return .record(status, .actionRequired(reason, message)) }
        if observation.rollout.onFailure == .pause, status.active != nil {
            status.candidate?.failureReason = reason.rawValue
            status.candidate?.failureMessage = Conditions.cut(message, to: 512)
            return .record(status, .actionRequired(reason, message))
        }
        let rejection = Observation.Status.Rejection(
            version: candidate.modelVersion, digest: candidate.modelDigest ?? "",
            templateHash: candidate.templateHash, reason: reason.rawValue, message: Conditions.cut(message, to: 256),
            time: observation.moment)
        let others = status.rejectedModels.filter { $0.templateHash != candidate.templateHash }
        status.rejectedModels = Array(([rejection] + others).prefix(maximumRejections))
        status.candidate = nil
        return .record(status, rolledBack(rejection, status))
    }

    /// A roll-out that failed stands still: until the spec wants something else, or wants a rollback after all.
    static func paused(_ observation: Observation) -> Decision? {
        guard let candidate = observation.status.candidate, let word = candidate.failureReason,
            let reason = ModelEndpointReason(rawValue: word)
        else { return nil }
        let message = candidate.failureMessage ?? ""
        if observation.rollout.onFailure == .rollback { return fail(reason, message, observation) }
        return Decision(
            status: observation.status,
            situation: .actionRequired(
                reason, "\(candidate.revision) stays at \(candidate.weight ?? 0)%: \(message)"))
    }

    static func rolledBack(
        _ rejection: Observation.Status.Rejection, _ status: Observation.Status
    ) -> ModelEndpointSituation {
        let what =
            "version \(rejection.version ?? rejection.digest) failed (\(rejection.reason)): \(rejection.message ?? "")"
        guard let active = status.active else {
            return .actionRequired(ModelEndpointReason(rawValue: rejection.reason) ?? .revisionFailed, what)
        }
        return .actionRequired(.rolledBack, "\(active.revision) serves on; \(what)")
    }

    private static func late(_ candidate: Candidate, _ observation: Observation) -> Decision? {
        let limit = observation.rollout.progressDeadlineSeconds
        guard let start = candidate.startTime, observation.now - start > .seconds(limit) else { return nil }
        return fail(
            .progressDeadlineExceeded,
            "\(candidate.revision) was not ready and tested within \(limit) s (rollout.progressDeadlineSeconds)",
            observation)
    }

    // MARK: Steps

    static func poll(_ observation: Observation, _ situation: ModelEndpointSituation) -> Decision {
        Decision(
            status: observation.status, situation: situation, next: .after(observation.configuration.pollInterval))
    }

    static func patch(
        _ configuration: RunServiceConfiguration, _ fields: [String], _ service: RunService,
        _ observation: Observation
    ) -> Decision.Step {
        .cloud(
            .patchService(
                ModelEndpointService.id(observation), configuration, fields: fields, etag: service.etag,
                in: ModelEndpointService.location(observation), owner: observation.owner))
    }
}
