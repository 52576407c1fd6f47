/// The extents of a tensor, outermost first; row-major.
public struct Shape: Sendable, Hashable, ExpressibleByArrayLiteral, CustomStringConvertible {
    /// Each at least 0.
    public let extents: [Int]
    /// The product of the extents; 1 for a scalar.
    public let count: Int

    public init(_ extents: [Int]) {
        self.extents = extents
        count = extents.reduce(1, *)
    }

    public init(arrayLiteral extents: Int...) { self.init(extents) }

    /// As PyTorch prints it: `[64, 32, 3, 3]`.
    public var description: String { "[\(extents.map(String.init).joined(separator: ", "))]" }
}

/// A 3×3 convolution with stride 1 and no padding over (channels, height, width) images.
public struct ConvolutionShape: Sendable, Hashable {
    /// The kernel's height and width.
    public static let side = 3
    /// Weights per (output channel, input channel).
    static let taps = side * side

    public let inputChannels: Int
    public let outputChannels: Int
    /// At least 3.
    public let inputHeight: Int
    /// At least 3.
    public let inputWidth: Int

    public init(inputChannels: Int, outputChannels: Int, inputHeight: Int, inputWidth: Int) {
        self.inputChannels = inputChannels
        self.outputChannels = outputChannels
        self.inputHeight = inputHeight
        self.inputWidth = inputWidth
    }

    public var outputHeight: Int { inputHeight - Self.side + 1 }
    public var outputWidth: Int { inputWidth - Self.side + 1 }
    /// A window that reaches over the edge is left out, as PyTorch's default does.
    public var pooledHeight: Int { outputHeight / 2 }
    public var pooledWidth: Int { outputWidth / 2 }

    var inputPlane: Int { inputHeight * inputWidth }
    var outputPlane: Int { outputHeight * outputWidth }
    var pooledPlane: Int { pooledHeight * pooledWidth }
    /// Floats of one image.
    public var inputCount: Int { inputChannels * inputPlane }
    /// Floats of one image before the epilogue.
    public var outputCount: Int { outputChannels * outputPlane }
    /// Floats of one image after 2×2 pooling.
    public var pooledCount: Int { outputChannels * pooledPlane }
    public var weightCount: Int { outputChannels * inputChannels * Self.taps }
    /// PyTorch's layout of the weights.
    public var weightShape: Shape { [outputChannels, inputChannels, Self.side, Self.side] }

    /// Floats of one image that leave the layer.
    public func resultCount(_ epilogue: ConvolutionEpilogue) -> Int {
        epilogue == .reluMaxPool ? pooledCount : outputCount
    }
}

/// What is done to a convolution's result before it is stored.
public enum ConvolutionEpilogue: Sendable, Hashable, CaseIterable {
    case none
    case relu
    /// ReLU, then the maximum of each 2×2 window (stride 2), with the place of the maximum kept for the way back.
    case reluMaxPool
}

/// y = x·Wᵀ + b, W as PyTorch stores it: (outputs, inputs).
public struct LinearShape: Sendable, Hashable {
    public let inputs: Int
    public let outputs: Int
    /// Whether ReLU follows.
    public let relu: Bool

    public init(inputs: Int, outputs: Int, relu: Bool = false) {
        self.inputs = inputs
        self.outputs = outputs
        self.relu = relu
    }

    public var weightShape: Shape { [outputs, inputs] }
}
