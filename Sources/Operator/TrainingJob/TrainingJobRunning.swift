import ControllerRuntime
import Kubernetes

/// The pods of the active attempt.
enum TrainingJobRunning {
    typealias Decision = TrainingJobDecision

    /// The last rule, `running`: Service and Jobs are there, and nothing is wrong.
    static func run(_ observation: TrainingJobObservation) -> Decision {
        guard let run = observation.activeRun, let attempt = observation.activeAttempt,
            let spec = observation.runSpec, attempt.candidate != nil, attempt.zone != nil
        else {
            return Decision(
                status: observation.status, situation: .waiting(.pending, "waiting"),
                next: .after(observation.configuration.pollInterval))
        }
        let jobs = observation.attemptJobs(run, attempt)
        // Two attempts never run side by side, whatever became of the earlier one's Jobs.
        let stop = TrainingJobPodEnd.stop(observation, except: jobs)
        guard !jobs.isEmpty || stop.isDone else {
            return Decision(
                steps: stop.steps, status: observation.status,
                situation: .training("waiting for the pods of an earlier attempt to stop"),
                next: .after(observation.configuration.pollInterval))
        }
        var steps: [Decision.Step] = []
        if !observation.services.contains(run.id) {
            steps.append(.apply(TrainingJobPods.service(run, observation)))
        }
        let names = Set(jobs.map(\.metadata.name))
        steps += TrainingJobSlice.all(run, attempt, spec, observation).filter { !names.contains($0.jobName) }
            .map { .apply(TrainingJobPods.job($0)) }
        return Decision(
            steps: steps, status: observation.status, situation: situation(attempt, jobs, observation),
            next: .after(min(observation.configuration.progressInterval, observation.configuration.pollInterval)))
    }

    private static func situation(
        _ attempt: TrainingJob.Attempt, _ jobs: [Job], _ observation: TrainingJobObservation
    ) -> Situation {
        guard !jobs.isEmpty else { return .training("starting the pods of attempt \(attempt.number)") }
        if let problem = TrainingJobStart.imageProblem(jobs, observation) {
            return .training(problem.message ?? "the image cannot be pulled")
        }
        if let problem = TrainingJobStart.problem(jobs, observation) {
            return .training("attempt \(attempt.number): a pod does not start: \(problem)")
        }
        let runningCount = observation.pods(of: jobs).count { $0.status?.phase == "Running" }
        let wanted = TrainingJobStart.wantedCount(jobs, observation)
        return .training(
            runningCount == wanted
                ? "attempt \(attempt.number) is training"
                : "attempt \(attempt.number): \(runningCount) of \(wanted) pods are running")
    }
}
