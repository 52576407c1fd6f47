import Kernels
import Testing

private struct LinearCase {
    let shape: LinearShape
    let rows: Int
    let input: Tensor
    let weight: Tensor
    let bias: Tensor
    let gradient: [Float]

    init(_ shape: LinearShape, rows: Int) {
        var random = Seeded(11)
        self.shape = shape
        self.rows = rows
        input = random.tensor([rows, shape.inputs])
        weight = random.tensor(shape.weightShape)
        bias = random.tensor([shape.outputs])
        gradient = random.floats(rows * shape.outputs)
    }

    /// Output, and the gradients of input, weight and bias.
    func run(on backend: any Backend) -> [[Float]] {
        let output = Tensor([rows, shape.outputs])
        backend.linearForward(shape, rows: rows, input: input, weight: weight, bias: bias, output: output)
        let inputGradient = Tensor(input.shape), weightGradient = Tensor(weight.shape)
        let biasGradient = Tensor(bias.shape)
        backend.linearBackward(
            shape, rows: rows, input: input, weight: weight, output: output,
            outputGradient: Tensor([rows, shape.outputs], gradient), inputGradient: inputGradient,
            weightGradient: weightGradient, biasGradient: biasGradient)
        return [output.values, inputGradient.values, weightGradient.values, biasGradient.values]
    }
}

struct DenseTests {
    /// As for convolutions: rounding of sums in Float32.
    static let limit = 5e-6

    @Test(arguments: [1, 3, 5, 6, 7, 17, 64], [1, 3, 10, 15, 16, 17, 128])
    func `linear layers agree with the reference`(rows: Int, outputs: Int) {
        for inputs in [1, 3, 17, 255, 256, 257, 600] {
            let work = LinearCase(LinearShape(inputs: inputs, outputs: outputs, relu: rows % 2 == 1), rows: rows)
            for (actual, expected) in zip(
                work.run(on: CPUBackend(threadCount: 2)), work.run(on: ReferenceBackend()))
            {
                #expect(relativeError(actual, expected) < Self.limit)
            }
        }
    }

    @Test func `a wide layer gives the same bits for every number of threads`() {
        let work = LinearCase(LinearShape(inputs: 2309, outputs: 129, relu: true), rows: 65)
        let one = work.run(on: CPUBackend(threadCount: 1))
        #expect(work.run(on: CPUBackend(threadCount: 2)) == one)
        #expect(work.run(on: CPUBackend(threadCount: 5)) == one)
        for (actual, expected) in zip(one, work.run(on: ReferenceBackend())) {
            #expect(relativeError(actual, expected) < Self.limit)
        }
    }

    @Test func `the reference linear gradients equal numeric ones`() {
        let shape = LinearShape(inputs: 5, outputs: 4)
        var random = Seeded(5)
        let x = random.doubles(15), w = random.doubles(20), b = random.doubles(4), dy = random.doubles(12)
        func loss(_ x: [Double], _ w: [Double], _ b: [Double]) -> Double {
            zip(Reference.linear(shape, rows: 3, input: x, weight: w, bias: b), dy).reduce(0) { $0 + $1.0 * $1.1 }
        }
        expectNumericGradient(Reference.linearInputGradient(shape, rows: 3, outputGradient: dy, weight: w), of: x) {
            loss($0, w, b)
        }
        expectNumericGradient(Reference.linearWeightGradient(shape, rows: 3, outputGradient: dy, input: x), of: w) {
            loss(x, $0, b)
        }
        expectNumericGradient(Reference.linearBiasGradient(shape, rows: 3, outputGradient: dy), of: b) {
            loss(x, w, $0)
        }
    }

    @Test(arguments: [(1, 2), (3, 10), (17, 10), (64, 10), (5, 1)])
    func `the softmax loss agrees with the reference`(rows: Int, classes: Int) {
        var random = Seeded(13)
        let logits = Tensor([rows, classes], random.floats(rows * classes).map { $0 * 20 })
        let labels = random.labels(rows, classes: classes)
        let expectedGradient = Tensor([rows, classes]), actualGradient = Tensor([rows, classes])
        let expected = ReferenceBackend().softmaxLoss(
            rows: rows, classes: classes, logits: logits, labels: labels, gradient: expectedGradient)
        let actual = CPUBackend(threadCount: 1).softmaxLoss(
            rows: rows, classes: classes, logits: logits, labels: labels, gradient: actualGradient)
        #expect(abs(actual.sum - expected.sum) < 1e-5 * Double(rows))
        #expect(actual.correctCount == expected.correctCount)
        #expect(relativeError(actualGradient.values, expectedGradient.values) < 1e-6)
    }

    @Test func `the softmax loss of extreme logits is finite, of a NaN is NaN`() {
        let backend = CPUBackend(threadCount: 1)
        let labels = ByteTensor(count: 1)
        let extreme = backend.softmaxLoss(
            rows: 1, classes: 3, logits: Tensor([3], [-3e38, 0, 3e38]), labels: labels, gradient: nil)
        #expect(extreme.sum.isFinite)
        let wrong = backend.softmaxLoss(
            rows: 1, classes: 3, logits: Tensor([3], [1, .nan, 2]), labels: labels, gradient: nil)
        #expect(wrong.sum.isNaN)
    }

    @Test func `the reference loss gradient equals the numeric one`() {
        var random = Seeded(17)
        let logits = random.doubles(12)
        let labels: [UInt8] = [0, 3, 2]
        let gradient = Reference.softmaxLossGradient(rows: 3, classes: 4, logits: logits, labels: labels)
        expectNumericGradient(gradient, of: logits) {
            Reference.softmaxLosses(rows: 3, classes: 4, logits: $0, labels: labels).reduce(0, +) / 3
        }
    }

    @Test(arguments: [1, 7, 8, 9, 16_385])
    func `Adam, AdamW and descent agree with the reference over several steps`(count: Int) {
        var scaled = AdamSettings(learningRate: 0.01, weightDecay: 0.1)
        scaled.gradientScale = 0.25
        for settings in [
            AdamSettings(learningRate: 0.01), scaled,
            AdamSettings(learningRate: 0.01, beta1: 0.8, beta2: 0.95, weightDecay: 0.1, isDecoupled: true),
        ] {
            check(count) { backend, step, gradient, blocks in
                backend.adam(
                    settings, step: step, parameters: blocks[0], gradients: gradient, firstMoments: blocks[1],
                    secondMoments: blocks[2])
            }
        }
        var clipped = SGDSettings(learningRate: 0.1, momentum: 0.9, weightDecay: 0.01)
        clipped.gradientScale = 0.5
        for settings in [
            SGDSettings(learningRate: 0.1), clipped,
            SGDSettings(learningRate: 0.1, momentum: 0.9, isNesterov: true),
        ] {
            check(count) { backend, _, gradient, blocks in
                backend.sgd(settings, parameters: blocks[0], gradients: gradient, velocities: blocks[1])
            }
        }
    }

    /// Three steps by both backends, from the same weights.
    private func check(_ count: Int, _ step: (any Backend, Int, Tensor, [Tensor]) -> Void) {
        var random = Seeded(19)
        let start = random.floats(count)
        let backends: [any Backend] = [CPUBackend(threadCount: 2), ReferenceBackend()]
        let gradients = (0..<3).map { _ in random.tensor([count]) }
        let results = backends.map { backend in
            let blocks = [Tensor([count], start), Tensor([count]), Tensor([count])]
            for (number, gradient) in gradients.enumerated() { step(backend, number + 1, gradient, blocks) }
            return blocks.map(\.values)
        }
        #expect(results[0][0] != start)
        for (actual, expected) in zip(results[0], results[1]) { #expect(relativeError(actual, expected) < 2e-6) }
    }

    @Test(arguments: [1, 8, 1003]) func `a tensor's norm is that of its elements`(count: Int) {
        var random = Seeded(23)
        let values = random.floats(count)
        let expected = values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
        #expect(abs(Tensor([count], values).norm - expected) <= 1e-12 * expected)
        var broken = values
        broken[count / 2] = .nan
        #expect(Tensor([count], broken).norm.isNaN)
    }
}
