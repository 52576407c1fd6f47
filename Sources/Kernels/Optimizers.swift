/// Adam's constants; the defaults are PyTorch's.
public struct AdamSettings: Sendable, Hashable {
    public var learningRate: Float
    public var beta1: Float
    public var beta2: Float
    public var epsilon: Float
    /// λ, at least 0.
    public var weightDecay: Float
    /// AdamW: weights shrink by themselves, not by their gradients.
    public var isDecoupled: Bool
    /// s: what all gradients are multiplied with first.
    public var gradientScale: Float = 1

    public init(
        learningRate: Float = 1e-3, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8,
        weightDecay: Float = 0, isDecoupled: Bool = false
    ) {
        self.learningRate = learningRate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        self.isDecoupled = isDecoupled
    }

    /// What the gradients get of the weights.
    var coupledDecay: Float { isDecoupled ? 0 : weightDecay }

    /// What stays of the weights.
    var kept: Float { isDecoupled ? Float(1 - Double(learningRate) * Double(weightDecay)) : 1 }

    /// α/(1−β₁ᵗ), computed in Double.
    func stepSize(_ step: Int) -> Float {
        Float(Double(learningRate) / (1 - Self.power(Double(beta1), step)))
    }

    /// 1/√(1−β₂ᵗ), computed in Double.
    func secondMomentScale(_ step: Int) -> Float {
        Float(1 / (1 - Self.power(Double(beta2), step)).squareRoot())
    }

    /// Base to a whole power by squaring.
    static func power(_ base: Double, _ exponent: Int) -> Double {
        var result = 1.0
        var square = base
        var rest = exponent
        while rest > 0 {
            if rest & 1 == 1 { result *= square }
            square *= square
            rest >>= 1
        }
        return result
    }
}

/// Constants of gradient descent with momentum; the defaults are plain descent.
public struct SGDSettings: Sendable, Hashable {
    public var learningRate: Float
    /// μ, at least 0 and below 1.
    public var momentum: Float
    public var isNesterov: Bool
    /// λ, at least 0.
    public var weightDecay: Float
    /// s: what all gradients are multiplied with first.
    public var gradientScale: Float = 1

    public init(learningRate: Float, momentum: Float = 0, isNesterov: Bool = false, weightDecay: Float = 0) {
        self.learningRate = learningRate
        self.momentum = momentum
        self.isNesterov = isNesterov
        self.weightDecay = weightDecay
    }
}

extension Tensor {
    /// The Euclidean length of all elements, summed in Double in a fixed order; NaN or infinite where an element is.
    public var norm: Double {
        var sums = SIMD8<Double>()
        let values = pointer
        let whole = count & ~7
        var index = 0
        while index < whole {
            let part = UnsafeRawPointer(values + index).loadUnaligned(as: SIMD8<Float>.self)
            let wide = SIMD8<Double>(part)
            sums += wide * wide
            index += 8
        }
        var sum = sums.sum()
        for place in whole..<count { sum += Double(values[place]) * Double(values[place]) }
        return sum.squareRoot()
    }
}
