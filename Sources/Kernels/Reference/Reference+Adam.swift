extension Reference {
    /// One Adam step: the formula of `Backend.adam`.
    public static func adam(
        _ settings: AdamSettings, step: Int, parameters p: inout [Double], gradients g: [Double],
        firstMoments m: inout [Double], secondMoments v: inout [Double]
    ) {
        let beta1 = Double(settings.beta1), beta2 = Double(settings.beta2)
        let firstBias = 1 - AdamSettings.power(beta1, step)
        let secondBias = 1 - AdamSettings.power(beta2, step)
        for i in p.indices {
            m[i] = beta1 * m[i] + (1 - beta1) * g[i]
            v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i]
            let denominator = (v[i] / secondBias).squareRoot() + Double(settings.epsilon)
            p[i] -= Double(settings.learningRate) / firstBias * m[i] / denominator
        }
    }
}
