/// Adam or AdamW over some parameters, in one pass: formula and order of operations as `Backend.adam` says.
public struct AdamPass {
    public var count: Int
    public var parameters: UnsafeMutablePointer<Float>
    public var gradients: UnsafePointer<Float>
    public var firstMoments: UnsafeMutablePointer<Float>
    public var secondMoments: UnsafeMutablePointer<Float>
    /// α/(1−β₁ᵗ)
    public var stepSize: Float
    /// 1/√(1−β₂ᵗ)
    public var secondScale: Float
    public var beta1: Float
    public var beta2: Float
    public var epsilon: Float
    /// Of the gradients: s, and what they get of the weights.
    public var gradientScale: Float
    public var coupledDecay: Float
    /// What stays of the weights before the step.
    public var kept: Float

    @inlinable
    public init(
        count: Int, parameters: UnsafeMutablePointer<Float>, gradients: UnsafePointer<Float>,
        firstMoments: UnsafeMutablePointer<Float>, secondMoments: UnsafeMutablePointer<Float>, stepSize: Float,
        secondScale: Float, beta1: Float, beta2: Float, epsilon: Float, gradientScale: Float, coupledDecay: Float,
        kept: Float
    ) {
        self.count = count
        self.parameters = parameters
        self.gradients = gradients
        self.firstMoments = firstMoments
        self.secondMoments = secondMoments
        self.stepSize = stepSize
        self.secondScale = secondScale
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.gradientScale = gradientScale
        self.coupledDecay = coupledDecay
        self.kept = kept
    }

    @inlinable @inline(__always)
    public func run() {
        var index = 0
        while index + 16 <= count {
            var m = load16(firstMoments + index), v = load16(secondMoments + index)
            let p = update(load16(parameters + index), load16(gradients + index), &m, &v)
            store16(p, parameters + index)
            store16(m, firstMoments + index)
            store16(v, secondMoments + index)
            index += 16
        }
        while index < count {
            var m = SIMD16(repeating: firstMoments[index]), v = SIMD16(repeating: secondMoments[index])
            let p = update(SIMD16(repeating: parameters[index]), SIMD16(repeating: gradients[index]), &m, &v)
            parameters[index] = p[0]
            firstMoments[index] = m[0]
            secondMoments[index] = v[0]
            index += 1
        }
    }

    @inlinable @inline(__always)
    func update(
        _ p: SIMD16<Float>, _ g: SIMD16<Float>, _ m: inout SIMD16<Float>, _ v: inout SIMD16<Float>
    ) -> SIMD16<Float> {
        let g = (g * gradientScale).addingProduct(p, SIMD16(repeating: coupledDecay))
        m = (m * beta1).addingProduct(g, SIMD16(repeating: 1 - beta1))
        v = (v * beta2).addingProduct(g * g, SIMD16(repeating: 1 - beta2))
        return p * kept - stepSize * m / (v.squareRoot() * secondScale + epsilon)
    }
}
