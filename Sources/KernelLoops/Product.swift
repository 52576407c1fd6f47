/// C = A·B or C = D + A·B, small enough for the first two levels of cache.
///
/// Each element of A·B is one chain of multiply-adds along k from zero, whatever the tile: all variants give the same
/// bits.
public struct Product {
    /// Of A and C.
    public var rows: Int
    /// Of B and C; a multiple of `columnStep`.
    public var columns: Int
    /// Columns of A, rows of B.
    public var depth: Int
    /// Element (i, k) lies at a[i·aRow + k·aStep].
    public var a: UnsafePointer<Float>
    public var aRow: Int
    public var aStep: Int
    /// Row k lies at b + k·bRow.
    public var b: UnsafePointer<Float>
    public var bRow: Int
    public var c: UnsafeMutablePointer<Float>
    public var cRow: Int
    /// D, of C's size; may be C itself. Nil for none.
    public var d: UnsafePointer<Float>?
    public var dRow: Int

    public static let columnStep = 32

    @inlinable
    public init(
        rows: Int, columns: Int, depth: Int, a: UnsafePointer<Float>, aRow: Int, aStep: Int, b: UnsafePointer<Float>,
        bRow: Int, c: UnsafeMutablePointer<Float>, cRow: Int,
        d: UnsafePointer<Float>? = nil, dRow: Int = 0
    ) {
        self.rows = rows
        self.columns = columns
        self.depth = depth
        self.a = a
        self.aRow = aRow
        self.aStep = aStep
        self.b = b
        self.bRow = bRow
        self.c = c
        self.cRow = cRow
        self.d = d
        self.dRow = dRow
    }

    /// For 32 registers of 16 lanes: tiles of 8 rows × 32 columns, 16 accumulators; a step of k costs 2 loads,
    /// 8 broadcasts and 16 multiply-adds.
    @inlinable @inline(__always)
    public func wide() {
        var column = 0
        while column < columns {
            var row = 0
            while row + 8 <= rows {
                wideTile8(row, column)
                row += 8
            }
            while row < rows {
                wideTile4(row, min(4, rows - row), column)
                row += 4
            }
            column += 32
        }
    }

    /// For 16 registers of 8 lanes: tiles of 4 rows × 16 columns.
    @inlinable @inline(__always)
    public func narrow() {
        var column = 0
        while column < columns {
            var row = 0
            while row < rows {
                narrowTile(row, min(4, rows - row), column)
                row += 4
            }
            column += 16
        }
    }

    @inlinable @inline(__always)
    func wideTile8(_ row: Int, _ column: Int) {
        var p0 = a + row * aRow, p4 = p0 + 4 * aRow
        var q = b + column
        var a0 = SIMD16<Float>.zero, b0 = a0, a1 = a0, b1 = a0, a2 = a0, b2 = a0, a3 = a0, b3 = a0
        var a4 = a0, b4 = a0, a5 = a0, b5 = a0, a6 = a0, b6 = a0, a7 = a0, b7 = a0
        for _ in 0..<depth {
            let x = load16(q), y = load16(q + 16)
            var k = SIMD16(repeating: p0[0])
            a0 = a0.addingProduct(k, x)
            b0 = b0.addingProduct(k, y)
            k = SIMD16(repeating: p0[aRow])
            a1 = a1.addingProduct(k, x)
            b1 = b1.addingProduct(k, y)
            k = SIMD16(repeating: p0[2 * aRow])
            a2 = a2.addingProduct(k, x)
            b2 = b2.addingProduct(k, y)
            k = SIMD16(repeating: p0[3 * aRow])
            a3 = a3.addingProduct(k, x)
            b3 = b3.addingProduct(k, y)
            k = SIMD16(repeating: p4[0])
            a4 = a4.addingProduct(k, x)
            b4 = b4.addingProduct(k, y)
            k = SIMD16(repeating: p4[aRow])
            a5 = a5.addingProduct(k, x)
            b5 = b5.addingProduct(k, y)
            k = SIMD16(repeating: p4[2 * aRow])
            a6 = a6.addingProduct(k, x)
            b6 = b6.addingProduct(k, y)
            k = SIMD16(repeating: p4[3 * aRow])
            a7 = a7.addingProduct(k, x)
            b7 = b7.addingProduct(k, y)
            p0 += aStep
            p4 += aStep
            q += bRow
        }
        put(a0, b0, row, column)
        put(a1, b1, row + 1, column)
        put(a2, b2, row + 2, column)
        put(a3, b3, row + 3, column)
        put(a4, b4, row + 4, column)
        put(a5, b5, row + 5, column)
        put(a6, b6, row + 6, column)
        put(a7, b7, row + 7, column)
    }

    /// - count: 1 … 4 rows; a row that is not there reads the last one, and is not stored.
    @inlinable @inline(__always)
    func wideTile4(_ row: Int, _ count: Int, _ column: Int) {
        var p = a + row * aRow
        let r1 = min(1, count - 1) * aRow, r2 = min(2, count - 1) * aRow, r3 = min(3, count - 1) * aRow
        var q = b + column
        var a0 = SIMD16<Float>.zero, b0 = a0, a1 = a0, b1 = a0, a2 = a0, b2 = a0, a3 = a0, b3 = a0
        for _ in 0..<depth {
            let x = load16(q), y = load16(q + 16)
            var k = SIMD16(repeating: p[0])
            a0 = a0.addingProduct(k, x)
            b0 = b0.addingProduct(k, y)
            k = SIMD16(repeating: p[r1])
            a1 = a1.addingProduct(k, x)
            b1 = b1.addingProduct(k, y)
            k = SIMD16(repeating: p[r2])
            a2 = a2.addingProduct(k, x)
            b2 = b2.addingProduct(k, y)
            k = SIMD16(repeating: p[r3])
            a3 = a3.addingProduct(k, x)
            b3 = b3.addingProduct(k, y)
            p += aStep
            q += bRow
        }
        put(a0, b0, row, column)
        if count > 1 { put(a1, b1, row + 1, column) }
        if count > 2 { put(a2, b2, row + 2, column) }
        if count > 3 { put(a3, b3, row + 3, column) }
    }

    /// As `wideTile4`, 16 columns.
    @inlinable @inline(__always)
    func narrowTile(_ row: Int, _ count: Int, _ column: Int) {
        var p = a + row * aRow
        let r1 = min(1, count - 1) * aRow, r2 = min(2, count - 1) * aRow, r3 = min(3, count - 1) * aRow
        var q = b + column
        var a0 = SIMD8<Float>.zero, b0 = a0, a1 = a0, b1 = a0, a2 = a0, b2 = a0, a3 = a0, b3 = a0
        for _ in 0..<depth {
            let x = load8(q), y = load8(q + 8)
            var k = SIMD8(repeating: p[0])
            a0 = a0.addingProduct(k, x)
            b0 = b0.addingProduct(k, y)
            k = SIMD8(repeating: p[r1])
            a1 = a1.addingProduct(k, x)
            b1 = b1.addingProduct(k, y)
            k = SIMD8(repeating: p[r2])
            a2 = a2.addingProduct(k, x)
            b2 = b2.addingProduct(k, y)
            k = SIMD8(repeating: p[r3])
            a3 = a3.addingProduct(k, x)
            b3 = b3.addingProduct(k, y)
            p += aStep
            q += bRow
        }
        put(a0, b0, row, column)
        if count > 1 { put(a1, b1, row + 1, column) }
        if count > 2 { put(a2, b2, row + 2, column) }
        if count > 3 { put(a3, b3, row + 3, column) }
    }

    @inlinable @inline(__always)
    func put(_ first: SIMD16<Float>, _ second: SIMD16<Float>, _ row: Int, _ column: Int) {
        let target = c + row * cRow + column
        if let d {
            let source = d + row * dRow + column
            store16(load16(source) + first, target)
            store16(load16(source + 16) + second, target + 16)
        } else {
            store16(first, target)
            store16(second, target + 16)
        }
    }

    @inlinable @inline(__always)
    func put(_ first: SIMD8<Float>, _ second: SIMD8<Float>, _ row: Int, _ column: Int) {
        let target = c + row * cRow + column
        if let d {
            let source = d + row * dRow + column
            store8(load8(source) + first, target)
            store8(load8(source + 8) + second, target + 8)
        } else {
            store8(first, target)
            store8(second, target + 8)
        }
    }
}
