/// The operations of training, on one kind of processor. `ReferenceBackend` is the specification, the others are fast.
///
/// Images, rows and gradients lie in tensors that may be larger than needed: each call says how many it works on.
/// A NaN or an infinity in an image may reach more results of that image than the formula says, and gradients too: a
/// backend may compute neighbouring results together.
/// Gradients of weights are added up in the order that `BatchParts` lays down.
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
        _ shape: ConvolutionShape, _ epilogue: ConvolutionEpilogue, parts: BatchParts, input: Tensor, weight: Tensor,
        output: Tensor, maxima: ByteTensor?, outputGradient: Tensor, inputGradient: Tensor?,
        weightGradient: Tensor, biasGradient: Tensor)

    /// y = x·Wᵀ + b, then ReLU where the shape says so.
    ///
    /// - input: (rows, inputs); weight: (outputs, inputs); bias: (outputs); output: (rows, outputs).
    func linearForward(
        _ shape: LinearShape, rows: Int, input: Tensor, weight: Tensor, bias: Tensor, output: Tensor)

    /// The gradients of `linearForward`. Where ReLU follows, `outputGradient` is set to 0 where output is not positive.
    func linearBackward(
        _ shape: LinearShape, parts: BatchParts, input: Tensor, weight: Tensor, output: Tensor, outputGradient: Tensor,
        inputGradient: Tensor?, weightGradient: Tensor, biasGradient: Tensor)

    /// −log softmax(logits)[label] of each row.
    ///
    /// - parts: whose rows they are.
    /// - logits: (rows, classes); labels: one value below `classes` for each row.
    /// - gradient: (rows, classes), of the mean over the whole batch, (softmax − onehot) / batchCount; nil for
    ///   evaluation.
    /// - Returns: the sum over the rows in Double (of each part's sums in order), NaN when a logit is NaN, and how many
    ///   rows have their largest logit (the first of equals) at the label.
    func softmaxLoss(
        parts: BatchParts, classes: Int, logits: Tensor, labels: ByteTensor, gradient: Tensor?
    ) -> SoftmaxLoss

    /// One Adam or AdamW step in place over `parameters.count` elements.
    ///
    /// g ← sg + λp (Adam);  p ← (1−αλ)p (AdamW);
    /// m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  p ← p − α/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)
    ///
    /// - step: t, from 1.
    /// - Source: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1; Loshchilov & Hutter 2019, arXiv:1711.05101,
    ///   algorithm 2; with PyTorch's order of operations.
    func adam(
        _ settings: AdamSettings, step: Int, parameters: Tensor, gradients: Tensor, firstMoments: Tensor,
        secondMoments: Tensor)

    /// One step of gradient descent with momentum, in place over `parameters.count` elements.
    ///
    /// g ← sg + λp;  b ← μb + g;  p ← p − αb, or p − α(g + μb) (Nesterov)
    ///
    /// - velocities: b, zeros before the first step.
    /// - Source: Sutskever et al. 2013, ICML, with PyTorch's order of operations and no dampening.
    func sgd(_ settings: SGDSettings, parameters: Tensor, gradients: Tensor, velocities: Tensor)
}

extension Backend {
    /// As the requirement, a batch in one part.
    public func convolutionBackward(
        _ shape: ConvolutionShape, _ epilogue: ConvolutionEpilogue, images: Int, input: Tensor, weight: Tensor,
        output: Tensor, maxima: ByteTensor?, outputGradient: Tensor, inputGradient: Tensor?,
        weightGradient: Tensor, biasGradient: Tensor
    ) {
        convolutionBackward(
            shape, epilogue, parts: BatchParts(images), input: input, weight: weight, output: output, maxima: maxima,
            outputGradient: outputGradient, inputGradient: inputGradient, weightGradient: weightGradient,
            biasGradient: biasGradient)
    }

    /// As the requirement, a batch in one part.
    public func linearBackward(
        _ shape: LinearShape, rows: Int, input: Tensor, weight: Tensor, output: Tensor, outputGradient: Tensor,
        inputGradient: Tensor?, weightGradient: Tensor, biasGradient: Tensor
    ) {
        linearBackward(
            shape, parts: BatchParts(rows), input: input, weight: weight, output: output,
            outputGradient: outputGradient, inputGradient: inputGradient, weightGradient: weightGradient,
            biasGradient: biasGradient)
    }

    /// As the requirement, a batch in one part.
    public func softmaxLoss(
        rows: Int, classes: Int, logits: Tensor, labels: ByteTensor, gradient: Tensor?
    ) -> SoftmaxLoss {
        softmaxLoss(
            parts: BatchParts(rows), classes: classes, logits: logits, labels: labels, gradient: gradient)
    }
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
