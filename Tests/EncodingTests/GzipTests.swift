import Encoding
import Testing

struct GzipTests {
    private func unpack(_ base64: String, limit: Int = 1 << 20) throws -> [UInt8] {
        try Gzip.decompress(try #require(Base64.decode(base64)), limit: limit)
    }

    private func code(_ bytes: [UInt8], limit: Int = 1 << 20) -> GzipError.Code? {
        do throws(GzipError) {
            _ = try Gzip.decompress(bytes, limit: limit)
            return nil
        } catch {
            return error.code
        }
    }

    @Test func `every kind of block and header is read`() throws {
        #expect(try unpack(GzipFixtures.empty) == [])
        #expect(try unpack(GzipFixtures.fixedCodes) == Array("hello hello hello hello".utf8))
        #expect(try unpack(GzipFixtures.stored) == Array("stored bytes, not compressed".utf8))
        #expect(try unpack(GzipFixtures.headerFields) == Array("abc".utf8))
        #expect(try unpack(GzipFixtures.twoMembers) == Array("first second".utf8))
        #expect(try unpack(GzipFixtures.runs) == [UInt8](repeating: 0x61, count: 100_000))
        #expect(try unpack(GzipFixtures.pattern) == pattern(6000))
    }

    @Test func `zeros after the last member are padding`() throws {
        let bytes = try #require(Base64.decode(GzipFixtures.stored))
        #expect(try Gzip.decompress(bytes + [0, 0, 0, 0], limit: 100).count == 28)
    }

    @Test func `output beyond the limit is refused`() throws {
        let bytes = try #require(Base64.decode(GzipFixtures.runs))
        #expect(code(bytes, limit: 100_000) == nil)
        #expect(code(bytes, limit: 99_999) == .tooLarge)
        #expect(code(bytes, limit: 0) == .tooLarge)
    }

    @Test func `what is no gzip, cut or damaged is an error`() throws {
        let bytes = try #require(Base64.decode(GzipFixtures.pattern))
        #expect(code([]) == .notGzip)
        #expect(code(Array("plain text".utf8)) == .notGzip)
        for count in 2..<bytes.count where code(Array(bytes[..<count])) != .truncated {
            Issue.record("cut after \(count) bytes: \(String(describing: code(Array(bytes[..<count]))))")
        }
        for index in bytes.count - 8..<bytes.count {
            var damaged = bytes
            damaged[index] ^= 1
            #expect(code(damaged) == .checksumMismatch)
        }
    }

    @Test(arguments: 0..<200) func `damaged data never gives other bytes than the original`(_ seed: Int) throws {
        var random = SplitMix(seed: UInt64(seed))
        var bytes = try #require(Base64.decode(GzipFixtures.pattern))
        for _ in 0...Int(random.next() % 4) {
            bytes[10 + Int(random.next() % UInt64(bytes.count - 10))] = UInt8(truncatingIfNeeded: random.next())
        }
        if let unpacked = try? Gzip.decompress(bytes, limit: 1 << 16) { #expect(unpacked == pattern(6000)) }
    }
}

/// A small seeded generator.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
