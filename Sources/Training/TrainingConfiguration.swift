import TrainingContract

/// What a run trains with.
public struct TrainingConfiguration: Sendable, Hashable {
    /// 1 … 10,000.
    public var epochs = 2
    /// 1 … 4,096 images.
    public var batchSize = 64
    /// Adam's; above 0, at most 10.
    public var learningRate: Float = 1e-3
    /// At least 0. Weights and order follow from it.
    public var seed = 0
    /// Takes only the first images of the training set; nil: all.
    public var trainImages: Int?
    /// Takes only the first images of the test set; nil: all.
    public var testImages: Int?
    /// Of the kernels, 1 … 256; nil: as many as the process may use.
    public var threads: Int?

    public init() {}

    /// Reads `HP_…` variables. Names are compared without underscores: `batchSize` and `batch_size` are both understood.
    ///
    /// - Throws: `.usage` for a wrong value, an unknown name, or a name that is there twice with different values.
    public init(environment: [String: String]) throws(TrainingError) {
        var values: [String: Value] = [:]
        for (name, text) in environment.sorted(by: { $0.key < $1.key })
        where name.hasPrefix(TrainingEnvironment.hyperparameterPrefix) {
            let key = String(name.dropFirst(TrainingEnvironment.hyperparameterPrefix.count).filter { $0 != "_" })
            guard Self.knownNames.contains(key) else {
                throw TrainingError(
                    .usage,
                    "hyperparameter \(name) is not known; there are epochs, batchSize, learningRate, seed, "
                        + "trainImages, testImages and threads")
            }
            if let other = values[key], other.text != text {
                throw TrainingError(.usage, "hyperparameters \(other.name) and \(name) differ: set one of them")
            }
            values[key] = Value(name: name, text: text)
        }
        if let value = values["EPOCHS"] { epochs = try value.integer(in: 1...10_000) }
        if let value = values["BATCHSIZE"] { batchSize = try value.integer(in: 1...4096) }
        if let value = values["LEARNINGRATE"] { learningRate = try value.learningRate() }
        if let value = values["SEED"] { seed = try value.integer(in: 0...Int.max) }
        if let value = values["TRAINIMAGES"] { trainImages = try value.integer(in: 1...Int(Int32.max)) }
        if let value = values["TESTIMAGES"] { testImages = try value.integer(in: 1...Int(Int32.max)) }
        if let value = values["THREADS"] { threads = try value.integer(in: 1...256) }
    }

    private static let knownNames: Set<String> = [
        "EPOCHS", "BATCHSIZE", "LEARNINGRATE", "SEED", "TRAINIMAGES", "TESTIMAGES", "THREADS",
    ]
}

private struct Value {
    let name: String
    let text: String

    func integer(in range: ClosedRange<Int>) throws(TrainingError) -> Int {
        guard let value = Int(text), range.contains(value) else {
            let bounds =
                range.upperBound == Int.max
                ? "from \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
            throw TrainingError(.usage, "\(name) is \"\(text.prefix(40))\"; it must be a whole number \(bounds)")
        }
        return value
    }

    func learningRate() throws(TrainingError) -> Float {
        guard let value = Float(text), value > 0, value <= 10 else {
            throw TrainingError(
                .usage, "\(name) is \"\(text.prefix(40))\"; it must be a number above 0 and at most 10")
        }
        return value
    }
}
