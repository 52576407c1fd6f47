/// The inner loop of a convolution's weight gradient: one tile of 4 output planes × the 3 taps of one kernel row.
///
/// dW[o][s] = Σ over images, rows, columns of dy[o][row][column] · x[row][column + s]. The sum runs along the rows in
/// both operands, so 8 neighbouring columns are 8 partial sums: nothing is transposed, and lanes are added once at the
/// end.
enum WeightGradient {
    /// Output planes of a tile.
    static let planes = 4

    /// Where the columns of a group of images lie, 8 at a time.
    struct Columns {
        /// Pairs: offset in the gradient's plane, offset in the input's plane.
        let whole: UnsafePointer<Int32>
        let wholePerImage: Int
        /// Last groups of rows whose width is no multiple of 8.
        let ragged: UnsafePointer<Int32>
        let raggedPerImage: Int
        /// All ones in the lanes of a ragged group that are columns.
        let mask: SIMD8<UInt32>

        /// - gradientStride, inputStride: floats from image to image.
        /// - table: room for `tableCount` offsets.
        init(
            images: Int, height: Int, width: Int, pitch: Int, gradientStride: Int, inputStride: Int,
            table: UnsafeMutablePointer<Int32>
        ) {
            var next = table
            func add(_ image: Int, _ offset: Int) {
                next[0] = Int32(image * gradientStride + offset)
                next[1] = Int32(image * inputStride + offset)
                next += 2
            }
            whole = UnsafePointer(next)
            wholePerImage = height * (width / 8)
            for image in 0..<images {
                for row in 0..<height {
                    for group in 0..<(width / 8) { add(image, row * pitch + group * 8) }
                }
            }
            ragged = UnsafePointer(next)
            raggedPerImage = width % 8 == 0 ? 0 : height
            for image in 0..<images {
                for row in 0..<raggedPerImage { add(image, row * pitch + width / 8 * 8) }
            }
            var mask = SIMD8<UInt32>.zero
            for lane in 0..<(width % 8) { mask[lane] = UInt32.max }
            self.mask = mask
        }

        /// Offsets that `init` writes.
        static func tableCount(images: Int, height: Int, width: Int) -> Int {
            2 * images * height * ((width + 7) / 8)
        }
    }

    /// - gradient: the first of the 4 planes, at its first row and column; planes are `planeStride` apart.
    /// - input: one input plane, moved down by the tile's kernel row.
    /// - columns: up to 7 floats after a row's end are read and ignored.
    /// - result: 4 × 3 sums, one row for each output plane.
    static func tile(
        gradient: UnsafePointer<Float>, planeStride: Int, input: UnsafePointer<Float>, images: Int,
        columns: Columns, result: UnsafeMutablePointer<Float>
    ) {
        result.update(repeating: 0, count: 12)
        wholeTile(gradient, planeStride, input, columns.whole, images * columns.wholePerImage, result)
        if columns.raggedPerImage > 0 {
            raggedTile(
                gradient, planeStride, input, columns.ragged, images * columns.raggedPerImage, columns.mask, result)
        }
    }

    @inline(never)
    private static func wholeTile(
        _ gradient: UnsafePointer<Float>, _ planeStride: Int, _ input: UnsafePointer<Float>,
        _ offsets: UnsafePointer<Int32>, _ count: Int, _ result: UnsafeMutablePointer<Float>
    ) {
        addSums(gradient, planeStride, input, offsets, count, nil, result)
    }

    @inline(never)
    private static func raggedTile(
        _ gradient: UnsafePointer<Float>, _ planeStride: Int, _ input: UnsafePointer<Float>,
        _ offsets: UnsafePointer<Int32>, _ count: Int, _ mask: SIMD8<UInt32>, _ result: UnsafeMutablePointer<Float>
    ) {
        addSums(gradient, planeStride, input, offsets, count, mask, result)
    }

    /// One loop, so that the 12 accumulators stay in registers.
    @inline(__always)
    private static func addSums(
        _ gradient: UnsafePointer<Float>, _ planeStride: Int, _ input: UnsafePointer<Float>,
        _ offsets: UnsafePointer<Int32>, _ count: Int, _ mask: SIMD8<UInt32>?,
        _ result: UnsafeMutablePointer<Float>
    ) {
        var a0 = SIMD8<Float>.zero, a1 = a0, a2 = a0
        var b0 = a0, b1 = a0, b2 = a0
        var c0 = a0, c1 = a0, c2 = a0
        var d0 = a0, d1 = a0, d2 = a0
        for index in 0..<count {
            let dy = gradient + Int(offsets[2 * index])
            let x = input + Int(offsets[2 * index + 1])
            let x0 = vector(x), x1 = vector(x + 1), x2 = vector(x + 2)
            var g = vector(dy, mask)
            a0 = a0.addingProduct(g, x0)
            a1 = a1.addingProduct(g, x1)
            a2 = a2.addingProduct(g, x2)
            g = vector(dy + planeStride, mask)
            b0 = b0.addingProduct(g, x0)
            b1 = b1.addingProduct(g, x1)
            b2 = b2.addingProduct(g, x2)
            g = vector(dy + 2 * planeStride, mask)
            c0 = c0.addingProduct(g, x0)
            c1 = c1.addingProduct(g, x1)
            c2 = c2.addingProduct(g, x2)
            g = vector(dy + 3 * planeStride, mask)
            d0 = d0.addingProduct(g, x0)
            d1 = d1.addingProduct(g, x1)
            d2 = d2.addingProduct(g, x2)
        }
        add(a0, a1, a2, result)
        add(b0, b1, b2, result + 3)
        add(c0, c1, c2, result + 6)
        add(d0, d1, d2, result + 9)
    }

    @inline(__always)
    private static func add(
        _ first: SIMD8<Float>, _ second: SIMD8<Float>, _ third: SIMD8<Float>, _ pointer: UnsafeMutablePointer<Float>
    ) {
        pointer[0] += sum(first)
        pointer[1] += sum(second)
        pointer[2] += sum(third)
    }

    @inline(__always)
    private static func sum(_ value: SIMD8<Float>) -> Float {
        let four = value.lowHalf + value.highHalf
        let two = four.lowHalf + four.highHalf
        return two.x + two.y
    }

    @inline(__always)
    private static func vector(_ pointer: UnsafePointer<Float>, _ mask: SIMD8<UInt32>? = nil) -> SIMD8<Float> {
        guard let mask else { return UnsafeRawPointer(pointer).loadUnaligned(as: SIMD8<Float>.self) }
        let bits = UnsafeRawPointer(pointer).loadUnaligned(as: SIMD8<UInt32>.self) & mask
        return unsafeBitCast(bits, to: SIMD8<Float>.self)
    }
}
