import ControllerRuntime
import Kubernetes

/// The pods of the active attempt.
enum TrainingJobRunning {
    typealias Decision = TrainingJobDecision

    /// The last rule, `running`: Service and Job are there, and nothing is wrong.
    static func run(_ observation: TrainingJobObservation) -> Decision {
        guard let run = observation.activeRun, let attempt = observation.activeAttempt,
            let spec = observation.runSpec, let candidate = attempt.candidate, let zone = attempt.zone
        else {
            return Decision(
                status: observation.status, situation: .waiting(.pending, "waiting"),
                next: .after(observation.configuration.pollInterval))
        }
        let job = observation.attemptJob(run, attempt)
        // Two attempts never run side by side, whatever became of the earlier one's Job.
        let stop = TrainingJobPodEnd.stop(observation, except: job?.metadata.name)
        guard job != nil || stop.isDone else {
            return Decision(
                steps: stop.steps, status: observation.status,
                situation: .training("waiting for the pods of an earlier attempt to stop"),
                next: .after(observation.configuration.pollInterval))
        }
        var steps: [Decision.Step] = []
        if !observation.services.contains(run.id) {
            steps.append(.apply(TrainingJobPods.service(run, observation)))
        }
        if job == nil {
            let pool = NodeSelection.pools(candidate: candidate, zone: zone, sliceCount: 1, run, observation)[0]
            steps.append(.apply(TrainingJobPods.job(run, attempt, pool: pool, spec, observation)))
        }
        return Decision(
            steps: steps, status: observation.status, situation: situation(attempt, job, observation),
            next: .after(min(observation.configuration.progressInterval, observation.configuration.pollInterval)))
    }

    private static func situation(
        _ attempt: TrainingJob.Attempt, _ job: Job?, _ observation: TrainingJobObservation
    ) -> Situation {
        guard let job else { return .training("starting the pods of attempt \(attempt.number)") }
        if let problem = TrainingJobFailurePolicy.imageProblem(job, observation) {
            return .training(problem.message ?? "the image cannot be pulled")
        }
        if let problem = TrainingJobFailurePolicy.startProblem(job, observation) {
            return .training("attempt \(attempt.number): a pod does not start: \(problem)")
        }
        let pods = observation.pods(of: job)
        let runningCount = pods.count { $0.status?.phase == "Running" }
        let wanted = job.spec?.completions ?? 1
        return .training(
            runningCount == wanted
                ? "attempt \(attempt.number) is training"
                : "attempt \(attempt.number): \(runningCount) of \(wanted) pods are running")
    }
}
