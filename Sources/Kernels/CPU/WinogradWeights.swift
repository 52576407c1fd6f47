import KernelLoops

/// Weights at the 36 points, and back: 16 (output or input) channels at a time.
enum WinogradWeights {
    private typealias Vector = SIMD16<Float>

    private static let third: Float = 1.0 / 3
    private static let rootThird: Float = 0.471_404_52
    private static let sixth: Float = 1.0 / 6
    private static let rootSixth: Float = 0.235_702_26

    /// G w Gᵀ for all output channels of one input channel: target[point][inputChannel][output].
    static func transform(
        _ plan: WinogradPlan, _ weight: UnsafePointer<Float>, inputChannel: Int,
        into target: UnsafeMutablePointer<Float>
    ) {
        let taps = ConvolutionShape.taps, inputs = plan.shape.inputChannels
        for first in stride(from: 0, to: plan.outputs, by: 16) {
            transform(
                weight + (first * inputs + inputChannel) * taps, step: inputs * taps,
                count: plan.shape.outputChannels - first, into: target + inputChannel * plan.outputs + first,
                stride: plan.weightStride)
        }
    }

    /// As `transform`, for all input channels of one output channel: target[point][outputChannel][input].
    static func transformTurned(
        _ plan: WinogradPlan, _ weight: UnsafePointer<Float>, outputChannel: Int,
        into target: UnsafeMutablePointer<Float>
    ) {
        let taps = ConvolutionShape.taps, inputs = plan.shape.inputChannels
        for first in stride(from: 0, to: plan.inputs, by: 16) {
            transform(
                weight + (outputChannel * inputs + first) * taps, step: taps, count: inputs - first,
                into: target + outputChannel * plan.inputs + first, stride: plan.turnedStride)
        }
    }

    /// Gᵀ u G for all output channels of one input channel, into PyTorch's layout.
    static func gradient(
        _ plan: WinogradPlan, _ source: UnsafePointer<Float>, inputChannel: Int,
        into gradient: UnsafeMutablePointer<Float>
    ) {
        let taps = ConvolutionShape.taps, inputs = plan.shape.inputChannels
        withVectors { half, _ in
            for first in stride(from: 0, to: plan.shape.outputChannels, by: 16) {
                let points = source + inputChannel * plan.outputs + first
                for j in 0..<6 {
                    let line = adjoint { vector(points + (6 * $0 + j) * plan.weightStride) }
                    half[j] = line.0
                    half[6 + j] = line.1
                    half[12 + j] = line.2
                }
                let count = min(16, plan.shape.outputChannels - first)
                for i in 0..<3 {
                    let line = adjoint { half[6 * i + $0] }
                    for lane in 0..<count {
                        let target = gradient + ((first + lane) * inputs + inputChannel) * taps + 3 * i
                        target[0] = line.0[lane]
                        target[1] = line.1[lane]
                        target[2] = line.2[lane]
                    }
                }
            }
        }
    }

    /// - step: from one of the vector's channels to the next in `source`; `count` (at least 0) of them are there.
    private static func transform(
        _ source: UnsafePointer<Float>, step: Int, count: Int, into target: UnsafeMutablePointer<Float>, stride: Int
    ) {
        withVectors { half, taps in
            for tap in 0..<ConvolutionShape.taps {
                var value = Vector.zero
                for lane in 0..<max(0, min(16, count)) { value[lane] = source[lane * step + tap] }
                taps[tap] = value
            }
            for j in 0..<3 {
                forward(taps[j], taps[3 + j], taps[6 + j]) { half[3 * $0 + j] = $1 }
            }
            for i in 0..<6 {
                forward(half[3 * i], half[3 * i + 1], half[3 * i + 2]) { index, value in
                    UnsafeMutableRawPointer(target + (6 * i + index) * stride).storeBytes(of: value, as: Vector.self)
                }
            }
        }
    }

    @inline(__always)
    private static func forward(
        _ w0: Vector, _ w1: Vector, _ w2: Vector, _ put: (_ index: Int, _ value: Vector) -> Void
    ) {
        put(0, w0)
        let e = w0 * (-2 * third) - w2 * third, f = w1 * rootThird
        put(1, e - f)
        put(2, e + f)
        let g = w0 * sixth + w2 * third, h = w1 * rootSixth
        put(3, g + h)
        put(4, g - h)
        put(5, w2)
    }

    @inline(__always)
    private static func adjoint(_ m: (Int) -> Vector) -> (Vector, Vector, Vector) {
        let s = m(1) + m(2), d = m(1) - m(2), u = m(3) + m(4), v = m(3) - m(4)
        return (m(0) - s * (2 * third) + u * sixth, v * rootSixth - d * rootThird, (u - s) * third + m(5))
    }

    /// 18 and 9 vectors on the stack.
    @inline(__always)
    private static func withVectors(
        _ body: (_ half: UnsafeMutablePointer<Vector>, _ taps: UnsafeMutablePointer<Vector>) -> Void
    ) {
        withUnsafeTemporaryAllocation(of: Vector.self, capacity: 27) { buffer in
            guard let base = buffer.baseAddress else { return }
            body(base, base + 18)
        }
    }

    @inline(__always)
    private static func vector(_ pointer: UnsafePointer<Float>) -> Vector {
        UnsafeRawPointer(pointer).loadUnaligned(as: Vector.self)
    }
}
