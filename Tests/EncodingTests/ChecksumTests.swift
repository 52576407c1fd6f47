import Encoding
import Testing

/// Bytes that repeat and vary, the same for ever.
func pattern(_ count: Int) -> [UInt8] {
    var state: UInt32 = 1
    return (0..<count).map { index in
        state = (state &* 1_103_515_245 &+ 12345) & 0x7FFF_FFFF
        return state >> 20 & 3 != 0 ? UInt8(state >> 16 & 0x3F) : UInt8(index / 97 & 0xFF)
    }
}

struct ChecksumTests {
    struct Known: Sendable, CustomTestStringConvertible {
        let count: Int
        let md5: String
        let sha256: String
        let crc32c: UInt32
        var testDescription: String { "\(count) bytes" }

        init(_ count: Int, _ md5: String, _ sha256: String, _ crc32c: UInt32) {
            self.count = count
            self.md5 = md5
            self.sha256 = sha256
            self.crc32c = crc32c
        }
    }

    /// From Python's hashlib and a bitwise CRC; lengths around the block and padding limits.
    static let known = [
        Known(
            0, "d41d8cd98f00b204e9800998ecf8427e", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 0
        ),
        Known(
            1, "93b885adfe0da089cdf634904fd59f71", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            0x527d_5351),
        Known(
            55, "e4e4c32e694ce5c84375bb7e9274e975", "21077965ab266b6156c11d2eef6dbdd1d88cda8884ef1b4691bba6668fbc1840",
            0x0bc8_88c6),
        Known(
            56, "0771a75656c31b19f05830b9bfcb4197", "17ae770e25c32364356cd8adb7506aa7b61e6d1b2cc75eba0be043329b2c8f73",
            0xa118_f4ac),
        Known(
            63, "8df4e3e86651b25b8a9ec2e0cdd74665", "eaf031220e508f41069dc76d6361007c8e614d4f23a9dbf56c4d104276d34321",
            0x4f7c_18f9),
        Known(
            64, "a9187d121aab99c1a4fe105b989f469d", "3540df070696cc47a31b982b13328469a631b3766e95a311461756596c7f55a6",
            0xcfac_35a9),
        Known(
            65, "735b7a3cf22c8535dc061671cd690792", "8369e7286ff27070d7e86d1d599420bc7db33203283d1977c52dee110404620c",
            0x048e_a0f7),
        Known(
            119, "d6823f991c20b3d27146ec900e624dc8", "5416d6852c3c7a671a56185e2cd13e809f75ec1c4baf0559ddb8b52adfc1973a",
            0x2903_a247),
        Known(
            127, "7026660979420f93ce81d67004d320ec", "91d1bc201d27c463cc5481ffa49822b9212c1cdee467debfa21a45ea256ad200",
            0x9223_608e),
        Known(
            1000, "8fcff0813113440c99458af17b50ca4c",
            "5a6ac0b7a1a13baf45aa28303e48898a70a93452d2c159616ecf2e289475294f",
            0x2515_87cd),
        Known(
            100_003, "f318045dfd8050111c0b8c540187884c",
            "57db9396f148594db39208a722821f5e20bb44f7b2e168a6b7ecc6e3bcc02bf1", 0xaeb8_e3a3),
    ]

    @Test(arguments: known) func `digests are the known ones, whole and in pieces`(_ known: Known) {
        let bytes = pattern(known.count)
        #expect(Hexadecimal.encode(MD5.digest(of: bytes)) == known.md5)
        #expect(SHA256.hexadecimal(of: bytes) == known.sha256)
        #expect(CRC32C(of: bytes).value == known.crc32c)
        for size in [1, 7, 64, 65, 1000] {
            var (md5, sha, crc) = (MD5(), SHA256(), CRC32C())
            for start in stride(from: 0, to: bytes.count, by: size) {
                let piece = bytes[start..<min(start + size, bytes.count)]
                md5.update(Array(piece))
                sha.update(Array(piece))
                crc.update(piece)
            }
            #expect(Hexadecimal.encode(md5.digest) == known.md5)
            #expect(Hexadecimal.encode(sha.digest) == known.sha256)
            #expect(crc.value == known.crc32c)
        }
    }

    @Test func `CRC32C has the standard's check value and Cloud Storage's form`() {
        let crc = CRC32C(of: Array("123456789".utf8))
        #expect(crc.value == 0xE306_9283)
        #expect(crc.base64 == "4waSgw==")
        #expect(CRC32C(base64: "4waSgw==") == crc)
        #expect(CRC32C().base64 == "AAAAAA==")
    }

    @Test(arguments: ["", "4waSgw", "4waSgwA=", "4waS", "????gw=="])
    func `a checksum that is none is nil`(_ text: String) { #expect(CRC32C(base64: text) == nil) }
}

struct Base64Tests {
    /// RFC 4648, section 10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ]) func `the standard's vectors`(_ text: String, encoded: String) {
        #expect(Base64.encode(Array(text.utf8)) == encoded)
        #expect(Base64.decode(encoded) == Array(text.utf8))
        let bare = encoded.filter { $0 != "=" }
        #expect(Base64.encodeURL(Array(text.utf8)) == bare)
        #expect(Base64.decodeURL(bare) == Array(text.utf8))
    }

    @Test func `the alphabets differ in two characters`() {
        #expect(Base64.encode([0xFB, 0xFF]) == "+/8=")
        #expect(Base64.encodeURL([0xFB, 0xFF]) == "-_8")
        #expect(Base64.decode("-_8=") == nil)
        #expect(Base64.decodeURL("+/8") == nil)
    }

    @Test(arguments: ["Zg", "Zg=", "Z===", "=Zg=", "Zg==\n", "Zh==", "Zm9=", "Zm 9", "Zg==Zg==", "====", "A=AA"])
    func `anything else is refused`(_ text: String) { #expect(Base64.decode(text) == nil) }

    @Test func `all lengths round trip`() {
        for count in 0..<100 {
            let bytes = pattern(count)
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
            #expect(Base64.decodeURL(Base64.encodeURL(bytes)) == bytes)
        }
    }
}
