/// The inner loops in the instructions of one kind of processor. All variants give the same bits.
///
/// Pointers and strides are as at the function of the same name in `Winograd` and `Transposition`.
public struct LoopTable: Sendable {
    public typealias Floats = UnsafePointer<Float>
    public typealias Target = UnsafeMutablePointer<Float>

    /// `avx2`, `avx512`, …
    public var name: String
    public var product: @Sendable (Product) -> Void
    public var winogradInput: @Sendable (TileRow) -> Void
    public var winogradGradient: @Sendable (TileRow) -> Void
    public var winogradInputAdjoint: @Sendable (TileRow) -> Void
    public var winogradOutput: @Sendable (WinogradOutput) -> Void
    /// source, planeStride, channels, count, target, targetStride, scratch
    public var pixels: @Sendable (Floats, Int, Int, Int, Target, Int, Target) -> Void
    /// source, sourceStride, channels, count, target, planeStride, scratch
    public var planes: @Sendable (Floats, Int, Int, Int, Target, Int, Target) -> Void
    public var adam: @Sendable (AdamPass) -> Void
    public var sgd: @Sendable (SGDPass) -> Void

    public init(
        name: String, product: @escaping @Sendable (Product) -> Void,
        winogradInput: @escaping @Sendable (TileRow) -> Void,
        winogradGradient: @escaping @Sendable (TileRow) -> Void,
        winogradInputAdjoint: @escaping @Sendable (TileRow) -> Void,
        winogradOutput: @escaping @Sendable (WinogradOutput) -> Void,
        pixels: @escaping @Sendable (Floats, Int, Int, Int, Target, Int, Target) -> Void,
        planes: @escaping @Sendable (Floats, Int, Int, Int, Target, Int, Target) -> Void,
        adam: @escaping @Sendable (AdamPass) -> Void,
        sgd: @escaping @Sendable (SGDPass) -> Void
    ) {
        self.name = name
        self.product = product
        self.winogradInput = winogradInput
        self.winogradGradient = winogradGradient
        self.winogradInputAdjoint = winogradInputAdjoint
        self.winogradOutput = winogradOutput
        self.pixels = pixels
        self.planes = planes
        self.adam = adam
        self.sgd = sgd
    }
}

/// One tile in pixels (all channels of a position together) and its 36 transformed points.
public struct TileRow {
    public var pixels: UnsafeMutablePointer<Float>
    /// Floats to the next row and to the next pixel.
    public var row: Int
    public var column: Int
    /// 36 rows of `channels`, `stride` floats apart.
    public var points: UnsafeMutablePointer<Float>
    public var stride: Int
    /// A multiple of 16.
    public var channels: Int
    public var scratch: UnsafeMutablePointer<Float>

    @inlinable
    public init(
        pixels: UnsafeMutablePointer<Float>, row: Int, column: Int, points: UnsafeMutablePointer<Float>, stride: Int,
        channels: Int, scratch: UnsafeMutablePointer<Float>
    ) {
        self.pixels = pixels
        self.row = row
        self.column = column
        self.points = points
        self.stride = stride
        self.channels = channels
        self.scratch = scratch
    }

    @inlinable @inline(__always)
    public func transformInput() {
        var channel = 0
        while channel < channels {
            Winograd.input(
                pixels + channel, row: row, column: column, into: points + channel, stride: stride, scratch: scratch)
            channel += 16
        }
    }

    @inlinable @inline(__always)
    public func transformGradient() {
        var channel = 0
        while channel < channels {
            Winograd.gradient(
                pixels + channel, row: row, column: column, into: points + channel, stride: stride, scratch: scratch)
            channel += 16
        }
    }

    @inlinable @inline(__always)
    public func addInputGradient() {
        var channel = 0
        while channel < channels {
            Winograd.addInputGradient(
                points + channel, stride: stride, to: pixels + channel, row: row, column: column, scratch: scratch)
            channel += 16
        }
    }
}
