import ControllerRuntime
import Encoding
import Kubernetes

/// Runs: a TrainingJob is a slot for them. What a run executes is kept in a ControllerRevision, so that an edit during the
/// run never leaks into it.
enum TrainingJobRun {
    typealias Decision = TrainingJobDecision

    /// The hash of the spec as it is now.
    static func presentHash(_ observation: TrainingJobObservation) -> String {
        SpecHash.hash(RunSpec(observation.spec))
    }

    /// Whether the run-relevant spec is another one than the run's. A hash of another version is not comparable.
    ///
    /// The API server counts generations: with the one that the run was recorded at, the spec is the same, and nothing
    /// is hashed (which is most of what a round of a finished job would cost).
    static func isChanged(_ run: TrainingJob.Run, _ observation: TrainingJobObservation) -> Bool {
        if let generation = run.generation, generation == observation.job.metadata.generation { return false }
        guard let hash = run.specHash, SpecHash.isComparable(hash) else { return false }
        return hash != presentHash(observation)
    }

    /// Rule `recordingRun`: first the revision, then the record that names it.
    static func recording(_ observation: TrainingJobObservation) -> Decision? {
        guard observation.status.run == nil else { return nil }
        return start(number: 1, observation)
    }

    /// Rule `finishedAndReleased`: nothing to do, until the spec changes.
    static func finished(_ observation: TrainingJobObservation) -> Decision? {
        guard let run = observation.status.run, run.result != nil, !TrainingJobRelease.holdsSomething(observation)
        else { return nil }
        let isSuperseded = run.result == TrainingJob.RunResult.superseded.rawValue
        guard !observation.spec.suspend else {
            return Decision(status: observation.status, situation: isSuperseded ? .suspended : .finished)
        }
        guard isChanged(run, observation), observation.spec.onSpecChange == .newRun else {
            return Decision(status: rebaselined(run, observation), situation: .finished)
        }
        return start(number: run.number + 1, observation)
    }

    /// Takes the present hash where the recorded one is of another version: an upgrade of the operator reruns nobody.
    private static func rebaselined(_ run: TrainingJob.Run, _ observation: TrainingJobObservation) -> TrainingJob.Status
    {
        var status = observation.status
        if let hash = run.specHash, !SpecHash.isComparable(hash) { status.run?.specHash = presentHash(observation) }
        return status
    }

    /// Records the next run.
    ///
    /// - Parameter keeping: where the object stands while the node pools of the last run wait for this one; nil: there are
    ///   none.
    static func start(
        number: Int, _ observation: TrainingJobObservation, keeping: Situation? = nil
    ) -> Decision {
        let hash = presentHash(observation)
        let name = Naming.revision(job: observation.job.metadata.name, uid: observation.uid, specHash: hash)
        if let unreadable = unreadable(name, observation) { return unreadable }
        if let leaving = TrainingJobQueue.tidying(observation) { return leaving }
        let starting = Situation.waiting(.pending, "recording run \(number)")
        guard observation.revisions[name] != nil else {
            return Decision(
                steps: [.apply(revision(name, number: number, observation))], status: observation.status,
                situation: keeping ?? (observation.status.run == nil ? starting : .finished), next: .after(.zero))
        }
        var run = TrainingJob.Run(
            number: number,
            id: Naming.runID(job: observation.job.metadata.name, uid: observation.uid, number: number))
        run.generation = observation.job.metadata.generation
        run.specHash = hash
        run.revisionName = name
        run.startTime = observation.moment
        var status = TrainingJob.Status()
        status.runs = history(observation)
        status.run = run
        if keeping != nil { TrainingJobIdle.carryOver(observation.status, to: &status) }
        return .record(status, starting)
    }

    /// Finished runs, newest first.
    private static func history(_ observation: TrainingJobObservation) -> [TrainingJob.FinishedRun] {
        let status = observation.status
        guard let run = status.run else { return status.runs }
        var finished = TrainingJob.FinishedRun(number: run.number, id: run.id)
        finished.result = run.result
        finished.reason = run.reason
        finished.specHash = run.specHash
        finished.completionTime = run.completionTime
        finished.metric = TrainingJobOutputs.firstMetric(observation)
        finished.cost = status.cost?.accrued
        let limit = (observation.spec.cleanup ?? .standard).runHistoryLimit
        return Array(([finished] + status.runs).prefix(min(max(limit, 0), 10)))
    }

    /// The run-relevant spec as a ControllerRevision: created once, immutable in Kubernetes.
    static func revision(_ name: String, number: Int, _ observation: TrainingJobObservation) -> Manifest {
        let metadata = TrainingJobPods.metadata(name: name, runID: nil, observation)
        // A spec was decoded from JSON: it can be encoded.
        let data = (try? JSONValue(encoding: RunSpec(observation.spec))) ?? .null
        return Manifest(
            type: ControllerRevision.resourceType, method: .createOnce,
            body: [
                "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": metadata,
                "revision": .integer(Int64(number)), "data": data,
            ])
    }

    /// A revision that exists and cannot be used is not written again and again: somebody has to remove it. Machines that
    /// nothing runs on do not wait for that.
    private static func unreadable(_ name: String, _ observation: TrainingJobObservation) -> Decision? {
        guard let why = observation.unreadableRevisions[name] else { return nil }
        let situation = Situation.actionRequired(
            .revisionUnreadable, "ControllerRevision \(name) cannot be used: \(why)")
        guard observation.status.run?.result == nil, !observation.jobs.contains(where: { !$0.isEnding }) else {
            return Decision(
                status: observation.status, situation: situation, next: .after(TrainingJobPlan.slowRecheck))
        }
        let release = TrainingJobRelease.pools(observation)
        return Decision(
            steps: release.steps, status: release.status, situation: release.blocked ?? situation,
            next: .after(release.isDone ? TrainingJobPlan.slowRecheck : observation.configuration.pollInterval))
    }

    /// Rule `restoringRevision`: the active run's spec is gone. It is written again while the present spec is the same;
    /// else nobody knows what the run executes, and it ends.
    static func restoringRevision(_ observation: TrainingJobObservation) -> Decision? {
        guard let run = observation.activeRun, let name = run.revisionName, observation.runSpec == nil else {
            return nil
        }
        if let unreadable = unreadable(name, observation) { return unreadable }
        if run.specHash == presentHash(observation) {
            return Decision(
                steps: [.apply(revision(name, number: run.number, observation))], status: observation.status,
                situation: .waiting(.pending, "writing revision \(name) again"),
                next: .after(observation.configuration.pollInterval))
        }
        var status = observation.status
        end(&status, .failed, .controllerError, observation, message: "ControllerRevision \(name) was deleted")
        return .record(status, .releasing("the run's revision was deleted"))
    }

    // MARK: Ends

    /// Ends the active attempt, if there is one.
    static func endAttempt(
        _ status: inout TrainingJob.Status, _ cause: Reason, _ observation: TrainingJobObservation,
        at end: Timestamp? = nil, exitCode: Int? = nil, node: String? = nil
    ) {
        guard var attempt = status.attempts.last, attempt.endTime == nil else { return }
        let end = end ?? observation.moment
        attempt.endTime = end
        attempt.cause = cause.rawValue
        attempt.class = cause.failureClass?.rawValue
        attempt.exitCode = exitCode
        attempt.node = node
        attempt.toStep = status.trainerStatus?.step ?? attempt.fromStep
        status.attempts[status.attempts.count - 1] = attempt
        let seconds = attempt.startTime.map { end.seconds - $0.seconds } ?? 0
        let before = status.run?.activeSeconds ?? 0
        status.run?.activeSeconds = before + max(0, seconds)
    }

    /// Ends the run.
    static func end(
        _ status: inout TrainingJob.Status, _ result: TrainingJob.RunResult, _ reason: Reason,
        _ observation: TrainingJobObservation, message: String
    ) {
        endAttempt(&status, reason, observation)
        status.run?.result = result.rawValue
        status.run?.reason = reason.rawValue
        status.run?.completionTime = observation.moment
        status.pendingRun = nil
        status.capacity?.nextAttemptTime = nil
        guard result == .failed else { return }
        var failure = TrainingJob.Failure(class: reason.failureClass?.rawValue, component: "TrainingJob")
        if let last = status.lastFailure, last.reason == reason.rawValue || reason == .restartLimitExceeded {
            // Where and how it failed stays: node, exit code, log.
            failure = last
            failure.class = reason.failureClass?.rawValue
        }
        failure.reason = reason.rawValue
        failure.message = Conditions.cut(message)
        failure.hint = reason.hint
        failure.time = observation.moment
        status.lastFailure = failure
    }

    /// Rule `cancelled`: the annotation names the active run.
    static func cancelled(_ observation: TrainingJobObservation) -> Decision? {
        guard let run = observation.activeRun,
            observation.job.metadata.annotations?[Ownership.cancelAnnotation] == run.id
        else { return nil }
        var status = observation.status
        end(
            &status, .failed, .cancelled, observation,
            message: "cancelled by the annotation \(Ownership.cancelAnnotation)")
        return .record(status, .releasing("cancelled"))
    }

    /// Rule `overTime`: the runtime limit.
    static func overTime(_ observation: TrainingJobObservation) -> Decision? {
        guard let run = observation.activeRun, let limit = observation.spec.runtimeLimitSeconds,
            activeTime(run, observation) >= .seconds(limit)
        else { return nil }
        var status = observation.status
        end(&status, .failed, .deadlineExceeded, observation, message: "trained for \(limit) s, the runtime limit")
        return .record(status, .releasing("the runtime limit is reached"))
    }

    /// Time in attempts, the active one included.
    static func activeTime(_ run: TrainingJob.Run, _ observation: TrainingJobObservation) -> Duration {
        let finished = Duration.seconds(run.activeSeconds ?? 0)
        guard let start = observation.activeAttempt?.startTime else { return finished }
        return finished + max(.zero, observation.now - start)
    }

    /// The changed spec that waits for the run's end.
    static func pending(_ run: TrainingJob.Run, _ observation: TrainingJobObservation) -> TrainingJob.PendingRun? {
        guard run.result == nil, isChanged(run, observation) else { return nil }
        let hash = presentHash(observation)
        let previous = observation.status.pendingRun
        return TrainingJob.PendingRun(
            generation: observation.job.metadata.generation, specHash: hash,
            requestTime: previous?.specHash == hash ? previous?.requestTime : observation.moment)
    }
}
