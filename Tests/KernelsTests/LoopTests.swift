import KernelLoops
import Testing

@testable import Kernels

struct LoopTests {
    /// What the layers of a small network make of the same numbers.
    private func results(_ backend: CPUBackend) -> [[Float]] {
        var random = Seeded(23)
        let shape = ConvolutionShape(inputChannels: 9, outputChannels: 17, inputHeight: 11, inputWidth: 9)
        let images = 3
        let x = random.tensor([images, shape.inputCount]), w = random.tensor(shape.weightShape)
        let b = random.tensor([17]), y = Tensor([images, shape.pooledCount])
        let dy = random.tensor([images, shape.pooledCount]), places = ByteTensor(count: images * shape.pooledCount)
        let dx = Tensor(x.shape), dw = Tensor(w.shape), db = Tensor(b.shape)
        backend.convolutionForward(
            shape, .reluMaxPool, images: images, input: x, weight: w, bias: b, output: y, maxima: places)
        backend.convolutionBackward(
            shape, .reluMaxPool, images: images, input: x, weight: w, output: y, maxima: places, outputGradient: dy,
            inputGradient: dx, weightGradient: dw, biasGradient: db)
        let layer = LinearShape(inputs: 77, outputs: 35), rows = 13
        let lx = random.tensor([rows, 77]), lw = random.tensor(layer.weightShape), lb = random.tensor([35])
        let ly = Tensor([rows, 35]), ldx = Tensor(lx.shape), ldw = Tensor(lw.shape), ldb = Tensor(lb.shape)
        backend.linearForward(layer, rows: rows, input: lx, weight: lw, bias: lb, output: ly)
        backend.linearBackward(
            layer, rows: rows, input: lx, weight: lw, output: ly, outputGradient: random.tensor([rows, 35]),
            inputGradient: ldx, weightGradient: ldw, biasGradient: ldb)
        let m = Tensor(lw.shape), v = Tensor(lw.shape)
        backend.adam(
            AdamSettings(), step: 1, parameters: lw, gradients: ldw, firstMoments: m, secondMoments: v)
        return [y, dx, dw, db, ly, ldx, ldw, ldb, lw, m, v].map(\.values) + [places.elements.map(Float.init)]
    }

    /// A run may stop on one machine and go on, bit for bit, on another.
    @Test func `every instruction set of this machine gives the same bits`() {
        let expected = results(CPUBackend(threadCount: 1, loops: Loops.base))
        #expect(Loops.usable.last?.name == Loops.base.name)
        for loops in Loops.usable { #expect(results(CPUBackend(threadCount: 2, loops: loops)) == expected) }
    }

    @Test(arguments: [1, 15, 16, 17, 40], [1, 2, 16, 19])
    func `planes become pixels and pixels planes`(count: Int, channels: Int) {
        var random = Seeded(29)
        for loops in Loops.usable {
            let padded = (channels + 15) & ~15, planeStride = count + 3
            let planes = random.tensor([channels, planeStride]), working = Tensor([Transposition.scratchCount])
            let pixels = random.tensor([count, padded + 2]), back = Tensor([channels, planeStride])
            loops.pixels(planes.pointer, planeStride, channels, count, pixels.pointer, padded + 2, working.pointer)
            let expected = (0..<count).flatMap { pixel in
                (0..<padded).map { $0 < channels ? planes.values[$0 * planeStride + pixel] : 0 }
            }
            let found = (0..<count).flatMap { pixel in pixels.values[(pixel * (padded + 2))...].prefix(padded) }
            #expect(found == expected)
            loops.planes(pixels.pointer, padded + 2, channels, count, back.pointer, planeStride, working.pointer)
            let returned = (0..<channels).flatMap { back.values[($0 * planeStride)...].prefix(planeStride) }
            let original = (0..<channels).flatMap { channel in
                planes.values[(channel * planeStride)...].prefix(count) + [0, 0, 0]
            }
            #expect(returned == original)
        }
    }

    @Test func `a product overwrites or adds`() {
        var random = Seeded(31)
        let a = random.tensor([13, 7]), b = random.tensor([7, 32]), start = random.floats(13 * 32)
        for loops in Loops.usable {
            for adds in [false, true] {
                let c = Tensor([13, 32], start)
                loops.product(
                    Product(
                        rows: 13, columns: 32, depth: 7, a: a.pointer, aRow: 7, aStep: 1, b: b.pointer, bRow: 32,
                        c: c.pointer, cRow: 32, d: adds ? UnsafePointer(c.pointer) : nil, dRow: 32))
                var expected = adds ? start : [Float](repeating: 0, count: 13 * 32)
                for index in expected.indices {
                    let row = index / 32 * 7, column = index % 32
                    for k in 0..<7 { expected[index] += a.values[row + k] * b.values[k * 32 + column] }
                }
                #expect(relativeError(c.values, expected) < 1e-6)
            }
        }
    }
}
