import Glibc
import Training
import TrainingContract

/// The command line: flags for use by hand. In a pod everything comes by environment (`TrainingContract`).
struct Options: Sendable, Hashable {
    enum Command: String, Sendable, Hashable, CaseIterable {
        case train, serve, download, selftest, bench, kernels, help
    }

    var command: Command
    /// train: a folder with the dataset's files, instead of `ML_INPUT_…_URI`.
    var data: String?
    /// train: a folder for the outputs, instead of `ML_OUTPUT_URI`.
    var output: String?
    /// train: `HP_…` variables from `--set name=value`.
    var hyperparameters: [String: String] = [:]
    /// train: so many processes on this machine, instead of `ML_WORLD_SIZE` and what belongs to it.
    var processes: Int?
    /// download: `gs://bucket/prefix/`.
    var uri: String?
    /// download: a folder.
    var folder: String?
    /// serve: its flags as given.
    var serving: [String: String] = [:]
    /// selftest, bench: for programs.
    var isJSON = false

    static let help = """
        usage: trainyard-trainer train [--model NAME|FILE] [--data DIR] [--output DIR] [--set NAME=VALUE]...
                              [--processes N]
               trainyard-trainer serve --model DIR|gs://BUCKET/PREFIX/ [--port N] [flags]
               trainyard-trainer download --uri gs://BUCKET/PREFIX/ --to DIR
               trainyard-trainer selftest [--json]
               trainyard-trainer bench [--json]
               trainyard-trainer kernels

        train     Trains a model on a dataset of the MNIST family. In a pod of a TrainingJob all settings come by
                  environment; by hand these flags name local folders:

          --model NAME|FILE  cnn (two convolutions), mlp (three linear layers), or a file that describes one in JSON:
                             {"layers": [{"type": "conv2d", "outChannels": 32}, {"type": "relu"}, {"type":
                             "maxpool2d"}, {"type": "flatten"}, {"type": "linear", "outFeatures": 10}]}
          --data DIR         folder with train-images-idx3-ubyte.gz and the other three files, or with NumPy's
                             train-images.npy, train-labels.npy, test-images.npy and test-labels.npy
          --output DIR       folder for model.safetensors, metrics.json, progress.json and checkpoints/
          --set NAME=VALUE   a hyperparameter: model, epochs, batchSize, gradientAccumulationSteps, learningRate,
                             learningRateSchedule (constant, linear, cosine), warmupSteps, minLearningRate,
                             optimizer (adam, adamw, sgd), beta1, beta2, momentum, nesterov, weightDecay,
                             maxGradNorm, seed, trainImages, testImages, threads
          --processes N      trains in N processes; each takes batchSize images of a step

                  A run that is stopped (Ctrl-C, SIGTERM) writes a checkpoint; the same command goes on from there.

        serve     Answers predictions of the model.safetensors that train has written, over HTTP:
                  POST /predict {"instances": [image, ...]}, and the Open Inference Protocol below /v2. An image is
                  28×28 numbers from 0 to 255 (or as the model has it), or {"b64": its bytes}. Also GET /health and
                  /metrics. SIGTERM: what is under way is answered, then it ends.

          --model PLACE          folder or gs:// prefix with model.safetensors
          --digest D --manifest PLACE   serve nothing but the version whose manifest has the digest sha256:...
          --name NAME            the model's name for clients of /v2 (model)
          --host IP, --port N    where to listen (127.0.0.1, 8080; with PORT set: 0.0.0.0 and that port)
          --max-batch N          images of one batch (64)
          --max-delay-ms N       how long a first request waits for others (0)
          --max-queue N          images that may wait; beyond that 429 (1024)
          --timeout-seconds N    a request that has waited so long gets 504 (30)
          --max-body-mb N        largest request body (32)
          --threads N            threads that compute (as many as the process may use)
          --upstream URL         a service that sees requests first: POST /preprocess with the body; its answer is predicted
          --downstream URL       a service that sees answers last: POST /postprocess; its answer is the client's

        download  Copies all objects below a prefix into a folder, several at a time, each compared with its CRC32C.
                  Files that are there already are compared and kept; a broken download goes on where it was.

        selftest  Compares the kernels with their specification, measures memory and multiplications, tells threads,
                  instruction set, GPU and driver, and, where ML_OUTPUT_URI is set, writes, reads and deletes an
                  object there. Exit status 0 when all is well.

        bench     Times each operation of a training step, and compares it with what processor and memory can give.

        kernels   Prints what this program carries, as a TrainingJob's spec.trainer.kernels takes it.

        Exit status: 0 done, 64 usage, 65 bad data, 66 missing input, 69 storage unavailable, 70 internal fault,
        71 machine not supported, 74 local disk, 75 stopped after a checkpoint, 76 diverged, 77 another process of
        the run is gone.

        """

    /// - Parameter arguments: without the program's name.
    /// - Throws: `.usage`.
    init(_ arguments: [String]) throws(TrainingError) {
        guard let first = arguments.first else {
            throw TrainingError(
                .usage, "a command is missing: train, serve, download, selftest, bench or kernels (see --help)")
        }
        if arguments.contains("--help") || arguments.contains("-h") {
            command = .help
            return
        }
        guard let command = Command(rawValue: first) else {
            throw TrainingError(
                .usage,
                "\"\(first)\" is no command: there are train, serve, download, selftest, bench and kernels (see --help)"
            )
        }
        self.command = command
        var rest = arguments.dropFirst()
        while let flag = rest.popFirst() {
            if command == .selftest || command == .bench, flag == "--json" {
                isJSON = true
                continue
            }
            guard Self.flags[command]?.contains(flag) ?? false else {
                throw TrainingError(.usage, "\"\(flag)\" is no flag of \(first) (see --help)")
            }
            guard let value = rest.popFirst(), !value.isEmpty else {
                throw TrainingError(.usage, "\(flag) needs a value (see --help)")
            }
            try set(flag, value)
        }
    }

    private static let flags: [Command: Set<String>] = [
        .train: ["--model", "--data", "--output", "--set", "--processes"], .download: ["--uri", "--to"],
        .serve: ServeOptions.flags,
    ]

    private mutating func set(_ flag: String, _ value: String) throws(TrainingError) {
        if command == .serve {
            serving[flag] = value
            return
        }
        switch flag {
        case "--data": data = value
        case "--output": output = value
        case "--model": setModel(value)
        case "--uri": uri = value
        case "--to": folder = value
        case "--processes":
            guard let count = Int(value), (1...LocalRanks.maximumCount).contains(count) else {
                throw TrainingError(
                    .usage, "--processes needs a number from 1 to \(LocalRanks.maximumCount), not \"\(value)\"")
            }
            processes = count
        default: try setHyperparameter(value)
        }
    }

    /// Files by hand are those of the working folder.
    private mutating func setModel(_ value: String) {
        let isWhole = value.hasPrefix("{") || value.hasPrefix("/") || CloudStorage.isURI(value)
        let folder = getcwd(nil, 0).map { path in
            defer { free(path) }
            return String(cString: path)
        }
        let model =
            isWhole || ModelDescription.named[value] != nil ? value : "\(folder ?? "")/\(value)"
        hyperparameters[TrainingEnvironment.hyperparameter("model")] = model
    }

    private mutating func setHyperparameter(_ assignment: String) throws(TrainingError) {
        guard let equals = assignment.firstIndex(of: "="), equals > assignment.startIndex else {
            throw TrainingError(.usage, "--set needs NAME=VALUE, not \"\(assignment)\"")
        }
        let name = String(assignment[..<equals])
        hyperparameters[TrainingEnvironment.hyperparameter(name)] = String(assignment[equals...].dropFirst())
    }
}
