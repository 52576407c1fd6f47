import ControllerRuntime
import Encoding
import HTTP
import Kubernetes
import TrainingContract

/// The check of the declared outputs: they are in the bucket when the container has exited.
enum TrainingJobOutputs {
    typealias Decision = TrainingJobDecision

    /// What the check found.
    struct Verdict: Sendable, Equatable {
        var status: TrainingJob.OutputsStatus
        /// nil: everything is there and every assertion holds.
        var failure: (reason: Reason, message: String)?

        static func == (left: Verdict, right: Verdict) -> Bool {
            left.status == right.status && left.failure?.reason == right.failure?.reason
                && left.failure?.message == right.failure?.message
        }
    }

    /// Rule `recordingSuccess`: the pods have succeeded. That is written before anything follows from it: a Job may vanish,
    /// by its TTL or by hand, and what has succeeded is not run again.
    static func recordSuccess(_ observation: TrainingJobObservation) -> Decision? {
        guard let run = observation.activeRun, let attempt = observation.activeAttempt,
            let end = successTime(of: attempt, run, observation)
        else { return nil }
        var status = observation.status
        TrainingJobProgress.update(&status, observation)
        TrainingJobRun.endAttempt(
            &status, .succeeded, observation, at: max(min(end, observation.moment), attempt.startTime ?? end),
            exitCode: 0)
        return .record(status, .verifying(.verifying, "attempt \(attempt.number) has succeeded"))
    }

    /// When the attempt's pods had succeeded: as the Job says; where there is none any more, as the trainer's last report
    /// does, which lists the outputs only when all of them are written.
    private static func successTime(
        of attempt: TrainingJob.Attempt, _ run: TrainingJob.Run, _ observation: TrainingJobObservation
    ) -> Timestamp? {
        let jobs = observation.attemptJobs(run, attempt)
        if !jobs.isEmpty {
            guard jobs.count == observation.sliceCount, jobs.allSatisfy(\.isComplete) else { return nil }
            return jobs.map { $0.status?.completionTime ?? observation.moment }.max()
        }
        guard let report = observation.progress, report.runID == run.id, report.attempt == attempt.number,
            report.outputs?.isEmpty == false
        else { return nil }
        return Timestamp(report.updatedAt)?.wholeSeconds ?? observation.moment
    }

    /// Rule `verifyingOutputs`: the attempt's pods have succeeded.
    static func verify(_ observation: TrainingJobObservation) -> Decision? {
        guard let attempt = observation.succeededAttempt, let spec = observation.runSpec else { return nil }
        switch observation.outputs {
        case .notLooked:
            return Decision(
                status: observation.status, situation: .verifying(.verifying, "looking into the bucket"),
                next: .after(.zero))
        case .unreadable(let error):
            return unreadable(error.message, attempt, observation)
        case .found(let files, let documents):
            // Only what this attempt reported: an earlier one may have written other bytes.
            let report = observation.progress.flatMap { $0.attempt == attempt.number ? $0.outputs : nil }
            let verdict = verdict(spec.outputs, files: files, documents: documents, reported: report ?? [])
            return record(verdict, observation)
        }
    }

    /// Waits for the bucket; after the grace time the machines go all the same, and the check goes on.
    private static func unreadable(
        _ message: String, _ attempt: TrainingJob.Attempt, _ observation: TrainingJobObservation
    ) -> Decision {
        let situation = Situation.verifying(.storageUnavailable, "the bucket cannot be read: \(message)")
        let end = attempt.endTime ?? observation.now
        guard observation.now - end >= (observation.spec.cleanup ?? .standard).releaseGrace else {
            return Decision(
                status: observation.status, situation: situation, next: .after(observation.configuration.pollInterval))
        }
        let release = TrainingJobRelease.pools(observation)
        return Decision(
            steps: release.steps, status: release.status, situation: release.blocked ?? situation,
            next: .after(release.isDone ? TrainingJobPlan.slowRecheck : observation.configuration.pollInterval))
    }

    /// Writes the result: the outputs are facts from now on, and are not read again.
    private static func record(_ verdict: Verdict, _ observation: TrainingJobObservation) -> Decision {
        var status = observation.status
        status.outputs = verdict.status
        TrainingJobProgress.update(&status, observation)
        guard let failure = verdict.failure else {
            TrainingJobRun.end(&status, .succeeded, .succeeded, observation, message: "outputs verified")
            status.run?.marker = TrainingJobMarker.pending(observation)
            return .record(status, .releasing("outputs verified"))
        }
        TrainingJobRun.end(&status, .failed, failure.reason, observation, message: failure.message)
        return .record(status, .releasing(failure.message))
    }

    // MARK: Judging

    /// Compares what was declared, and what the trainer says it wrote, with what is there.
    static func verdict(
        _ outputs: TrainingJob.Outputs?, files: [String: OutputFile], documents: [String: OutputDocument],
        reported: [ProgressReport.Output] = []
    ) -> Verdict {
        var entries: [TrainingJob.OutputsStatus.File] = []
        var problems: [(reason: Reason, message: String)] = []
        for requirement in outputs?.required ?? [] {
            let found = judge(requirement, files)
            entries += found.entries.filter { entry in !entries.contains { $0.path == entry.path } }
            if let problem = found.problem { problems.append((.outputMissing, problem)) }
        }
        for output in reported {
            guard let index = entries.firstIndex(where: { $0.path == output.path }),
                let problem = difference(output, entries[index])
            else { continue }
            problems.append((.outputChecksumMismatch, problem))
            entries[index].verified = false
            entries[index].reason = Reason.outputChecksumMismatch.rawValue
        }
        // Assertions on files that are missing or damaged would only say the same again.
        if problems.isEmpty {
            for assertion in outputs?.assertions ?? [] {
                guard let problem = violation(assertion, documents[assertion.file]) else { continue }
                problems.append((.assertionFailed, problem))
                for index in entries.indices where entries[index].path == assertion.file {
                    entries[index].verified = false
                    entries[index].reason = Reason.assertionFailed.rawValue
                }
            }
        }
        var status = TrainingJob.OutputsStatus()
        status.count = entries.count { $0.sizeBytes != nil }
        status.verifiedCount = entries.count { $0.verified == true }
        status.sizeBytes = entries.reduce(0) { $0 + ($1.sizeBytes ?? 0) }
        status.files = Array(entries.prefix(16))
        guard let first = problems.first else { return Verdict(status: status, failure: nil) }
        let message = Conditions.cut(problems.map(\.message).joined(separator: "; "))
        return Verdict(status: status, failure: (first.reason, message))
    }

    /// How a file differs from what was written; nil when it does not, or is missing.
    private static func difference(
        _ output: ProgressReport.Output, _ entry: TrainingJob.OutputsStatus.File
    ) -> String? {
        guard let size = entry.sizeBytes, let crc32c = entry.crc32c else { return nil }
        if size == Int64(output.sizeBytes), crc32c == output.crc32c { return nil }
        return "\(output.path) has \(size) bytes with CRC32C \(crc32c) in the bucket; "
            + "the trainer wrote \(output.sizeBytes) bytes with \(output.crc32c)"
    }

    private static func judge(
        _ requirement: TrainingJob.Outputs.Requirement, _ files: [String: OutputFile]
    ) -> (entries: [TrainingJob.OutputsStatus.File], problem: String?) {
        let glob = OutputGlob(requirement.glob)
        let matching = files.filter { glob.matches($0.key) }.sorted { $0.key < $1.key }
        let entries = matching.map { path, file in
            var entry = TrainingJob.OutputsStatus.File(path: String(path.prefix(256)))
            entry.generation = String(file.generation)
            entry.sizeBytes = file.sizeBytes
            entry.crc32c = file.crc32c
            entry.verified = file.sizeBytes >= requirement.minBytes
            entry.reason = entry.verified == true ? nil : Reason.outputMissing.rawValue
            return entry
        }
        if let small = matching.first(where: { $0.value.sizeBytes < requirement.minBytes }) {
            return (
                entries,
                "\(small.key) has \(small.value.sizeBytes) bytes, at least \(requirement.minBytes) are required"
            )
        }
        guard matching.count < requirement.minCount else { return (entries, nil) }
        var missing = TrainingJob.OutputsStatus.File(path: String(requirement.glob.prefix(256)))
        missing.verified = false
        missing.reason = Reason.outputMissing.rawValue
        let problem =
            requirement.minCount == 1
            ? "\(requirement.glob) is missing"
            : "\(requirement.glob): \(matching.count) files, at least \(requirement.minCount) are required"
        return (entries + (matching.isEmpty ? [missing] : []), problem)
    }

    /// Why an assertion does not hold; nil when it does.
    static func violation(
        _ assertion: TrainingJob.Outputs.Assertion, _ document: OutputDocument?
    ) -> String? {
        guard let document else { return "\(assertion.file) is missing" }
        switch document {
        case .unusable(let why): return "\(assertion.file): \(why)"
        case .json(let json):
            do throws(JSONPathError) {
                let number = try JSONPath(assertion.jsonPath).number(in: json)
                guard let limit = Double(assertion.value) else { return "\(assertion.value) is not a number" }
                if assertion.operator.holds(number, limit) { return nil }
                let found = TrainingJobProgress.number(number, decimals: 6)
                return
                    "\(assertion.file) \(assertion.jsonPath) is \(found), which is not \(assertion.operator.words) \(assertion.value)"
            } catch {
                return "\(assertion.file) \(error.message)"
            }
        }
    }

    /// For the history: the run's best-known number.
    static func firstMetric(_ observation: TrainingJobObservation) -> String? {
        let metrics = observation.status.trainerStatus?.metrics ?? []
        return (metrics.first { $0.name == "test_accuracy" } ?? metrics.first)?.value
    }
}
