import Testing

@testable import Kernels

struct BatchPartsTests {
    @Test func `parts follow each other and have their images wherever they are worked on`() {
        let whole = BatchParts(batchCount: 13, partCount: 4, range: 0..<4)
        #expect((0..<4).map { whole.images($0) } == [0..<3, 3..<6, 6..<9, 9..<13])
        #expect(whole.first == 0 && whole.count == 13 && whole.depth == 2 && whole.largest == 4)
        let right = BatchParts(batchCount: 13, partCount: 4, range: 2..<4)
        #expect((2..<4).map { right.images($0) } == [0..<3, 3..<7])
        #expect(right.first == 6 && right.count == 7 && right.depth == 1)
    }

    @Test func `sums are made as a tree`() {
        let parts = BatchParts(batchCount: 5, partCount: 5, range: 0..<5)
        let values: [Float] = [1, 0x1p-24, 0x1p-24, 0x1p-24, 0x1p-24]
        let target = Tensor([1]), scratch = Tensor([parts.depth])
        parts.addUp(0..<5, count: 1, into: target.pointer, scratch: scratch.pointer) { $1[0] = values[$0] }
        // (1 + 2⁻²⁴) + (2⁻²⁴ + (2⁻²⁴ + 2⁻²⁴)) = 1 + 3·2⁻²⁴, rounded to even; one after the other nothing would stay.
        #expect(target.values == [1 + 0x1p-22])
    }

    @Test(arguments: [13, 3, 0, 64])
    func `the halves' gradients add up to the whole's, bit for bit`(batch: Int) {
        var random = Seeded(37)
        for shape in [
            ConvolutionShape(inputChannels: 9, outputChannels: 8, inputHeight: 5, inputWidth: 7),
            ConvolutionShape(inputChannels: 2, outputChannels: 3, inputHeight: 5, inputWidth: 7),
        ] {
            let x = random.tensor([batch, shape.inputCount]), w = random.tensor(shape.weightShape)
            let y = random.tensor([batch, shape.outputCount]), dy = random.tensor([batch, shape.outputCount])
            expectHalvesAddUp(batch) { parts in
                let dw = Tensor(w.shape), db = Tensor([shape.outputChannels])
                CPUBackend(threadCount: 2).convolutionBackward(
                    shape, .relu, parts: parts,
                    input: x.view(at: parts.first * shape.inputCount, [parts.count, shape.inputCount]),
                    weight: w, output: y.view(at: parts.first * shape.outputCount, [parts.count, shape.outputCount]),
                    maxima: nil,
                    outputGradient: dy.view(at: parts.first * shape.outputCount, [parts.count, shape.outputCount]),
                    inputGradient: nil, weightGradient: dw, biasGradient: db)
                return dw.values + db.values
            }
        }
        let layer = LinearShape(inputs: 41, outputs: 19)
        let x = random.tensor([batch, 41]), w = random.tensor(layer.weightShape), dy = random.tensor([batch, 19])
        expectHalvesAddUp(batch) { parts in
            let dw = Tensor(w.shape), db = Tensor([19])
            CPUBackend(threadCount: 2).linearBackward(
                layer, parts: parts, input: x.view(at: parts.first * 41, [parts.count, 41]), weight: w,
                output: Tensor([parts.count, 19]), outputGradient: dy.view(at: parts.first * 19, [parts.count, 19]),
                inputGradient: nil, weightGradient: dw, biasGradient: db)
            return dw.values + db.values
        }
    }

    private func expectHalvesAddUp(_ batch: Int, _ gradient: (BatchParts) -> [Float]) {
        let whole = gradient(BatchParts(batchCount: batch, partCount: 4, range: 0..<4))
        let left = gradient(BatchParts(batchCount: batch, partCount: 4, range: 0..<2))
        let right = gradient(BatchParts(batchCount: batch, partCount: 4, range: 2..<4))
        let isSame = zip(left, right).map { $0 + $1 } == whole
        #expect(isSame)
    }
}
