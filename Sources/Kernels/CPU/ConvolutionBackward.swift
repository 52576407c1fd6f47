extension CPUBackend {
    public func convolutionBackward(
        _ shape: ConvolutionShape, _ epilogue: ConvolutionEpilogue, parts: BatchParts, input: Tensor, weight: Tensor,
        output: Tensor, maxima: ByteTensor?, outputGradient: Tensor, inputGradient: Tensor?,
        weightGradient: Tensor, biasGradient: Tensor
    ) {
        shape.check(
            epilogue, images: parts.count, input: input, weight: weight, bias: biasGradient, output: output,
            maxima: maxima)
        shape.checkGradients(
            epilogue, images: parts.count, output: outputGradient, input: inputGradient, weight: weightGradient)
        if WinogradPlan.fits(shape) {
            return winogradBackward(
                shape, epilogue, parts: parts, input: input, weight: weight, output: output, maxima: maxima,
                outputGradient: outputGradient, inputGradient: inputGradient, weightGradient: weightGradient,
                biasGradient: biasGradient)
        }
        let plan = BackwardPlan(shape: shape)
        let chunks = ChunkPlan(
            parts: parts, minimumSize: BackwardPlan.groupSize, maximumPerPart: BackwardPlan.maximumChunkCount)
        let weights = inputGradient == nil ? nil : packForDataGradient(plan, weight)
        let columns = weightGradientColumns(plan)
        let sumCount = shape.weightCount + shape.outputChannels
        let partialSums = memory(.partialSums, chunks.count * sumCount)
        let scratch = threadMemory(plan.scratchCount)
        // Once is enough: each image overwrites the same places, borders and places without a window stay zero.
        scratch.clear(threadCount: threadCount)
        pool.run(chunks.count) { chunk, thread in
            let work = BackwardChunk(
                plan: plan, scratch: scratch[thread], weightSums: partialSums + chunk * sumCount,
                biasSums: partialSums + chunk * sumCount + shape.weightCount)
            work.clearSums()
            let images = chunks.images(chunk)
            var first = images.lowerBound
            while first < images.upperBound {
                let count = min(BackwardPlan.groupSize, images.upperBound - first)
                for index in 0..<count {
                    let image = first + index
                    let offset = image * shape.resultCount(epilogue)
                    work.spread(
                        outputGradient.pointer + offset, output: output.pointer + offset,
                        maxima: maxima.map { $0.pointer + offset }, epilogue, index: index)
                    if let inputGradient, let weights {
                        work.dataGradient(
                            weights, into: inputGradient.pointer + image * shape.inputCount, index: index)
                    }
                }
                work.addWeightGradient(input.pointer + first * shape.inputCount, images: count, columns)
                first += count
            }
        }
        addUp(
            partialSums, chunks, stride: sumCount, offset: 0, count: shape.weightCount, into: weightGradient.pointer)
        addUp(
            partialSums, chunks, stride: sumCount, offset: shape.weightCount, count: shape.outputChannels,
            into: biasGradient.pointer)
    }

    /// Weights for the data gradient: a convolution from output planes to input planes with the taps turned around.
    private func packForDataGradient(_ plan: BackwardPlan, _ weight: Tensor) -> TurnedWeights {
        let inputs = plan.shape.inputChannels, outputs = plan.shape.outputChannels
        let packed = memory(.packedWeights, DirectConvolution.packedCount(outputs: inputs, inputs: outputs))
        let source = weight.pointer
        DirectConvolution.pack(outputs: inputs, inputs: outputs, into: packed) {
            source[($1 * inputs + $0) * ConvolutionShape.taps + ConvolutionShape.taps - 1 - $2]
        }
        let count = outputs * ConvolutionShape.taps
        let offsets = offsetTable(.offsets, count)
        DirectConvolution.fillOffsets(
            inputs: outputs, planeStride: plan.planeStride, pitch: plan.pitch, into: offsets)
        return TurnedWeights(packed: packed, offsets: offsets, count: count)
    }

    private func weightGradientColumns(_ plan: BackwardPlan) -> WeightGradient.Columns {
        let height = plan.shape.outputHeight, width = plan.shape.outputWidth
        let images = BackwardPlan.groupSize
        let count = WeightGradient.Columns.tableCount(images: images, height: height, width: width)
        return WeightGradient.Columns(
            images: images, height: height, width: width, pitch: plan.pitch, gradientStride: plan.imageStride,
            inputStride: plan.shape.inputCount, table: offsetTable(.columns, count))
    }
}

/// Where the bordered gradients of a backward pass lie in scratch memory.
struct BackwardPlan {
    /// Images whose output gradients lie in scratch memory together (about 190 KB each for 64 planes of 24×24).
    static let groupSize = 2
    static let maximumChunkCount = 32

    let shape: ConvolutionShape

    /// Floats from row to row of the bordered gradient: two zeros, then a row of the output gradient; the zeros of the
    /// next row are also the right border.
    var pitch: Int { shape.inputWidth }
    /// Where the output gradient's first element lies in its bordered plane.
    var border: Int { 2 * pitch + 2 }
    var planeStride: Int { ((shape.inputHeight + 2) * pitch + 2 + 15) & ~15 }
    /// Output planes, filled up with zero planes to whole tiles.
    var planes: Int { DirectConvolution.blocks(shape.outputChannels) * DirectConvolution.planes }
    var imageStride: Int { planes * planeStride }
    static let resultCount = DirectConvolution.planes * DirectConvolution.positions
    var scratchCount: Int { Self.resultCount + Self.groupSize * imageStride + AlignedMemory.slack }
}

/// What the data gradient's tiles read besides the bordered gradient.
private struct TurnedWeights {
    let packed: UnsafePointer<Float>
    let offsets: UnsafePointer<Int32>
    /// Weights for each input plane.
    let count: Int
}

/// The backward pass of up to two images on one thread.
private struct BackwardChunk {
    let plan: BackwardPlan
    let scratch: UnsafeMutablePointer<Float>
    let weightSums: UnsafeMutablePointer<Float>
    let biasSums: UnsafeMutablePointer<Float>

    private var result: UnsafeMutablePointer<Float> { scratch }
    private var bordered: UnsafeMutablePointer<Float> { scratch + BackwardPlan.resultCount }

    func clearSums() {
        weightSums.update(repeating: 0, count: plan.shape.weightCount)
        biasSums.update(repeating: 0, count: plan.shape.outputChannels)
    }

    /// Undoes the epilogue: the gradient before it, with a border of zeros, into scratch memory, and its sums by plane.
    func spread(
        _ gradient: UnsafePointer<Float>, output: UnsafePointer<Float>, maxima: UnsafePointer<UInt8>?,
        _ epilogue: ConvolutionEpilogue, index: Int
    ) {
        EpilogueGradient.spread(
            plan.shape, epilogue, gradient: gradient, output: output, maxima: maxima,
            into: bordered + index * plan.imageStride + plan.border, pitch: plan.pitch,
            planeStride: plan.planeStride, biasSums: biasSums)
    }

    /// dx[c][p] = Σ over output planes o, taps of W[o][c][tap] · bordered[o][p + turned tap], for all positions p of the
    /// input plane in one run: its rows follow each other as the bordered rows do.
    func dataGradient(_ weights: TurnedWeights, into target: UnsafeMutablePointer<Float>, index: Int) {
        let shape = plan.shape
        let source = bordered + index * plan.imageStride
        let blockWeights = DirectConvolution.planes * weights.count
        var position = 0
        while position < shape.inputPlane {
            let count = min(DirectConvolution.positions, shape.inputPlane - position)
            for block in 0..<DirectConvolution.blocks(shape.inputChannels) {
                DirectConvolution.tile(
                    image: source + position, offsets: weights.offsets, count: weights.count,
                    weights: weights.packed + block * blockWeights, width: count, result: result,
                    resultStride: DirectConvolution.positions)
                let first = block * DirectConvolution.planes
                for lane in 0..<min(DirectConvolution.planes, shape.inputChannels - first) {
                    let row = target + (first + lane) * shape.inputPlane + position
                    row.update(from: result + lane * DirectConvolution.positions, count: count)
                }
            }
            position += count
        }
    }

    /// Adds the group's weight gradient to the chunk's sums.
    func addWeightGradient(
        _ input: UnsafePointer<Float>, images: Int, _ columns: WeightGradient.Columns
    ) {
        let shape = plan.shape
        for block in 0..<DirectConvolution.blocks(shape.outputChannels) {
            let first = block * WeightGradient.planes
            let planeCount = min(WeightGradient.planes, shape.outputChannels - first)
            for channel in 0..<shape.inputChannels {
                for row in 0..<ConvolutionShape.side {
                    WeightGradient.tile(
                        gradient: bordered + first * plan.planeStride + plan.border,
                        planeStride: plan.planeStride,
                        input: input + channel * shape.inputPlane + row * plan.pitch, images: images,
                        columns: columns, result: result)
                    for lane in 0..<planeCount {
                        let target = ((first + lane) * shape.inputChannels + channel) * ConvolutionShape.taps + row * 3
                        for tap in 0..<ConvolutionShape.side {
                            weightSums[target + tap] += result[lane * ConvolutionShape.side + tap]
                        }
                    }
                }
            }
        }
    }
}

extension ConvolutionShape {
    /// The sizes that a convolution's memory accesses rely on.
    func check(
        _ epilogue: ConvolutionEpilogue, images: Int, input: Tensor, weight: Tensor, bias: Tensor, output: Tensor,
        maxima: ByteTensor?
    ) {
        invariant(inputHeight >= Self.side && inputWidth >= Self.side, "an image is at least as large as the kernel")
        invariant(images >= 0 && input.count >= images * inputCount, "the input holds the images")
        invariant(weight.count == weightCount && bias.count == outputChannels, "weights have the layer's shape")
        invariant(output.count >= images * resultCount(epilogue), "the output holds the images")
        invariant(
            epilogue != .reluMaxPool || (maxima?.count ?? -1) >= images * pooledCount, "the maxima hold the images")
    }

    func checkGradients(
        _ epilogue: ConvolutionEpilogue, images: Int, output: Tensor, input: Tensor?, weight: Tensor
    ) {
        invariant(output.count >= images * resultCount(epilogue), "the output gradient holds the images")
        invariant(input.map { $0.count >= images * inputCount } ?? true, "the input gradient holds the images")
        invariant(weight.count == weightCount, "the weight gradient has the layer's shape")
    }
}
