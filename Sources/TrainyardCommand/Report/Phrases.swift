/// The words in which facts are told.
enum Phrases {
    /// Reasons of `Ready=False` that only the user or somebody else can end.
    static let waitReasons: Set<String> = [
        "WaitingForInputs", "WaitingForQueue", "QuotaExceeded", "ReservationUnavailable", "PermissionDenied",
        "ImagePullFailed", "CapacityUnavailable", "InvalidSpec", "NameConflict", "BucketNotOurs", "PrefixConflict",
        "ManagementConflict",
    ]

    /// "spot in us-central1-a".
    static func place(_ candidate: String, _ zone: String?) -> String {
        zone.map { "\(candidate) in \($0)" } ?? candidate
    }

    static func attempt(_ attempt: JobView.CapacityAttempt) -> String {
        var text = "\(place(attempt.candidate, attempt.zone)): \(words(attempt.result))"
        if attempt.count > 1 { text += ", \(attempt.count) times" }
        if let code = attempt.code, !code.isEmpty, code != attempt.result { text += " (\(code))" }
        return text
    }

    static func epoch(_ epoch: JobView.Progress.Epoch, _ job: JobView, _ progress: JobView.Progress) -> String {
        var parts = [totalEpochs(job, progress).map { "\(epoch.epoch) of \($0)" } ?? "\(epoch.epoch)"]
        if let value = epoch.metrics["train_loss"] { parts.append("train loss \(Format.decimal(value, 4))") }
        if let value = epoch.metrics["test_loss"] { parts.append("test loss \(Format.decimal(value, 4))") }
        if let value = epoch.metrics["test_accuracy"] { parts.append("accuracy \(Format.decimal(value, 2)) %") }
        if let rate = rate(epoch.metrics["images_per_second"] ?? progress.imagesPerSecond) { parts.append(rate) }
        if let cost = job.cost { parts.append(money(cost)) }
        return parts.joined(separator: ", ")
    }

    static func training(_ job: JobView, _ progress: JobView.Progress) -> String {
        (["\(progress.percent ?? 0) %"] + details(job, progress)).joined(separator: ", ")
    }

    /// Loss, speed, time to go, money: what is known of them.
    static func details(_ job: JobView, _ progress: JobView.Progress) -> [String] {
        var parts: [String] = []
        if let loss = progress.trainLoss, loss > 0 { parts.append("loss \(Format.decimal(loss, 4))") }
        if let rate = rate(progress.imagesPerSecond) { parts.append(rate) }
        if let seconds = progress.remainingSeconds, seconds > 0 {
            parts.append("ETA \(Format.clock(.seconds(seconds)))")
        }
        if let cost = job.cost { parts.append(money(cost)) }
        return parts
    }

    static func totalEpochs(_ job: JobView, _ progress: JobView.Progress) -> Int? {
        progress.totalEpochs ?? job.epochsAsked
    }

    private static func rate(_ rate: Double?) -> String? {
        guard let rate, rate > 0, rate < 1e9 else { return nil }
        return "\(Format.count(Int(rate.rounded()))) images/s"
    }

    /// Four decimals below 10, else two: a run on a spot machine costs fractions of a cent a minute.
    static func money(_ cost: JobView.Cost) -> String {
        let amount = Double(cost.accrued).map { Format.decimal($0, $0 < 10 ? 4 : 2) } ?? cost.accrued
        return "\(amount) \(cost.currencyCode)"
    }

    static func output(_ output: JobView.Output) -> String {
        var text = output.path
        if let size = output.sizeBytes { text += ", \(Format.bytes(size))" }
        if output.isVerified { return text + ", verified" + (output.crc32c.map { " (CRC32C \($0))" } ?? "") }
        return text + ", not verified" + (output.reason.map { ": \(Format.line($0))" } ?? "")
    }

    /// The kind and the name at the end of a full resource name: "node pool ty-1a2b".
    static func resource(_ reference: String) -> String {
        let parts = reference.split(separator: "/")
        guard parts.count >= 2, let name = parts.last else { return reference }
        switch parts[parts.count - 2] {
        case "nodePools": return "node pool \(name)"
        case "buckets", "b": return "bucket \(name)"
        default: return "\(parts[parts.count - 2]) \(name)"
        }
    }

    static func condition(_ condition: JobView.Condition) -> String {
        let message = Format.line(condition.message)
        if message.isEmpty { return words(condition.reason) }
        return message
    }

    static func topic(_ conditionType: String) -> String {
        switch conditionType {
        case "OutputsVerified": "verified"
        default: conditionType.lowercased()
        }
    }

    /// A CamelCase word as words: `StockedOut` → "stocked out". Runs of capitals stay: `OOMKilled` → "OOM killed".
    static func words(_ reason: String) -> String {
        let characters = Array(reason)
        var output = ""
        for (index, character) in characters.enumerated() {
            let next = index + 1 < characters.count ? characters[index + 1] : nil
            let previous = index > 0 ? characters[index - 1] : nil
            let startsWord =
                character.isUppercase && index > 0
                && (previous?.isUppercase == false || next?.isLowercase == true)
            if startsWord { output.append(" ") }
            let isAcronym = character.isUppercase && (next?.isUppercase == true || previous?.isUppercase == true)
            let staysUpper = isAcronym && !(startsWord && next?.isLowercase == true)
            output += staysUpper ? String(character) : character.lowercased()
        }
        return output
    }
}
