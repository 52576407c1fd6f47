import Kernels
import TrainingContract

/// A description with all shapes, in the passes that the kernels make: what follows a layer and fits into its pass is
/// done there.
struct NetworkPlan: Sendable, Hashable {
    enum Stage: Sendable, Hashable {
        case convolution(ConvolutionShape, ConvolutionEpilogue)
        case linear(LinearShape)

        /// Floats of one image that leave it.
        var outputCount: Int {
            switch self {
            case .convolution(let shape, let epilogue): shape.resultCount(epilogue)
            case .linear(let shape): shape.outputs
            }
        }
    }

    /// With the input's extents.
    let description: ModelDescription
    let height: Int
    let width: Int
    let stages: [Stage]
    /// Weight and bias of each stage, in turn.
    let parameters: [ParameterSet.Parameter]
    let classes: Int

    static let maximumLayerCount = 64
    /// A gigabyte of weights, and as much of gradients and of each moment.
    static let maximumParameterCount = 1 << 28
    /// Of one image in all layers.
    static let maximumActivationCount = 1 << 22

    /// - Parameters:
    ///   - description: its input, where it has one, must be these images.
    ///   - name: of the description, for messages.
    /// - Throws: `.usage` with a sentence that names the layer.
    init(_ description: ModelDescription, height: Int, width: Int, name: String) throws(TrainingError) {
        var walk = NetworkWalk(name: name, shape: .image(channels: 1, height: height, width: width))
        if let input = description.input, input != [1, height, width] {
            throw walk.wrong(
                "input is \(input), and the images have the shape [1, \(height), \(width)] (channels, height, width)")
        }
        guard (1...Self.maximumLayerCount).contains(description.layers.count) else {
            throw walk.wrong(
                "it has \(description.layers.count) layers; there may be 1 to \(Self.maximumLayerCount)")
        }
        for (index, layer) in description.layers.enumerated() { try walk.add(layer, at: index) }
        guard case .linear(let last) = walk.stages.last, !last.relu else {
            throw walk.wrong("its last layer must be linear, with a feature for each class")
        }
        self.description = ModelDescription(input: [1, height, width], layers: description.layers)
        self.height = height
        self.width = width
        stages = walk.stages
        parameters = walk.parameters
        classes = last.outputs
    }

    /// What training takes: weights, gradients and two moments, and two numbers for each that an image has.
    ///
    /// - Parameter images: of a pass.
    func memoryBytes(images: Int) -> Int {
        let perImage = stages.reduce(height * width) { $0 + 2 * $1.outputCount }
        return 16 * parameters.reduce(0) { $0 + $1.shape.count } + 4 * images * perImage
    }
}

/// What has been made of the layers so far.
private struct NetworkWalk {
    enum Form {
        case image(channels: Int, height: Int, width: Int)
        case features(Int)
    }

    let name: String
    var shape: Form
    var stages: [NetworkPlan.Stage] = []
    var parameters: [ParameterSet.Parameter] = []
    private var parameterCount = 0
    private var activationCount = 0

    init(name: String, shape: Form) {
        self.name = name
        self.shape = shape
    }

    func wrong(_ what: String) -> TrainingError { TrainingError(.usage, "\(name): \(what)") }

    mutating func add(_ layer: ModelDescription.Layer, at index: Int) throws(TrainingError) {
        let place = "layers[\(index)] (\(layer.type.rawValue))"
        try checkMembers(layer, place)
        switch layer.type {
        case .conv2d: try convolution(layer, index, place)
        case .linear: try linear(layer, index, place)
        case .relu: try relu(place)
        case .maxpool2d: try pool(layer, place)
        case .flatten:
            guard case .image(let channels, let height, let width) = shape else {
                throw wrong("\(place): there is nothing left to flatten")
            }
            shape = .features(channels * height * width)
        }
    }

    /// What a layer of this kind does not use is a mistake.
    private func checkMembers(_ layer: ModelDescription.Layer, _ place: String) throws(TrainingError) {
        let used: [(String, Bool, Set<ModelDescription.Layer.Kind>)] = [
            ("name", layer.name != nil, [.conv2d, .linear]), ("outChannels", layer.outChannels != nil, [.conv2d]),
            ("kernelSize", layer.kernelSize != nil, [.conv2d, .maxpool2d]),
            ("outFeatures", layer.outFeatures != nil, [.linear]),
        ]
        for (member, isThere, kinds) in used where isThere && !kinds.contains(layer.type) {
            throw wrong("\(place) has no \(member)")
        }
    }

    private mutating func convolution(
        _ layer: ModelDescription.Layer, _ index: Int, _ place: String
    ) throws(TrainingError) {
        guard case .image(let channels, let height, let width) = shape else {
            throw wrong("\(place): it needs images, and what comes before gives a row of features")
        }
        guard layer.kernelSize ?? ConvolutionShape.side == ConvolutionShape.side else {
            throw wrong("\(place): kernelSize is \(layer.kernelSize ?? 0); there is 3, with stride 1 and no padding")
        }
        guard let outChannels = layer.outChannels, (1...1024).contains(outChannels) else {
            throw wrong("\(place): outChannels must be a number from 1 to 1024")
        }
        guard height >= 3, width >= 3 else {
            throw wrong("\(place): nothing is left of its images, \(height)×\(width), by a kernel of 3×3")
        }
        let convolution = ConvolutionShape(
            inputChannels: channels, outputChannels: outChannels, inputHeight: height, inputWidth: width)
        try add(.convolution(convolution, .none), place)
        try addParameters(
            layer.name ?? "\(index)", convolution.weightShape, outputs: outChannels, fanIn: 9 * channels, place)
        shape = .image(channels: outChannels, height: convolution.outputHeight, width: convolution.outputWidth)
    }

    private mutating func linear(
        _ layer: ModelDescription.Layer, _ index: Int, _ place: String
    ) throws(TrainingError) {
        guard case .features(let inputs) = shape else {
            throw wrong("\(place): it needs a row of features: put flatten before it")
        }
        guard let outputs = layer.outFeatures, (1...65536).contains(outputs) else {
            throw wrong("\(place): outFeatures must be a number from 1 to 65536")
        }
        let linear = LinearShape(inputs: inputs, outputs: outputs)
        try add(.linear(linear), place)
        try addParameters(
            layer.name ?? "\(index)", linear.weightShape, outputs: outputs, fanIn: inputs, place)
        shape = .features(outputs)
    }

    /// A part of the layer before it.
    private mutating func relu(_ place: String) throws(TrainingError) {
        switch stages.last {
        case .convolution(let convolution, .none):
            stages[stages.count - 1] = .convolution(convolution, .relu)
        case .linear(let linear) where !linear.relu:
            stages[stages.count - 1] = .linear(
                LinearShape(inputs: linear.inputs, outputs: linear.outputs, relu: true))
        default: throw wrong("\(place): it must follow conv2d or linear")
        }
    }

    private mutating func pool(_ layer: ModelDescription.Layer, _ place: String) throws(TrainingError) {
        guard layer.kernelSize ?? 2 == 2 else {
            throw wrong("\(place): kernelSize is \(layer.kernelSize ?? 0); there is 2, with stride 2")
        }
        guard case .convolution(let convolution, .relu) = stages.last, case .image(let channels, _, _) = shape else {
            throw wrong("\(place): it must follow conv2d and relu")
        }
        guard convolution.pooledHeight > 0, convolution.pooledWidth > 0 else {
            throw wrong("\(place): nothing is left of its images")
        }
        stages[stages.count - 1] = .convolution(convolution, .reluMaxPool)
        shape = .image(channels: channels, height: convolution.pooledHeight, width: convolution.pooledWidth)
    }

    private mutating func add(_ stage: NetworkPlan.Stage, _ place: String) throws(TrainingError) {
        activationCount += stage.outputCount
        guard activationCount <= NetworkPlan.maximumActivationCount else {
            throw wrong("\(place): with it an image has \(activationCount) numbers, too many for this trainer")
        }
        stages.append(stage)
    }

    private mutating func addParameters(
        _ name: String, _ weight: Shape, outputs: Int, fanIn: Int, _ place: String
    ) throws(TrainingError) {
        guard (1...100).contains(name.utf8.count),
            !parameters.contains(where: { $0.name == "\(name).weight" })
        else { throw wrong("\(place): the name \"\(name.prefix(100))\" is too long, empty or there twice") }
        parameterCount += weight.count + outputs
        guard parameterCount <= NetworkPlan.maximumParameterCount else {
            throw wrong("\(place): with it the model has \(parameterCount) parameters, too many for this trainer")
        }
        parameters.append(.init(name: "\(name).weight", shape: weight, fanIn: fanIn))
        parameters.append(.init(name: "\(name).bias", shape: [outputs], fanIn: fanIn))
    }
}

extension NetworkPlan {
    private static let metadataKey = "trainyard.model"

    /// What a weights' file says of the model beside the weights.
    var metadata: [String: String] { [Self.metadataKey: description.text] }

    /// The model of a weights' file: as it says itself, or, without that, the small CNN with the sizes that its tensors
    /// have.
    ///
    /// - Parameter name: the file, for messages.
    /// - Throws: `.badData`.
    init(_ model: Safetensors, name: String) throws(TrainingError) {
        guard let text = model.metadata[Self.metadataKey] else {
            self = try Self.inferred(model, name: name)
            return
        }
        do throws(TrainingError) {
            let description = try ModelDescription(parsing: Array(text.utf8), name: name)
            guard let input = description.input, input.count == 3, input.allSatisfy({ (1...4096).contains($0) }) else {
                throw TrainingError(.usage, "\(name): it does not say what images it takes")
            }
            self = try NetworkPlan(description, height: input[1], width: input[2], name: name)
        } catch {
            throw TrainingError(.badData, error.message)
        }
    }

    /// Images are square, of an even side: nothing in such a file says it otherwise.
    private static func inferred(_ model: Safetensors, name: String) throws(TrainingError) -> NetworkPlan {
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
        let description = ModelDescription.smallCNN(
            firstChannels: first[0], secondChannels: second[0], hidden: third[0], classes: fourth[0])
        do throws(TrainingError) {
            return try NetworkPlan(
                description, height: 2 * pooledSide + 4, width: 2 * pooledSide + 4, name: name)
        } catch {
            throw TrainingError(.badData, error.message)
        }
    }
}
