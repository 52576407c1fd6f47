import Kernels
import Testing
import TrainingContract

@testable import Training

struct OptimizationTests {
    /// Three steps from (0.5, −1.25, 2, −0.0625) with the gradients (0.1 t, −0.4, 0.03 (t − 2), 1.5).
    /// Source of the numbers: torch 2.9.1 in Float64: `Adam`, `AdamW`, `SGD`, `clip_grad_norm_`.
    @Test(
        arguments: [
            (["optimizer": "adam"], 0.01, [0.47076817, -1.220000001, 2.015841899, -0.0925]),
            (
                ["optimizer": "adam", "weightDecay": "0.1"], 0.01,
                [0.470394584, -1.220001839, 1.969959448, -0.092499358]
            ),
            (
                ["optimizer": "adamw", "beta1": "0.8", "beta2": "0.95", "weightDecay": "0.1"], 0.01,
                [0.468969492, -1.216283739, 2.008540589, -0.092282697]
            ),
            (["optimizer": "sgd"], 0.1, [0.44, -1.13, 2, -0.5125]),
            (
                ["optimizer": "sgd", "momentum": "0.9", "weightDecay": "0.01"], 0.1,
                [0.402155389, -1.018785459, 1.993908201, -0.902929825]
            ),
            (
                ["optimizer": "sgd", "momentum": "0.9", "nesterov": "true"], 0.1,
                [0.35441, -0.92804, 2.004617, -1.26985]
            ),
            (
                ["optimizer": "sgd", "maxGradNorm": "0.5"], 0.1,
                [0.480912596, -1.211721562, 2.000015545, -0.206044143]
            ),
        ] as [([String: String], Float, [Double])])
    func `three steps end where PyTorch's end`(settings: [String: String], rate: Float, expected: [Double]) throws {
        let environment = Dictionary(uniqueKeysWithValues: settings.map { ("HP_" + $0.key.uppercased(), $0.value) })
        let optimization = try TrainingConfiguration(environment: environment).optimization
        for backend in [CPUBackend(threadCount: 1), ReferenceBackend()] as [any Backend] {
            let parameters = ParameterSet([.init(name: "p", shape: [4], fanIn: 1)])
            for (index, value) in [Float(0.5), -1.25, 2, -0.0625].enumerated() {
                parameters.values.elements[index] = value
            }
            for step in 1...3 {
                let gradients: [Float] = [0.1 * Float(step), -0.4, 0.03 * Float(step - 2), 1.5]
                for (index, value) in gradients.enumerated() { parameters.gradients.elements[index] = value }
                #expect(optimization.take(parameters, learningRate: rate, step: step, backend: backend))
            }
            for (found, wanted) in zip(parameters.values.elements, expected) {
                #expect(abs(Double(found) - wanted) < 3e-6, "\(backend.name)")
            }
        }
    }

    @Test func `gradients that are not finite are not taken when they are to be clipped`() throws {
        var optimization = Optimization()
        optimization.maximumGradientNorm = 1
        let parameters = ParameterSet([.init(name: "p", shape: [3], fanIn: 1)])
        parameters.gradients.elements[1] = .infinity
        #expect(!optimization.take(parameters, learningRate: 1, step: 1, backend: CPUBackend(threadCount: 1)))
        #expect(parameters.values.values.allSatisfy { $0 == 0 })
    }

    @Test(arguments: [
        (Optimization.Schedule.constant, [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1]),
        (.linear, [0.25, 0.5, 0.75, 1, 0.85, 0.7, 0.55, 0.4, 0.25, 0.1]),
        (.cosine, [0.25, 0.5, 0.75, 1, 0.9397, 0.775, 0.55, 0.325, 0.1603, 0.1]),
    ])
    func `the learning rate warms up and then follows its schedule`(
        schedule: Optimization.Schedule, expected: [Float]
    ) {
        var optimization = Optimization()
        optimization.schedule = schedule
        optimization.warmupSteps = 4
        optimization.minimumLearningRate = 0.1
        let found = (1...10).map { optimization.learningRate(1, step: $0, of: 10) }
        for (left, right) in zip(found, expected) { #expect(abs(left - right) < 1e-4, "\(found)") }
        // A run that goes on beyond its plan stays at the end, and a warm-up may be all there is.
        #expect(optimization.learningRate(1, step: 99, of: 10) == found[9])
        optimization.warmupSteps = 20
        #expect(optimization.learningRate(1, step: 10, of: 10) == 0.5)
    }

    /// Which network may learn how fast differs; that it learns must not.
    @Test(arguments: [
        ["HP_OPTIMIZER": "adamw", "HP_LEARNING_RATE": "0.01", "HP_LEARNING_RATE_SCHEDULE": "cosine"],
        [
            "HP_OPTIMIZER": "sgd", "HP_LEARNING_RATE": "0.05", "HP_MOMENTUM": "0.9", "HP_NESTEROV": "true",
            "HP_WARMUP_STEPS": "10", "HP_MAX_GRAD_NORM": "2",
        ],
    ])
    func `a small network learns with every optimizer, and goes on where it was stopped`(
        environment: [String: String]
    ) async throws {
        func run(_ memory: MemoryStorage = MemoryStorage(), stop: Int? = nil) throws -> SmallRun {
            let wanted = try TrainingConfiguration(environment: environment)
            return SmallRun(memory) { state in
                state.configuration.optimization = wanted.optimization
                state.configuration.learningRate = wanted.learningRate
                state.configuration.epochs = 12
                state.stepsBeforeStop = stop
            }
        }
        let straight = try run()
        guard case .finished(let last) = try await straight.train() else {
            Issue.record("the run did not finish")
            return
        }
        #expect(last.testAccuracy > 90)
        let stopped = try run(stop: 33)
        guard case .stopped = try await stopped.train() else {
            Issue.record("the run did not stop")
            return
        }
        _ = try await run(stopped.memory).train()
        #expect(stopped.model != nil && stopped.model == straight.model)
    }

    @Test func `a checkpoint of another optimizer is refused`() async throws {
        let first = SmallRun { $0.stepsBeforeStop = 3 }
        _ = try await first.train()
        let other = SmallRun(first.memory) { $0.configuration.optimization.algorithm = .sgd }
        let error = await #expect(throws: TrainingError.self) { try await other.train() }
        #expect(error?.code == .usage)
        #expect(error?.message.contains("optimizer") == true)
    }

    @Test(arguments: [(4, 16), (8, 8), (2, 32)])
    func `accumulated gradients are those of one large batch, bit for bit`(passes: Int, images: Int) async throws {
        let whole = SmallRun { $0.configuration.batchSize = 64 }
        _ = try await whole.train()
        let parts = SmallRun {
            $0.configuration.batchSize = images
            $0.configuration.gradientAccumulationSteps = passes
        }
        _ = try await parts.train()
        #expect(whole.model != nil && parts.model == whole.model)
    }
}
