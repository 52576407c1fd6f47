import Glibc

/// How fast this machine's backend does the steps of the published network, operation by operation.
public enum KernelBench {
    /// One operation's best time of some repetitions.
    public struct Row: Sendable, Hashable {
        public var operation: String
        public var seconds: Double
        /// Multiplications and additions by the formula; Winograd's method needs fewer.
        public var operations: Double
        /// Read and written at least: each tensor once.
        public var bytes: Double

        public var operationsPerSecond: Double { operations / seconds }
        public var bytesPerSecond: Double { bytes / seconds }

        /// The least time that a machine of these speeds takes for it, as a part of the time that it took.
        public func fractionOfCeiling(operationsPerSecond: Double, bytesPerSecond: Double) -> Double {
            max(operations / operationsPerSecond, bytes / bytesPerSecond) / seconds
        }
    }

    /// A step of a batch at a time, all operations in the order of a step, so that caches are as full as in training.
    ///
    /// - Parameter seconds: at least one step, and no new one after so long.
    public static func measure(_ backend: any Backend, batch: Int = 64, seconds: Double = 4) -> [Row] {
        let operations = PublishedStep(batch: batch).operations(backend)
        var rows = operations.map {
            Row(operation: $0.name, seconds: .infinity, operations: $0.operations, bytes: $0.bytes)
        }
        let end = MachineSpeed.seconds() + seconds
        repeat {
            for (index, operation) in operations.enumerated() {
                let start = MachineSpeed.seconds()
                operation.run()
                rows[index].seconds = min(rows[index].seconds, MachineSpeed.seconds() - start)
            }
        } while MachineSpeed.seconds() < end
        return rows
    }
}

/// The tensors of one step of the published network, filled with noise.
private struct PublishedStep {
    struct Operation {
        let name: String
        let operations: Double
        let bytes: Double
        let run: () -> Void
    }

    private let batch: Int
    private let first = ConvolutionShape(inputChannels: 1, outputChannels: 32, inputHeight: 28, inputWidth: 28)
    private let second = ConvolutionShape(inputChannels: 32, outputChannels: 64, inputHeight: 26, inputWidth: 26)
    private let third = LinearShape(inputs: 9216, outputs: 128, relu: true)
    private let fourth = LinearShape(inputs: 128, outputs: 10)

    init(batch: Int) { self.batch = batch }

    func operations(_ backend: any Backend) -> [Operation] {
        var noise = Noise(seed: 5)
        let image = noise.tensor([batch, first.inputCount])
        let hidden = noise.tensor([batch, first.outputCount]), pooled = noise.tensor([batch, second.pooledCount])
        let places = ByteTensor(count: batch * second.pooledCount)
        let last = noise.tensor([batch, third.outputs])
        return convolution("conv1", first, .relu, image, hidden, nil, needsInput: false, backend, &noise)
            + convolution("conv2", second, .reluMaxPool, hidden, pooled, places, needsInput: true, backend, &noise)
            + linear("fc1", third, pooled, last, backend, &noise)
            + linear("fc2", fourth, last, Tensor([batch, fourth.outputs]), backend, &noise) + optimizer(backend)
    }

    private func convolution(
        _ name: String, _ shape: ConvolutionShape, _ epilogue: ConvolutionEpilogue, _ x: Tensor, _ y: Tensor,
        _ places: ByteTensor?, needsInput: Bool, _ backend: any Backend, _ noise: inout Noise
    ) -> [Operation] {
        let batch = batch
        let weight = noise.tensor(shape.weightShape), bias = noise.tensor([shape.outputChannels])
        let gradient = noise.tensor(y.shape), inputGradient = needsInput ? Tensor(x.shape) : nil
        let weightGradient = Tensor(weight.shape), biasGradient = Tensor(bias.shape)
        let operations = 2 * Double(batch * shape.outputCount * shape.inputChannels * ConvolutionShape.taps)
        let bytes = 4 * Double(x.count + y.count + weight.count)
        return [
            Operation(name: name + " forward", operations: operations, bytes: bytes) {
                backend.convolutionForward(
                    shape, epilogue, images: batch, input: x, weight: weight, bias: bias, output: y, maxima: places)
            },
            Operation(
                name: name + " backward", operations: needsInput ? 2 * operations : operations,
                bytes: bytes + 4 * Double(gradient.count + (inputGradient?.count ?? 0) + weight.count)
            ) {
                backend.convolutionBackward(
                    shape, epilogue, images: batch, input: x, weight: weight, output: y, maxima: places,
                    outputGradient: gradient, inputGradient: inputGradient, weightGradient: weightGradient,
                    biasGradient: biasGradient)
            },
        ]
    }

    private func linear(
        _ name: String, _ shape: LinearShape, _ x: Tensor, _ y: Tensor, _ backend: any Backend, _ noise: inout Noise
    ) -> [Operation] {
        let batch = batch
        let weight = noise.tensor(shape.weightShape), bias = noise.tensor([shape.outputs])
        let gradient = noise.tensor(y.shape), inputGradient = Tensor(x.shape)
        let weightGradient = Tensor(weight.shape), biasGradient = Tensor(bias.shape)
        let operations = 2 * Double(batch * shape.inputs * shape.outputs)
        let bytes = 4 * Double(x.count + y.count + weight.count)
        return [
            Operation(name: name + " forward", operations: operations, bytes: bytes) {
                backend.linearForward(shape, rows: batch, input: x, weight: weight, bias: bias, output: y)
            },
            Operation(
                name: name + " backward", operations: 2 * operations,
                bytes: bytes + 4 * Double(gradient.count + x.count + weight.count)
            ) {
                backend.linearBackward(
                    shape, rows: batch, input: x, weight: weight, output: y, outputGradient: gradient,
                    inputGradient: inputGradient, weightGradient: weightGradient, biasGradient: biasGradient)
            },
        ]
    }

    /// Adam over all parameters: some ten operations each, four values read and three written.
    private func optimizer(_ backend: any Backend) -> [Operation] {
        let count =
            first.weightCount + second.weightCount + third.inputs * third.outputs + fourth.inputs * fourth.outputs
            + first.outputChannels + second.outputChannels + third.outputs + fourth.outputs
        let blocks = (0..<4).map { _ in Tensor([count]) }
        return [
            Operation(name: "adam", operations: 10 * Double(count), bytes: 28 * Double(count)) {
                backend.adam(
                    AdamSettings(), step: 3, parameters: blocks[0], gradients: blocks[1], firstMoments: blocks[2],
                    secondMoments: blocks[3])
            }
        ]
    }
}
