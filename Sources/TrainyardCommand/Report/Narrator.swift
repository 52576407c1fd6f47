/// Turns successive observations into lines, each new fact once. Pure: what it has told is all it remembers.
struct Narrator: Sendable {
    /// One line of the story.
    struct Line: Equatable, Sendable {
        var topic: String
        var text: String
    }

    /// How often a reader of plain lines hears about the training.
    private static let progressStepPercent = 10

    private var toldAttempts: [JobView.CapacityAttempt] = []
    private var toldPlace: String?
    private var toldRun: String?
    private var toldNodes: String?
    private var toldPods: [String: String] = [:]
    private var toldEpoch = 0
    private var toldTenth = 0
    private var toldRestarts = 0
    private var toldAttempt = 1
    private var toldOutputs: [JobView.Output] = []
    private var toldResources: [String] = []
    private var toldReady = ""
    private var toldEnds: Set<String> = []
    /// A live progress bar shows what the lines in between would say.
    private let hasLiveBar: Bool

    init(hasLiveBar: Bool) { self.hasLiveBar = hasLiveBar }

    /// The facts that are new in this observation, in the order in which they came about.
    mutating func lines(for job: JobView, pods: [PodView] = []) -> [Line] {
        var lines: [Line] = []
        lines += run(job)
        lines += attempts(job)
        lines += nodes(job)
        lines += pods.flatMap { self.pod($0) }
        lines += restarts(job)
        lines += resumed(job)
        lines += training(job)
        lines += outputs(job)
        lines += ends(job)
        lines += released(job)
        lines += asked(job)
        lines += waiting(job)
        return lines
    }

    private mutating func run(_ job: JobView) -> [Line] {
        guard let id = job.runID, id != toldRun else { return [] }
        toldRun = id
        return [Line(topic: "run", text: id)]
    }

    private mutating func attempts(_ job: JobView) -> [Line] {
        defer { toldAttempts = job.attempts }
        return job.attempts.filter { !toldAttempts.contains($0) }
            .map { Line(topic: "capacity", text: Phrases.attempt($0)) }
    }

    private mutating func asked(_ job: JobView) -> [Line] {
        guard let candidate = job.currentCandidate, !job.isTrue("Complete"), !job.isTrue("Failed") else { return [] }
        let place = job.isTrue("CapacityAcquired") ? nil : Phrases.place(candidate, job.zone)
        defer { toldPlace = place }
        guard let place, place != toldPlace else { return [] }
        return [Line(topic: "capacity", text: "\(place): asked for nodes")]
    }

    private mutating func nodes(_ job: JobView) -> [Line] {
        guard let desired = job.nodesDesired, desired > 0, let ready = job.nodesReady, ready > 0 else { return [] }
        let text = "\(ready) of \(desired) ready"
        guard text != toldNodes, !job.isTrue("Complete"), !job.isTrue("Failed") else { return [] }
        toldNodes = text
        return [Line(topic: "nodes", text: text)]
    }

    private mutating func pod(_ pod: PodView) -> [Line] {
        let text = pod.summary
        guard toldPods[pod.name] != text else { return [] }
        toldPods[pod.name] = text
        return [Line(topic: "pod", text: "\(pod.name) \(text)")]
    }

    private mutating func restarts(_ job: JobView) -> [Line] {
        guard job.restarts > toldRestarts else { return [] }
        toldRestarts = job.restarts
        let ended = job.runAttempts.last { $0.cause != nil }
        let cause = (ended?.cause ?? job.lastFailure?.reason).map { " after \($0)" } ?? ""
        let place = ended?.toStep.map { " at step \(Format.count($0))" } ?? ""
        return [Line(topic: "restart", text: "number \(job.restarts)\(cause)\(place), from the last checkpoint")]
    }

    private mutating func resumed(_ job: JobView) -> [Line] {
        guard let last = job.runAttempts.last, last.number > toldAttempt, let step = last.fromStep else { return [] }
        toldAttempt = last.number
        return [Line(topic: "attempt", text: "\(last.number) goes on from step \(Format.count(step))")]
    }

    private mutating func training(_ job: JobView) -> [Line] {
        guard let progress = job.progress else { return [] }
        let finished = progress.history.filter { $0.epoch > toldEpoch }
        toldEpoch = finished.map(\.epoch).max() ?? toldEpoch
        var lines = finished.map { Line(topic: "epoch", text: Phrases.epoch($0, job, progress)) }
        let percent = progress.percent ?? 0
        let tenth = percent / Self.progressStepPercent
        if tenth < toldTenth { toldTenth = tenth }  // A restart went back to its checkpoint.
        if tenth > toldTenth {
            toldTenth = tenth
            if !hasLiveBar, lines.isEmpty, percent < 100 {
                lines.append(Line(topic: "training", text: Phrases.training(job, progress)))
            }
        }
        return lines
    }

    private mutating func outputs(_ job: JobView) -> [Line] {
        var lines: [Line] = []
        for output in job.outputs where !toldOutputs.contains(output) {
            lines.append(Line(topic: "output", text: Phrases.output(output)))
        }
        toldOutputs = job.outputs
        return lines
    }

    private mutating func released(_ job: JobView) -> [Line] {
        let gone = toldResources.filter { !job.resources.contains($0) }
        toldResources = job.resources
        return gone.map { Line(topic: "release", text: "\(Phrases.resource($0)) is deleted") }
    }

    private mutating func ends(_ job: JobView) -> [Line] {
        var lines: [Line] = []
        for type in ["OutputsVerified", "Complete", "Failed", "Suspended"] {
            guard let condition = job.conditions[type] else { continue }
            guard condition.isTrue else {
                toldEnds.remove(type)
                continue
            }
            guard toldEnds.insert(type).inserted else { continue }
            lines.append(Line(topic: Phrases.topic(type), text: Phrases.condition(condition)))
        }
        if job.isPlanned, let summary = job.planSummary, toldEnds.insert("Planned: \(summary)").inserted {
            lines.append(Line(topic: "plan", text: Format.line(summary, limit: 512)))
        }
        return lines
    }

    /// The reason for not being ready, where no line above has said it: waiting for inputs, an image, the user.
    private mutating func waiting(_ job: JobView) -> [Line] {
        guard let ready = job.conditions["Ready"], !ready.isTrue else { return [] }
        // The sentence too: what is waited for changes under one reason.
        let told = "\(ready.reason): \(ready.message)"
        guard told != toldReady else { return [] }
        toldReady = told
        guard job.isStalled && !job.isTrue("Failed") || Phrases.waitReasons.contains(ready.reason) else { return [] }
        return [Line(topic: job.isStalled ? "stalled" : "waiting", text: Phrases.condition(ready))]
    }
}

/// What the command shows of a pod.
struct PodView: Equatable, Sendable {
    var name: String
    var phase: String
    var node: String?
    /// `ContainerCreating`, `ImagePullBackOff`, … with the kubelet's sentence.
    var waiting: String?
    var exitCode: Int?

    var summary: String {
        if let exitCode, phase == "Failed" { return "failed with exit code \(exitCode)" }
        if let waiting, !waiting.hasPrefix("ContainerCreating") { return "waits: \(Format.line(waiting, limit: 200))" }
        switch phase {
        case "Pending": return node == nil ? "waits for a node" : "starts"
        case "Running": return "runs"
        case "Succeeded": return "succeeded"
        default: return phase.lowercased()
        }
    }
}
