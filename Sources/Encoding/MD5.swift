/// MD5 (RFC 1321), incremental: a checksum that Cloud Storage knows, not a protection.
public struct MD5: Sendable {
    private var hash = BlockHash<Compression>()

    public init() {}

    /// The digest of these bytes: 16 bytes.
    public static func digest(of bytes: [UInt8]) -> [UInt8] {
        var hash = MD5()
        hash.update(bytes)
        return hash.digest
    }

    public mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { hash.update($0) } }
    public mutating func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bytes) }

    /// The digest of all bytes so far: 16 bytes. More bytes may follow.
    public var digest: [UInt8] { hash.digest }

    /// The 64 steps stand one by one: as a loop over tables they take five times as long, and the simulated Cloud Storage
    /// hashes every byte that it is sent.
    private struct Compression: BlockCompression {
        private var state = SIMD4<UInt32>(0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476)

        init() {}

        mutating func compress(_ block: UnsafeRawPointer) {
            var (a, b, c, d) = (state[0], state[1], state[2], state[3])
            Self.first(&a, &b, &c, &d, block)
            Self.second(&a, &b, &c, &d, block)
            Self.third(&a, &b, &c, &d, block)
            Self.fourth(&a, &b, &c, &d, block)
            state &+= SIMD4(a, b, c, d)
        }

        static func lengthBytes(_ bits: UInt64) -> [UInt8] {
            (0..<8).map { UInt8(truncatingIfNeeded: bits >> UInt64(8 * $0)) }
        }

        var digest: [UInt8] {
            (0..<16).map { UInt8(truncatingIfNeeded: state[$0 / 4] >> UInt32(8 * ($0 % 4))) }
        }

        /// a = b + ((a + mixed + word + constant) rotated to the left); the constants are floor(2³² · |sin(i + 1)|).
        @inline(__always) private static func step(
            _ a: inout UInt32, _ b: UInt32, _ mixed: UInt32, _ block: UnsafeRawPointer, _ word: Int, _ shift: UInt32,
            _ constant: UInt32
        ) {
            let input = block.loadUnaligned(fromByteOffset: 4 * word, as: UInt32.self).littleEndian
            let sum = a &+ mixed &+ constant &+ input
            a = b &+ (sum &<< shift | sum &>> (32 &- shift))
        }

        /// Mixes by `b & c | ~b & d`, the words in order.
        @inline(__always) private static func first(
            _ a: inout UInt32, _ b: inout UInt32, _ c: inout UInt32, _ d: inout UInt32, _ block: UnsafeRawPointer
        ) {
            step(&a, b, d ^ (b & (c ^ d)), block, 0, 7, 0xd76a_a478)
            step(&d, a, c ^ (a & (b ^ c)), block, 1, 12, 0xe8c7_b756)
            step(&c, d, b ^ (d & (a ^ b)), block, 2, 17, 0x2420_70db)
            step(&b, c, a ^ (c & (d ^ a)), block, 3, 22, 0xc1bd_ceee)
            step(&a, b, d ^ (b & (c ^ d)), block, 4, 7, 0xf57c_0faf)
            step(&d, a, c ^ (a & (b ^ c)), block, 5, 12, 0x4787_c62a)
            step(&c, d, b ^ (d & (a ^ b)), block, 6, 17, 0xa830_4613)
            step(&b, c, a ^ (c & (d ^ a)), block, 7, 22, 0xfd46_9501)
            step(&a, b, d ^ (b & (c ^ d)), block, 8, 7, 0x6980_98d8)
            step(&d, a, c ^ (a & (b ^ c)), block, 9, 12, 0x8b44_f7af)
            step(&c, d, b ^ (d & (a ^ b)), block, 10, 17, 0xffff_5bb1)
            step(&b, c, a ^ (c & (d ^ a)), block, 11, 22, 0x895c_d7be)
            step(&a, b, d ^ (b & (c ^ d)), block, 12, 7, 0x6b90_1122)
            step(&d, a, c ^ (a & (b ^ c)), block, 13, 12, 0xfd98_7193)
            step(&c, d, b ^ (d & (a ^ b)), block, 14, 17, 0xa679_438e)
            step(&b, c, a ^ (c & (d ^ a)), block, 15, 22, 0x49b4_0821)
        }

        /// Mixes by `d & b | ~d & c`, every fifth word.
        @inline(__always) private static func second(
            _ a: inout UInt32, _ b: inout UInt32, _ c: inout UInt32, _ d: inout UInt32, _ block: UnsafeRawPointer
        ) {
            step(&a, b, (d & b) | (~d & c), block, 1, 5, 0xf61e_2562)
            step(&d, a, (c & a) | (~c & b), block, 6, 9, 0xc040_b340)
            step(&c, d, (b & d) | (~b & a), block, 11, 14, 0x265e_5a51)
            step(&b, c, (a & c) | (~a & d), block, 0, 20, 0xe9b6_c7aa)
            step(&a, b, (d & b) | (~d & c), block, 5, 5, 0xd62f_105d)
            step(&d, a, (c & a) | (~c & b), block, 10, 9, 0x0244_1453)
            step(&c, d, (b & d) | (~b & a), block, 15, 14, 0xd8a1_e681)
            step(&b, c, (a & c) | (~a & d), block, 4, 20, 0xe7d3_fbc8)
            step(&a, b, (d & b) | (~d & c), block, 9, 5, 0x21e1_cde6)
            step(&d, a, (c & a) | (~c & b), block, 14, 9, 0xc337_07d6)
            step(&c, d, (b & d) | (~b & a), block, 3, 14, 0xf4d5_0d87)
            step(&b, c, (a & c) | (~a & d), block, 8, 20, 0x455a_14ed)
            step(&a, b, (d & b) | (~d & c), block, 13, 5, 0xa9e3_e905)
            step(&d, a, (c & a) | (~c & b), block, 2, 9, 0xfcef_a3f8)
            step(&c, d, (b & d) | (~b & a), block, 7, 14, 0x676f_02d9)
            step(&b, c, (a & c) | (~a & d), block, 12, 20, 0x8d2a_4c8a)
        }

        /// Mixes by `b ^ c ^ d`, every third word.
        @inline(__always) private static func third(
            _ a: inout UInt32, _ b: inout UInt32, _ c: inout UInt32, _ d: inout UInt32, _ block: UnsafeRawPointer
        ) {
            step(&a, b, b ^ c ^ d, block, 5, 4, 0xfffa_3942)
            step(&d, a, a ^ b ^ c, block, 8, 11, 0x8771_f681)
            step(&c, d, d ^ a ^ b, block, 11, 16, 0x6d9d_6122)
            step(&b, c, c ^ d ^ a, block, 14, 23, 0xfde5_380c)
            step(&a, b, b ^ c ^ d, block, 1, 4, 0xa4be_ea44)
            step(&d, a, a ^ b ^ c, block, 4, 11, 0x4bde_cfa9)
            step(&c, d, d ^ a ^ b, block, 7, 16, 0xf6bb_4b60)
            step(&b, c, c ^ d ^ a, block, 10, 23, 0xbebf_bc70)
            step(&a, b, b ^ c ^ d, block, 13, 4, 0x289b_7ec6)
            step(&d, a, a ^ b ^ c, block, 0, 11, 0xeaa1_27fa)
            step(&c, d, d ^ a ^ b, block, 3, 16, 0xd4ef_3085)
            step(&b, c, c ^ d ^ a, block, 6, 23, 0x0488_1d05)
            step(&a, b, b ^ c ^ d, block, 9, 4, 0xd9d4_d039)
            step(&d, a, a ^ b ^ c, block, 12, 11, 0xe6db_99e5)
            step(&c, d, d ^ a ^ b, block, 15, 16, 0x1fa2_7cf8)
            step(&b, c, c ^ d ^ a, block, 2, 23, 0xc4ac_5665)
        }

        /// Mixes by `c ^ (b | ~d)`, every seventh word.
        @inline(__always) private static func fourth(
            _ a: inout UInt32, _ b: inout UInt32, _ c: inout UInt32, _ d: inout UInt32, _ block: UnsafeRawPointer
        ) {
            step(&a, b, c ^ (b | ~d), block, 0, 6, 0xf429_2244)
            step(&d, a, b ^ (a | ~c), block, 7, 10, 0x432a_ff97)
            step(&c, d, a ^ (d | ~b), block, 14, 15, 0xab94_23a7)
            step(&b, c, d ^ (c | ~a), block, 5, 21, 0xfc93_a039)
            step(&a, b, c ^ (b | ~d), block, 12, 6, 0x655b_59c3)
            step(&d, a, b ^ (a | ~c), block, 3, 10, 0x8f0c_cc92)
            step(&c, d, a ^ (d | ~b), block, 10, 15, 0xffef_f47d)
            step(&b, c, d ^ (c | ~a), block, 1, 21, 0x8584_5dd1)
            step(&a, b, c ^ (b | ~d), block, 8, 6, 0x6fa8_7e4f)
            step(&d, a, b ^ (a | ~c), block, 15, 10, 0xfe2c_e6e0)
            step(&c, d, a ^ (d | ~b), block, 6, 15, 0xa301_4314)
            step(&b, c, d ^ (c | ~a), block, 13, 21, 0x4e08_11a1)
            step(&a, b, c ^ (b | ~d), block, 4, 6, 0xf753_7e82)
            step(&d, a, b ^ (a | ~c), block, 11, 10, 0xbd3a_f235)
            step(&c, d, a ^ (d | ~b), block, 2, 15, 0x2ad7_d2bb)
            step(&b, c, d ^ (c | ~a), block, 9, 21, 0xeb86_d391)
        }
    }
}
