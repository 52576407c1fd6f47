import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Operator
import TrainingContract

/// Follows one TrainingJob to its end and tells what happens.
struct RunFollower: Sendable {
    /// How it ended.
    enum End: Equatable, Sendable {
        case complete, failed(String)
        /// By its file or by its budget, with its compute released.
        case suspended
        /// Mode Plan: there is a plan, and nothing else.
        case planned
        /// Stopped by the user; the compute is released.
        case interrupted
    }

    /// Between two looks at what the watch brought and at the terminal.
    private static let tick = 200
    /// A condition Stalled, or a plan with problems, that stays this long ends the run: somebody must act, and nobody is
    /// here to.
    private static let stalledLimit = Duration.seconds(10)
    /// Nothing new for this long: something hangs that should not.
    private static let silenceLimit = Duration.seconds(900)
    /// From the first Ctrl-C to released compute: the last checkpoint, the pod's grace, the pool's deletion.
    private static let suspendLimit = Duration.seconds(120)

    let sandbox: RunningSandbox
    let namespace: String
    let name: String
    let console: Console
    let interrupts: Interrupts
    let start: ContinuousClock.Instant

    /// The last state that was seen, and how it ended.
    func follow() async -> (job: JobView?, end: End) {
        let watch = JobWatch(kubernetes: sandbox.kubernetes, namespace: namespace, name: name)
        async let _: Void = watch.run()
        let end = await loop(watch)
        console.live("")
        return end
    }

    private func loop(_ watch: JobWatch) async -> (job: JobView?, end: End) {
        let clock = ContinuousClock()
        var narrator = Narrator(hasLiveBar: console.isLive)
        var memory = Memory(now: clock.now)
        while true {
            var states = watch.take()
            if states.isEmpty, let job = memory.job { states = [job] }
            var pods = memory.pods
            if memory.isTimeForDetails(clock.now) || states.last.map(Self.isEnding) == true {
                pods = await podViews()
                if let job = states.last { memory.report = await report(of: job) ?? memory.report }
            }
            for state in states {
                var job = state
                if let report = memory.report, report.runID == job.runID { job.progress = JobView.Progress(report) }
                for line in narrator.lines(for: job, pods: pods) { tell(line) }
                memory.note(job, pods, at: clock.now)
            }
            if let end = ending(memory, watch, now: clock.now) { return (memory.job, end) }
            if interrupts.poll() > 0, memory.suspendedAt == nil {
                memory.suspendedAt = clock.now
                await suspend()
            }
            console.live(
                ProgressBar.line(for: memory.job, elapsed: clock.now - start, width: console.columns - 1))
            await Pause.milliseconds(Self.tick)
        }
    }

    /// The last words of the training may be younger than a second.
    private static func isEnding(_ job: JobView) -> Bool {
        ["Complete", "Failed", "Suspended"].contains { job.isTrue($0) }
    }

    /// What the loop remembers between two looks.
    private struct Memory {
        var job: JobView?
        var pods: [PodView] = []
        var report: ProgressReport?
        var lastChange: ContinuousClock.Instant
        var stalledSince: ContinuousClock.Instant?
        var suspendedAt: ContinuousClock.Instant?
        private var nextDetails: ContinuousClock.Instant

        init(now: ContinuousClock.Instant) {
            lastChange = now
            nextDetails = now
        }

        /// Pods and progress are polled once a second.
        mutating func isTimeForDetails(_ now: ContinuousClock.Instant) -> Bool {
            guard now >= nextDetails else { return false }
            nextDetails = now + .seconds(1)
            return true
        }

        mutating func note(_ job: JobView, _ pods: [PodView], at now: ContinuousClock.Instant) {
            if job != self.job || pods != self.pods { lastChange = now }
            stalledSince = job.isStalled && !job.isTrue("Failed") ? stalledSince ?? now : nil
            self.job = job
            self.pods = pods
        }
    }

    private func ending(_ memory: Memory, _ watch: JobWatch, now: ContinuousClock.Instant) -> End? {
        if let job = memory.job {
            if job.isComplete { return .complete }
            if job.isFailed { return .failed(job.reasonText) }
            // What stands in the way may be on its way: a bucket that is being made.
            if job.isPlanned, job.planProblems.isEmpty || now - memory.lastChange > Self.stalledLimit {
                return .planned
            }
            if job.isSuspended { return memory.suspendedAt == nil ? .suspended : .interrupted }
            if let since = memory.stalledSince, now - since > Self.stalledLimit { return .failed(job.reasonText) }
        }
        if watch.isDeleted { return .failed("somebody deleted the TrainingJob") }
        if sandbox.operatorProcess?.hasGivenUp == true { return .failed("the operator died again and again") }
        if let asked = memory.suspendedAt, now - asked > Self.suspendLimit {
            return .failed("the run did not stop within \(Format.span(seconds: 120))")
        }
        guard now - memory.lastChange > Self.silenceLimit else { return nil }
        let limit = Format.span(seconds: Int(Self.silenceLimit.components.seconds))
        let why =
            watch.failure.map { "the API server cannot be read: \($0)" } ?? "last: \(memory.job?.reasonText ?? "–")"
        return .failed("nothing has happened for \(limit); \(why)")
    }

    private func suspend() async {
        tell(.init(topic: "stopping", text: "suspends the run: checkpoint, then release; Ctrl-C again forces the end"))
        let reference = ObjectReference(type: TrainingJob.resourceType, namespace: namespace, name: name)
        do throws(APIError) {
            try await sandbox.kubernetes.mergePatch(reference, ["spec": ["suspend": true]])
        } catch {
            tell(.init(topic: "stopping", text: "cannot suspend it: \(error.message)"))
        }
    }

    private func podViews() async -> [PodView] {
        let selection = ObjectSelection(namespace: namespace, labelSelector: "trainyard.dev/job=\(name)")
        // Pods are a detail of the story: what cannot be read now is told a second later.
        guard let pods: ObjectList<Pod> = try? await sandbox.kubernetes.list(Pod.self, selection) else { return [] }
        return pods.items.map(PodView.init).sorted { $0.name < $1.name }
    }

    /// The trainer's progress file; nil while there is none.
    private func report(of job: JobView) async -> ProgressReport? {
        guard let prefix = job.outputPrefix.flatMap(StorageURI.init), !job.attempts.isEmpty,
            let place = prefix.appending(BucketLayout.progress),
            // Not there yet, or being replaced: the next look is a second away.
            let reply = try? await sandbox.storage.read(place.path, in: place.bucket, limit: 1 << 20)
        else { return nil }
        return try? JSONValue(parsing: reply.bytes).decode(ProgressReport.self)
    }

    private func tell(_ line: Narrator.Line) {
        console.line(StoryLine.text(line, elapsed: ContinuousClock().now - start))
    }
}

/// `00:03  capacity   spot in us-central1-a: asked for nodes`.
enum StoryLine {
    static func text(_ line: Narrator.Line, elapsed: Duration) -> String {
        "\(Format.clock(elapsed))  \(Format.padded(line.topic, 10)) \(line.text)"
    }
}

extension PodView {
    fileprivate init(_ pod: Pod) {
        name = pod.metadata.name
        phase = pod.status?.phase ?? "Pending"
        node = pod.spec?.nodeName
        let state = pod.status?.containerStatuses?.first?.state
        waiting = state?.waiting.map { [$0.reason, $0.message].compactMap(\.self).joined(separator: ": ") }
        exitCode = (state?.terminated?.exitCode).map { Int($0) }
    }
}
