import KernelLoops

extension CPUBackend {
    func winogradBackward(
        _ shape: ConvolutionShape, _ epilogue: ConvolutionEpilogue, parts: BatchParts, input: Tensor, weight: Tensor,
        output: Tensor, maxima: ByteTensor?, outputGradient: Tensor, inputGradient: Tensor?,
        weightGradient: Tensor, biasGradient: Tensor
    ) {
        let plan = WinogradPlan(shape)
        let chunks = ChunkPlan(
            parts: parts, minimumSize: WinogradBackward.chunkSize, maximumPerPart: WinogradBackward.maximumChunkCount)
        let turned = inputGradient.map { _ in turnedWeights(plan, weight) }
        let sumCount = plan.weightCount + shape.outputChannels
        let sums = memory(.partialSums, chunks.count * sumCount)
        let work = WinogradBackward(plan: plan, epilogue: epilogue, loops: loops, turned: turned)
        let scratch = threadMemory(work.scratchCount)
        pool.run(chunks.count) { chunk, thread in
            let weightSums = sums + chunk * sumCount
            weightSums.update(repeating: 0, count: sumCount)
            for image in chunks.images(chunk) {
                let offset = image * shape.resultCount(epilogue)
                work.run(
                    input.pointer + image * shape.inputCount, output: output.pointer + offset,
                    maxima: maxima.map { $0.pointer + offset }, gradient: outputGradient.pointer + offset,
                    inputGradient: inputGradient.map { $0.pointer + image * shape.inputCount },
                    weightSums: weightSums, biasSums: weightSums + plan.weightCount, scratch: scratch[thread])
            }
        }
        addUp(
            sums, chunks, stride: sumCount, offset: plan.weightCount, count: shape.outputChannels,
            into: biasGradient.pointer)
        addUpWeights(plan, chunks, sums, stride: sumCount, into: weightGradient)
    }

    /// The parts are added up as weights, not at the 36 points: so the sum of two halves is the same bits wherever it is
    /// made.
    private func addUpWeights(
        _ plan: WinogradPlan, _ chunks: ChunkPlan, _ sums: UnsafeMutablePointer<Float>, stride: Int,
        into weightGradient: Tensor
    ) {
        let range = chunks.parts.range, channels = plan.shape.inputChannels
        let piece = 4096, pieces = (plan.weightCount + piece - 1) / piece
        pool.run(range.count * pieces) { index, _ in
            let own = chunks.chunks(ofPart: range.lowerBound + index / pieces)
            let first = index % pieces * piece
            let target = sums + own.lowerBound * stride + first
            for chunk in own.dropFirst() {
                let source = sums + chunk * stride + first
                for index in 0..<min(piece, plan.weightCount - first) { target[index] += source[index] }
            }
        }
        let count = plan.shape.weightCount
        let gradients = memory(.partGradients, range.count * count)
        pool.run(range.count * channels) { index, _ in
            let part = index / channels
            WinogradWeights.gradient(
                plan, sums + part * chunks.perPart * stride, inputChannel: index % channels,
                into: gradients + part * count)
        }
        let single = ChunkPlan(parts: chunks.parts, minimumSize: max(1, chunks.parts.largest), maximumPerPart: 1)
        addUp(gradients, single, stride: count, offset: 0, count: count, into: weightGradient.pointer)
    }

    private func turnedWeights(_ plan: WinogradPlan, _ weight: Tensor) -> UnsafePointer<Float> {
        let turned = memory(.packedWeights, max(plan.turnedCount, plan.weightCount))
        pool.run(plan.shape.outputChannels) { channel, _ in
            WinogradWeights.transformTurned(plan, weight.pointer, outputChannel: channel, into: turned)
        }
        return UnsafePointer(turned)
    }
}

/// The backward pass of one image after the other.
private struct WinogradBackward {
    /// Images that add up their weight gradients in one piece of memory.
    static let chunkSize = 4
    static let maximumChunkCount = 16

    let plan: WinogradPlan
    let epilogue: ConvolutionEpilogue
    let loops: LoopTable
    /// Nil: nobody needs the input's gradient.
    let turned: UnsafePointer<Float>?
    private let image: Int
    private let planes: Int
    private let gradient: Int
    private let inputs: Int
    private let gradients: Int
    private let products: Int
    private let working: Int
    let scratchCount: Int

    init(plan: WinogradPlan, epilogue: ConvolutionEpilogue, loops: LoopTable, turned: UnsafePointer<Float>?) {
        self.plan = plan
        self.epilogue = epilogue
        self.loops = loops
        self.turned = turned
        var layout = ScratchLayout()
        image = layout.piece(plan.imageCount)
        planes = layout.piece(plan.shape.outputCount)
        gradient = layout.piece(plan.gradientCount)
        inputs = layout.piece(plan.inputPoints)
        gradients = layout.piece(plan.outputPoints)
        products = layout.piece(plan.inputPoints)
        working = layout.piece(max(Winograd.scratchCount, Transposition.scratchCount))
        scratchCount = layout.count
    }

    func run(
        _ x: UnsafePointer<Float>, output: UnsafePointer<Float>, maxima: UnsafePointer<UInt8>?,
        gradient dy: UnsafePointer<Float>, inputGradient: UnsafeMutablePointer<Float>?,
        weightSums: UnsafeMutablePointer<Float>, biasSums: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>
    ) {
        // Rows and columns that belong to no window of the pooling.
        if epilogue == .reluMaxPool, (plan.shape.outputHeight | plan.shape.outputWidth) & 1 == 1 {
            (scratch + planes).update(repeating: 0, count: plan.shape.outputCount)
        }
        EpilogueGradient.spread(
            plan.shape, epilogue, gradient: dy, output: output, maxima: maxima, into: scratch + planes,
            pitch: plan.shape.outputWidth, planeStride: plan.shape.outputPlane, biasSums: biasSums)
        spreadGradient(scratch)
        plan.spread(x, into: scratch + image, loops, working: scratch + working)
        for block in 0..<plan.blocks {
            let tiles = plan.tiles(ofBlock: block)
            transformGradient(tiles, scratch)
            plan.transformInput(scratch + image, tiles, into: scratch + inputs, loops, working: scratch + working)
            for point in 0..<Winograd.points { addWeightGradient(point, tiles.count, weightSums, scratch) }
        }
        if let turned, let inputGradient { dataGradient(turned, into: inputGradient, scratch) }
    }

    /// The results' gradient into whole tiles, position by position.
    private func spreadGradient(_ scratch: UnsafeMutablePointer<Float>) {
        let shape = plan.shape
        if plan.gradientHasEdge { (scratch + gradient).update(repeating: 0, count: plan.gradientCount) }
        if plan.gradientWidth == shape.outputWidth {
            return loops.pixels(
                scratch + planes, shape.outputPlane, shape.outputChannels, shape.outputPlane, scratch + gradient,
                plan.outputs, scratch + working)
        }
        for row in 0..<shape.outputHeight {
            loops.pixels(
                scratch + planes + row * shape.outputWidth, shape.outputPlane, shape.outputChannels,
                shape.outputWidth, scratch + gradient + row * plan.gradientWidth * plan.outputs, plan.outputs,
                scratch + working)
        }
    }

    private func transformGradient(_ tiles: Range<Int>, _ scratch: UnsafeMutablePointer<Float>) {
        for tile in tiles {
            loops.winogradGradient(
                TileRow(
                    pixels: scratch + gradient + plan.gradientOffset(tile), row: plan.gradientWidth * plan.outputs,
                    column: plan.outputs, points: scratch + gradients + (tile - tiles.lowerBound) * plan.outputs,
                    stride: plan.outputStride, channels: plan.outputs, scratch: scratch + working))
        }
    }

    private func addWeightGradient(
        _ point: Int, _ tiles: Int, _ sums: UnsafeMutablePointer<Float>, _ scratch: UnsafeMutablePointer<Float>
    ) {
        let target = sums + point * plan.weightStride
        loops.product(
            Product(
                rows: plan.shape.inputChannels, columns: plan.outputs, depth: tiles,
                a: scratch + inputs + point * plan.inputStride, aRow: 1, aStep: plan.inputs,
                b: scratch + gradients + point * plan.outputStride, bRow: plan.outputs,
                c: target, cRow: plan.outputs, d: target, dRow: plan.outputs))
    }

    /// The image's memory takes its gradient: neighbouring tiles add up where they overlap.
    private func dataGradient(
        _ turned: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>,
        _ scratch: UnsafeMutablePointer<Float>
    ) {
        let shape = plan.shape
        let pixels = scratch + image
        pixels.update(repeating: 0, count: plan.imageCount)
        for block in 0..<plan.blocks {
            let tiles = plan.tiles(ofBlock: block)
            if plan.blocks > 1 { transformGradient(tiles, scratch) }
            for point in 0..<Winograd.points {
                loops.product(
                    Product(
                        rows: tiles.count, columns: plan.inputs, depth: shape.outputChannels,
                        a: scratch + gradients + point * plan.outputStride, aRow: plan.outputs, aStep: 1,
                        b: turned + point * plan.turnedStride, bRow: plan.inputs,
                        c: scratch + products + point * plan.inputStride, cRow: plan.inputs))
            }
            for tile in tiles {
                loops.winogradInputAdjoint(
                    TileRow(
                        pixels: pixels + plan.imageOffset(tile), row: plan.imageWidth * plan.inputs,
                        column: plan.inputs, points: scratch + products + (tile - tiles.lowerBound) * plan.inputs,
                        stride: plan.inputStride, channels: plan.inputs, scratch: scratch + working))
            }
        }
        for row in 0..<(plan.imageWidth == shape.inputWidth ? 1 : shape.inputHeight) {
            let count = plan.imageWidth == shape.inputWidth ? shape.inputPlane : shape.inputWidth
            loops.planes(
                pixels + row * plan.imageWidth * plan.inputs, plan.inputs, shape.inputChannels, count,
                target + row * shape.inputWidth, shape.inputPlane, scratch + working)
        }
    }
}
