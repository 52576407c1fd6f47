/// Compares a backend with the specification on small shapes: whether this machine computes what it should.
public enum KernelCheck {
    /// One operation's result.
    public struct Finding: Sendable, Hashable {
        public var operation: String
        /// The greatest difference, as a part of the greatest value; infinite where a result is not finite.
        public var error: Double
        /// Float32 sums of some hundred products in another order differ by less.
        public static let limit = 1e-5

        public var isGood: Bool { error <= Self.limit }
    }

    /// Milliseconds of work; shapes that are no multiple of any tile.
    public static func compare(_ backend: any Backend) -> [Finding] {
        let reference = ReferenceBackend()
        let direct = ConvolutionShape(inputChannels: 3, outputChannels: 5, inputHeight: 9, inputWidth: 13)
        let tiled = ConvolutionShape(inputChannels: 9, outputChannels: 17, inputHeight: 9, inputWidth: 13)
        return ConvolutionEpilogue.allCases.flatMap { convolution(direct, $0, backend, reference) }
            + ConvolutionEpilogue.allCases.flatMap { convolution(tiled, $0, backend, reference) }
            + linear(backend, reference) + softmax(backend, reference) + optimizers(backend, reference)
    }

    private static func convolution(
        _ shape: ConvolutionShape, _ epilogue: ConvolutionEpilogue, _ backend: any Backend, _ reference: any Backend
    ) -> [Finding] {
        let images = 3
        var noise = Noise(seed: 1)
        let input = noise.tensor([images, shape.inputCount]), weight = noise.tensor(shape.weightShape)
        let bias = noise.tensor([shape.outputChannels])
        let count = images * shape.resultCount(epilogue)
        let outputGradient = noise.tensor([count])
        let expected = Tensor([count]), output = Tensor([count])
        // Both ways back start from the specification's places, so that a tie decided otherwise is no difference.
        let maxima = ByteTensor(count: count), otherMaxima = ByteTensor(count: count)
        reference.convolutionForward(
            shape, epilogue, images: images, input: input, weight: weight, bias: bias, output: expected, maxima: maxima)
        backend.convolutionForward(
            shape, epilogue, images: images, input: input, weight: weight, bias: bias, output: output,
            maxima: otherMaxima)
        let gradients = [reference, backend].map { side -> [Tensor] in
            let tensors = [
                Tensor([images, shape.inputCount]), Tensor(shape.weightShape), Tensor([shape.outputChannels]),
            ]
            side.convolutionBackward(
                shape, epilogue, images: images, input: input, weight: weight, output: expected, maxima: maxima,
                outputGradient: outputGradient, inputGradient: tensors[0], weightGradient: tensors[1],
                biasGradient: tensors[2])
            return tensors
        }
        return [
            Finding("convolution of \(shape.inputChannels) planes, \(epilogue)", [expected], [output]),
            Finding("convolution of \(shape.inputChannels) planes backward, \(epilogue)", gradients[0], gradients[1]),
        ]
    }

    private static func linear(_ backend: any Backend, _ reference: any Backend) -> [Finding] {
        let shape = LinearShape(inputs: 67, outputs: 19, relu: true)
        let rows = 7
        var noise = Noise(seed: 2)
        let input = noise.tensor([rows, shape.inputs]), weight = noise.tensor(shape.weightShape)
        let bias = noise.tensor([shape.outputs]), gradient = noise.tensor([rows, shape.outputs])
        let expected = Tensor([rows, shape.outputs]), output = Tensor([rows, shape.outputs])
        reference.linearForward(shape, rows: rows, input: input, weight: weight, bias: bias, output: expected)
        backend.linearForward(shape, rows: rows, input: input, weight: weight, bias: bias, output: output)
        let gradients = [reference, backend].map { side -> [Tensor] in
            let tensors = [Tensor(input.shape), Tensor(weight.shape), Tensor(bias.shape)]
            side.linearBackward(
                shape, rows: rows, input: input, weight: weight, output: expected,
                outputGradient: Tensor(gradient.shape, gradient.values), inputGradient: tensors[0],
                weightGradient: tensors[1], biasGradient: tensors[2])
            return tensors
        }
        return [
            Finding("linear forward", [expected], [output]),
            Finding("linear backward", gradients[0], gradients[1]),
        ]
    }

    private static func softmax(_ backend: any Backend, _ reference: any Backend) -> [Finding] {
        let rows = 9, classes = 10
        var noise = Noise(seed: 3)
        let logits = noise.tensor([rows, classes])
        let labels = ByteTensor(count: rows)
        for row in 0..<rows { labels.elements[row] = UInt8((row * 7) % classes) }
        let results = [reference, backend].map { side -> [Tensor] in
            let gradient = Tensor([rows, classes])
            let loss = side.softmaxLoss(
                rows: rows, classes: classes, logits: logits, labels: labels, gradient: gradient)
            return [gradient, Tensor([2], [Float(loss.sum), Float(loss.correctCount)])]
        }
        return [Finding("softmax and loss", results[0], results[1])]
    }

    private static func optimizers(_ backend: any Backend, _ reference: any Backend) -> [Finding] {
        func results(_ step: (any Backend, [Tensor]) -> Void) -> [[Tensor]] {
            [reference, backend].map { side in
                var noise = Noise(seed: 4)
                let blocks = (0..<4).map { _ in noise.tensor([1003]) }
                // Second moments are squares.
                for index in blocks[3].elements.indices { blocks[3].elements[index] *= blocks[3].elements[index] }
                step(side, blocks)
                return [blocks[0], blocks[2], blocks[3]]
            }
        }
        let adam = results { side, blocks in
            side.adam(
                AdamSettings(weightDecay: 0.01, isDecoupled: true), step: 3, parameters: blocks[0],
                gradients: blocks[1], firstMoments: blocks[2], secondMoments: blocks[3])
        }
        let sgd = results { side, blocks in
            side.sgd(
                SGDSettings(learningRate: 0.1, momentum: 0.9, isNesterov: true, weightDecay: 0.01),
                parameters: blocks[0], gradients: blocks[1], velocities: blocks[2])
        }
        return [Finding("adam", adam[0], adam[1]), Finding("sgd", sgd[0], sgd[1])]
    }
}

extension KernelCheck.Finding {
    fileprivate init(_ operation: String, _ expected: [Tensor], _ found: [Tensor]) {
        self.operation = operation
        var worst = 0.0
        for (left, right) in zip(expected, found) {
            let scale = left.elements.reduce(Float.leastNormalMagnitude) { max($0, abs($1)) }
            for (a, b) in zip(left.elements, right.elements) {
                let difference = Double(abs(a - b)) / Double(scale)
                worst = difference.isFinite ? max(worst, difference) : .infinity
            }
        }
        error = worst
    }
}

/// Reproducible numbers in −1 … 1 (SplitMix64).
struct Noise {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func tensor(_ shape: Shape) -> Tensor {
        Tensor(shape, (0..<shape.count).map { _ in next() })
    }

    private mutating func next() -> Float {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Float((z ^ (z >> 31)) >> 40) * 0x1p-23 - 1
    }
}
