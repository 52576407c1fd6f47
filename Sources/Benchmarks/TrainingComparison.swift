import Encoding
import Glibc

/// The published network at batch 64, ours and PyTorch's by turns on the same machine: images a second, and the
/// accuracy after some epochs.
///
/// Other work on the machine comes and goes, so the published ratio is the median of the ratios of neighbouring rounds.
struct TrainingComparison {
    var python = "python3"
    var rounds = 9
    var seeds = 3
    var epochs = 5

    private static let batch = 64
    /// Of a round.
    private static let steps = 50
    /// Multiplications and additions of an image's step by the formula: forward, and the gradients of data and weights.
    /// Winograd's method needs fewer; the fraction of the peak counts these.
    static let operationsPerImage = 71.6e6
    private static let datasetOfDebian = "/usr/share/datasets/fashion-mnist"

    private struct Result {
        var own: [Double] = []
        var peer: [Double] = []
        var ownAccuracy: [Double] = []
        var peerAccuracy: [Double] = []
        var peakOperations = 0.0
        var peerVersion: String?
        var remarks: [String] = []
    }

    /// - Parameters:
    ///   - program: the trainer.
    ///   - folder: for files, the caller's to remove.
    func run(program: String, data: String?, folder: String, isJSON: Bool) async throws {
        var result = Result()
        let installed = access(Self.datasetOfDebian, R_OK) == 0 ? Self.datasetOfDebian : nil
        let images = try data ?? installed ?? TrainingThroughput.makeDataset(folder + "/data")
        let machine = try await selfTest(program, log: folder + "/selftest")
        result.peakOperations = machine.operationsPerSecond
        let peer = try await PyTorchPeer.start(
            python, data: images, batch: Self.batch, threads: machine.threads, folder: folder)
        switch peer {
        case .success(let peer): result.peerVersion = peer.version
        case .failure(let reason): result.remarks.append("no comparison: \(reason)")
        }
        // The first round warms up.
        for round in 0...rounds {
            say("round \(round) of \(rounds) …")
            let own = try await train(
                program, data: images, output: "\(folder)/round\(round)",
                settings: ["epochs=2", "trainImages=\(Self.batch * Self.steps)", "testImages=\(Self.batch)"])
            let other = try await peer.value?.number("round \(Self.steps)", "imagesPerSecond")
            if round == 0 { continue }
            result.own.append(own.imagesPerSecond)
            if let other { result.peer.append(other) }
        }
        if data == nil, installed == nil {
            result.remarks.append("no accuracy: there is no dataset (--data, or Debian's dataset-fashion-mnist)")
        } else {
            for seed in 0..<seeds {
                say("\(epochs) epochs, seed \(seed) …")
                let own = try await train(
                    program, data: images, output: "\(folder)/seed\(seed)",
                    settings: ["epochs=\(epochs)", "seed=\(seed)"])
                result.ownAccuracy.append(own.accuracy)
                if let other = try await peer.value?.number("train \(seed) \(epochs)", "accuracy") {
                    result.peerAccuracy.append(other)
                }
            }
        }
        for remark in result.remarks { say("Benchmarks: \(remark)") }
        print(isJSON ? Self.json(result).serializedText() : Self.table(result, epochs: epochs))
    }

    // MARK: Ours

    private func selfTest(_ program: String, log: String) async throws -> (operationsPerSecond: Double, threads: Int) {
        let child = try Child(program, ["selftest", "--json"], log: log)
        try await wait(for: child, seconds: 60, "the self-test")
        let value = (Machine.read(log) ?? "").split(separator: "\n").compactMap { try? JSONValue(parsing: String($0)) }
            .last
        guard let peak = value?["multiplyGFLOPPerSecond"]?.doubleValue, let threads = value?["threads"]?.integerValue
        else { throw BenchmarkError("the self-test failed: " + String((Machine.read(log) ?? "").suffix(600))) }
        return (peak * 1e9, Int(threads))
    }

    /// The last epoch's speed and accuracy.
    private func train(
        _ program: String, data: String, output: String, settings: [String]
    ) async throws -> (imagesPerSecond: Double, accuracy: Double) {
        guard mkdir(output, 0o700) == 0 else { throw BenchmarkError("cannot make \(output)") }
        let log = output + "/log"
        let child = try Child(
            program,
            ["train", "--data", data, "--output", output]
                + (settings + ["batchSize=\(Self.batch)"]).flatMap { ["--set", $0] }, log: log)
        try await wait(for: child, seconds: 7200, "the training")
        let last = (Machine.read(log) ?? "").split(separator: "\n").compactMap { line in
            // The log also has lines for people.
            try? JSONValue(parsing: String(line))
        }.last { $0["message"] == "epoch finished" }
        guard let speed = last?["images.per.second"]?.doubleValue, let accuracy = last?["accuracy"]?.doubleValue
        else { throw BenchmarkError("the training failed: " + String((Machine.read(log) ?? "").suffix(600))) }
        return (speed, accuracy)
    }

    private func wait(for child: Child, seconds: Double, _ what: String) async throws {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while child.isRunning {
            guard ContinuousClock.now < deadline else { throw BenchmarkError("\(what) does not end") }
            await Machine.sleep(milliseconds: 20)
        }
    }

    // MARK: What is printed

    private static func median(_ values: [Double]) -> Double? {
        let sorted = values.sorted()
        if sorted.isEmpty { return nil }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    private static func mean(_ values: [Double]) -> Double? {
        values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }

    private static func figures(_ result: Result) -> [(String, Double?)] {
        let own = median(result.own)
        return [
            ("imagesPerSecond", own), ("peerImagesPerSecond", median(result.peer)),
            ("ratio", median(zip(result.own, result.peer).map { $0 / $1 })),
            ("accuracy", mean(result.ownAccuracy)), ("peerAccuracy", mean(result.peerAccuracy)),
            ("peakFraction", own.map { $0 * operationsPerImage / result.peakOperations }),
        ]
    }

    private static func json(_ result: Result) -> JSONValue {
        var value: JSONValue = ["peakGFLOPPerSecond": .number(Text.rounded(result.peakOperations / 1e9))]
        for case (let name, let number?) in figures(result) { value[name] = .number((number * 1000).rounded() / 1000) }
        if let version = result.peerVersion { value["peer"] = .string("torch \(version)") }
        value["rounds"] = .array(result.own.map { .number($0) })
        value["peerRounds"] = .array(result.peer.map { .number($0) })
        return value
    }

    private static func table(_ result: Result, epochs: Int) -> String {
        let meanings = [
            "imagesPerSecond": "ours, batch 64, median of \(result.own.count) rounds",
            "peerImagesPerSecond": "PyTorch \(result.peerVersion ?? "") in the rounds between",
            "ratio": "median of the rounds' ratios",
            "accuracy": "% of the test set after \(epochs) epochs, mean of \(result.ownAccuracy.count) seeds",
            "peerAccuracy": "the same, PyTorch",
            "peakFraction": "71.6 MFLOP an image ÷ this machine's measured matrix product of "
                + "\(Text.number(result.peakOperations / 1e9)) GFLOP/s",
        ]
        return Text.columns(
            figures(result).map { name, number in [name, number.map(Text.number) ?? "–", meanings[name] ?? ""] })
    }
}
