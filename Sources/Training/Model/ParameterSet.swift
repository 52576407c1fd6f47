import Kernels
import TrainingContract

/// A model's named parameters with gradients and Adam's moments: each of the four in one block of memory, so that the
/// optimizer is one pass.
final class ParameterSet {
    struct Parameter: Sendable, Hashable {
        /// PyTorch's name, e.g. `conv1.weight`.
        let name: String
        let shape: Shape
        /// Inputs of one output, for the initialization.
        let fanIn: Int
    }

    let parameters: [Parameter]
    let values: Tensor
    let gradients: Tensor
    let firstMoments: Tensor
    let secondMoments: Tensor
    private let offsets: [Int]

    /// All zeros.
    init(_ parameters: [Parameter]) {
        self.parameters = parameters
        var offsets: [Int] = []
        var end = 0
        for parameter in parameters {
            offsets.append(end)
            // Each parameter starts on a 64-byte boundary; the gaps stay zero.
            end += (parameter.shape.count + 15) & ~15
        }
        self.offsets = offsets
        values = Tensor([end])
        gradients = Tensor([end])
        firstMoments = Tensor([end])
        secondMoments = Tensor([end])
    }

    /// The part of one of the four blocks that belongs to parameter `index`.
    func part(_ index: Int, of block: Tensor) -> Tensor {
        block.view(at: offsets[index], parameters[index].shape)
    }

    /// PyTorch's default for `Conv2d` and `Linear`, weights and biases: uniform in ±1/√fanIn (`kaiming_uniform_` with
    /// a = √5 gives that bound for weights).
    func initialize(seed: UInt64) {
        for (index, parameter) in parameters.enumerated() {
            var random = RandomStream(seed: seed, purpose: 0x1417_0000 + UInt64(index))
            let bound = 1 / Float(parameter.fanIn).squareRoot()
            for element in part(index, of: values).elements.indices {
                part(index, of: values).elements[element] = random.uniform(bound)
            }
        }
    }
}

extension ParameterSet {
    private static let firstMomentPrefix = "exp_avg."
    private static let secondMomentPrefix = "exp_avg_sq."

    /// The weights with PyTorch's names and layouts.
    func model() -> Safetensors { Safetensors(entries(of: values, prefix: ""), metadata: ["format": "pt"]) }

    /// Adam's moments.
    func optimizer() -> Safetensors {
        Safetensors(
            entries(of: firstMoments, prefix: Self.firstMomentPrefix)
                + entries(of: secondMoments, prefix: Self.secondMomentPrefix))
    }

    /// Overwrites weights and moments.
    ///
    /// - Throws: `.badData` when a tensor is missing or has another shape.
    func load(model: Safetensors, optimizer: Safetensors, name: String) throws(TrainingError) {
        try load(model, into: values, prefix: "", name: name)
        try load(optimizer, into: firstMoments, prefix: Self.firstMomentPrefix, name: name)
        try load(optimizer, into: secondMoments, prefix: Self.secondMomentPrefix, name: name)
    }

    /// Overwrites the weights.
    ///
    /// - Throws: `.badData` when a tensor is missing or has another shape.
    func load(weights: Safetensors, name: String) throws(TrainingError) {
        try load(weights, into: values, prefix: "", name: name)
    }

    private func entries(of block: Tensor, prefix: String) -> [Safetensors.Entry] {
        parameters.enumerated().map { index, parameter in
            Safetensors.Entry(
                name: prefix + parameter.name, shape: parameter.shape.extents,
                values: part(index, of: block).values)
        }
    }

    private func load(
        _ tensors: Safetensors, into block: Tensor, prefix: String, name: String
    ) throws(TrainingError) {
        for (index, parameter) in parameters.enumerated() {
            guard let entry = tensors[prefix + parameter.name], entry.shape == parameter.shape.extents else {
                throw TrainingError(
                    .badData, "\(name) has no tensor \(prefix)\(parameter.name) of shape \(parameter.shape)")
            }
            let target = part(index, of: block).elements
            for (place, value) in entry.values.enumerated() { target[place] = value }
        }
    }
}
