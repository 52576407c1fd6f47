/// What follows a convolution's sum, row by row.
enum Epilogue {
    /// target[i] = source[i] + bias, then ReLU; a NaN stays a NaN.
    ///
    /// - source: readable to the next multiple of 8.
    @inline(__always)
    static func addBias(
        _ source: UnsafePointer<Float>, _ bias: Float, _ relu: Bool, _ count: Int,
        _ target: UnsafeMutablePointer<Float>
    ) {
        var index = 0
        while index < count {
            var value = vector(source + index) + bias
            if relu { value = value.replacing(with: 0, where: value .< 0) }
            if index + 8 <= count {
                UnsafeMutableRawPointer(target + index).storeBytes(of: value, as: SIMD8<Float>.self)
            } else {
                for lane in 0..<(count - index) { target[index + lane] = value[lane] }
            }
            index += 8
        }
    }

    /// The maximum of each 2×2 window of two rows, plus bias, then ReLU, and the place of the maximum (0…3).
    ///
    /// The order of bias, ReLU and maximum does not matter: all three are monotonic, and where ReLU gives 0 the place
    /// is not used.
    ///
    /// - upper, lower: 2·count values, readable to the next multiple of 16.
    @inline(__always)
    static func reluMaxPool(
        _ upper: UnsafePointer<Float>, _ lower: UnsafePointer<Float>, _ bias: Float, _ count: Int,
        _ target: UnsafeMutablePointer<Float>, _ places: UnsafeMutablePointer<UInt8>
    ) {
        var index = 0
        while index < count {
            let first = pair(upper + 2 * index), second = pair(lower + 2 * index)
            var best = first.even
            var place = SIMD8<Int32>.zero
            take(first.odd, 1, &best, &place)
            take(second.even, 2, &best, &place)
            take(second.odd, 3, &best, &place)
            best += bias
            best = best.replacing(with: 0, where: best .< 0)
            let bytes = SIMD8<UInt8>(truncatingIfNeeded: place)
            if index + 8 <= count {
                UnsafeMutableRawPointer(target + index).storeBytes(of: best, as: SIMD8<Float>.self)
                UnsafeMutableRawPointer(places + index).storeBytes(of: bytes, as: SIMD8<UInt8>.self)
            } else {
                for lane in 0..<(count - index) {
                    target[index + lane] = best[lane]
                    places[index + lane] = bytes[lane]
                }
            }
            index += 8
        }
    }

    /// A larger value or a NaN takes the place.
    @inline(__always)
    private static func take(
        _ value: SIMD8<Float>, _ number: Int32, _ best: inout SIMD8<Float>, _ place: inout SIMD8<Int32>
    ) {
        let wins = (value .> best) .| (value .!= value)
        best = best.replacing(with: value, where: wins)
        place = place.replacing(with: number, where: wins)
    }

    @inline(__always)
    private static func pair(_ pointer: UnsafePointer<Float>) -> (even: SIMD8<Float>, odd: SIMD8<Float>) {
        let both = UnsafeRawPointer(pointer).loadUnaligned(as: SIMD16<Float>.self)
        return (both.evenHalf, both.oddHalf)
    }

    @inline(__always)
    private static func vector(_ pointer: UnsafePointer<Float>) -> SIMD8<Float> {
        UnsafeRawPointer(pointer).loadUnaligned(as: SIMD8<Float>.self)
    }
}
