/// The inner loop of convolutions: one tile of 4 output planes × 24 neighbouring positions, by direct convolution.
///
/// 12 accumulators of 8 lanes; a tap costs 3 loads, 4 broadcasts and 12 multiply-adds, so that the two multiply-add
/// units are the limit. Nothing is copied: the taps are unaligned loads from the image itself, found by a table of offsets
/// (Dukhan 2019, arXiv:1907.02129, the indirect convolution). Forward reads the image, the data gradient reads the output gradient with a border of zeros.
enum DirectConvolution {
    /// Output planes of a tile.
    static let planes = 4
    /// Positions of a tile.
    static let positions = 24

    /// Packs weights for `tile`: for each block of 4 output planes, input plane by input plane and tap by tap, 4 weights.
    ///
    /// - weight(output, input, tap): the weight to place; blocks are filled up with zeros.
    static func pack(
        outputs: Int, inputs: Int, into packed: UnsafeMutablePointer<Float>,
        _ weight: (_ output: Int, _ input: Int, _ tap: Int) -> Float
    ) {
        let taps = ConvolutionShape.taps
        for block in 0..<blocks(outputs) {
            let base = packed + block * inputs * taps * planes
            for input in 0..<inputs {
                for tap in 0..<taps {
                    for lane in 0..<planes {
                        let output = block * planes + lane
                        base[(input * taps + tap) * planes + lane] = output < outputs ? weight(output, input, tap) : 0
                    }
                }
            }
        }
    }

    /// Blocks of 4 that hold `outputs` planes.
    static func blocks(_ outputs: Int) -> Int { (outputs + planes - 1) / planes }

    /// Floats that `pack` writes.
    static func packedCount(outputs: Int, inputs: Int) -> Int {
        blocks(outputs) * planes * inputs * ConvolutionShape.taps
    }

    /// Where each (input plane, tap) lies from a position on: the order of `pack`.
    ///
    /// - table: inputs × 9 offsets in floats.
    static func fillOffsets(
        inputs: Int, planeStride: Int, pitch: Int, into table: UnsafeMutablePointer<Int32>
    ) {
        for input in 0..<inputs {
            for tap in 0..<ConvolutionShape.taps {
                let offset = input * planeStride + tap / ConvolutionShape.side * pitch + tap % ConvolutionShape.side
                table[input * ConvolutionShape.taps + tap] = Int32(offset)
            }
        }
    }

    /// result[plane][i] = Σ over k < count of weights[k][plane] · image[offsets[k] + i].
    ///
    /// - image: at the tile's first position; 24 floats (8 for width ≤ 8) from each offset are read.
    /// - width: positions wanted, at least 1; 24 are computed, 8 for width ≤ 8.
    /// - result: 4 rows of `resultStride` floats.
    @inline(__always)
    static func tile(
        image: UnsafePointer<Float>, offsets: UnsafePointer<Int32>, count: Int, weights: UnsafePointer<Float>,
        width: Int, result: UnsafeMutablePointer<Float>, resultStride: Int
    ) {
        if width > 8 {
            tile24(image, offsets, count, weights, result, resultStride)
        } else {
            tile8(image, offsets, count, weights, result, resultStride)
        }
    }

    /// One loop over a table of offsets: with the loops over planes, rows and taps written out, the compiler unrolls
    /// them, loads ahead, and spills an accumulator in the middle of its chain of additions (measured: 9 cycles a tap
    /// instead of 6).
    @inline(never)
    private static func tile24(
        _ image: UnsafePointer<Float>, _ offsets: UnsafePointer<Int32>, _ count: Int,
        _ weights: UnsafePointer<Float>, _ result: UnsafeMutablePointer<Float>, _ resultStride: Int
    ) {
        var a0 = SIMD8<Float>.zero, a1 = a0, a2 = a0
        var b0 = a0, b1 = a0, b2 = a0
        var c0 = a0, c1 = a0, c2 = a0
        var d0 = a0, d1 = a0, d2 = a0
        for index in 0..<count {
            let x = image + Int(offsets[index])
            let w = weights + 4 * index
            let x0 = vector(x), x1 = vector(x + 8), x2 = vector(x + 16)
            var k = SIMD8(repeating: w[0])
            a0 = a0.addingProduct(k, x0)
            a1 = a1.addingProduct(k, x1)
            a2 = a2.addingProduct(k, x2)
            k = SIMD8(repeating: w[1])
            b0 = b0.addingProduct(k, x0)
            b1 = b1.addingProduct(k, x1)
            b2 = b2.addingProduct(k, x2)
            k = SIMD8(repeating: w[2])
            c0 = c0.addingProduct(k, x0)
            c1 = c1.addingProduct(k, x1)
            c2 = c2.addingProduct(k, x2)
            k = SIMD8(repeating: w[3])
            d0 = d0.addingProduct(k, x0)
            d1 = d1.addingProduct(k, x1)
            d2 = d2.addingProduct(k, x2)
        }
        store(a0, a1, a2, result)
        store(b0, b1, b2, result + resultStride)
        store(c0, c1, c2, result + 2 * resultStride)
        store(d0, d1, d2, result + 3 * resultStride)
    }

    @inline(never)
    private static func tile8(
        _ image: UnsafePointer<Float>, _ offsets: UnsafePointer<Int32>, _ count: Int,
        _ weights: UnsafePointer<Float>, _ result: UnsafeMutablePointer<Float>, _ resultStride: Int
    ) {
        var a = SIMD8<Float>.zero, b = a, c = a, d = a
        for index in 0..<count {
            let x = vector(image + Int(offsets[index]))
            let w = weights + 4 * index
            a = a.addingProduct(SIMD8(repeating: w[0]), x)
            b = b.addingProduct(SIMD8(repeating: w[1]), x)
            c = c.addingProduct(SIMD8(repeating: w[2]), x)
            d = d.addingProduct(SIMD8(repeating: w[3]), x)
        }
        store(a, result)
        store(b, result + resultStride)
        store(c, result + 2 * resultStride)
        store(d, result + 3 * resultStride)
    }

    @inline(__always)
    private static func vector(_ pointer: UnsafePointer<Float>) -> SIMD8<Float> {
        UnsafeRawPointer(pointer).loadUnaligned(as: SIMD8<Float>.self)
    }

    @inline(__always)
    private static func store(_ value: SIMD8<Float>, _ pointer: UnsafeMutablePointer<Float>) {
        UnsafeMutableRawPointer(pointer).storeBytes(of: value, as: SIMD8<Float>.self)
    }

    @inline(__always)
    private static func store(
        _ first: SIMD8<Float>, _ second: SIMD8<Float>, _ third: SIMD8<Float>, _ pointer: UnsafeMutablePointer<Float>
    ) {
        store(first, pointer)
        store(second, pointer + 8)
        store(third, pointer + 16)
    }
}
