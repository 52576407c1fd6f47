/// The transforms of Winograd's convolution F(4×4, 3×3), 16 channels at a time: a tile of 4×4 results of a 3×3
/// convolution costs 36 multiplications instead of 144.
///
/// y = Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A for a 6×6 tile of x; the gradients are the adjoint maps: with D = A dy Aᵀ,
/// dx = B[(G w Gᵀ) ⊙ D]Bᵀ and dw = Gᵀ[(Bᵀ x B) ⊙ D]G, so that all three share their parts.
/// Points 0, ±p, ±q, ∞ with p = √½, q = √2: p·q = 1 keeps the numbers of both ends small, and the error at a third of
/// that of the customary 0, ±1, ±2, ∞.
///
/// - Source: Lavin & Gray 2015, arXiv:1509.09308; for the choice of points Barabasz et al. 2018, arXiv:1803.10986.
public enum Winograd {
    /// Results of a tile in each direction.
    public static let tile = 4
    /// Rows and columns of a transformed tile.
    public static let side = 6
    public static let points = side * side
    /// Floats of scratch memory that a transform needs.
    public static let scratchCount = points * 16

    public static let p: Float = 0.707_106_77
    public static let q: Float = 1.414_213_5

    @usableFromInline typealias Vector = SIMD16<Float>

    /// Bᵀ x B of one tile.
    ///
    /// - source: the tile's first pixel, 16 channels; `column` floats to the next pixel, `row` floats to the next row.
    /// - target: 36 vectors, `stride` floats apart.
    @inlinable @inline(__always)
    public static func input(
        _ source: UnsafePointer<Float>, row: Int, column: Int, into target: UnsafeMutablePointer<Float>, stride: Int,
        scratch: UnsafeMutablePointer<Float>
    ) {
        for j in 0..<6 { inputLine(source + j * column, row, scratch + 16 * j, 96) }
        for i in 0..<6 { inputLine(scratch + 96 * i, 16, target + 6 * i * stride, stride) }
    }

    /// A dy Aᵀ of one tile of 4×4 pixels; as `input`.
    @inlinable @inline(__always)
    public static func gradient(
        _ source: UnsafePointer<Float>, row: Int, column: Int, into target: UnsafeMutablePointer<Float>, stride: Int,
        scratch: UnsafeMutablePointer<Float>
    ) {
        for j in 0..<4 { gradientLine(source + j * column, row, scratch + 16 * j, 64) }
        for i in 0..<6 { gradientLine(scratch + 64 * i, 16, target + 6 * i * stride, stride) }
    }

    /// Aᵀ m A of one tile: 16 vectors, row by row, to `target`.
    ///
    /// - source: 36 vectors, `stride` floats apart.
    @inlinable @inline(__always)
    public static func output(
        _ source: UnsafePointer<Float>, stride: Int, into target: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>
    ) {
        for j in 0..<6 { outputLine(source + j * stride, 6 * stride, scratch + 16 * j, 96) }
        for i in 0..<4 { outputLine(scratch + 96 * i, 16, target + 64 * i, 16) }
    }

    /// Adds B m Bᵀ to a tile of 6×6 pixels; as `output` and `input`.
    @inlinable @inline(__always)
    public static func addInputGradient(
        _ source: UnsafePointer<Float>, stride: Int, to target: UnsafeMutablePointer<Float>, row: Int, column: Int,
        scratch: UnsafeMutablePointer<Float>
    ) {
        for j in 0..<6 { inputAdjointLine(source + j * stride, 6 * stride, scratch + 16 * j, 96, adds: false) }
        for i in 0..<6 { inputAdjointLine(scratch + 96 * i, 16, target + i * row, column, adds: true) }
    }

    // MARK: One line of 6 or 4 vectors

    @inlinable @inline(__always)
    static func inputLine(
        _ x: UnsafePointer<Float>, _ step: Int, _ y: UnsafeMutablePointer<Float>, _ stride: Int
    ) {
        let x0 = load16(x), x1 = load16(x + step), x2 = load16(x + 2 * step)
        let x3 = load16(x + 3 * step), x4 = load16(x + 4 * step), x5 = load16(x + 5 * step)
        store16((x4 + x0).addingProduct(x2, Vector(repeating: -2.5)), y)
        let u = x4.addingProduct(x2, Vector(repeating: -2)), v = x3.addingProduct(x1, Vector(repeating: -2)) * p
        store16(u + v, y + stride)
        store16(u - v, y + 2 * stride)
        let s = x4.addingProduct(x2, Vector(repeating: -0.5)), t = x3.addingProduct(x1, Vector(repeating: -0.5)) * q
        store16(s + t, y + 3 * stride)
        store16(s - t, y + 4 * stride)
        store16((x5 + x1).addingProduct(x3, Vector(repeating: -2.5)), y + 5 * stride)
    }

    @inlinable @inline(__always)
    static func outputLine(
        _ m: UnsafePointer<Float>, _ step: Int, _ y: UnsafeMutablePointer<Float>, _ stride: Int
    ) {
        let m1 = load16(m + step), m2 = load16(m + 2 * step), m3 = load16(m + 3 * step), m4 = load16(m + 4 * step)
        let s = m1 + m2, d = (m1 - m2) * p, u = m3 + m4, v = (m3 - m4) * q
        store16(load16(m) + s + u, y)
        store16(d + v, y + stride)
        store16((s * 0.5).addingProduct(u, Vector(repeating: 2)), y + 2 * stride)
        let last = load16(m + 5 * step).addingProduct(v, Vector(repeating: 2))
        store16(last.addingProduct(d, Vector(repeating: 0.5)), y + 3 * stride)
    }

    @inlinable @inline(__always)
    static func gradientLine(
        _ y: UnsafePointer<Float>, _ step: Int, _ m: UnsafeMutablePointer<Float>, _ stride: Int
    ) {
        let y0 = load16(y), y1 = load16(y + step), y2 = load16(y + 2 * step), y3 = load16(y + 3 * step)
        store16(y0, m)
        let u = y0.addingProduct(y2, Vector(repeating: 0.5)), v = y1.addingProduct(y3, Vector(repeating: 0.5)) * p
        store16(u + v, m + stride)
        store16(u - v, m + 2 * stride)
        let s = y0.addingProduct(y2, Vector(repeating: 2)), t = y1.addingProduct(y3, Vector(repeating: 2)) * q
        store16(s + t, m + 3 * stride)
        store16(s - t, m + 4 * stride)
        store16(y3, m + 5 * stride)
    }

    @inlinable @inline(__always)
    static func inputAdjointLine(
        _ m: UnsafePointer<Float>, _ step: Int, _ x: UnsafeMutablePointer<Float>, _ stride: Int, adds: Bool
    ) {
        let m0 = load16(m), m1 = load16(m + step), m2 = load16(m + 2 * step)
        let m3 = load16(m + 3 * step), m4 = load16(m + 4 * step), m5 = load16(m + 5 * step)
        let s = m1 + m2, d = (m1 - m2) * p, u = m3 + m4, v = (m3 - m4) * q
        put(m0, x, adds)
        put((m5.addingProduct(d, Vector(repeating: -2))).addingProduct(v, Vector(repeating: -0.5)), x + stride, adds)
        let even = (m0 * -2.5).addingProduct(s, Vector(repeating: -2))
        put(even.addingProduct(u, Vector(repeating: -0.5)), x + 2 * stride, adds)
        put((d + v).addingProduct(m5, Vector(repeating: -2.5)), x + 3 * stride, adds)
        put(m0 + s + u, x + 4 * stride, adds)
        put(m5, x + 5 * stride, adds)
    }

    @inlinable @inline(__always)
    static func put(_ value: Vector, _ target: UnsafeMutablePointer<Float>, _ adds: Bool) {
        store16(adds ? load16(target) + value : value, target)
    }
}
