import Kernels

/// A model in memory: parameters, and what flows between its layers.
///
/// Tensors are in PyTorch's layouts: planes are flattened as (channel, row, column).
final class Network {
    let plan: NetworkPlan
    let parameters: ParameterSet
    /// Images that fit.
    let capacity: Int
    /// (capacity, 1, height, width): filled by the caller.
    let input: Tensor
    /// Filled by the caller.
    let labels: ByteTensor
    private let backend: any Backend
    private let layers: [Layer]

    /// A stage with what it works on.
    private struct Layer {
        let stage: NetworkPlan.Stage
        let input: Tensor
        let output: Tensor
        /// Where the windows' maxima were; nil where there are no windows.
        let maxima: ByteTensor?
        let weight: Tensor
        let bias: Tensor
        let weightGradient: Tensor
        let biasGradient: Tensor
        let outputGradient: Tensor
        /// nil for the first: nobody needs the images' gradient.
        let inputGradient: Tensor?
    }

    init(_ plan: NetworkPlan, capacity: Int, backend: any Backend) {
        self.plan = plan
        self.capacity = capacity
        self.backend = backend
        let parameters = ParameterSet(plan.parameters)
        self.parameters = parameters
        let images = Tensor([capacity, plan.height * plan.width])
        input = images
        labels = ByteTensor(count: capacity)
        var layers: [Layer] = []
        for (index, stage) in plan.stages.enumerated() {
            let size = capacity * stage.outputCount
            var maxima: ByteTensor?
            if case .convolution(_, .reluMaxPool) = stage { maxima = ByteTensor(count: size) }
            layers.append(
                Layer(
                    stage: stage, input: layers.last?.output ?? images, output: Tensor([size]), maxima: maxima,
                    weight: parameters.part(2 * index, of: parameters.values),
                    bias: parameters.part(2 * index + 1, of: parameters.values),
                    weightGradient: parameters.part(2 * index, of: parameters.gradients),
                    biasGradient: parameters.part(2 * index + 1, of: parameters.gradients),
                    outputGradient: Tensor([size]), inputGradient: layers.last?.outputGradient))
        }
        self.layers = layers
    }

    /// The weights, with what they are the weights of.
    func model() -> Safetensors {
        var model = parameters.model()
        model.metadata.merge(plan.metadata) { $1 }
        return model
    }

    /// The loss over the first `images` of the input, without gradients.
    func evaluate(images: Int) -> SoftmaxLoss {
        let logits = infer(images: images)
        return backend.softmaxLoss(
            rows: images, classes: plan.classes, logits: logits, labels: labels, gradient: nil)
    }

    /// The loss over the first `parts.count` images of the input, and the gradient of the whole batch's mean in
    /// `parameters.gradients`.
    func differentiate(_ parts: BatchParts) -> SoftmaxLoss {
        let logits = infer(images: parts.count)
        let loss = backend.softmaxLoss(
            parts: parts, classes: plan.classes, logits: logits, labels: labels,
            gradient: layers[layers.count - 1].outputGradient)
        for layer in layers.reversed() { backward(layer, parts) }
        return loss
    }

    /// As `differentiate`, a batch in one part.
    func differentiate(images: Int) -> SoftmaxLoss { differentiate(BatchParts(images)) }

    /// The logits, (capacity, classes), of the first `images` of the input.
    func infer(images: Int) -> Tensor {
        for layer in layers { forward(layer, images: images) }
        return layers[layers.count - 1].output
    }

    private func forward(_ layer: Layer, images: Int) {
        switch layer.stage {
        case .convolution(let shape, let epilogue):
            backend.convolutionForward(
                shape, epilogue, images: images, input: layer.input, weight: layer.weight, bias: layer.bias,
                output: layer.output, maxima: layer.maxima)
        case .linear(let shape):
            backend.linearForward(
                shape, rows: images, input: layer.input, weight: layer.weight, bias: layer.bias, output: layer.output)
        }
    }

    private func backward(_ layer: Layer, _ parts: BatchParts) {
        switch layer.stage {
        case .convolution(let shape, let epilogue):
            backend.convolutionBackward(
                shape, epilogue, parts: parts, input: layer.input, weight: layer.weight, output: layer.output,
                maxima: layer.maxima, outputGradient: layer.outputGradient, inputGradient: layer.inputGradient,
                weightGradient: layer.weightGradient, biasGradient: layer.biasGradient)
        case .linear(let shape):
            backend.linearBackward(
                shape, parts: parts, input: layer.input, weight: layer.weight, output: layer.output,
                outputGradient: layer.outputGradient, inputGradient: layer.inputGradient,
                weightGradient: layer.weightGradient, biasGradient: layer.biasGradient)
        }
    }
}
