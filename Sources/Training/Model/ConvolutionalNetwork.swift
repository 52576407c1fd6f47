import Kernels

/// The small network that everybody starts with (PyTorch's MNIST example without dropout).
///
/// conv 3×3 → ReLU → conv 3×3 → ReLU → max-pool 2 → linear → ReLU → linear → log-softmax and negative log-likelihood.
/// Tensors are in PyTorch's layouts: the pooled planes are flattened as (channel, row, column).
final class ConvolutionalNetwork {
    /// The layers' sizes; the defaults are the published network's: 1,199,882 parameters.
    struct Architecture: Sendable, Hashable {
        var height = 28
        var width = 28
        var firstChannels = 32
        var secondChannels = 64
        var hidden = 128
        var classes = ImageDataset.classCount

        var first: ConvolutionShape {
            ConvolutionShape(
                inputChannels: 1, outputChannels: firstChannels, inputHeight: height, inputWidth: width)
        }
        var second: ConvolutionShape {
            ConvolutionShape(
                inputChannels: firstChannels, outputChannels: secondChannels, inputHeight: height - 2,
                inputWidth: width - 2)
        }
        var third: LinearShape { LinearShape(inputs: second.pooledCount, outputs: hidden, relu: true) }
        var fourth: LinearShape { LinearShape(inputs: hidden, outputs: classes) }

        var parameters: [ParameterSet.Parameter] {
            [
                .init(name: "conv1.weight", shape: first.weightShape, fanIn: 9),
                .init(name: "conv1.bias", shape: [firstChannels], fanIn: 9),
                .init(name: "conv2.weight", shape: second.weightShape, fanIn: 9 * firstChannels),
                .init(name: "conv2.bias", shape: [secondChannels], fanIn: 9 * firstChannels),
                .init(name: "fc1.weight", shape: third.weightShape, fanIn: third.inputs),
                .init(name: "fc1.bias", shape: [hidden], fanIn: third.inputs),
                .init(name: "fc2.weight", shape: fourth.weightShape, fanIn: hidden),
                .init(name: "fc2.bias", shape: [classes], fanIn: hidden),
            ]
        }
    }

    let architecture: Architecture
    let parameters: ParameterSet
    /// Images that fit.
    let capacity: Int
    /// (capacity, 1, height, width): filled by the caller.
    let input: Tensor
    /// Filled by the caller.
    let labels: ByteTensor
    private let backend: any Backend
    private let afterFirst: Tensor
    private let pooled: Tensor
    private let maxima: ByteTensor
    private let hidden: Tensor
    private let logits: Tensor
    private let afterFirstGradient: Tensor
    private let pooledGradient: Tensor
    private let hiddenGradient: Tensor
    private let logitsGradient: Tensor

    init(_ architecture: Architecture, capacity: Int, backend: any Backend) {
        self.architecture = architecture
        self.capacity = capacity
        self.backend = backend
        parameters = ParameterSet(architecture.parameters)
        input = Tensor([capacity, architecture.first.inputCount])
        labels = ByteTensor(count: capacity)
        afterFirst = Tensor([capacity, architecture.first.outputCount])
        pooled = Tensor([capacity, architecture.second.pooledCount])
        maxima = ByteTensor(count: capacity * architecture.second.pooledCount)
        hidden = Tensor([capacity, architecture.hidden])
        logits = Tensor([capacity, architecture.classes])
        afterFirstGradient = Tensor([capacity, architecture.first.outputCount])
        pooledGradient = Tensor([capacity, architecture.second.pooledCount])
        hiddenGradient = Tensor([capacity, architecture.hidden])
        logitsGradient = Tensor([capacity, architecture.classes])
    }

    /// The loss over the first `images` of the input, without gradients.
    func evaluate(images: Int) -> SoftmaxLoss {
        forward(images: images)
        return backend.softmaxLoss(
            rows: images, classes: architecture.classes, logits: logits, labels: labels, gradient: nil)
    }

    /// The loss over the first `parts.count` images of the input, and the gradient of the whole batch's mean in
    /// `parameters.gradients`.
    func differentiate(_ parts: BatchParts) -> SoftmaxLoss {
        forward(images: parts.count)
        let loss = backend.softmaxLoss(
            parts: parts, classes: architecture.classes, logits: logits, labels: labels, gradient: logitsGradient)
        backward(parts)
        return loss
    }

    /// The logits, (capacity, classes), of the first `images` of the input.
    func infer(images: Int) -> Tensor {
        forward(images: images)
        return logits
    }

    /// As `differentiate`, a batch in one part.
    func differentiate(images: Int) -> SoftmaxLoss { differentiate(BatchParts(images)) }

    private func forward(images: Int) {
        backend.convolutionForward(
            architecture.first, .relu, images: images, input: input, weight: value(0), bias: value(1),
            output: afterFirst, maxima: nil)
        backend.convolutionForward(
            architecture.second, .reluMaxPool, images: images, input: afterFirst, weight: value(2), bias: value(3),
            output: pooled, maxima: maxima)
        backend.linearForward(
            architecture.third, rows: images, input: pooled, weight: value(4), bias: value(5), output: hidden)
        backend.linearForward(
            architecture.fourth, rows: images, input: hidden, weight: value(6), bias: value(7), output: logits)
    }

    private func backward(_ parts: BatchParts) {
        backend.linearBackward(
            architecture.fourth, parts: parts, input: hidden, weight: value(6), output: logits,
            outputGradient: logitsGradient, inputGradient: hiddenGradient, weightGradient: gradient(6),
            biasGradient: gradient(7))
        backend.linearBackward(
            architecture.third, parts: parts, input: pooled, weight: value(4), output: hidden,
            outputGradient: hiddenGradient, inputGradient: pooledGradient, weightGradient: gradient(4),
            biasGradient: gradient(5))
        backend.convolutionBackward(
            architecture.second, .reluMaxPool, parts: parts, input: afterFirst, weight: value(2), output: pooled,
            maxima: maxima, outputGradient: pooledGradient, inputGradient: afterFirstGradient,
            weightGradient: gradient(2), biasGradient: gradient(3))
        backend.convolutionBackward(
            architecture.first, .relu, parts: parts, input: input, weight: value(0), output: afterFirst,
            maxima: nil, outputGradient: afterFirstGradient, inputGradient: nil, weightGradient: gradient(0),
            biasGradient: gradient(1))
    }

    private func value(_ index: Int) -> Tensor { parameters.part(index, of: parameters.values) }
    private func gradient(_ index: Int) -> Tensor { parameters.part(index, of: parameters.gradients) }
}
