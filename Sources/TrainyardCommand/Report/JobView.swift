import Encoding
import TrainingContract

/// What the command shows of a TrainingJob, read from the object as the API server sends it. Absent fields stay nil:
/// an untouched job has no status worth showing.
struct JobView: Equatable, Sendable {
    /// One row of the capacity ledger: tries of one candidate in one zone with one result.
    struct CapacityAttempt: Equatable, Sendable {
        var candidate: String
        var zone: String?
        var result: String
        var code: String?
        var message: String?
        var count: Int
    }

    /// One start of the run's pods.
    struct RunAttempt: Equatable, Sendable {
        var number: Int
        /// How it ended; nil while it goes on.
        var cause: String?
        var fromStep: Int?
        var toStep: Int?
    }

    /// What the trainer reports, from `progress.json` where it can be read, else from the status.
    struct Progress: Equatable, Sendable {
        /// Values at the end of an epoch, by the names of `metrics.json`.
        struct Epoch: Equatable, Sendable {
            var epoch: Int
            var metrics: [String: Double]
        }

        var percent: Int?
        /// Epochs finished, and all of them.
        var epoch: Int?
        var totalEpochs: Int?
        var remainingSeconds: Int?
        /// Mean loss since the epoch began.
        var trainLoss: Double?
        var imagesPerSecond: Double?
        /// The finished epochs that are known, oldest first.
        var history: [Epoch] = []
    }

    struct Output: Equatable, Sendable {
        var path: String
        var sizeBytes: Int64?
        var crc32c: String?
        var isVerified: Bool
        var reason: String?
    }

    struct Cost: Equatable, Sendable {
        var currencyCode: String
        var accrued: String
        var hourlyRate: String?
        var basis: String?
    }

    struct Condition: Equatable, Sendable {
        var isTrue: Bool
        var reason: String
        var message: String
    }

    struct Failure: Equatable, Sendable {
        var reason: String?
        var message: String?
        var hint: String?
        var exitCode: Int?
    }

    var namespace: String
    var name: String
    var isSuspendAsked: Bool
    /// The hyperparameter `epochs`, where it is given and a number.
    var epochsAsked: Int?
    var state: String?
    var runID: String?
    var attempts: [CapacityAttempt] = []
    var currentCandidate: String?
    var zone: String?
    var nodesDesired: Int?
    var nodesReady: Int?
    /// The starts of the run's pods that are remembered, oldest first.
    var runAttempts: [RunAttempt] = []
    var restarts: Int
    var restartsCountTowardsMax: Int
    var progress: Progress?
    var checkpointURI: String?
    /// `gs://bucket/prefix/` of the run's outputs.
    var outputPrefix: String?
    var outputs: [Output] = []
    var cost: Cost?
    /// `externalRef` of what exists, or may exist, in the cloud.
    var resources: [String] = []
    var conditions: [String: Condition] = [:]
    var lastFailure: Failure?
    /// What a run would be, in a sentence; in mode Plan.
    var planSummary: String?
    /// What would stop it.
    var planProblems: [String] = []
}

extension JobView {
    /// Reads a TrainingJob object.
    init(_ object: JSONValue) {
        namespace = object.value(at: ["metadata", "namespace"])?.stringValue ?? "default"
        name = object.value(at: ["metadata", "name"])?.stringValue ?? ""
        isSuspendAsked = object.value(at: ["spec", "suspend"])?.boolValue ?? false
        epochsAsked =
            object.value(at: ["spec", "trainer", "hyperparameters", "epochs"])?.stringValue.flatMap { Int($0) }
        let status = object["status"] ?? .null
        state = status["state"]?.stringValue
        runID = status.value(at: ["run", "id"])?.stringValue
        let capacity = status["capacity"] ?? .null
        attempts = (capacity["attempts"]?.arrayValue ?? []).compactMap(CapacityAttempt.init)
        currentCandidate = capacity["current"]?.stringValue
        zone = capacity["zone"]?.stringValue
        nodesDesired = status.value(at: ["nodes", "desired"])?.intValue
        nodesReady = status.value(at: ["nodes", "ready"])?.intValue
        runAttempts = (status["attempts"]?.arrayValue ?? []).compactMap(RunAttempt.init)
        restarts = status["restarts"]?.intValue ?? 0
        restartsCountTowardsMax = status["restartsCountTowardsMax"]?.intValue ?? 0
        progress = status["trainerStatus"].map(Progress.init)
        outputPrefix = status.value(at: ["run", "prefix"])?.stringValue
        checkpointURI = status.value(at: ["checkpoint", "latest", "uri"])?.stringValue
        outputs = (status.value(at: ["outputs", "files"])?.arrayValue ?? []).compactMap(Output.init)
        cost = status["cost"].flatMap(Cost.init)
        resources = (status["resources"]?.arrayValue ?? []).compactMap { $0["externalRef"]?.stringValue }
        for condition in status["conditions"]?.arrayValue ?? [] {
            guard let type = condition["type"]?.stringValue else { continue }
            conditions[type] = Condition(
                isTrue: condition["status"]?.stringValue == "True", reason: condition["reason"]?.stringValue ?? "",
                message: condition["message"]?.stringValue ?? "")
        }
        lastFailure = status["lastFailure"].flatMap(Failure.init)
        planSummary = status.value(at: ["plan", "summary"])?.stringValue
        planProblems = status.value(at: ["plan", "problems"])?.arrayValue?.compactMap(\.stringValue) ?? []
    }

    func isTrue(_ type: String) -> Bool { conditions[type]?.isTrue ?? false }

    /// The job has ended well and nothing is left that costs money.
    var isComplete: Bool { isTrue("Complete") && isTrue("ComputeReleased") }

    /// The job has failed and nothing is left that costs money.
    var isFailed: Bool { isTrue("Failed") && isTrue("ComputeReleased") }

    /// Suspended with its compute released.
    var isSuspended: Bool { isTrue("Suspended") && isTrue("ComputeReleased") }

    /// In mode Plan, with a plan.
    var isPlanned: Bool { isTrue("Ready") && reason == "Planned" }

    /// Stopped by its budget, with its compute released.
    var isOutOfBudget: Bool { isSuspended && reason == "BudgetExceeded" }

    /// The one word for where it stands: the reason of Ready.
    var reason: String? { conditions["Ready"]?.reason }

    /// Nothing moves before the user changes something.
    var isStalled: Bool { isTrue("Stalled") }

    /// Why it is not ready: the sentence of the condition that says it best.
    var reasonText: String {
        for type in ["Failed", "Stalled", "Ready"] {
            guard let condition = conditions[type], type == "Ready" || condition.isTrue else { continue }
            return condition.message.isEmpty ? condition.reason : "\(condition.reason): \(condition.message)"
        }
        return "the operator has not reported anything"
    }
}

extension JobView.CapacityAttempt {
    fileprivate init?(_ value: JSONValue) {
        guard let candidate = value["candidate"]?.stringValue, let result = value["result"]?.stringValue else {
            return nil
        }
        self.init(
            candidate: candidate, zone: value["zone"]?.stringValue, result: result, code: value["code"]?.stringValue,
            message: value["message"]?.stringValue, count: value["count"]?.intValue ?? 1)
    }
}

extension JobView.RunAttempt {
    fileprivate init?(_ value: JSONValue) {
        guard let number = value["number"]?.intValue else { return nil }
        self.init(
            number: number, cause: value["cause"]?.stringValue, fromStep: value["fromStep"]?.intValue,
            toStep: value["toStep"]?.intValue)
    }
}

extension JobView.Progress {
    /// Reads `status.trainerStatus`.
    fileprivate init(_ value: JSONValue) {
        percent = value["progressPercentage"]?.intValue
        epoch = value["epoch"]?.intValue
        remainingSeconds = value["estimatedRemainingSeconds"]?.intValue
        imagesPerSecond = value["rate"]?.stringValue?.split(separator: " ").first.flatMap { Double($0) }
        var metrics: [String: Double] = [:]
        for metric in value["metrics"]?.arrayValue ?? [] {
            guard let name = metric["name"]?.stringValue else { continue }
            metrics[name] = metric["value"]?.stringValue.flatMap { Double($0) }
        }
        if let epoch, epoch > 0, !metrics.isEmpty { history = [Epoch(epoch: epoch, metrics: metrics)] }
        trainLoss = metrics["train_loss"]
    }

    /// The trainer's own words.
    init(_ report: ProgressReport) {
        if report.totalSteps > 0 {
            percent = Int((100 * Double(report.step) / Double(report.totalSteps)).rounded(.down))
        }
        epoch = report.epoch
        totalEpochs = report.totalEpochs
        remainingSeconds = Int(exactly: report.estimatedRemainingSeconds.rounded())
        trainLoss = report.trainLoss
        imagesPerSecond = report.imagesPerSecond
        history = report.history.map { Epoch(epoch: $0.epoch, metrics: $0.metrics) }
    }
}

extension JobView.Output {
    fileprivate init?(_ value: JSONValue) {
        guard let path = value["path"]?.stringValue else { return nil }
        self.init(
            path: path, sizeBytes: value["sizeBytes"]?.integerValue, crc32c: value["crc32c"]?.stringValue,
            isVerified: value["verified"]?.boolValue ?? false, reason: value["reason"]?.stringValue)
    }
}

extension JobView.Cost {
    fileprivate init?(_ value: JSONValue) {
        guard let accrued = value["accrued"]?.stringValue else { return nil }
        self.init(
            currencyCode: value["currencyCode"]?.stringValue ?? "USD", accrued: accrued,
            hourlyRate: value["hourlyRate"]?.stringValue, basis: value["basis"]?.stringValue)
    }
}

extension JobView.Failure {
    fileprivate init?(_ value: JSONValue) {
        self.init(
            reason: value["reason"]?.stringValue, message: value["message"]?.stringValue,
            hint: value["hint"]?.stringValue, exitCode: value["exitCode"]?.intValue)
    }
}

extension JSONValue {
    /// An integer that fits `Int`.
    var intValue: Int? { integerValue.flatMap { Int(exactly: $0) } }
}
