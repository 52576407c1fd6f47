/// Reproducible random numbers: SplitMix64 (Steele, Lea & Flood 2014), one independent stream for each purpose.
///
/// The numbers are part of a run's identity: a change here changes every run with the same seed.
struct RandomStream {
    private var state: UInt64

    /// - Parameters:
    ///   - seed: the run's.
    ///   - purpose: tells streams of one seed apart.
    init(seed: UInt64, purpose: UInt64) {
        state = RandomStream.mixed(seed &+ RandomStream.mixed(purpose &+ RandomStream.increment))
    }

    private static let increment: UInt64 = 0x9E37_79B9_7F4A_7C15

    private static func mixed(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func next() -> UInt64 {
        state &+= RandomStream.increment
        return RandomStream.mixed(state)
    }

    /// Uniform in 0 ..< bound, without bias (Lemire 2019, arXiv:1805.10941). Bound is at least 1.
    mutating func next(below bound: UInt32) -> UInt32 {
        let threshold = (0 &- bound) % bound
        while true {
            let product = UInt64(UInt32(truncatingIfNeeded: next())) * UInt64(bound)
            if UInt32(truncatingIfNeeded: product) >= threshold { return UInt32(product >> 32) }
        }
    }

    /// Uniform in -bound ..< bound, in steps of bound · 2⁻²³.
    mutating func uniform(_ bound: Float) -> Float {
        (Float(next() >> 40) * 0x1p-23 - 1) * bound
    }
}
