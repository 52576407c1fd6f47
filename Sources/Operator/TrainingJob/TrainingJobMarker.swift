import ControllerRuntime
public import Encoding
public import GoogleCloud
public import HTTP
public import Kubernetes

/// Completion markers: looked for before an object's first run does anything, written after a run has succeeded.
enum TrainingJobMarker {
    typealias Decision = TrainingJobDecision

    /// How long a marker is tried to be written after the run's end, and read before its begin, until somebody is told.
    static let patience: Duration = .seconds(300)
    /// Between tries that failed.
    static let retryInterval: Duration = .seconds(30)

    // MARK: Places

    /// The object that the plan wants to know about; nil where it needs none.
    static func place(_ observation: TrainingJobObservation) -> StorageURI? {
        guard let run = observation.status.run else { return nil }
        if run.result == nil { return placeOfFirstRun(run, observation) }
        return run.marker?.state == TrainingJob.Marker.pending ? run.marker.flatMap { StorageURI($0.uri) } : nil
    }

    /// Only an object that knows of no run before: a spec that somebody goes back to is a new run, as any change.
    private static func placeOfFirstRun(
        _ run: TrainingJob.Run, _ observation: TrainingJobObservation
    ) -> StorageURI? {
        guard run.number == 1, run.image == nil, let hash = run.specHash,
            let outputs = observation.recordedSpec?.outputs,
            let artifact = observation.artifacts[outputs.artifactRef.name], artifact.isReady, let base = artifact.uri
        else { return nil }
        return place(below: base, hash, observation)
    }

    private static func place(
        below base: String, _ hash: String, _ observation: TrainingJobObservation
    ) -> StorageURI? {
        let metadata = observation.job.metadata
        return CompletionMarker.place(
            below: base, namespace: metadata.namespace ?? "", name: metadata.name, specHash: hash)
    }

    // MARK: Reading

    /// Rule `alreadyComplete`: with an object's first run, what the bucket remembers decides before anything is made.
    static func find(_ observation: TrainingJobObservation) -> Decision? {
        guard let run = observation.activeRun, let place = placeOfFirstRun(run, observation) else { return nil }
        switch observation.marker {
        case .absent: return nil
        case .notLooked:
            return Decision(
                status: observation.status, situation: .waiting(.pending, "looking for a completion marker"),
                next: .after(.zero))
        case .unreadable(let error): return unreadable(error, place, run, observation)
        case .unusable(let why, _):
            let message = "the completion marker \(place) cannot be used: \(why)"
            return Decision(
                status: observation.status, situation: .actionRequired(.markerUnreadable, message),
                next: .after(TrainingJobPlan.slowRecheck))
        case .found(let marker, _):
            return .record(adopting(marker, place, observation), .finished)
        }
    }

    /// Nothing is held meanwhile, so that waiting costs nothing; training again might.
    private static func unreadable(
        _ error: APIError, _ place: StorageURI, _ run: TrainingJob.Run, _ observation: TrainingJobObservation
    ) -> Decision {
        let reason: Reason = error.code == .forbidden ? .permissionDenied : .storageUnavailable
        let message = "whether this spec is complete already cannot be read from \(place): \(error.message)"
        guard let start = run.startTime, observation.now - start > patience else {
            return Decision(
                status: observation.status, situation: .waiting(reason, message),
                next: .after(observation.configuration.pollInterval))
        }
        return Decision(
            status: observation.status, situation: .actionRequired(reason, message),
            next: .after(TrainingJobPlan.slowRecheck))
    }

    /// The run is over before it began: another one did its work.
    private static func adopting(
        _ marker: CompletionMarker, _ place: StorageURI, _ observation: TrainingJobObservation
    ) -> TrainingJob.Status {
        var status = observation.status
        TrainingJobRun.end(&status, .succeeded, .alreadyComplete, observation, message: "")
        status.run?.completedBy = marker.runID
        status.run?.prefix = marker.prefix
        status.run?.startTime = marker.startTime
        status.run?.completionTime = marker.completionTime ?? observation.moment
        status.run?.marker = .init(uri: place.description, state: TrainingJob.Marker.written)
        status.outputs = marker.outputs
        if !marker.metrics.isEmpty {
            var trainer = TrainingJob.TrainerStatus()
            trainer.metrics = marker.metrics
            status.trainerStatus = trainer
        }
        return status
    }

    // MARK: Writing

    /// What the record of a success says about its marker; nil where there is no bucket for one.
    static func pending(_ observation: TrainingJobObservation) -> TrainingJob.Marker? {
        guard let hash = observation.status.run?.specHash, let base = base(observation) else { return nil }
        return place(below: base, hash, observation).map {
            .init(uri: $0.description, state: TrainingJob.Marker.pending)
        }
    }

    /// `gs://bucket/prefix/` of the artifact that receives the run's outputs, as it was when the run began.
    static func base(_ observation: TrainingJobObservation) -> String? {
        guard let run = observation.status.run, let prefix = run.prefix,
            let outputs = observation.recordedSpec?.outputs
        else { return nil }
        let folder = TrainingJobInputs.expand(outputs.prefix, runID: run.id)
        return prefix.hasSuffix(folder) ? String(prefix.dropLast(folder.count)) : nil
    }

    /// Rule `markingCompletion`: the next run waits until the marker of the last one is written, or cannot be.
    static func beforeNextRun(_ observation: TrainingJobObservation) -> Decision? {
        guard let run = observation.status.run, run.marker?.state == TrainingJob.Marker.pending,
            run.result != nil, !observation.spec.suspend, observation.spec.onSpecChange == .newRun,
            TrainingJobRun.isChanged(run, observation)
        else { return nil }
        return Decision(
            status: observation.status,
            situation: observation.status.resources.isEmpty
                ? .finished : .keepingIdle("writing the completion marker of \(run.id)"),
            next: .after(observation.configuration.pollInterval))
    }

    /// Writes the marker beside whatever else is done for a run that has succeeded, never before it: machines do not wait
    /// for a marker.
    static func write(_ decision: inout Decision, _ observation: TrainingJobObservation) {
        guard !observation.job.metadata.isDeleting, let run = decision.status.run, run == observation.status.run,
            var marker = run.marker, marker.state == TrainingJob.Marker.pending, let place = StorageURI(marker.uri),
            decision.next != .after(.zero)
        else { return }
        let metadata = observation.job.metadata
        let content = CompletionMarker(
            of: observation.status, namespace: metadata.namespace ?? "", name: metadata.name)
        // Made of what was decoded from JSON: it can be encoded.
        guard let content, let text = try? JSONValue(encoding: content).serializedText() else { return }
        var generation: Int64 = 0
        switch observation.marker {
        case .found(let found, _) where found.runID == run.id:
            marker.state = TrainingJob.Marker.written
            decision.status.run?.marker = marker
            return
        case .found(_, let present), .unusable(_, let present): generation = present
        case .absent: break
        case .notLooked, .unreadable:
            return wait(&decision, marker, observation)
        }
        let write = ObjectWrite(
            place: place, text: text, contentType: "application/json", generation: generation,
            owner: observation.owner)
        wait(&decision, marker, observation, writing: write)
    }

    /// Another try, now or later; in the end somebody is told that there is no marker.
    private static func wait(
        _ decision: inout Decision, _ marker: TrainingJob.Marker, _ observation: TrainingJobObservation,
        writing write: ObjectWrite? = nil
    ) {
        let end = observation.status.run?.completionTime ?? observation.now
        let problem = problem(observation)
        // Late is no reason to give up: the operator may have been down.
        if let problem, observation.now - end > patience {
            var marker = marker
            marker.state = TrainingJob.Marker.failed
            marker.message = Conditions.cut(problem)
            decision.status.run?.marker = marker
            return
        }
        let isDue = observation.markerRefusal.map { observation.now - $0.time >= retryInterval } ?? true
        if let write, isDue { decision.steps.append(.cloud(.writeObject(write))) }
        let interval = problem != nil ? retryInterval : observation.configuration.pollInterval
        if case .after(let other) = decision.next, other < interval { return }
        decision.next = .after(interval)
    }

    private static func problem(_ observation: TrainingJobObservation) -> String? {
        if case .unreadable(let error) = observation.marker { return error.message }
        return observation.markerRefusal?.error.message
    }
}

/// A small text to be stored in place of what was read there.
public struct ObjectWrite: Sendable, Hashable {
    public var place: StorageURI
    public var text: String
    public var contentType: String
    /// Of what is there; 0: nothing.
    public var generation: Int64
    public var owner: ObjectReference
}

/// The cloud's last refusal of a write.
public struct MarkerRefusal: Sendable, Hashable {
    public var error: APIError
    public var time: Timestamp
}
