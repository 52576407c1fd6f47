import KernelLoops

extension CPUBackend {
    /// Elements that one thread takes at a time.
    private static let optimizerPiece = 16384

    public func adam(
        _ settings: AdamSettings, step: Int, parameters: Tensor, gradients: Tensor, firstMoments: Tensor,
        secondMoments: Tensor
    ) {
        let count = parameters.count
        invariant(
            gradients.count == count && firstMoments.count == count && secondMoments.count == count,
            "moments and gradients have the parameters' size")
        let stepSize = settings.stepSize(step), secondScale = settings.secondMomentScale(step)
        pool.run((count + Self.optimizerPiece - 1) / Self.optimizerPiece) { part, _ in
            let first = part * Self.optimizerPiece
            loops.adam(
                AdamPass(
                    count: min(Self.optimizerPiece, count - first), parameters: parameters.pointer + first,
                    gradients: gradients.pointer + first, firstMoments: firstMoments.pointer + first,
                    secondMoments: secondMoments.pointer + first, stepSize: stepSize, secondScale: secondScale,
                    beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon,
                    gradientScale: settings.gradientScale, coupledDecay: settings.coupledDecay, kept: settings.kept))
        }
    }

    public func sgd(_ settings: SGDSettings, parameters: Tensor, gradients: Tensor, velocities: Tensor) {
        let count = parameters.count
        invariant(
            gradients.count == count && velocities.count == count, "velocities and gradients have the parameters' size")
        pool.run((count + Self.optimizerPiece - 1) / Self.optimizerPiece) { part, _ in
            let first = part * Self.optimizerPiece
            loops.sgd(
                SGDPass(
                    count: min(Self.optimizerPiece, count - first), parameters: parameters.pointer + first,
                    gradients: gradients.pointer + first, velocities: velocities.pointer + first,
                    learningRate: settings.learningRate, momentum: settings.momentum,
                    isNesterov: settings.isNesterov, weightDecay: settings.weightDecay,
                    gradientScale: settings.gradientScale))
        }
    }
}
