import Kernels
import Training
import TrainingContract

/// What this process is to do, from environment and flags.
struct RunPlan: Sendable, Hashable {
    var configuration: TrainingConfiguration
    var runID: String
    var attempt: Int
    /// Places end in "/" where they are prefixes.
    var inputURI: String
    var outputURI: String
    var checkpointURI: String?
    var resumeURI: String?
    var progressURI: String?
    var keepLastCheckpoints: Int

    var checkpointIntervalSeconds: Double?
    var gracePeriodSeconds: Double?
    var world: WorldPlace
    /// For tests.
    var fault: TrainingFault?
    /// What people should know of the settings.
    var remarks: [String]

    /// - Throws: `.usage` with a sentence that names the variable or flag; `.missingInput` for the hyperparameters' file.
    init(_ options: Options, environment: [String: String]) throws(TrainingError) {
        let environment = environment.filter { !$0.value.isEmpty }
        let hyperparameters = try Hyperparameters(flags: options.hyperparameters, environment: environment)
        configuration = try TrainingConfiguration(environment: hyperparameters.variables)
        remarks = hyperparameters.remarks
        runID = environment[TrainingEnvironment.runID] ?? "local"
        attempt = try environment.integer(TrainingEnvironment.attempt, in: 1...1_000_000) ?? 1
        world = options.processes == 1 ? .alone : try WorldPlace(environment: environment)
        if configuration.threads == nil, let count = try LocalRanks.processesPerNode(environment), count > 1 {
            configuration.threads = max(1, Processors.usableCount / count)
        }
        if let text = environment[TrainingEnvironment.fault] {
            fault = try TrainingFault(text, rank: world.rank, attempt: attempt)
        }
        checkpointIntervalSeconds = try environment.seconds(TrainingEnvironment.checkpointIntervalSeconds)
        gracePeriodSeconds = try environment.seconds(TrainingEnvironment.gracePeriodSeconds)
        inputURI = try Self.input(options, environment)
        keepLastCheckpoints = try environment.integer(TrainingEnvironment.checkpointKeepLast, in: 1...1000) ?? 2
        resumeURI = try Self.prefix(TrainingEnvironment.resumeURI, environment)
        if let folder = options.output {
            outputURI = Self.folder(folder)
            checkpointURI = outputURI + "checkpoints/"
            progressURI = outputURI + BucketLayout.progress
            return
        }
        guard let output = try Self.prefix(TrainingEnvironment.outputURI, environment) else {
            throw TrainingError(
                .usage,
                "there is no place for the outputs: set --output DIR "
                    + "or \(TrainingEnvironment.outputURI)")
        }
        outputURI = output
        checkpointURI = try Self.prefix(TrainingEnvironment.checkpointURI, environment)
        progressURI = try Self.place(TrainingEnvironment.progressURI, environment)
    }

    /// Every place that is not nil.
    var places: [String] {
        [inputURI, outputURI] + [checkpointURI, resumeURI, progressURI, modelURI].compactMap { $0 }
    }

    /// Where the model's description is; nil where the configuration holds its name or itself.
    private var modelURI: String? {
        let text = configuration.model
        return text.hasPrefix("/") || CloudStorage.isURI(text) ? text : nil
    }

    /// The model to train, and what messages call it.
    ///
    /// - Throws: `.usage` when it is none, `.missingInput` when it is not where it should be.
    func model(_ storage: TrainingStorage) async throws(TrainingError) -> (ModelDescription, name: String) {
        let text = configuration.model
        if let model = ModelDescription.named[text] { return (model, "the model \(text)") }
        if text.hasPrefix("{") {
            let name = "the hyperparameter model"
            return (try ModelDescription(parsing: Array(text.utf8), name: name), name)
        }
        guard let uri = modelURI else {
            throw TrainingError(
                .usage,
                "the hyperparameter model is \"\(text.prefix(100))\"; it must be one of "
                    + ModelDescription.named.keys.sorted().joined(separator: ", ")
                    + ", a description in JSON, or a place of one (an absolute path or gs://BUCKET/PATH)")
        }
        guard let bytes = try await storage.read(uri) else {
            throw TrainingError(.missingInput, "there is no model description at \(uri)")
        }
        return (try ModelDescription(parsing: bytes, name: uri), uri)
    }

    private static func input(_ options: Options, _ environment: [String: String]) throws(TrainingError) -> String {
        if let folder = options.data { return Self.folder(folder) }
        // A mounted or downloaded input has a path besides its URI.
        let paths = environment.keys.filter { $0.hasPrefix("ML_INPUT_") && $0.hasSuffix("_PATH") }
        let mounted = Set(paths.map { String($0.dropLast("PATH".count)) + "URI" })
        let streamed = environment.keys.filter {
            $0.hasPrefix("ML_INPUT_") && $0.hasSuffix("_URI") && !mounted.contains($0)
        }
        let names = (paths + streamed).sorted()
        guard let name = names.first else {
            throw TrainingError(.usage, "there is no input: set --data DIR or give the job one input")
        }
        guard names.count == 1 else {
            throw TrainingError(
                .usage, "there are \(names.count) inputs (\(names.joined(separator: ", "))); one is needed")
        }
        return try prefix(name, environment) ?? ""
    }

    private static func folder(_ path: String) -> String { path.hasSuffix("/") ? path : path + "/" }

    private static func prefix(_ name: String, _ environment: [String: String]) throws(TrainingError) -> String? {
        try place(name, environment).map(folder)
    }

    /// `gs://bucket/…` or an absolute path.
    private static func place(_ name: String, _ environment: [String: String]) throws(TrainingError) -> String? {
        guard let text = environment[name] else { return nil }
        guard text.hasPrefix("/") || CloudStorage.isURI(text) else {
            throw TrainingError(
                .usage, "\(name) is \"\(text.prefix(200))\"; it must be gs://BUCKET/PATH or an absolute path")
        }
        return text
    }
}

extension WorldPlace {
    /// Reads `ML_RANK` and what belongs to it.
    ///
    /// - Throws: `.usage`.
    init(environment: [String: String]) throws(TrainingError) {
        self = .alone
        size = try environment.integer(TrainingEnvironment.worldSize, in: 1...1_000_000) ?? 1
        if size == 1 { return }
        guard size <= WorldPlace.maximumSize else {
            throw TrainingError(
                .usage,
                "\(TrainingEnvironment.worldSize) is \(size): this trainer runs in at most "
                    + "\(WorldPlace.maximumSize) processes; lower spec.trainer.numNodes or numProcPerNode")
        }
        guard let rank = try environment.integer(TrainingEnvironment.rank, in: 0...(size - 1)),
            let coordinator = environment[TrainingEnvironment.coordinator]
        else {
            throw TrainingError(
                .usage,
                "\(TrainingEnvironment.worldSize) is \(size), so \(TrainingEnvironment.rank) and "
                    + "\(TrainingEnvironment.coordinator) must be set")
        }
        self.rank = rank
        // An address of version 6 stands in brackets.
        guard let colon = coordinator.lastIndex(of: ":"), colon > coordinator.startIndex,
            let port = UInt16(coordinator[coordinator.index(after: colon)...]), port > 0
        else {
            throw TrainingError(
                .usage, "\(TrainingEnvironment.coordinator) is \"\(coordinator.prefix(200))\"; it must be HOST:PORT")
        }
        coordinatorHost = String(coordinator[..<colon].filter { $0 != "[" && $0 != "]" })
        coordinatorPort = port
        if let limit = try environment.seconds(TrainingEnvironment.rendezvousTimeoutSeconds) {
            rendezvousSeconds = limit
        }
        if let limit = try environment.seconds(TrainingEnvironment.peerTimeoutSeconds) { peerSeconds = limit }
    }
}

extension [String: String] {
    /// A variable's whole number; nil where it is not set.
    ///
    /// - Throws: `.usage`.
    func integer(_ name: String, in range: ClosedRange<Int>) throws(TrainingError) -> Int? {
        guard let text = self[name] else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw TrainingError(
                .usage,
                "\(name) is \"\(text.prefix(40))\"; it must be a whole number from \(range.lowerBound) "
                    + "to \(range.upperBound)")
        }
        return value
    }

    /// As `integer`, from a second to a week.
    func seconds(_ name: String) throws(TrainingError) -> Double? {
        try integer(name, in: 1...604_800).map(Double.init)
    }
}
