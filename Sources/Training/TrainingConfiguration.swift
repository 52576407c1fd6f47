import TrainingContract

/// What a run trains with.
public struct TrainingConfiguration: Sendable, Hashable {
    /// 1 … 10,000.
    public var epochs = 2
    /// Images of one pass of one process, 1 … 4,096.
    public var batchSize = 64
    /// Passes of one step, 1 … 1,024: their gradients are those of one batch of all their images.
    public var gradientAccumulationSteps = 1
    /// The highest of the run; above 0, at most 10.
    public var learningRate: Float = 1e-3
    public var optimization = Optimization()
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
        let values = try Self.values(environment)
        if let value = values["epochs"] { epochs = try value.integer(in: 1...10_000) }
        if let value = values["batchSize"] { batchSize = try value.integer(in: 1...4096) }
        if let value = values["gradientAccumulationSteps"] {
            gradientAccumulationSteps = try value.integer(in: 1...1024)
        }
        if let value = values["learningRate"] { learningRate = try value.positive(atMost: 10) }
        if let value = values["seed"] { seed = try value.integer(in: 0...Int.max) }
        if let value = values["trainImages"] { trainImages = try value.integer(in: 1...Int(Int32.max)) }
        if let value = values["testImages"] { testImages = try value.integer(in: 1...Int(Int32.max)) }
        if let value = values["threads"] { threads = try value.integer(in: 1...256) }
        try readOptimization(values)
    }

    private mutating func readOptimization(_ values: [String: Value]) throws(TrainingError) {
        if let value = values["optimizer"] { optimization.algorithm = try value.word() }
        if let value = values["beta1"] { optimization.beta1 = try value.fraction() }
        if let value = values["beta2"] { optimization.beta2 = try value.fraction() }
        if let value = values["momentum"] { optimization.momentum = try value.fraction() }
        if let value = values["nesterov"] { optimization.isNesterov = try value.truth() }
        if let value = values["weightDecay"] { optimization.weightDecay = try value.number(0...10) }
        if let value = values["learningRateSchedule"] { optimization.schedule = try value.word() }
        if let value = values["warmupSteps"] { optimization.warmupSteps = try value.integer(in: 0...1_000_000_000) }
        if let value = values["minLearningRate"] { optimization.minimumLearningRate = try value.number(0...10) }
        if let value = values["maxGradNorm"] { optimization.maximumGradientNorm = try value.positive(atMost: 1e6) }
        let isDescent = optimization.algorithm == .sgd
        for name in ["momentum", "nesterov"] where !isDescent {
            if let value = values[name] { throw value.misplaced("the optimizer sgd") }
        }
        for name in ["beta1", "beta2"] where isDescent {
            if let value = values[name] { throw value.misplaced("the optimizers adam and adamw") }
        }
        if optimization.isNesterov, optimization.momentum == 0, let value = values["nesterov"] {
            throw value.misplaced("a momentum above 0")
        }
        guard let value = values["minLearningRate"] else { return }
        if optimization.schedule == .constant { throw value.misplaced("the learningRateSchedule linear or cosine") }
        guard optimization.minimumLearningRate <= learningRate else {
            throw TrainingError(.usage, "\(value.name) is above the learning rate, \(learningRate)")
        }
    }

    /// By the names of `names`.
    private static func values(_ environment: [String: String]) throws(TrainingError) -> [String: Value] {
        var values: [String: Value] = [:]
        for (variable, text) in environment.sorted(by: { $0.key < $1.key })
        where variable.hasPrefix(TrainingEnvironment.hyperparameterPrefix) {
            let bare = variable.dropFirst(TrainingEnvironment.hyperparameterPrefix.count).filter { $0 != "_" }
            guard let name = names.first(where: { $0.uppercased() == bare }) else {
                throw TrainingError(
                    .usage,
                    "hyperparameter \(variable) is not known; there are "
                        + names.dropLast().joined(separator: ", ") + " and \(names.last ?? "")")
            }
            if let other = values[name], other.text != text {
                throw TrainingError(.usage, "hyperparameters \(other.name) and \(variable) differ: set one of them")
            }
            values[name] = Value(name: variable, text: text)
        }
        return values
    }

    /// Images of a step, over all processes.
    func stepImages(of world: WorldPlace) -> Int { batchSize * gradientAccumulationSteps * world.size }

    /// All that there are, as users write them.
    static let names = [
        "epochs", "batchSize", "gradientAccumulationSteps", "learningRate", "learningRateSchedule", "warmupSteps",
        "minLearningRate", "optimizer", "beta1", "beta2", "momentum", "nesterov", "weightDecay", "maxGradNorm", "seed",
        "trainImages", "testImages", "threads",
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
            throw wrong("a whole number \(bounds)")
        }
        return value
    }

    func number(_ range: ClosedRange<Float>) throws(TrainingError) -> Float {
        guard let value = Float(text), range.contains(value) else {
            throw wrong("a number from \(Self.plain(range.lowerBound)) to \(Self.plain(range.upperBound))")
        }
        return value
    }

    func positive(atMost limit: Float) throws(TrainingError) -> Float {
        guard let value = Float(text), value > 0, value <= limit else {
            throw wrong("a number above 0 and at most \(Self.plain(limit))")
        }
        return value
    }

    /// At least 0 and below 1.
    func fraction() throws(TrainingError) -> Float {
        guard let value = Float(text), value >= 0, value < 1 else { throw wrong("a number from 0 to below 1") }
        return value
    }

    func truth() throws(TrainingError) -> Bool {
        guard let value = Bool(text) else { throw wrong("true or false") }
        return value
    }

    func word<Word: RawRepresentable<String> & CaseIterable>() throws(TrainingError) -> Word {
        guard let value = Word(rawValue: text) else {
            throw wrong("one of " + Word.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return value
    }

    func misplaced(_ place: String) -> TrainingError { TrainingError(.usage, "\(name) needs \(place)") }

    private func wrong(_ wanted: String) -> TrainingError {
        TrainingError(.usage, "\(name) is \"\(text.prefix(40))\"; it must be \(wanted)")
    }

    /// Whole numbers without a fraction.
    private static func plain(_ value: Float) -> String { "\(Int(value))" }
}
