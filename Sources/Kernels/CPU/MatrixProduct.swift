/// C = A·B or C += A·B by packed panels and a 6×16 inner loop, after Goto & van de Geijn 2008, "Anatomy of
/// High-Performance Matrix Multiplication".
///
/// A is packed into panels of 6 rows, B into panels of 16 columns, both along k; strides choose the transposes.
struct MatrixProduct {
    static let panelRows = 6
    static let panelColumns = 16
    /// k in one pass: a panel of A (6 KB) and one of B (16 KB) fit the first-level cache.
    static let depth = 256

    /// Rows of A and C.
    let rows: Int
    /// Columns of B and C.
    let columns: Int
    /// Columns of A, rows of B.
    let inner: Int
    let a: MatrixView
    let b: MatrixView
    let c: UnsafeMutablePointer<Float>
    /// Floats from row to row of C.
    let cStride: Int

    var rowPanels: Int { (rows + Self.panelRows - 1) / Self.panelRows }
    var packedACount: Int { rowPanels * Self.panelRows * inner }

    /// Packed panel `panel` of A: for each pass, k by k, 6 values.
    func packA(panel: Int, into packed: UnsafeMutablePointer<Float>) {
        let first = panel * Self.panelRows
        let count = min(Self.panelRows, rows - first)
        let target = packed + panel * Self.panelRows * inner
        for row in 0..<Self.panelRows {
            guard row < count else {
                for k in 0..<inner { target[k * Self.panelRows + row] = 0 }
                continue
            }
            let source = a.base + (first + row) * a.rowStride
            for k in 0..<inner { target[k * Self.panelRows + row] = source[k * a.columnStride] }
        }
    }

    /// Packs k in `from ..< from + count` of the columns `first ..< first + width`, 16 columns at a time.
    func packB(first: Int, width: Int, from: Int, count: Int, into packed: UnsafeMutablePointer<Float>) {
        var column = 0
        while column < width {
            let lanes = min(Self.panelColumns, width - column)
            let source = b.base + from * b.rowStride + (first + column) * b.columnStride
            let target = packed + column * count
            if lanes == Self.panelColumns && b.columnStride == 1 {
                for k in 0..<count {
                    (target + k * Self.panelColumns).update(from: source + k * b.rowStride, count: Self.panelColumns)
                }
            } else {
                for lane in 0..<Self.panelColumns {
                    let strand = source + lane * b.columnStride
                    if lane < lanes {
                        for k in 0..<count { target[k * Self.panelColumns + lane] = strand[k * b.rowStride] }
                    } else {
                        for k in 0..<count { target[k * Self.panelColumns + lane] = 0 }
                    }
                }
            }
            column += Self.panelColumns
        }
    }

    /// Computes all rows of the columns `first ..< first + width` of C, overwriting them.
    ///
    /// - packedA: all panels; packedB: scratch memory of `depth` × width rounded up to 16.
    func multiply(
        first: Int, width: Int, packedA: UnsafePointer<Float>, packedB: UnsafeMutablePointer<Float>
    ) {
        var from = 0
        repeat {
            let count = min(Self.depth, inner - from)
            packB(first: first, width: width, from: from, count: count, into: packedB)
            for panel in 0..<rowPanels {
                let panelA = packedA + (panel * inner + from) * Self.panelRows
                let row = panel * Self.panelRows
                let height = min(Self.panelRows, rows - row)
                var column = 0
                while column < width {
                    let target = c + row * cStride + first + column
                    let lanes = min(Self.panelColumns, width - column)
                    if height == Self.panelRows && lanes == Self.panelColumns {
                        Self.tile(panelA, packedB + column * count, count, target, cStride, adds: from > 0)
                    } else {
                        edge(panelA, packedB + column * count, count, target, height, lanes, adds: from > 0)
                    }
                    column += Self.panelColumns
                }
            }
            from += count
        } while from < inner
    }

    /// A tile that reaches over C's edge, by way of a whole one.
    private func edge(
        _ panelA: UnsafePointer<Float>, _ panelB: UnsafePointer<Float>, _ count: Int,
        _ target: UnsafeMutablePointer<Float>, _ height: Int, _ lanes: Int, adds: Bool
    ) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.panelRows * Self.panelColumns) { buffer in
            guard let whole = buffer.baseAddress else { return }
            Self.tile(panelA, panelB, count, whole, Self.panelColumns, adds: false)
            for row in 0..<height {
                for lane in 0..<lanes {
                    let value = whole[row * Self.panelColumns + lane]
                    target[row * cStride + lane] = adds ? target[row * cStride + lane] + value : value
                }
            }
        }
    }

    /// 6 rows × 16 columns: 12 accumulators; each k costs 2 loads, 6 broadcasts and 12 multiply-adds.
    @inline(never)
    private static func tile(
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int, _ c: UnsafeMutablePointer<Float>,
        _ stride: Int, adds: Bool
    ) {
        var r0 = SIMD8<Float>.zero, s0 = r0
        var r1 = r0, s1 = r0
        var r2 = r0, s2 = r0
        var r3 = r0, s3 = r0
        var r4 = r0, s4 = r0
        var r5 = r0, s5 = r0
        var a = a
        var b = b
        for _ in 0..<count {
            let x = vector(b), y = vector(b + 8)
            var k = SIMD8(repeating: a[0])
            r0 = r0.addingProduct(k, x)
            s0 = s0.addingProduct(k, y)
            k = SIMD8(repeating: a[1])
            r1 = r1.addingProduct(k, x)
            s1 = s1.addingProduct(k, y)
            k = SIMD8(repeating: a[2])
            r2 = r2.addingProduct(k, x)
            s2 = s2.addingProduct(k, y)
            k = SIMD8(repeating: a[3])
            r3 = r3.addingProduct(k, x)
            s3 = s3.addingProduct(k, y)
            k = SIMD8(repeating: a[4])
            r4 = r4.addingProduct(k, x)
            s4 = s4.addingProduct(k, y)
            k = SIMD8(repeating: a[5])
            r5 = r5.addingProduct(k, x)
            s5 = s5.addingProduct(k, y)
            a += 6
            b += 16
        }
        store(r0, s0, c, adds)
        store(r1, s1, c + stride, adds)
        store(r2, s2, c + 2 * stride, adds)
        store(r3, s3, c + 3 * stride, adds)
        store(r4, s4, c + 4 * stride, adds)
        store(r5, s5, c + 5 * stride, adds)
    }

    @inline(__always)
    private static func store(
        _ first: SIMD8<Float>, _ second: SIMD8<Float>, _ target: UnsafeMutablePointer<Float>, _ adds: Bool
    ) {
        let left = adds ? vector(target) + first : first
        let right = adds ? vector(target + 8) + second : second
        UnsafeMutableRawPointer(target).storeBytes(of: left, as: SIMD8<Float>.self)
        UnsafeMutableRawPointer(target + 8).storeBytes(of: right, as: SIMD8<Float>.self)
    }

    @inline(__always)
    private static func vector(_ pointer: UnsafePointer<Float>) -> SIMD8<Float> {
        UnsafeRawPointer(pointer).loadUnaligned(as: SIMD8<Float>.self)
    }
}

/// Element (i, j) lies at base[i·rowStride + j·columnStride].
struct MatrixView {
    let base: UnsafePointer<Float>
    let rowStride: Int
    let columnStride: Int
}

extension CPUBackend {
    /// Below this many multiply-adds one thread is faster than waking the others.
    private static let parallelThreshold = 1 << 18

    /// C = A·B on all threads. Each element is summed by one thread, along k: the cut into columns changes no bit.
    func multiply(_ product: MatrixProduct) {
        guard product.rows > 0, product.columns > 0 else { return }
        let packedA = memory(.packedA, product.packedACount)
        let isSmall = product.rows * product.columns * product.inner < Self.parallelThreshold
        let width = blockWidth(product, isSmall: isSmall)
        let scratch = threadMemory(MatrixProduct.depth * width)
        let blocks = (product.columns + width - 1) / width
        let multiplyBlock = { (block: Int, thread: Int) in
            let first = block * width
            product.multiply(
                first: first, width: min(width, product.columns - first), packedA: packedA,
                packedB: scratch[thread])
        }
        if isSmall {
            for panel in 0..<product.rowPanels { product.packA(panel: panel, into: packedA) }
            for block in 0..<blocks { multiplyBlock(block, 0) }
        } else {
            pool.run(product.rowPanels) { panel, _ in product.packA(panel: panel, into: packedA) }
            pool.run(blocks, multiplyBlock)
        }
    }

    /// Columns of a block: two blocks a thread where there are enough, at most 512 (half a megabyte of packed B).
    private func blockWidth(_ product: MatrixProduct, isSmall: Bool) -> Int {
        let panel = MatrixProduct.panelColumns
        let shares = isSmall ? 1 : threadCount * (product.columns >= 64 * panel * threadCount ? 4 : 1)
        let even = (product.columns + shares - 1) / shares
        return min(512, (even + panel - 1) / panel * panel)
    }
}
