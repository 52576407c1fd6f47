/// `Reference` as a backend: slow, and as exact as Float32 results can be.
public final class ReferenceBackend: Backend {
    public let name = "reference"

    public init() {}

    public func convolutionForward(
        _ shape: ConvolutionShape, _ epilogue: ConvolutionEpilogue, images: Int, input: Tensor, weight: Tensor,
        bias: Tensor, output: Tensor, maxima: ByteTensor?
    ) {
        shape.check(epilogue, images: images, input: input, weight: weight, bias: bias, output: output, maxima: maxima)
        let sums = Reference.convolution(
            shape, images: images, input: input.doubles(images * shape.inputCount), weight: weight.doubles(),
            bias: bias.doubles())
        switch epilogue {
        case .none: output.set(sums)
        case .relu: output.set(Reference.relu(sums))
        case .reluMaxPool:
            let pooled = Reference.maxPool(
                sums, planes: images * shape.outputChannels, height: shape.outputHeight, width: shape.outputWidth)
            output.set(Reference.relu(pooled.values))
            for (index, place) in pooled.places.enumerated() { maxima?.elements[index] = place }
        }
    }

    public func convolutionBackward(
        _ shape: ConvolutionShape, _ epilogue: ConvolutionEpilogue, parts: BatchParts, input: Tensor, weight: Tensor,
        output: Tensor, maxima: ByteTensor?, outputGradient: Tensor, inputGradient: Tensor?,
        weightGradient: Tensor, biasGradient: Tensor
    ) {
        let images = parts.count
        shape.check(
            epilogue, images: images, input: input, weight: weight, bias: biasGradient, output: output, maxima: maxima)
        shape.checkGradients(
            epilogue, images: images, output: outputGradient, input: inputGradient, weight: weightGradient)
        let count = images * shape.resultCount(epilogue)
        var gradient = outputGradient.doubles(count)
        if epilogue != .none {
            gradient = Reference.reluGradient(output: output.doubles(count), outputGradient: gradient)
        }
        if epilogue == .reluMaxPool, let maxima {
            gradient = Reference.maxPoolGradient(
                places: Array(maxima.elements.prefix(count)), outputGradient: gradient,
                planes: images * shape.outputChannels, height: shape.outputHeight, width: shape.outputWidth)
        }
        inputGradient?.set(
            Reference.convolutionInputGradient(
                shape, images: images, outputGradient: gradient, weight: weight.doubles()))
        weightGradient.set(
            Reference.convolutionWeightGradient(
                shape, images: images, outputGradient: gradient, input: input.doubles(images * shape.inputCount)))
        biasGradient.set(Reference.convolutionBiasGradient(shape, images: images, outputGradient: gradient))
    }

    public func linearForward(
        _ shape: LinearShape, rows: Int, input: Tensor, weight: Tensor, bias: Tensor, output: Tensor
    ) {
        shape.check(rows: rows, input: input, weight: weight, bias: bias, output: output)
        let sums = Reference.linear(
            shape, rows: rows, input: input.doubles(rows * shape.inputs), weight: weight.doubles(),
            bias: bias.doubles())
        output.set(shape.relu ? Reference.relu(sums) : sums)
    }

    public func linearBackward(
        _ shape: LinearShape, parts: BatchParts, input: Tensor, weight: Tensor, output: Tensor, outputGradient: Tensor,
        inputGradient: Tensor?, weightGradient: Tensor, biasGradient: Tensor
    ) {
        let rows = parts.count
        shape.check(rows: rows, input: input, weight: weight, bias: biasGradient, output: output)
        shape.checkGradients(rows: rows, output: outputGradient, input: inputGradient, weight: weightGradient)
        let count = rows * shape.outputs
        var gradient = outputGradient.doubles(count)
        if shape.relu {
            gradient = Reference.reluGradient(output: output.doubles(count), outputGradient: gradient)
            outputGradient.set(gradient)
        }
        inputGradient?.set(
            Reference.linearInputGradient(shape, rows: rows, outputGradient: gradient, weight: weight.doubles()))
        weightGradient.set(
            Reference.linearWeightGradient(
                shape, rows: rows, outputGradient: gradient, input: input.doubles(rows * shape.inputs)))
        biasGradient.set(Reference.linearBiasGradient(shape, rows: rows, outputGradient: gradient))
    }

    public func softmaxLoss(
        parts: BatchParts, classes: Int, logits: Tensor, labels: ByteTensor, gradient: Tensor?
    ) -> SoftmaxLoss {
        let rows = parts.count
        let z = logits.doubles(rows * classes)
        let rowLabels = Array(labels.elements.prefix(rows))
        let losses = Reference.softmaxLosses(rows: rows, classes: classes, logits: z, labels: rowLabels)
        gradient?.set(
            Reference.softmaxLossGradient(
                rows: rows, classes: classes, logits: z, labels: rowLabels, batchCount: parts.batchCount))
        let correct = (0..<rows).filter { row in
            let values = z[(row * classes)..<((row + 1) * classes)]
            return values.firstIndex(of: values.max() ?? 0) == row * classes + Int(rowLabels[row])
        }
        return SoftmaxLoss(sum: losses.reduce(0, +), correctCount: correct.count)
    }

    public func adam(
        _ settings: AdamSettings, step: Int, parameters: Tensor, gradients: Tensor, firstMoments: Tensor,
        secondMoments: Tensor
    ) {
        var p = parameters.doubles(), m = firstMoments.doubles(), v = secondMoments.doubles()
        Reference.adam(
            settings, step: step, parameters: &p, gradients: gradients.doubles(), firstMoments: &m,
            secondMoments: &v)
        parameters.set(p)
        firstMoments.set(m)
        secondMoments.set(v)
    }

    public func sgd(_ settings: SGDSettings, parameters: Tensor, gradients: Tensor, velocities: Tensor) {
        var p = parameters.doubles(), b = velocities.doubles()
        Reference.sgd(settings, parameters: &p, gradients: gradients.doubles(), velocities: &b)
        parameters.set(p)
        velocities.set(b)
    }
}

extension Tensor {
    /// The first `count` elements (all by default) in Double.
    fileprivate func doubles(_ count: Int? = nil) -> [Double] { elements.prefix(count ?? self.count).map(Double.init) }

    /// Overwrites the first elements.
    fileprivate func set(_ values: [Double]) {
        for (index, value) in values.enumerated() { elements[index] = Float(value) }
    }
}
