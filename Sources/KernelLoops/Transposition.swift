/// Between planes (channel by channel) and pixels (all channels of a position together).
public enum Transposition {
    /// Floats of scratch memory that a call needs.
    public static let scratchCount = 512

    /// target[i·targetStride + channel] = source[channel·planeStride + i] for i in 0 ..< count.
    ///
    /// - source: up to 15 floats after a plane's end are read.
    /// - target: channels are filled up with zeros to a multiple of 16.
    @inlinable @inline(__always)
    public static func pixels(
        _ source: UnsafePointer<Float>, planeStride: Int, channels: Int, count: Int,
        into target: UnsafeMutablePointer<Float>, targetStride: Int, scratch: UnsafeMutablePointer<Float>
    ) {
        var channel = 0
        while channel < channels {
            let planes = min(16, channels - channel)
            var first = 0
            while first < count {
                for plane in 0..<16 {
                    let value =
                        plane < planes ? load16(source + (channel + plane) * planeStride + first) : SIMD16<Float>.zero
                    store16(value, scratch + 16 * plane)
                }
                transpose(scratch)
                for pixel in 0..<min(16, count - first) {
                    store16(load16(scratch + 16 * pixel), target + (first + pixel) * targetStride + channel)
                }
                first += 16
            }
            channel += 16
        }
    }

    /// target[channel·planeStride + i] = source[i·sourceStride + channel] for i in 0 ..< count.
    ///
    /// - source: channels are read up to a multiple of 16.
    @inlinable @inline(__always)
    public static func planes(
        _ source: UnsafePointer<Float>, sourceStride: Int, channels: Int, count: Int,
        into target: UnsafeMutablePointer<Float>, planeStride: Int, scratch: UnsafeMutablePointer<Float>
    ) {
        var channel = 0
        while channel < channels {
            let planes = min(16, channels - channel)
            var first = 0
            while first < count {
                let pixels = min(16, count - first)
                for pixel in 0..<16 {
                    let value =
                        pixel < pixels ? load16(source + (first + pixel) * sourceStride + channel) : SIMD16<Float>.zero
                    store16(value, scratch + 16 * pixel)
                }
                transpose(scratch)
                for plane in 0..<planes {
                    let row = target + (channel + plane) * planeStride + first
                    if pixels == 16 {
                        store16(load16(scratch + 16 * plane), row)
                    } else {
                        for lane in 0..<pixels { row[lane] = scratch[16 * plane + lane] }
                    }
                }
                first += 16
            }
            channel += 16
        }
    }

    /// A 16×16 matrix in place, by four inverse perfect shuffles between the two halves of the scratch memory: each moves
    /// the lowest bit of the column to the top of the row, and of the row to the top of the column.
    @inlinable @inline(__always)
    static func transpose(_ scratch: UnsafeMutablePointer<Float>) {
        let other = scratch + 256
        shuffle(scratch, other)
        shuffle(other, scratch)
        shuffle(scratch, other)
        shuffle(other, scratch)
    }

    @inlinable @inline(__always)
    static func shuffle(_ source: UnsafePointer<Float>, _ target: UnsafeMutablePointer<Float>) {
        for row in 0..<8 {
            let upper = load16(source + 32 * row), lower = load16(source + 32 * row + 16)
            store16(SIMD16(lowHalf: upper.evenHalf, highHalf: lower.evenHalf), target + 16 * row)
            store16(SIMD16(lowHalf: upper.oddHalf, highHalf: lower.oddHalf), target + 16 * (row + 8))
        }
    }
}
