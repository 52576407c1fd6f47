import ControllerRuntime
import Encoding

/// What a run needs from artifacts before it can have pods: where its inputs are, and where its outputs go.
enum TrainingJobInputs {
    typealias Decision = TrainingJobDecision

    /// Rule `invalidSpec`: nothing is held, and nothing could be started.
    static func invalid(_ observation: TrainingJobObservation) -> Decision? {
        guard observation.status.run?.result == nil, observation.activeAttempt == nil,
            observation.status.resources.isEmpty
        else { return nil }
        let spec = observation.recordedSpec ?? RunSpec(observation.spec)
        let options = TrainingJobNodePool.choices(for: observation.status.run, spec, observation)
        if let message = TrainingJobPodRules.problem(spec) {
            return Decision(status: observation.status, situation: .actionRequired(.invalidSpec, message))
        }
        if let message = TrainingJobStall.problem(observation.spec) {
            return Decision(status: observation.status, situation: .actionRequired(.invalidSpec, message))
        }
        switch options {
        case .failure(let error):
            return Decision(status: observation.status, situation: .actionRequired(.invalidSpec, error.message))
        case .success(let choices):
            guard choices.usable.isEmpty, let first = choices.skipped.first else { return nil }
            let message = "no candidate can be tried: \(choices.skipped.map(\.message).joined(separator: "; "))"
            return Decision(status: observation.status, situation: .actionRequired(first.reason, message))
        }
    }

    /// Rule `waitingForInputs`: every artifact ready, every input with data; then the places are recorded.
    static func waiting(_ observation: TrainingJobObservation) -> Decision? {
        guard let run = observation.activeRun, run.image == nil, let spec = observation.runSpec else { return nil }
        for (name, needsObjects) in references(spec) {
            if let message = problem(name, needsObjects: needsObjects, observation) {
                return Decision(
                    status: observation.status, situation: .waiting(.waitingForInputs, message),
                    next: .after(observation.configuration.pollInterval))
            }
        }
        var status = observation.status
        status.run = resolved(run, spec, observation)
        return .record(status, .provisioning(.provisioning, "inputs are there"))
    }

    /// Every artifact that a spec names; true for those that must hold data.
    static func references(_ spec: RunSpec) -> [(name: String, needsObjects: Bool)] {
        (spec.inputs ?? []).map { ($0.artifactRef.name, true) }
            + [spec.checkpoint?.artifactRef.name, spec.outputs?.artifactRef.name].compactMap { $0 }.map { ($0, false) }
    }

    static func problem(
        _ name: String, needsObjects: Bool, _ observation: TrainingJobObservation
    ) -> String? {
        guard let artifact = observation.artifacts[name] else { return "GCSArtifact \(name) does not exist" }
        guard artifact.isReady, artifact.uri != nil else {
            return "GCSArtifact \(name) is not ready: \(artifact.message)"
        }
        return needsObjects && !artifact.hasObjects ? "GCSArtifact \(name) holds no objects" : nil
    }

    private static func resolved(
        _ run: TrainingJob.Run, _ spec: RunSpec, _ observation: TrainingJobObservation
    ) -> TrainingJob.Run {
        var run = run
        run.image = spec.trainer?.image ?? observation.configuration.trainerImage
        run.inputs = (spec.inputs ?? []).map { input in
            let artifact = observation.artifacts[input.artifactRef.name]
            return TrainingJob.Run.Input(
                name: input.name, uri: artifact?.uri, version: artifact?.version, digest: artifact?.digest)
        }
        if let outputs = spec.outputs, let base = observation.artifacts[outputs.artifactRef.name]?.uri {
            run.prefix = base + expand(outputs.prefix, runID: run.id)
        }
        if let checkpoint = spec.checkpoint, let base = observation.artifacts[checkpoint.artifactRef.name]?.uri {
            run.checkpointPrefix = base + TrainingJobPods.checkpointFolder(runID: run.id)
        }
        return run
    }

    /// Puts the run's id in place of `{runID}`.
    static func expand(_ prefix: String, runID: String) -> String {
        prefix.split(separator: "{runID}", omittingEmptySubsequences: false).joined(separator: runID)
    }
}
