import KernelLoops

extension CPUBackend {
    func winogradForward(
        _ shape: ConvolutionShape, _ epilogue: ConvolutionEpilogue, images: Int, input: Tensor, weight: Tensor,
        bias: Tensor, output: Tensor, maxima: ByteTensor?
    ) {
        let plan = WinogradPlan(shape)
        let weights = memory(.packedWeights, plan.weightCount)
        pool.run(shape.inputChannels) { channel, _ in
            WinogradWeights.transform(plan, weight.pointer, inputChannel: channel, into: weights)
        }
        let paddedBias = memory(.bias, plan.outputs)
        paddedBias.update(repeating: 0, count: plan.outputs)
        paddedBias.update(from: bias.pointer, count: shape.outputChannels)
        let work = WinogradForward(plan: plan, epilogue: epilogue, loops: loops, weights: weights, bias: paddedBias)
        let scratch = threadMemory(work.scratchCount)
        pool.run(images) { image, thread in
            let offset = image * shape.resultCount(epilogue)
            work.run(
                input.pointer + image * shape.inputCount, into: output.pointer + offset,
                maxima: maxima.map { $0.pointer + offset }, scratch: scratch[thread])
        }
    }
}

/// The forward pass of one image.
private struct WinogradForward {
    let plan: WinogradPlan
    let epilogue: ConvolutionEpilogue
    let loops: LoopTable
    let weights: UnsafePointer<Float>
    let bias: UnsafePointer<Float>
    private let image: Int
    private let inputs: Int
    private let products: Int
    private let results: Int
    private let places: Int
    private let working: Int
    let scratchCount: Int

    init(
        plan: WinogradPlan, epilogue: ConvolutionEpilogue, loops: LoopTable, weights: UnsafePointer<Float>,
        bias: UnsafePointer<Float>
    ) {
        self.plan = plan
        self.epilogue = epilogue
        self.loops = loops
        self.weights = weights
        self.bias = bias
        let resultPlane = epilogue == .reluMaxPool ? plan.shape.pooledPlane : plan.shape.outputPlane
        var layout = ScratchLayout()
        image = layout.piece(plan.imageCount)
        inputs = layout.piece(plan.inputPoints)
        products = layout.piece(plan.outputPoints)
        results = layout.piece(resultPlane * plan.outputs)
        places = layout.piece(epilogue == .reluMaxPool ? resultPlane * plan.outputs : 0)
        working = layout.piece(max(WinogradOutput.scratchCount, Transposition.scratchCount))
        scratchCount = layout.count
    }

    private var resultHeight: Int { epilogue == .reluMaxPool ? plan.shape.pooledHeight : plan.shape.outputHeight }
    private var resultWidth: Int { epilogue == .reluMaxPool ? plan.shape.pooledWidth : plan.shape.outputWidth }

    func run(
        _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, maxima: UnsafeMutablePointer<UInt8>?,
        scratch: UnsafeMutablePointer<Float>
    ) {
        plan.spread(x, into: scratch + image, loops, working: scratch + working)
        for block in 0..<plan.blocks {
            let tiles = plan.tiles(ofBlock: block)
            plan.transformInput(scratch + image, tiles, into: scratch + inputs, loops, working: scratch + working)
            for point in 0..<Winograd.points {
                loops.product(
                    Product(
                        rows: tiles.count, columns: plan.outputs, depth: plan.shape.inputChannels,
                        a: scratch + inputs + point * plan.inputStride, aRow: plan.inputs, aStep: 1,
                        b: weights + point * plan.weightStride, bRow: plan.outputs,
                        c: scratch + products + point * plan.outputStride, cRow: plan.outputs))
            }
            for tile in tiles { finish(tile, index: tile - tiles.lowerBound, scratch) }
        }
        let plane = resultHeight * resultWidth
        loops.planes(
            scratch + results, plan.outputs, plan.shape.outputChannels, plane, y, plane, scratch + working)
        if let maxima, epilogue == .reluMaxPool { storePlaces(maxima, plane, scratch) }
    }

    private func finish(_ tile: Int, index: Int, _ scratch: UnsafeMutablePointer<Float>) {
        let step = epilogue == .reluMaxPool ? Winograd.tile / 2 : Winograd.tile
        let row = tile / plan.tileColumns * step, column = tile % plan.tileColumns * step
        let offset = (row * resultWidth + column) * plan.outputs
        let kind: WinogradOutput.Epilogue =
            switch epilogue {
            case .none: .none
            case .relu: .relu
            case .reluMaxPool: .reluMaxPool
            }
        loops.winogradOutput(
            WinogradOutput(
                points: scratch + products + index * plan.outputs, stride: plan.outputStride, channels: plan.outputs,
                bias: bias, epilogue: kind, target: scratch + results + offset, places: scratch + places + offset,
                row: resultWidth * plan.outputs, column: plan.outputs, height: max(0, min(step, resultHeight - row)),
                width: max(0, min(step, resultWidth - column)), scratch: scratch + working))
    }

    /// The places by plane, as bytes; the results' memory is free by now.
    private func storePlaces(
        _ maxima: UnsafeMutablePointer<UInt8>, _ plane: Int, _ scratch: UnsafeMutablePointer<Float>
    ) {
        let source = scratch + results
        loops.planes(
            scratch + places, plan.outputs, plan.shape.outputChannels, plane, source, plane, scratch + working)
        let count = plan.shape.outputChannels * plane
        var index = 0
        while index + 16 <= count {
            // 2²³ + n has n in its lowest bits.
            let value = UnsafeRawPointer(source + index).loadUnaligned(as: SIMD16<Float>.self) + 8_388_608
            let bytes = SIMD16<UInt8>(truncatingIfNeeded: unsafeBitCast(value, to: SIMD16<UInt32>.self))
            UnsafeMutableRawPointer(maxima + index).storeBytes(of: bytes, as: SIMD16<UInt8>.self)
            index += 16
        }
        while index < count {
            maxima[index] = UInt8(source[index])
            index += 1
        }
    }
}

extension WinogradPlan {
    /// An image's planes into whole tiles, position by position; zeros over its edge. Lanes that fill up the channels
    /// hold anything: no product reads them.
    func spread(
        _ x: UnsafePointer<Float>, into image: UnsafeMutablePointer<Float>, _ loops: LoopTable,
        working: UnsafeMutablePointer<Float>
    ) {
        if imageHasEdge { image.update(repeating: 0, count: imageCount) }
        if imageWidth == shape.inputWidth {
            return loops.pixels(x, shape.inputPlane, shape.inputChannels, shape.inputPlane, image, inputs, working)
        }
        for row in 0..<shape.inputHeight {
            loops.pixels(
                x + row * shape.inputWidth, shape.inputPlane, shape.inputChannels, shape.inputWidth,
                image + row * imageWidth * inputs, inputs, working)
        }
    }

    func transformInput(
        _ image: UnsafeMutablePointer<Float>, _ tiles: Range<Int>, into points: UnsafeMutablePointer<Float>,
        _ loops: LoopTable, working: UnsafeMutablePointer<Float>
    ) {
        for tile in tiles {
            loops.winogradInput(
                TileRow(
                    pixels: image + imageOffset(tile), row: imageWidth * inputs, column: inputs,
                    points: points + (tile - tiles.lowerBound) * inputs, stride: inputStride, channels: inputs,
                    scratch: working))
        }
    }
}
