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
    private let network: Network

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
        let plan = try NetworkPlan(model, name: name)
        let network = Network(plan, capacity: Predictor.capacity, backend: backend)
        try network.parameters.load(weights: model, name: name)
        guard network.parameters.values.values.allSatisfy(\.isFinite) else {
            throw TrainingError(.badData, "\(name) holds weights that are not numbers: its training has diverged")
        }
        signature = ModelSignature(height: plan.height, width: plan.width, classCount: plan.classes)
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
