import Encoding
import Glibc

/// Images a second of one, two and four processes that share a batch, and what adding up their gradients costs.
struct TrainingThroughput {
    private var isJSON = false
    /// Nil: compares with PyTorch instead.
    private var processCounts: [Int]?
    /// nil: made up; speed does not depend on what the images show.
    private var data: String?
    private var comparison = TrainingComparison()
    /// Of all processes together, so that every row does the same work and ends with the same loss.
    private static let batch = 256
    private static let trainImages = 7680
    private static let testImages = 512
    private static let epochs = 3

    /// One number of processes.
    private struct Row {
        var processes: Int
        /// The best epoch's.
        var imagesPerSecond: Double
        /// A step's mean in that epoch, waiting for slower processes included; nil for one process.
        var allReduceMilliseconds: Double?
        /// The last epoch's.
        var trainLoss: Double
    }

    init(_ arguments: some Collection<String>) throws {
        var flags = Flags(arguments)
        while let flag = flags.next() {
            switch flag {
            case "--json": isJSON = true
            case "--data": data = try flags.value()
            case "--peer-python": comparison.python = try flags.value()
            case "--rounds": comparison.rounds = try flags.number(1...1000)
            case "--seeds": comparison.seeds = try flags.number(0...100)
            case "--epochs": comparison.epochs = try flags.number(1...100)
            case "--processes": processCounts = try flags.numbers(1...64)
            default: throw flags.unknown
            }
        }
    }

    func run() async throws {
        let program = try Machine.sibling("trainyard-trainer")
        let temporary = try TemporaryFolder()
        defer { withExtendedLifetime(temporary) {} }
        let folder = temporary.path
        guard let processCounts else {
            return try await comparison.run(program: program, data: data, folder: folder, isJSON: isJSON)
        }
        let images = try data ?? Self.makeDataset(folder + "/data")
        var rows: [Row] = []
        for count in processCounts {
            say("training in \(count) process\(count == 1 ? "" : "es") …")
            rows.append(try await measure(count, program: program, data: images, folder: "\(folder)/\(count)"))
        }
        print(isJSON ? Self.json(rows) : Self.table(rows))
    }

    private func measure(_ count: Int, program: String, data: String, folder: String) async throws -> Row {
        guard mkdir(folder, 0o700) == 0 else { throw BenchmarkError("cannot make \(folder)") }
        let log = folder + "/log"
        let settings = [
            "epochs=\(Self.epochs)", "batchSize=\(max(1, Self.batch / count))", "trainImages=\(Self.trainImages)",
            "testImages=\(Self.testImages)",
        ]
        let child = try Child(
            program,
            ["train", "--data", data, "--output", folder, "--processes", String(count)]
                + settings.flatMap { ["--set", $0] },
            log: log)
        let deadline = ContinuousClock.now + .seconds(1800)
        while child.isRunning {
            guard ContinuousClock.now < deadline else { throw BenchmarkError("the training does not end") }
            await Machine.sleep(milliseconds: 50)
        }
        let epochs = (Machine.read(log) ?? "").split(separator: "\n").compactMap { line in
            // The log also has lines for people.
            (try? JSONValue(parsing: String(line))).flatMap { $0["message"] == "epoch finished" ? $0 : nil }
        }
        let speeds = epochs.compactMap { $0["images.per.second"]?.doubleValue }
        guard speeds.count == Self.epochs, let best = speeds.max(), let index = speeds.firstIndex(of: best) else {
            throw BenchmarkError("the training failed: " + String((Machine.read(log) ?? "").suffix(600)))
        }
        return Row(
            processes: count, imagesPerSecond: best,
            allReduceMilliseconds: epochs[index]["all.reduce.ms"]?.doubleValue,
            trainLoss: epochs.last?["loss"]?.doubleValue ?? .nan)
    }

    private static func json(_ rows: [Row]) -> String {
        JSONValue.array(
            rows.map { row in
                var value: JSONValue = [
                    "processes": .integer(Int64(row.processes)),
                    "imagesPerSecond": .number(Text.rounded(row.imagesPerSecond)), "trainLoss": .number(row.trainLoss),
                ]
                if let sum = row.allReduceMilliseconds { value["allReduceMilliseconds"] = .number(Text.rounded(sum)) }
                return value
            }
        ).serializedText()
    }

    private static func table(_ rows: [Row]) -> String {
        let cells = rows.map { row in
            [
                String(row.processes), String(max(1, batch / row.processes)), Text.number(row.imagesPerSecond),
                row.allReduceMilliseconds.map(Text.number) ?? "–", String(row.trainLoss),
            ]
        }
        return Text.columns([["processes", "batch each", "images/s", "all-reduce ms/step", "train loss"]] + cells)
    }

    /// Four IDX files with noise.
    static func makeDataset(_ folder: String) throws -> String {
        guard mkdir(folder, 0o700) == 0 else { throw BenchmarkError("cannot make \(folder)") }
        for (stem, count) in [("train", trainImages), ("t10k", testImages)] {
            var state: UInt64 = 1
            let pixels = (0..<(count * 784)).map { _ -> UInt8 in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: state >> 56)
            }
            try write(idx([count, 28, 28], pixels), to: "\(folder)/\(stem)-images-idx3-ubyte")
            try write(idx([count], (0..<count).map { UInt8($0 % 10) }), to: "\(folder)/\(stem)-labels-idx1-ubyte")
        }
        return folder
    }

    private static func idx(_ extents: [Int], _ bytes: [UInt8]) -> [UInt8] {
        [0, 0, 8, UInt8(extents.count)]
            + extents.flatMap { extent in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: extent >> $0) } } + bytes
    }

    private static func write(_ bytes: [UInt8], to path: String) throws {
        let file = fopen(path, "we")
        guard let file else { throw BenchmarkError("cannot write \(path)") }
        let count = fwrite(bytes, 1, bytes.count, file)
        guard fclose(file) == 0, count == bytes.count else { throw BenchmarkError("cannot write \(path)") }
    }
}
