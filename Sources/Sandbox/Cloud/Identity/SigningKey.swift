internal import Encoding

/// The key that every simulated service account signs with: RSA of 2048 bits. It was made for the sandbox, everybody can
/// read it here, and it opens nothing.
public enum SigningKey {
    /// As `signBlob` names it.
    static let id = "5a6e0d1d7a0e4c5f9b3d2c1b0a998877665544aa"

    /// What a verifier needs, as PEM (SubjectPublicKeyInfo).
    public static let publicKey = """
        -----BEGIN PUBLIC KEY-----
        MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAmi5ItMryBe5k0PQEDk9s
        DV2sDoZiACJ1LN30TKE/a6oQWlFMCHTgDvJabE6CLV7qZ2jiiLwpcPTGuqtcqEq+
        pA6B0b6meKL3eunJhGq9aPvIe6cf7AIMGuc8B8uOtBxNO9SgBmsKrIMhOOj/v4Uc
        b7IrfyI/aR8qtdhSl77/ePvz+02epxP75ig/U/NTRClGEZlqzOJS9Dyo46/kpEjL
        4g/MaWuFeKDFAVC5zYyeHdWt2i6OYB/vTuzhjhJ0VpNCAB9jMiHDObndAyS0ulHu
        uaO4LtGWI+W+IoaRgSf9q4Yk+nLjs0TZyyArdUjlQ9EXAd20BTpX/14R2pqC3Q3f
        QQIDAQAB
        -----END PUBLIC KEY-----
        """

    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2.1).
    static func signature(of message: [UInt8]) -> [UInt8] {
        let byteCount = modulus.count * 4
        // DigestInfo of SHA-256, RFC 8017, 9.2 note 1.
        let prefix: [UInt8] = [
            0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04,
            0x20,
        ]
        let info = prefix + SHA256.digest(of: message)
        let padding = [UInt8](repeating: 0xff, count: byteCount - info.count - 3)
        let encoded = [0x00, 0x01] + padding + [0x00] + info
        var words = [UInt32](repeating: 0, count: modulus.count)
        for (index, byte) in encoded.reversed().enumerated() { words[index / 4] |= UInt32(byte) << (8 * (index % 4)) }
        let result = Montgomery(modulus).power(words, exponent)
        return (0..<byteCount).reversed().map { UInt8(truncatingIfNeeded: result[$0 / 4] >> (8 * ($0 % 4))) }
    }

    /// Least significant word first.
    private static let modulus: [UInt32] = [
        0xdd0ddf41, 0x11da9a82, 0x3a57ff5e, 0x01ddb405, 0xe543d117, 0x202b7548, 0xb344d9cb, 0x24fa72e3,
        0x27fdab86, 0x22869181, 0x9623e5be, 0xa3b82ed1, 0xba51eeb9, 0xdd0324b4, 0x21c339b9, 0x001f6332,
        0x74569342, 0xece18e12, 0x601fef4e, 0xadda2e8e, 0x8c9e1dd5, 0x0150b9cd, 0x8578a0c5, 0x0fcc696b,
        0xa448cbe2, 0xa8e3afe4, 0xe252f43c, 0x11996acc, 0x53442946, 0x283f53f3, 0xa713fbe6, 0xf3fb4d9e,
        0xbeff78fb, 0xb5d85297, 0x3f691f2a, 0xb22b7f22, 0xbf851c6f, 0x2138e8ff, 0x6b0aac83, 0x3bd4a006,
        0x8eb41c4d, 0xe73c07cb, 0xec020c1a, 0xc87ba71f, 0x6abd68fb, 0x7ae9c984, 0xa678a2f7, 0x0e81d1be,
        0xa84abea4, 0xc6baab5c, 0xbc2970f4, 0x6768e288, 0x822d5eea, 0xf25a6c4e, 0x0874e00e, 0x105a514c,
        0xa13f6baa, 0x2cddf44c, 0x62002275, 0x5dac0e86, 0x0e4f6c0d, 0x64d0f404, 0xcaf205ee, 0x9a2e48b4,
    ]
    private static let exponent: [UInt32] = [
        0xbb94ae41, 0xacfe6236, 0x66ab6194, 0x7108a9e3, 0xd9d36f8f, 0x18bf902d, 0x35ba940a, 0x1c9f785e,
        0xeb2086cf, 0xb50563a2, 0x6111bf53, 0x9f60308e, 0xd918c053, 0xd50b3552, 0xb490d735, 0x267e4fce,
        0xdfa764e3, 0x5f52245b, 0x1b844fda, 0xac2b464f, 0x4b7a3ec7, 0xd8232b9c, 0x4c0b159a, 0xf51b6815,
        0xc74a220d, 0xf6051744, 0x0fd87e57, 0x5a5c92bc, 0x5cf641f5, 0xffa97031, 0x13539b2e, 0xb19e8d15,
        0x0f5f1793, 0x892a034c, 0x8f227f92, 0x481c9248, 0x739cee5e, 0x26c3ad9b, 0xe19c181c, 0x571f6427,
        0xbee5bfb4, 0x16fff9e8, 0xa31d3273, 0xfeeeda0e, 0xd3e95fa9, 0x1206a491, 0xe7063ea2, 0x0f005f2c,
        0x86644df4, 0xc77bd8a1, 0x1e24670e, 0x95401089, 0xbebd9fbe, 0x90afc03e, 0xb52c2fda, 0x48efecc8,
        0x841c832f, 0xc16691f7, 0x86ee4797, 0x65ad2c32, 0x5b064f1d, 0xee716d8d, 0x15f5f0ab, 0x0257bae5,
    ]
}

/// Powers modulo an odd number (Montgomery 1985). Its time depends on the exponent: that is no secret here.
private struct Montgomery {
    private let modulus: [UInt32]
    /// -modulus⁻¹ modulo 2³².
    private let inverse: UInt32
    /// R² modulo the modulus, where R = 2^(32·words).
    private let square: [UInt32]

    init(_ modulus: [UInt32]) {
        self.modulus = modulus
        var inverse: UInt32 = 1
        for _ in 0..<5 { inverse = inverse &* (2 &- modulus[0] &* inverse) }
        self.inverse = 0 &- inverse
        // 1, doubled 64 times for each word.
        var value = [UInt32](repeating: 0, count: modulus.count)
        value[0] = 1
        for _ in 0..<(modulus.count * 64) { value = Self.doubled(value, modulus) }
        square = value
    }

    func power(_ base: [UInt32], _ exponent: [UInt32]) -> [UInt32] {
        var one = [UInt32](repeating: 0, count: modulus.count)
        one[0] = 1
        var result = product(one, square)
        let factor = product(base, square)
        for word in exponent.reversed() {
            for bit in (0..<32).reversed() {
                result = product(result, result)
                if word >> bit & 1 == 1 { result = product(result, factor) }
            }
        }
        return product(result, one)
    }

    /// left · right / R modulo the modulus.
    private func product(_ left: [UInt32], _ right: [UInt32]) -> [UInt32] {
        let count = modulus.count
        var sum = [UInt32](repeating: 0, count: count + 2)
        for index in 0..<count {
            add(right, times: left[index], to: &sum)
            add(modulus, times: sum[0] &* inverse, to: &sum)
            for place in 0...count { sum[place] = sum[place + 1] }
            sum[count + 1] = 0
        }
        return Self.reduced(Array(sum[..<count]), carry: sum[count] != 0, modulus)
    }

    private func add(_ words: [UInt32], times factor: UInt32, to sum: inout [UInt32]) {
        var carry: UInt64 = 0
        for place in words.indices {
            carry += UInt64(sum[place]) + UInt64(words[place]) * UInt64(factor)
            sum[place] = UInt32(truncatingIfNeeded: carry)
            carry >>= 32
        }
        for place in words.count..<sum.count {
            carry += UInt64(sum[place])
            sum[place] = UInt32(truncatingIfNeeded: carry)
            carry >>= 32
        }
    }

    private static func doubled(_ value: [UInt32], _ modulus: [UInt32]) -> [UInt32] {
        var result = value
        var carry: UInt32 = 0
        for place in result.indices {
            let high = result[place] >> 31
            result[place] = result[place] << 1 | carry
            carry = high
        }
        return reduced(result, carry: carry != 0, modulus)
    }

    /// Once less the modulus, where it is not below it.
    private static func reduced(_ value: [UInt32], carry: Bool, _ modulus: [UInt32]) -> [UInt32] {
        let isLess = zip(value.reversed(), modulus.reversed()).first { $0 != $1 }.map { $0 < $1 } ?? false
        if isLess, !carry { return value }
        var result = value
        var borrow: Int64 = 0
        for place in result.indices {
            let difference = Int64(value[place]) - Int64(modulus[place]) + borrow
            result[place] = UInt32(truncatingIfNeeded: difference)
            borrow = difference >> 32
        }
        return result
    }
}
