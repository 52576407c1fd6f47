import Glibc
public import Kernels
import TrainingContract

/// A trained network that answers: images in, the probability of each class out.
///
/// Runs on a thread of its own; calls wait for each other.
public actor Predictor {
    private nonisolated let thread: ThreadExecutor
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }
    /// What it takes and gives.
    public nonisolated let signature: ModelSignature
    private let network: ConvolutionalNetwork

    /// Images of one pass; more are cut into several.
    public static let capacity = 64

    /// - Parameters:
    ///   - model: the weights, with the names and shapes that training writes.
    ///   - name: the file, for messages.
    /// - Throws: `.badData` when these are not the weights of a network that is known here, or not all of them are
    ///   finite; `.unsupportedMachine` when the system gives no thread.
    public init(
        _ model: Safetensors, name: String, backend: sending any Backend
    ) throws(TrainingError) {
        let architecture = try ConvolutionalNetwork.Architecture(model, name: name)
        let network = ConvolutionalNetwork(architecture, capacity: Predictor.capacity, backend: backend)
        try network.parameters.load(weights: model, name: name)
        guard network.parameters.values.values.allSatisfy(\.isFinite) else {
            throw TrainingError(.badData, "\(name) holds weights that are not numbers: its training has diverged")
        }
        signature = ModelSignature(
            height: architecture.height, width: architecture.width, classCount: architecture.classes)
        thread = try ThreadExecutor()
        self.network = network
    }

    /// The probabilities of all classes, image after image.
    ///
    /// - Parameter pixels: 0 … 255, image after image, row by row; `signature.pixelCount` for each image.
    public func probabilities(_ pixels: [Float]) -> [Float] {
        let perImage = signature.pixelCount
        precondition(pixels.count % perImage == 0)
        var result: [Float] = []
        result.reserveCapacity(pixels.count / perImage * signature.classCount)
        var first = 0
        while first < pixels.count {
            let end = min(first + Predictor.capacity * perImage, pixels.count)
            let target = network.input.elements
            for index in first..<end {
                target[index - first] = (pixels[index] / 255 - Normalization.mean) / Normalization.deviation
            }
            let images = (end - first) / perImage
            let logits = network.infer(images: images).elements
            for image in 0..<images {
                let row = image * signature.classCount
                Predictor.appendSoftmax(logits[row..<(row + signature.classCount)], to: &result)
            }
            first = end
        }
        return result
    }

    private static func appendSoftmax(_ logits: some Collection<Float>, to result: inout [Float]) {
        let largest = logits.max() ?? 0
        let powers = logits.map { exp(Double($0 - largest)) }
        let sum = powers.reduce(0, +)
        for power in powers { result.append(Float(power / sum)) }
    }
}

/// What a model takes and gives.
public struct ModelSignature: Sendable, Hashable {
    public var height: Int
    public var width: Int
    public var classCount: Int

    public init(height: Int, width: Int, classCount: Int) {
        self.height = height
        self.width = width
        self.classCount = classCount
    }

    public var pixelCount: Int { height * width }
}

extension ConvolutionalNetwork.Architecture {
    /// The sizes that the weights' shapes tell. Images are square, of an even side: nothing in the file says it
    /// otherwise.
    ///
    /// - Throws: `.badData`.
    init(_ model: Safetensors, name: String) throws(TrainingError) {
        func shape(_ tensor: String, _ rank: Int) throws(TrainingError) -> [Int] {
            guard let shape = model[tensor]?.shape, shape.count == rank, shape.allSatisfy({ (1...65536).contains($0) })
            else {
                throw TrainingError(
                    .badData,
                    "\(name) is no model that is known here: it has no tensor \(tensor) with \(rank) dimensions")
            }
            return shape
        }
        let first = try shape("conv1.weight", 4)
        let second = try shape("conv2.weight", 4)
        let third = try shape("fc1.weight", 2)
        let fourth = try shape("fc2.weight", 2)
        let pooled = third[1] / second[0]
        let pooledSide = (0...2048).first { $0 * $0 >= pooled } ?? 0
        guard first[1...] == [1, 3, 3], second[1...] == [first[0], 3, 3], fourth[1] == third[0],
            pooledSide > 0, pooledSide * pooledSide * second[0] == third[1], (2...1024).contains(fourth[0]),
            [first[0], second[0]].allSatisfy({ $0 <= 1024 }), pooledSide <= 128
        else {
            throw TrainingError(
                .badData,
                "the tensors of \(name) do not belong together: conv1 \(first), conv2 \(second), fc1 \(third), "
                    + "fc2 \(fourth)")
        }
        self.init()
        height = 2 * pooledSide + 4
        width = height
        firstChannels = first[0]
        secondChannels = second[0]
        hidden = third[0]
        classes = fourth[0]
    }
}
