/// Draws uids and generated names, from a seed in tests.
struct RandomNames: Sendable {
    private var seeded: UInt64?

    init(seed: UInt64?) { seeded = seed }

    /// A version 4 UUID.
    mutating func uid() -> String {
        let high = next() & ~0xF000 | 0x4000
        let low = next() & ~(3 << 62) | (2 << 62)
        let text = RandomNames.hex(high) + RandomNames.hex(low)
        var output = ""
        for (index, character) in text.enumerated() {
            if [8, 12, 16, 20].contains(index) { output.append("-") }
            output.append(character)
        }
        return output
    }

    /// Five characters as the API server appends to `generateName`: no vowels, so that no word comes out.
    mutating func suffix() -> String {
        let alphabet = Array("bcdfghjklmnpqrstvwxz2456789")
        return String((0..<5).map { _ in alphabet[Int(next() % UInt64(alphabet.count))] })
    }

    /// SplitMix64 (Steele, Lea, Flood 2014) when seeded.
    private mutating func next() -> UInt64 {
        guard var state = seeded else { return UInt64.random(in: .min ... .max) }
        state &+= 0x9E37_79B9_7F4A_7C15
        seeded = state
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    private static func hex(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
