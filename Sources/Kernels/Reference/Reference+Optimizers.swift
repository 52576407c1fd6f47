extension Reference {
    /// One Adam or AdamW step: the formula of `Backend.adam`.
    public static func adam(
        _ settings: AdamSettings, step: Int, parameters p: inout [Double], gradients g: [Double],
        firstMoments m: inout [Double], secondMoments v: inout [Double]
    ) {
        let beta1 = Double(settings.beta1), beta2 = Double(settings.beta2)
        let firstBias = 1 - AdamSettings.power(beta1, step)
        let secondBias = 1 - AdamSettings.power(beta2, step)
        let rate = Double(settings.learningRate), decay = Double(settings.weightDecay)
        for i in p.indices {
            var gradient = g[i] * Double(settings.gradientScale)
            if settings.isDecoupled { p[i] -= rate * decay * p[i] } else { gradient += decay * p[i] }
            m[i] = beta1 * m[i] + (1 - beta1) * gradient
            v[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient
            let denominator = (v[i] / secondBias).squareRoot() + Double(settings.epsilon)
            p[i] -= rate / firstBias * m[i] / denominator
        }
    }

    /// One step of gradient descent: the formula of `Backend.sgd`.
    public static func sgd(
        _ settings: SGDSettings, parameters p: inout [Double], gradients g: [Double], velocities b: inout [Double]
    ) {
        let momentum = Double(settings.momentum)
        for i in p.indices {
            let gradient = g[i] * Double(settings.gradientScale) + Double(settings.weightDecay) * p[i]
            b[i] = momentum * b[i] + gradient
            p[i] -= Double(settings.learningRate) * (settings.isNesterov ? gradient + momentum * b[i] : b[i])
        }
    }
}
