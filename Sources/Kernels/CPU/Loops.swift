import CSystem
import KernelLoops
#if arch(x86_64)
    import KernelsAVX512
#endif

/// Which of the inner loops' variants this machine runs.
enum Loops {
    /// For 256-bit vectors on amd64, for 128-bit ones on arm64: compiled as this module is.
    static let base = LoopTable(
        name: CarriedKernels.baseVariant, product: { $0.narrow() }, winogradInput: { $0.transformInput() },
        winogradGradient: { $0.transformGradient() }, winogradInputAdjoint: { $0.addInputGradient() },
        winogradOutput: { $0.run() },
        pixels: {
            Transposition.pixels($0, planeStride: $1, channels: $2, count: $3, into: $4, targetStride: $5, scratch: $6)
        },
        planes: {
            Transposition.planes($0, sourceStride: $1, channels: $2, count: $3, into: $4, planeStride: $5, scratch: $6)
        }, adam: { $0.run() }, sgd: { $0.run() })

    #if arch(x86_64)
        /// The fastest first.
        static let usable = trainyard_cpu_has_avx512() != 0 ? [avx512Loops, base] : [base]
    #else
        static let usable = [base]
    #endif
}
