public import KernelLoops

/// The inner loops for AVX-512 (F, BW, DQ, VL): this module is compiled for it, and nothing else may be in it.
public let avx512Loops = LoopTable(
    name: "avx512", product: { $0.wide() }, winogradInput: { $0.transformInput() },
    winogradGradient: { $0.transformGradient() }, winogradInputAdjoint: { $0.addInputGradient() },
    winogradOutput: { $0.run() },
    pixels: {
        Transposition.pixels($0, planeStride: $1, channels: $2, count: $3, into: $4, targetStride: $5, scratch: $6)
    },
    planes: {
        Transposition.planes($0, sourceStride: $1, channels: $2, count: $3, into: $4, planeStride: $5, scratch: $6)
    }, adam: { $0.run() }, sgd: { $0.run() })
