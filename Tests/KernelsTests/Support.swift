import Kernels

/// Reproducible numbers: SplitMix64.
struct Seeded {
    var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Uniform in -1 ..< 1.
    mutating func float() -> Float { Float(Int64(bitPattern: next()) >> 40) / Float(1 << 23) }

    mutating func floats(_ count: Int) -> [Float] { (0..<count).map { _ in float() } }

    mutating func tensor(_ shape: Shape) -> Tensor { Tensor(shape, floats(shape.count)) }

    mutating func doubles(_ count: Int) -> [Double] { floats(count).map(Double.init) }

    mutating func labels(_ count: Int, classes: Int) -> ByteTensor {
        let labels = ByteTensor(count: count)
        for index in 0..<count { labels.elements[index] = UInt8(next() % UInt64(classes)) }
        return labels
    }
}

/// The largest difference, as a fraction of the largest expected magnitude (at least 1e-3).
func relativeError(_ actual: [Float], _ expected: [Float]) -> Double {
    guard actual.count == expected.count else { return .infinity }
    var difference = 0.0
    var magnitude = 1e-3
    for (left, right) in zip(actual, expected) {
        if left.isNaN != right.isNaN { return .infinity }
        if right.isNaN { continue }
        difference = max(difference, abs(Double(left) - Double(right)))
        magnitude = max(magnitude, abs(Double(right)))
    }
    return difference / magnitude
}
