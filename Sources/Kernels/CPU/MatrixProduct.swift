import KernelLoops

/// C = A·B by blocks of 32 columns: a piece of B is packed once, and multiplied with all rows of A.
///
/// Each element is summed along k in one piece: how the work is cut changes no bit. With a sum in parts (`BatchParts`
/// along k) the parts' products are added as the tree says.
struct MatrixProduct {
    /// Columns of a block.
    static let width = Product.columnStep
    /// k in one pass: a packed piece of B (32 KB) stays in the first two levels of cache.
    static let depth = 256

    /// Rows of A and C.
    let rows: Int
    /// Columns of B and C.
    let columns: Int
    let a: MatrixView
    let b: MatrixView
    let c: UnsafeMutablePointer<Float>
    /// Floats from row to row of C.
    let cStride: Int

    var blocks: Int { (columns + Self.width - 1) / Self.width }

    /// Floats of scratch memory: packed B, a block of C, and the blocks that wait for their other half.
    func scratchCount(depth: Int) -> Int {
        Self.depth * Self.width + Transposition.scratchCount + (1 + depth) * rows * Self.width
    }

    /// Computes the columns of a block in the rows `rowRange`, k in `range`.
    func multiply(
        block: Int, rowRange: Range<Int>, inner: Range<Int>, loops: LoopTable, scratch: UnsafeMutablePointer<Float>
    ) {
        let first = block * Self.width
        let lanes = min(Self.width, columns - first)
        if lanes == Self.width {
            return product(
                block, rowRange, inner, loops, scratch, into: c + rowRange.lowerBound * cStride + first, cStride)
        }
        let whole = scratch + Self.depth * Self.width + Transposition.scratchCount
        product(block, rowRange, inner, loops, scratch, into: whole, Self.width)
        copy(whole, first, lanes, rowRange)
    }

    /// As `multiply` for all rows, with k in parts.
    func multiply(
        block: Int, parts: BatchParts, loops: LoopTable, scratch: UnsafeMutablePointer<Float>
    ) {
        if parts.range.count == 1 {
            return multiply(
                block: block, rowRange: 0..<rows, inner: parts.images(parts.range.lowerBound), loops: loops,
                scratch: scratch)
        }
        let first = block * Self.width
        let lanes = min(Self.width, columns - first)
        let whole = scratch + Self.depth * Self.width + Transposition.scratchCount
        let count = rows * Self.width
        if lanes == Self.width, let (left, right) = BatchParts.halves(parts.range), right.count == 1,
            parts.images(right.lowerBound).count <= Self.depth
        {
            // The last sum of the tree on the way to C.
            parts.addUp(left, count: count, into: whole, scratch: whole + count) { part, target in
                product(block, 0..<rows, parts.images(part), loops, scratch, into: target, Self.width)
            }
            return product(
                block, 0..<rows, parts.images(right.lowerBound), loops, scratch, into: c + first, cStride,
                d: UnsafePointer(whole), dStride: Self.width)
        }
        parts.addUp(parts.range, count: count, into: whole, scratch: whole + count) { part, target in
            product(block, 0..<rows, parts.images(part), loops, scratch, into: target, Self.width)
        }
        copy(whole, first, lanes, 0..<rows)
    }

    private func product(
        _ block: Int, _ rowRange: Range<Int>, _ inner: Range<Int>, _ loops: LoopTable,
        _ scratch: UnsafeMutablePointer<Float>, into target: UnsafeMutablePointer<Float>, _ stride: Int,
        d: UnsafePointer<Float>? = nil, dStride: Int = 0
    ) {
        var from = inner.lowerBound
        repeat {
            let count = min(Self.depth, inner.upperBound - from)
            packB(block, from: from, count: count, loops, into: scratch)
            let isFirst = from == inner.lowerBound
            loops.product(
                Product(
                    rows: rowRange.count, columns: Self.width, depth: count,
                    a: a.base + rowRange.lowerBound * a.rowStride + from * a.columnStride, aRow: a.rowStride,
                    aStep: a.columnStride, b: scratch, bRow: Self.width, c: target, cRow: stride,
                    d: isFirst ? d : UnsafePointer(target), dRow: isFirst ? dStride : stride))
            from += count
        } while from < inner.upperBound
    }

    /// Rows of 32 floats, filled up with zeros.
    private func packB(
        _ block: Int, from: Int, count: Int, _ loops: LoopTable, into packed: UnsafeMutablePointer<Float>
    ) {
        let first = block * Self.width
        let lanes = min(Self.width, columns - first)
        let source = b.base + from * b.rowStride + first * b.columnStride
        if lanes < Self.width { packed.update(repeating: 0, count: count * Self.width) }
        if b.columnStride != 1 {
            loops.pixels(
                source, b.columnStride, lanes, count, packed, Self.width, packed + Self.depth * Self.width)
        } else {
            // Whole rows without a call of memcpy for each.
            for k in 0..<count {
                let row = UnsafeRawPointer(source + k * b.rowStride)
                let target = UnsafeMutableRawPointer(packed + k * Self.width)
                if lanes == Self.width {
                    target.storeBytes(of: row.loadUnaligned(as: SIMD16<Float>.self), as: SIMD16<Float>.self)
                    (target + 64).storeBytes(
                        of: (row + 64).loadUnaligned(as: SIMD16<Float>.self), as: SIMD16<Float>.self)
                } else {
                    target.copyMemory(from: row, byteCount: 4 * lanes)
                }
            }
        }
    }

    private func copy(_ whole: UnsafePointer<Float>, _ first: Int, _ lanes: Int, _ rowRange: Range<Int>) {
        for (index, row) in rowRange.enumerated() {
            (c + row * cStride + first).update(from: whole + index * Self.width, count: lanes)
        }
    }
}

/// Element (i, j) lies at base[i·rowStride + j·columnStride]; of B, one of the strides is 1.
struct MatrixView {
    let base: UnsafePointer<Float>
    let rowStride: Int
    let columnStride: Int
}

extension CPUBackend {
    /// Below this many multiply-adds one thread is faster than waking the others.
    private static let parallelThreshold = 1 << 18

    /// C = A·B, k in 0 ..< inner, on all threads.
    func multiply(_ product: MatrixProduct, inner: Int) {
        let isSmall = product.rows * product.columns * inner < Self.parallelThreshold
        let pieces = isSmall ? 1 : rowPieces(product)
        let rows = (product.rows + pieces - 1) / pieces
        run(product, depth: 0, chunks: product.blocks * pieces, isSmall: isSmall) { chunk, scratch in
            let first = min(product.rows, chunk % pieces * rows)
            product.multiply(
                block: chunk / pieces, rowRange: first..<min(product.rows, first + rows), inner: 0..<inner,
                loops: loops, scratch: scratch)
        }
    }

    /// C = A·B, k in parts, on all threads.
    func multiply(_ product: MatrixProduct, parts: BatchParts) {
        let isSmall = product.rows * product.columns * parts.count < Self.parallelThreshold
        run(product, depth: parts.depth, chunks: product.blocks, isSmall: isSmall) { block, scratch in
            product.multiply(block: block, parts: parts, loops: loops, scratch: scratch)
        }
    }

    private func run(
        _ product: MatrixProduct, depth: Int, chunks: Int, isSmall: Bool,
        _ body: (_ chunk: Int, _ scratch: UnsafeMutablePointer<Float>) -> Void
    ) {
        guard product.rows > 0, product.columns > 0 else { return }
        let scratch = threadMemory(product.scratchCount(depth: depth))
        // Neighbouring blocks share the pages, and the lines that the processor reads ahead, of each row.
        let run = chunks >= 16 * threadCount ? 4 : 1
        let runs = (chunks + run - 1) / run
        func work(_ index: Int, _ thread: Int) {
            for chunk in (index * run)..<min(chunks, (index + 1) * run) { body(chunk, scratch[thread]) }
        }
        if isSmall {
            for index in 0..<runs { work(index, 0) }
        } else {
            pool.run(runs, work)
        }
    }

    /// Into how many pieces the rows are cut so that there is work for all threads; each packs B for itself.
    private func rowPieces(_ product: MatrixProduct) -> Int {
        var pieces = 1
        while product.blocks * pieces < 2 * threadCount, product.rows >= 32 * pieces { pieces *= 2 }
        return pieces
    }
}
