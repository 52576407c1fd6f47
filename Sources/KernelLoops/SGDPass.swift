/// Gradient descent with momentum over some parameters, in one pass: formula and order of operations as `Backend.sgd` says.
public struct SGDPass {
    public var count: Int
    public var parameters: UnsafeMutablePointer<Float>
    public var gradients: UnsafePointer<Float>
    public var velocities: UnsafeMutablePointer<Float>
    public var learningRate: Float
    public var momentum: Float
    public var isNesterov: Bool
    public var weightDecay: Float
    public var gradientScale: Float

    @inlinable
    public init(
        count: Int, parameters: UnsafeMutablePointer<Float>, gradients: UnsafePointer<Float>,
        velocities: UnsafeMutablePointer<Float>, learningRate: Float, momentum: Float, isNesterov: Bool,
        weightDecay: Float, gradientScale: Float
    ) {
        self.count = count
        self.parameters = parameters
        self.gradients = gradients
        self.velocities = velocities
        self.learningRate = learningRate
        self.momentum = momentum
        self.isNesterov = isNesterov
        self.weightDecay = weightDecay
        self.gradientScale = gradientScale
    }

    @inlinable @inline(__always)
    public func run() {
        var index = 0
        while index + 16 <= count {
            var b = load16(velocities + index)
            store16(update(load16(parameters + index), load16(gradients + index), &b), parameters + index)
            store16(b, velocities + index)
            index += 16
        }
        while index < count {
            var b = SIMD16(repeating: velocities[index])
            let p = update(SIMD16(repeating: parameters[index]), SIMD16(repeating: gradients[index]), &b)
            parameters[index] = p[0]
            velocities[index] = b[0]
            index += 1
        }
    }

    @inlinable @inline(__always)
    func update(_ p: SIMD16<Float>, _ g: SIMD16<Float>, _ b: inout SIMD16<Float>) -> SIMD16<Float> {
        let g = (g * gradientScale).addingProduct(p, SIMD16(repeating: weightDecay))
        b = (b * momentum) + g
        return p - learningRate * (isNesterov ? g.addingProduct(b, SIMD16(repeating: momentum)) : b)
    }
}
