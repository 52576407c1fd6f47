extension CPUBackend {
    public func convolutionForward(
        _ shape: ConvolutionShape, _ epilogue: ConvolutionEpilogue, images: Int, input: Tensor, weight: Tensor,
        bias: Tensor, output: Tensor, maxima: ByteTensor?
    ) {
        shape.check(epilogue, images: images, input: input, weight: weight, bias: bias, output: output, maxima: maxima)
        if WinogradPlan.fits(shape) {
            return winogradForward(
                shape, epilogue, images: images, input: input, weight: weight, bias: bias, output: output,
                maxima: maxima)
        }
        let packed = memory(
            .packedWeights,
            DirectConvolution.packedCount(outputs: shape.outputChannels, inputs: shape.inputChannels))
        let source = weight.pointer
        DirectConvolution.pack(outputs: shape.outputChannels, inputs: shape.inputChannels, into: packed) {
            source[($0 * shape.inputChannels + $1) * ConvolutionShape.taps + $2]
        }
        let offsets = offsetTable(.offsets, shape.inputChannels * ConvolutionShape.taps)
        DirectConvolution.fillOffsets(
            inputs: shape.inputChannels, planeStride: shape.inputPlane, pitch: shape.inputWidth, into: offsets)
        let rows = ConvolutionRows(shape: shape, packed: packed, offsets: offsets, bias: bias.pointer)
        let scratch = threadMemory(rows.scratchCount)
        pool.run(images) { image, thread in
            let x = input.pointer + image * shape.inputCount
            let y = output.pointer + image * shape.resultCount(epilogue)
            switch epilogue {
            case .none, .relu: rows.forward(x, into: y, relu: epilogue == .relu, scratch: scratch[thread])
            case .reluMaxPool:
                guard let maxima else { return }
                rows.forwardPooled(
                    x, into: y, maxima: maxima.pointer + image * shape.pooledCount, scratch: scratch[thread])
            }
        }
    }
}

/// The forward pass of one image, a row (or two, for pooling) of 4 output planes at a time.
private struct ConvolutionRows {
    let shape: ConvolutionShape
    let packed: UnsafePointer<Float>
    let offsets: UnsafePointer<Int32>
    let bias: UnsafePointer<Float>

    /// Floats of one row in scratch memory: whole tiles, and room for 16-wide reads.
    private var rowStride: Int { (shape.outputWidth + DirectConvolution.positions + 15) & ~15 }
    /// Two rows of 4 planes.
    var scratchCount: Int { 2 * DirectConvolution.planes * rowStride }

    func forward(
        _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, relu: Bool,
        scratch: UnsafeMutablePointer<Float>
    ) {
        let width = shape.outputWidth
        for row in 0..<shape.outputHeight {
            for block in 0..<DirectConvolution.blocks(shape.outputChannels) {
                convolve(x, row: row, block: block, into: scratch)
                forEachPlane(of: block) { plane, lane in
                    let target = y + plane * shape.outputPlane + row * width
                    Epilogue.addBias(scratch + lane * rowStride, bias[plane], relu, width, target)
                }
            }
        }
    }

    func forwardPooled(
        _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, maxima: UnsafeMutablePointer<UInt8>,
        scratch: UnsafeMutablePointer<Float>
    ) {
        let below = scratch + DirectConvolution.planes * rowStride
        for row in 0..<shape.pooledHeight {
            for block in 0..<DirectConvolution.blocks(shape.outputChannels) {
                convolve(x, row: 2 * row, block: block, into: scratch)
                convolve(x, row: 2 * row + 1, block: block, into: below)
                forEachPlane(of: block) { plane, lane in
                    let target = plane * shape.pooledPlane + row * shape.pooledWidth
                    Epilogue.reluMaxPool(
                        scratch + lane * rowStride, below + lane * rowStride, bias[plane], shape.pooledWidth,
                        y + target, maxima + target)
                }
            }
        }
    }

    @inline(__always)
    private func forEachPlane(of block: Int, _ body: (_ plane: Int, _ lane: Int) -> Void) {
        let first = block * DirectConvolution.planes
        for lane in 0..<min(DirectConvolution.planes, shape.outputChannels - first) { body(first + lane, lane) }
    }

    @inline(__always)
    private func convolve(
        _ x: UnsafePointer<Float>, row: Int, block: Int, into result: UnsafeMutablePointer<Float>
    ) {
        let count = shape.inputChannels * ConvolutionShape.taps
        let weights = packed + block * DirectConvolution.planes * count
        var column = 0
        while column < shape.outputWidth {
            DirectConvolution.tile(
                image: x + row * shape.inputWidth + column, offsets: offsets, count: count, weights: weights,
                width: shape.outputWidth - column, result: result + column, resultStride: rowStride)
            column += shape.outputWidth - column > 8 ? DirectConvolution.positions : 8
        }
    }
}
