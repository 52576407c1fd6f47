import Training
import TrainingContract

/// The command line: flags for use by hand. In a pod everything comes by environment (`TrainingContract`).
struct Options: Sendable, Hashable {
    enum Command: Sendable, Hashable {
        case train, help
    }

    var command: Command
    /// A folder with the dataset's files, instead of `ML_INPUT_…_URI`.
    var data: String?
    /// A folder for the outputs, instead of `ML_OUTPUT_URI`.
    var output: String?
    /// `HP_…` variables from `--set name=value`.
    var hyperparameters: [String: String] = [:]

    static let help = """
        usage: trainyard-trainer train [--data DIR] [--output DIR] [--set NAME=VALUE]...

        Trains the small convolutional network on a dataset of the MNIST family. In a pod of a TrainingJob all
        settings come by environment; by hand these flags name local folders:

          --data DIR         folder with train-images-idx3-ubyte.gz and the other three files
          --output DIR       folder for model.safetensors, metrics.json, progress.json and checkpoints/
          --set NAME=VALUE   a hyperparameter: epochs, batchSize, learningRate, seed, trainImages, testImages, threads

        A run that is stopped (Ctrl-C, SIGTERM) writes a checkpoint; the same command goes on from there.

        Exit status: 0 done, 64 usage, 65 bad data, 66 missing input, 69 storage unavailable, 70 internal fault,
        71 machine not supported, 74 local disk, 75 stopped after a checkpoint, 76 diverged.

        """

    /// - Parameter arguments: without the program's name.
    /// - Throws: `.usage`.
    init(_ arguments: [String]) throws(TrainingError) {
        guard let first = arguments.first else {
            throw TrainingError(.usage, "a command is missing: train (see --help)")
        }
        if arguments.contains("--help") || arguments.contains("-h") || first == "help" {
            command = .help
            return
        }
        guard first == "train" else {
            throw TrainingError(.usage, "\"\(first)\" is no command: there is train (see --help)")
        }
        command = .train
        var rest = arguments.dropFirst()
        while let flag = rest.popFirst() {
            guard ["--data", "--output", "--set"].contains(flag) else {
                throw TrainingError(.usage, "\"\(flag)\" is no flag of train (see --help)")
            }
            guard let value = rest.popFirst(), !value.isEmpty else {
                throw TrainingError(.usage, "\(flag) needs a value (see --help)")
            }
            switch flag {
            case "--data": data = value
            case "--output": output = value
            default: try set(value)
            }
        }
    }

    private mutating func set(_ assignment: String) throws(TrainingError) {
        guard let equals = assignment.firstIndex(of: "="), equals > assignment.startIndex else {
            throw TrainingError(.usage, "--set needs NAME=VALUE, not \"\(assignment)\"")
        }
        let name = String(assignment[..<equals])
        hyperparameters[TrainingEnvironment.hyperparameter(name)] = String(assignment[equals...].dropFirst())
    }
}
