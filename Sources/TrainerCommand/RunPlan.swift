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

    /// - Throws: `.usage` with a sentence that names the variable or flag.
    init(_ options: Options, environment: [String: String]) throws(TrainingError) {
        let environment = environment.filter { !$0.value.isEmpty }
        configuration = try TrainingConfiguration(
            environment: environment.merging(options.hyperparameters) { _, flag in flag })
        runID = environment[TrainingEnvironment.runID] ?? "local"
        attempt = try Self.integer(TrainingEnvironment.attempt, environment, default: 1, in: 1...1_000_000)
        let worldSize = try Self.integer(TrainingEnvironment.worldSize, environment, default: 1, in: 1...1_000_000)
        guard worldSize == 1 else {
            throw TrainingError(
                .usage,
                "\(TrainingEnvironment.worldSize) is \(worldSize): this trainer runs in one process; "
                    + "set spec.trainer.numNodes to 1")
        }
        inputURI = try Self.input(options, environment)
        keepLastCheckpoints = try Self.integer(
            TrainingEnvironment.checkpointKeepLast, environment, default: 2, in: 1...1000)
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
        [inputURI, outputURI] + [checkpointURI, resumeURI, progressURI].compactMap { $0 }
    }

    private static func input(_ options: Options, _ environment: [String: String]) throws(TrainingError) -> String {
        if let folder = options.data { return Self.folder(folder) }
        let names = environment.keys.filter { $0.hasPrefix("ML_INPUT_") && $0.hasSuffix("_URI") }.sorted()
        guard let name = names.first else {
            throw TrainingError(.usage, "there is no input: set --data DIR or give the job one input in mode Stream")
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

    private static func integer(
        _ name: String, _ environment: [String: String], default fallback: Int, in range: ClosedRange<Int>
    ) throws(TrainingError) -> Int {
        guard let text = environment[name] else { return fallback }
        guard let value = Int(text), range.contains(value) else {
            throw TrainingError(
                .usage, "\(name) is \"\(text.prefix(40))\"; it must be a whole number from \(range.lowerBound)")
        }
        return value
    }
}
