/// The table at the end of a run.
enum Summary {
    /// Lines for a run that is complete. `commands` are the next ones to try, as they work when pasted.
    static func lines(_ result: RunResult, elapsed: Duration, commands: [String]) -> [String] {
        var lines = epochTable(result.metrics)
        var rows: [(String, String)] = []
        if let id = result.runID { rows.append(("run", id)) }
        if let accuracy = result.metrics?.testAccuracy.last {
            rows.append(("test accuracy", "\(Format.decimal(accuracy, 2)) %"))
        }
        if let rate = result.imagesPerSecond {
            rows.append(("speed", "\(Format.count(Int(rate.rounded()))) training images/s on this machine's CPU"))
        }
        if let job = result.job { rows.append(("capacity", capacity(job))) }
        if let job = result.job, job.runAttempts.count > 1 { rows.append(("attempts", attempts(job))) }
        if let cost = result.job?.cost { rows.append(("cost estimate", self.cost(cost))) }
        if let endpoint = result.endpoint { rows += endpoint.rows }
        rows.append(("cloud", remaining(result.cloudResourcesRemaining)))
        rows.append(("took", Format.span(seconds: Int(elapsed.components.seconds))))
        if let folder = result.outputDirectory { rows.append(("outputs", folder)) }
        lines += table(rows)
        lines += result.job?.outputs.map { "  " + Format.padded("", labelWidth) + file($0) } ?? []
        if result.metrics != nil { lines.append("  " + Format.padded("", labelWidth) + "curves.svg") }
        if !commands.isEmpty {
            lines += ["", "Next:"] + commands.map { "  " + $0 }
        }
        return lines
    }

    /// "0 cloud resources remain".
    static func remaining(_ count: Int) -> String {
        count == 1 ? "1 cloud resource remains" : "\(count) cloud resources remain"
    }

    private static let labelWidth = 16

    private static func table(_ rows: [(String, String)]) -> [String] {
        rows.map { "  " + Format.padded($0.0, labelWidth) + $0.1 }
    }

    /// One row per epoch; of many epochs the last ten.
    private static func epochTable(_ metrics: TrainingMetrics?) -> [String] {
        guard let metrics else { return [] }
        let header = ["epoch", "train loss", "test loss", "accuracy"]
        let shown = metrics.epoch.indices.suffix(10)
        var lines = ["  " + header.map { Format.padded($0, 13, onLeft: true) }.joined()]
        if shown.count < metrics.epoch.count { lines.append("  " + Format.padded("…", 13, onLeft: true)) }
        for index in shown {
            let row = [
                String(metrics.epoch[index]), Format.decimal(metrics.trainLoss[index], 4),
                Format.decimal(metrics.testLoss[index], 4), "\(Format.decimal(metrics.testAccuracy[index], 2)) %",
            ]
            lines.append("  " + row.map { Format.padded($0, 13, onLeft: true) }.joined())
        }
        return lines + [""]
    }

    private static func capacity(_ job: JobView) -> String {
        job.attempts.map { "\(Phrases.place($0.candidate, $0.zone)) \(Phrases.words($0.result))" }
            .joined(separator: ", then ")
    }

    /// "Preempted at step 214, then Succeeded at step 1,876".
    private static func attempts(_ job: JobView) -> String {
        let ends = job.runAttempts.compactMap { attempt in
            attempt.cause.map { cause in cause + (attempt.toStep.map { " at step \(Format.count($0))" } ?? "") }
        }
        return ends.joined(separator: ", then ")
    }

    private static func cost(_ cost: JobView.Cost) -> String {
        let basis = Format.line(cost.basis ?? "list price")
        return "\(Phrases.money(cost)) (\(basis) × seconds of the simulated machine)"
    }

    private static func file(_ output: JobView.Output) -> String {
        let size = output.sizeBytes.map(Format.bytes) ?? "?"
        let check = output.crc32c.map { "CRC32C \($0) checked" } ?? "not checked"
        return "\(Format.padded(output.path, 20)) \(Format.padded(size, 10, onLeft: true))  \(check)"
    }
}
