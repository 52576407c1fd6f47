/// The one line that is redrawn on a terminal.
enum ProgressBar {
    private static let barWidth = 24

    /// What happens right now, at most `width` characters wide: the bar while training, else the operator's words.
    static func line(for job: JobView?, elapsed: Duration, width: Int) -> String {
        let time = Format.clock(elapsed)
        guard let job else { return fitted("\(time)  starting", width) }
        guard let progress = job.progress, let percent = progress.percent, job.isTrue("CapacityAcquired"),
            !job.isTrue("Complete"), !job.isTrue("Failed"), percent < 100
        else { return fitted("\(time)  \(current(job))", width) }
        let epoch = epochText(job, progress)
        let parts = ["\(time)  \(epoch)\(bar(percent))"] + Phrases.details(job, progress)
        return fitted(joined(parts, width), width)
    }

    /// `[=======>        ]  45 %`.
    static func bar(_ percent: Int) -> String {
        let percent = min(100, max(0, percent))
        let filled = barWidth * percent / 100
        let head = filled < barWidth ? ">" : ""
        let rest = String(repeating: " ", count: max(0, barWidth - filled - 1))
        return
            "[\(String(repeating: "=", count: filled))\(head)\(rest)] \(Format.padded("\(percent) %", 5, onLeft: true))"
    }

    private static func epochText(_ job: JobView, _ progress: JobView.Progress) -> String {
        guard let total = Phrases.totalEpochs(job, progress) else { return "" }
        return "epoch \(min(total, (progress.epoch ?? 0) + 1))/\(total) "
    }

    private static func current(_ job: JobView) -> String {
        guard let ready = job.conditions["Ready"], !ready.isTrue else {
            return Phrases.words(job.state ?? "waiting for the operator")
        }
        return Phrases.condition(ready)
    }

    /// As many parts as fit whole: the last ones matter least.
    private static func joined(_ parts: [String], _ width: Int) -> String {
        var text = parts[0]
        for part in parts.dropFirst() where text.count + part.count + 2 <= width { text += "  \(part)" }
        return text
    }

    private static func fitted(_ text: String, _ width: Int) -> String {
        let width = max(10, width)
        return text.count > width ? String(text.prefix(width - 1)) + "…" : text
    }
}
