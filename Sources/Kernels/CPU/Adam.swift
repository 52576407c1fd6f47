extension CPUBackend {
    public func adam(
        _ settings: AdamSettings, step: Int, parameters: Tensor, gradients: Tensor, firstMoments: Tensor,
        secondMoments: Tensor
    ) {
        let count = parameters.count
        invariant(
            gradients.count == count && firstMoments.count == count && secondMoments.count == count,
            "moments and gradients have the parameters' size")
        let constants = AdamConstants(settings, step: step)
        let piece = 16384
        pool.run((count + piece - 1) / piece) { part, _ in
            let first = part * piece
            adamStep(
                constants, count: min(piece, count - first), parameters: parameters.pointer + first,
                gradients: gradients.pointer + first, firstMoments: firstMoments.pointer + first,
                secondMoments: secondMoments.pointer + first)
        }
    }
}

/// A step's constants in vectors.
private struct AdamConstants {
    let stepSize: Float
    let secondScale: Float
    let beta1: Float
    let beta2: Float
    let epsilon: Float

    init(_ settings: AdamSettings, step: Int) {
        stepSize = settings.stepSize(step)
        secondScale = settings.secondMomentScale(step)
        beta1 = settings.beta1
        beta2 = settings.beta2
        epsilon = settings.epsilon
    }

    @inline(__always)
    func update(
        _ p: SIMD8<Float>, _ g: SIMD8<Float>, _ m: inout SIMD8<Float>, _ v: inout SIMD8<Float>
    ) -> SIMD8<Float> {
        m = (m * beta1).addingProduct(g, SIMD8(repeating: 1 - beta1))
        v = (v * beta2).addingProduct(g * g, SIMD8(repeating: 1 - beta2))
        return p - stepSize * m / (v.squareRoot() * secondScale + epsilon)
    }
}

private func adamStep(
    _ constants: AdamConstants, count: Int, parameters: UnsafeMutablePointer<Float>,
    gradients: UnsafePointer<Float>, firstMoments: UnsafeMutablePointer<Float>,
    secondMoments: UnsafeMutablePointer<Float>
) {
    var index = 0
    while index + 8 <= count {
        var m = vector(firstMoments + index), v = vector(secondMoments + index)
        let p = constants.update(vector(parameters + index), vector(gradients + index), &m, &v)
        store(p, parameters + index)
        store(m, firstMoments + index)
        store(v, secondMoments + index)
        index += 8
    }
    while index < count {
        var m = SIMD8(repeating: firstMoments[index]), v = SIMD8(repeating: secondMoments[index])
        let p = constants.update(SIMD8(repeating: parameters[index]), SIMD8(repeating: gradients[index]), &m, &v)
        parameters[index] = p[0]
        firstMoments[index] = m[0]
        secondMoments[index] = v[0]
        index += 1
    }
}

@inline(__always)
private func vector(_ pointer: UnsafePointer<Float>) -> SIMD8<Float> {
    UnsafeRawPointer(pointer).loadUnaligned(as: SIMD8<Float>.self)
}

@inline(__always)
private func store(_ value: SIMD8<Float>, _ pointer: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(pointer).storeBytes(of: value, as: SIMD8<Float>.self)
}
