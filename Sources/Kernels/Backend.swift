/// The operations of training, on one kind of processor. `ReferenceBackend` is the specification, the others are fast.
///
/// Images, rows and gradients lie in tensors that may be larger than needed: each call says how many it works on.
/// No call allocates tensor or scratch memory once it has seen its largest shape. Results do not depend on the number
/// of threads. Gradients overwrite what was there. One session uses a backend at a time.
public protocol Backend: AnyObject {
    /// For people and logs, e.g. `cpu-avx2`.
    var name: String { get }

    /// y = epilogue(w ⋆ x + b), ⋆ the cross-correlation that PyTorch calls convolution.
    ///
    /// - input: (images, inputChannels, inputHeight, inputWidth); weight: `weightShape`; bias: (outputChannels).
    /// - output: (images, outputChannels, height, width) after the epilogue.
    /// - maxima: for `.reluMaxPool` the place 0…3 of each window's maximum (row-major, the first of equals; a NaN
    ///   counts as larger than every number); otherwise not used.
    func convolutionForward(
        _ shape: ConvolutionShape, _ epilogue: ConvolutionEpilogue, images: Int, input: Tensor, weight: Tensor,
        bias: Tensor, output: Tensor, maxima: ByteTensor?)

    /// The gradients of `convolutionForward`.
    ///
    /// - output, maxima: as `convolutionForward` left them; outputGradient: the shape of output.
    /// - inputGradient: the shape of input; nil where nothing needs it.
    func convolutionBackward(
        _ shape: ConvolutionShape, _ epilogue: ConvolutionEpilogue, images: Int, input: Tensor, weight: Tensor,
        output: Tensor, maxima: ByteTensor?, outputGradient: Tensor, inputGradient: Tensor?,
        weightGradient: Tensor, biasGradient: Tensor)

    /// y = x·Wᵀ + b, then ReLU where the shape says so.
    ///
    /// - input: (rows, inputs); weight: (outputs, inputs); bias: (outputs); output: (rows, outputs).
    func linearForward(
        _ shape: LinearShape, rows: Int, input: Tensor, weight: Tensor, bias: Tensor, output: Tensor)

    /// The gradients of `linearForward`. Where ReLU follows, `outputGradient` is set to 0 where output is not positive.
    func linearBackward(
        _ shape: LinearShape, rows: Int, input: Tensor, weight: Tensor, output: Tensor, outputGradient: Tensor,
        inputGradient: Tensor?, weightGradient: Tensor, biasGradient: Tensor)

    /// The mean over the rows of −log softmax(logits)[label].
    ///
    /// - logits: (rows, classes); labels: `rows` values below `classes`.
    /// - gradient: (rows, classes), the gradient of the mean, (softmax − onehot) / rows; nil for evaluation.
    /// - Returns: the sum over the rows in Double, NaN when a logit is NaN, and how many rows have their largest logit
    ///   (the first of equals) at the label.
    func softmaxLoss(rows: Int, classes: Int, logits: Tensor, labels: ByteTensor, gradient: Tensor?) -> SoftmaxLoss

    /// One Adam step in place over `parameters.count` elements.
    ///
    /// m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  p ← p − α/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)
    ///
    /// - step: t, from 1.
    /// - Source: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1, with PyTorch's order of operations.
    func adam(
        _ settings: AdamSettings, step: Int, parameters: Tensor, gradients: Tensor, firstMoments: Tensor,
        secondMoments: Tensor)
}

/// What `softmaxLoss` returns.
public struct SoftmaxLoss: Sendable, Hashable {
    /// Sum over the rows, natural logarithm.
    public var sum: Double
    public var correctCount: Int

    public init(sum: Double, correctCount: Int) {
        self.sum = sum
        self.correctCount = correctCount
    }
}

/// Adam's constants; the defaults are PyTorch's.
public struct AdamSettings: Sendable, Hashable {
    public var learningRate: Float
    public var beta1: Float
    public var beta2: Float
    public var epsilon: Float

    public init(learningRate: Float = 1e-3, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8) {
        self.learningRate = learningRate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
    }

    /// α/(1−β₁ᵗ), computed in Double.
    func stepSize(_ step: Int) -> Float {
        Float(Double(learningRate) / (1 - Self.power(Double(beta1), step)))
    }

    /// 1/√(1−β₂ᵗ), computed in Double.
    func secondMomentScale(_ step: Int) -> Float {
        Float(1 / (1 - Self.power(Double(beta2), step)).squareRoot())
    }

    /// Base to a whole power by squaring.
    static func power(_ base: Double, _ exponent: Int) -> Double {
        var result = 1.0
        var square = base
        var rest = exponent
        while rest > 0 {
            if rest & 1 == 1 { result *= square }
            square *= square
            rest >>= 1
        }
        return result
    }
}
