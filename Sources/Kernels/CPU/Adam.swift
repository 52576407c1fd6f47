import KernelLoops

extension CPUBackend {
    public func adam(
        _ settings: AdamSettings, step: Int, parameters: Tensor, gradients: Tensor, firstMoments: Tensor,
        secondMoments: Tensor
    ) {
        let count = parameters.count
        invariant(
            gradients.count == count && firstMoments.count == count && secondMoments.count == count,
            "moments and gradients have the parameters' size")
        let stepSize = settings.stepSize(step), secondScale = settings.secondMomentScale(step)
        let piece = 16384
        pool.run((count + piece - 1) / piece) { part, _ in
            let first = part * piece
            loops.adam(
                AdamPass(
                    count: min(piece, count - first), parameters: parameters.pointer + first,
                    gradients: gradients.pointer + first, firstMoments: firstMoments.pointer + first,
                    secondMoments: secondMoments.pointer + first, stepSize: stepSize, secondScale: secondScale,
                    beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon))
        }
    }
}
