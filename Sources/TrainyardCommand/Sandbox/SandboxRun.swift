import Encoding
import GoogleCloud
import Glibc
import HTTP
import Kubernetes
import Operator
import Sandbox

/// `trainyard sandbox run`: from the files to the summary.
struct SandboxRun: Sendable {
    let options: SandboxRunOptions
    /// The story: standard output, or standard error with --json.
    let console: Console
    let interrupts: Interrupts

    private let start = ContinuousClock().now

    init(options: SandboxRunOptions, console: Console, interrupts: Interrupts) {
        self.options = options
        self.console = console
        self.interrupts = interrupts
    }

    /// Runs it; returns the process's exit status. Every failure has been told when this returns.
    func run() async -> Int32 {
        do throws(RunError) {
            return try await prepared()
        } catch {
            complain(error.message)
            return error.exitStatus
        }
    }

    private func prepared() async throws(RunError) -> Int32 {
        var documents = try ManifestFile.read(options.files)
        let index = try ManifestFile.trainingJob(in: documents)
        let endpoint = try ManifestFile.modelEndpoint(in: documents)
        let schema = try Self.schema(of: documents[index].type)
        for assignment in options.assignments {
            documents[index].object = try schema.applying(assignment, to: documents[index].object)
        }
        let programs = try Programs.besideThisOne()
        let stateParent = options.stateDirectory.map(LocalFiles.absolute) ?? StateFolder.temporaryParent
        let seeds = documents.compactMap {
            $0.object.value(at: ["metadata", "annotations", "sandbox.trainyard.dev/seed"])?.stringValue
        }
        let measured = Preflight.measured(
            stateParent: LocalFiles.existingParent(of: stateParent), seeds: seeds, programs: programs)
        if let problem = measured.problem { throw problem }
        try checkOutputs()
        let folder = try StateFolder.forRun(chosen: options.stateDirectory)
        Opening.lines(for: documents[index].object, serves: endpoint != nil).forEach { console.line($0) }
        let settings = SandboxSettings(folder: folder, port: 0, programs: programs, startsOperator: true)
        let outcome: Outcome
        let (objects, job) = (documents, documents[index])
        do throws(RunError) {
            outcome = try await RunningSandbox.with(settings, tellOperator: { tell("operator", $0) }) {
                sandbox async throws(RunError) in
                try await follow(objects, job: job, endpoint: endpoint, in: sandbox)
            }
        } catch {
            // Nothing ran: there is nothing to look at later.
            if error.code == .badData || error.code == .unavailable { discard(folder) }
            throw error
        }
        return finish(outcome, folder)
    }

    /// Finds out before the training, not after it, that its outputs have no place.
    private func checkOutputs() throws(RunError) {
        if let folder = options.outputDirectory { try LocalFiles.makeFolder(folder) }
        let place = LocalFiles.existingParent(of: LocalFiles.absolute(options.outputDirectory ?? "runs"))
        guard LocalFiles.isWritable(place) else {
            throw RunError(.localStorage, "cannot write the outputs below \(place); name another folder with --out")
        }
    }

    /// What is left to do when the sandbox has ended.
    private struct Outcome: Sendable {
        var result: RunResult
        var end: RunFollower.End
        /// Of the run's pods, oldest first.
        var podLogs: [String]
        /// After a complete run: why the outputs are not here all the same.
        var problem: RunError?
    }

    private func follow(
        _ documents: [ManifestDocument], job: ManifestDocument, endpoint: ManifestDocument?, in sandbox: RunningSandbox
    ) async throws(RunError) -> Outcome {
        tell("sandbox", "cluster and cloud listen on \(sandbox.origin)")
        if let identifier = sandbox.operatorProcess?.identifier {
            tell("operator", "started against them (process \(identifier))")
        }
        for document in documents { try await ManifestApply.create(document, with: sandbox.kubernetes) }
        tell("applied", documents.map(\.title).joined(separator: ", "))
        let follower = RunFollower(
            sandbox: sandbox, namespace: job.namespace, name: job.name, console: console, interrupts: interrupts,
            start: start)
        let (view, end) = await follower.follow()
        var outcome = Outcome(
            result: RunResult(
                state: view?.state ?? "Unknown", runID: view?.runID, job: view,
                cloudResourcesRemaining: sandbox.world.computeResources().count),
            end: end, podLogs: sandbox.folder.podLogs)
        guard end == .complete, let view else { return outcome }
        await PublishedVersion.tell(of: view, job.object, sandbox) { tell("published", $0) }
        do throws(RunError) {
            try await collect(view, sandbox, into: &outcome.result)
        } catch {
            outcome.problem = error
        }
        if let endpoint {
            let seed = TestImages.folder(in: documents)
            let run = EndpointRun(sandbox: sandbox, endpoint: endpoint, seed: seed, interrupts: interrupts, tell: tell)
            let (result, problem) = await run.run()
            outcome.result.endpoint = result
            outcome.problem = outcome.problem ?? problem
            outcome.result.cloudResourcesRemaining =
                sandbox.world.computeResources().count + sandbox.world.cloud.runServiceLines().count
        }
        return outcome
    }

    private func collect(
        _ job: JobView, _ sandbox: RunningSandbox, into result: inout RunResult
    ) async throws(RunError) {
        guard let prefix = job.outputPrefix.flatMap(StorageURI.init), let runID = job.runID else {
            throw RunError(.failed, "the TrainingJob's status names no output prefix")
        }
        let folder = options.outputDirectory ?? "runs/\(runID)"
        let download = OutputsDownload(storage: sandbox.storage, prefix: prefix, folder: folder)
        try await download.fetch(job.outputs)
        result.outputDirectory = folder
        result.imagesPerSecond = job.progress?.imagesPerSecond
        guard job.outputs.contains(where: { $0.path == "metrics.json" }) else { return }
        let metrics = try TrainingMetrics(parsing: Array(try LocalFiles.text("\(folder)/metrics.json").utf8))
        result.metrics = metrics
        result.imagesPerSecond = metrics.overallImagesPerSecond ?? result.imagesPerSecond
        let accuracy = metrics.testAccuracy.last.map { Format.decimal($0, 2) } ?? "?"
        let subtitle = "test accuracy \(accuracy) % after \(Format.plural(metrics.epoch.count, "epoch"))"
        let curves = CurvesSVG(title: runID, subtitle: subtitle, metrics: metrics)
        try LocalFiles.write(Array(curves.text().utf8), to: "\(folder)/curves.svg")
    }

    // MARK: The end

    private func finish(_ outcome: Outcome, _ folder: StateFolder) -> Int32 {
        let elapsed = ContinuousClock().now - start
        let status: Int32
        switch outcome.end {
        case .complete where outcome.problem == nil && outcome.result.cloudResourcesRemaining == 0:
            let commands = NextCommands.lines(options)
            console.line()
            Summary.lines(outcome.result, elapsed: elapsed, commands: commands).forEach { console.line($0) }
            status = 0
        case .interrupted:
            console.line("\n" + Self.stopped(outcome.result))
            status = RunError(.interrupted, "").exitStatus
        case .planned:
            let problems = outcome.result.job?.planProblems ?? []
            console.line("\nNothing was created: spec.mode is Plan. `trainyard plan` prints all of it.")
            for problem in problems { console.line("  problem: \(Format.line(problem, limit: 512))") }
            status = problems.isEmpty ? 0 : 1
        case .complete, .failed, .suspended:
            complain(Self.reason(outcome))
            status = outcome.problem?.exitStatus ?? 1
        }
        if status == 0, !options.keepsState, options.stateDirectory == nil {
            discard(folder)
        } else {
            tellPlaces(outcome, folder, isFailure: status == 1)
        }
        if options.isJSON { FileDescriptor.write(outcome.result.json.serializedText() + "\n", to: STDOUT_FILENO) }
        return status
    }

    private static func reason(_ outcome: Outcome) -> String {
        if let problem = outcome.problem { return problem.message }
        switch outcome.end {
        case .failed(let reason): return "the run failed: \(reason)"
        case .suspended where outcome.result.job?.isOutOfBudget == true:
            return "\(outcome.result.job?.reasonText ?? "")\n  \(stopped(outcome.result))"
        case .suspended: return "the file suspends the TrainingJob (spec.suspend: true); nothing ran to its end"
        case .complete, .interrupted, .planned:
            return "the run is complete, but \(Summary.remaining(outcome.result.cloudResourcesRemaining))"
        }
    }

    /// "stopped at epoch 1, checkpoint at gs://…, 0 cloud resources remain".
    static func stopped(_ result: RunResult) -> String {
        let progress = result.job?.progress
        // Epochs finished are reported: the one under way is the next, where there is a next.
        let total = progress?.totalEpochs.flatMap { $0 > 0 ? $0 : nil } ?? .max
        let current = progress?.epoch.map { min($0 + 1, total) }
        let epoch = current.map { "stopped at epoch \($0)" } ?? "stopped before the training began"
        let checkpoint = result.job?.checkpointURI.map { "checkpoint at \($0)" } ?? "no checkpoint"
        return "\(epoch), \(checkpoint), \(Summary.remaining(result.cloudResourcesRemaining))"
    }

    private func tellPlaces(_ outcome: Outcome, _ folder: StateFolder, isFailure: Bool) {
        let report = Console(descriptor: STDERR_FILENO)
        let lines = isFailure ? Self.lastWords(outcome) : []
        if !isFailure { report.line() }
        if !lines.isEmpty { report.line("  the pod's last lines:") }
        for line in lines { report.line("    \(Format.line(line, limit: 200))") }
        for log in outcome.podLogs { report.line("  pod's log        \(log)") }
        report.line("  operator's log   \(folder.operatorLog)")
        report.line("  sandbox's state  \(folder.path)")
    }

    /// The end of the last pod's log, where a pod failed: its lines for people, not its JSON.
    private static func lastWords(_ outcome: Outcome) -> [String] {
        guard outcome.result.job?.lastFailure?.exitCode != nil, let log = outcome.podLogs.last else { return [] }
        return LocalFiles.lastLines(log, count: 20)?.filter { !$0.hasPrefix("{") }.suffix(5) ?? []
    }

    private func discard(_ folder: StateFolder) {
        if options.stateDirectory == nil { LocalFiles.removeFolder(folder.path) }
    }

    private func tell(_ topic: String, _ text: String) {
        console.line(StoryLine.text(.init(topic: topic, text: text), elapsed: ContinuousClock().now - start))
    }

    private func complain(_ message: String) {
        console.live("")
        Console(descriptor: STDERR_FILENO).line("trainyard: \(message)")
    }

    private static func schema(of type: ResourceType) throws(RunError) -> SchemaAssignment {
        let crd = try EmbeddedFiles.crds().first { $0.value(at: ["spec", "names", "kind"])?.stringValue == type.kind }
        guard let version = crd?.value(at: ["spec", "versions"])?[0],
            let schema = version.value(at: ["schema", "openAPIV3Schema"])
        else { throw RunError(.software, "the built-in CRD of \(type.kind) has no schema") }
        return SchemaAssignment(schema: schema)
    }
}
