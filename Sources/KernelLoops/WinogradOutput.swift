/// The way from the products at the 36 points to a layer's results: Aᵀ m A, bias, ReLU and 2×2 maxima of one tile.
public struct WinogradOutput {
    public enum Epilogue: Sendable {
        case none
        case relu
        case reluMaxPool
    }

    /// 36 rows of `channels`, `stride` floats apart.
    public var points: UnsafePointer<Float>
    public var stride: Int
    /// A multiple of 16.
    public var channels: Int
    /// `channels` values.
    public var bias: UnsafePointer<Float>
    public var epilogue: Epilogue
    /// The tile's first result (its first window's with pooling), all channels of a position together.
    public var target: UnsafeMutablePointer<Float>
    /// As target: the places 0…3 of the maxima, as floats.
    public var places: UnsafeMutablePointer<Float>
    /// Floats to the next row and to the next position of the target.
    public var row: Int
    public var column: Int
    /// Results (windows with pooling) of the tile that the layer has.
    public var height: Int
    public var width: Int
    /// `scratchCount` floats.
    public var scratch: UnsafeMutablePointer<Float>

    public static let scratchCount = Winograd.scratchCount + 256

    @inlinable
    public init(
        points: UnsafePointer<Float>, stride: Int, channels: Int, bias: UnsafePointer<Float>, epilogue: Epilogue,
        target: UnsafeMutablePointer<Float>, places: UnsafeMutablePointer<Float>, row: Int, column: Int, height: Int,
        width: Int, scratch: UnsafeMutablePointer<Float>
    ) {
        self.points = points
        self.stride = stride
        self.channels = channels
        self.bias = bias
        self.epilogue = epilogue
        self.target = target
        self.places = places
        self.row = row
        self.column = column
        self.height = height
        self.width = width
        self.scratch = scratch
    }

    @inlinable @inline(__always)
    public func run() {
        let results = scratch + Winograd.scratchCount
        var channel = 0
        while channel < channels {
            Winograd.output(points + channel, stride: stride, into: results, scratch: scratch)
            if epilogue == .reluMaxPool { pool(results, channel) } else { copy(results, channel) }
            channel += 16
        }
    }

    @inlinable @inline(__always)
    func copy(_ results: UnsafePointer<Float>, _ channel: Int) {
        let bias = load16(bias + channel)
        for i in 0..<height {
            for j in 0..<width {
                var value = load16(results + 64 * i + 16 * j) + bias
                if epilogue == .relu { value = value.replacing(with: 0, where: value .< 0) }
                store16(value, target + i * row + j * column + channel)
            }
        }
    }

    /// The order of bias, ReLU and maximum does not matter: all three are monotonic, and where ReLU gives 0 the place
    /// is not used.
    @inlinable @inline(__always)
    func pool(_ results: UnsafePointer<Float>, _ channel: Int) {
        let bias = load16(bias + channel)
        for i in 0..<height {
            for j in 0..<width {
                let window = results + 128 * i + 32 * j
                var best = load16(window)
                var place = SIMD16<Float>.zero
                Self.take(load16(window + 16), 1, &best, &place)
                Self.take(load16(window + 64), 2, &best, &place)
                Self.take(load16(window + 80), 3, &best, &place)
                best += bias
                best = best.replacing(with: 0, where: best .< 0)
                let offset = i * row + j * column + channel
                store16(best, target + offset)
                store16(place, places + offset)
            }
        }
    }

    /// A larger value or a NaN takes the place.
    @inlinable @inline(__always)
    static func take(
        _ value: SIMD16<Float>, _ number: Float, _ best: inout SIMD16<Float>, _ place: inout SIMD16<Float>
    ) {
        let wins = (value .> best) .| (value .!= value)
        best = best.replacing(with: value, where: wins)
        place = place.replacing(with: number, where: wins)
    }
}
