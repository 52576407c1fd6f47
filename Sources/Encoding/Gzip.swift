/// Why a gzip stream could not be unpacked.
public struct GzipError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure.
    public enum Code: String, Sendable, Hashable {
        case notGzip, truncated, corrupt, checksumMismatch, tooLarge
    }

    public let code: Code
    /// A sentence for a person.
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}

/// The gzip format (RFC 1952): reading only.
public enum Gzip {
    /// Whether the bytes begin as gzip does.
    public static func isGzip(_ bytes: [UInt8]) -> Bool { bytes.count >= 3 && bytes[0] == 0x1F && bytes[1] == 0x8B }

    /// Unpacks all members, checking each one's CRC-32 and size.
    ///
    /// - Parameter limit: the most bytes that may come out.
    /// - Throws: `.notGzip`, `.truncated`, `.corrupt`, `.checksumMismatch`; `.tooLarge` beyond the limit.
    public static func decompress(_ bytes: [UInt8], limit: Int) throws(GzipError) -> [UInt8] {
        let result: Result<[UInt8], GzipError> = bytes.withUnsafeBufferPointer { input in
            do throws(GzipError) { return .success(try members(input, limit: limit)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    private static func members(_ input: UnsafeBufferPointer<UInt8>, limit: Int) throws(GzipError) -> [UInt8] {
        guard input.count >= 2, input[0] == 0x1F, input[1] == 0x8B else {
            throw GzipError(.notGzip, "the data does not begin as gzip does")
        }
        // The last member's size is a hint only: it is checked after unpacking.
        let hint = input.count >= 4 ? Int(word(input, at: input.count - 4)) : 0
        var inflate = Inflate(input: input, limit: limit, sizeHint: min(hint, limit, input.count * 16))
        defer { inflate.free() }
        var position = 0
        while position < input.count {
            // Padding after the last member, as some tools leave it.
            if input[position] == 0, position > 0, input[position...].allSatisfy({ $0 == 0 }) { break }
            let start = inflate.outputCount
            inflate.position = try headerEnd(input, from: position)
            try inflate.run()
            position = inflate.position
            guard position + 8 <= input.count else { throw truncated }
            var crc = CRC32()
            crc.update(inflate.output(from: start))
            guard crc.value == word(input, at: position),
                UInt32(truncatingIfNeeded: inflate.outputCount - start) == word(input, at: position + 4)
            else { throw GzipError(.checksumMismatch, "the gzip checksum does not match: the data is damaged") }
            position += 8
        }
        return Array(inflate.output(from: 0))
    }

    /// Where a member's compressed data begins.
    private static func headerEnd(_ input: UnsafeBufferPointer<UInt8>, from start: Int) throws(GzipError) -> Int {
        guard start + 10 <= input.count else { throw truncated }
        guard input[start] == 0x1F, input[start + 1] == 0x8B, input[start + 2] == 8, input[start + 3] & 0xE0 == 0 else {
            throw GzipError(.corrupt, "a malformed gzip header")
        }
        let flags = input[start + 3]
        var position = start + 10
        if flags & 4 != 0 {  // Extra field.
            guard position + 2 <= input.count else { throw truncated }
            position += 2 + Int(input[position]) + Int(input[position + 1]) << 8
        }
        for flag in [UInt8(8), 16] where flags & flag != 0 {  // File name, comment.
            guard position < input.count, let end = input[position...].firstIndex(of: 0) else { throw truncated }
            position = end + 1
        }
        if flags & 2 != 0 { position += 2 }  // Header checksum.
        guard position <= input.count else { throw truncated }
        return position
    }

    private static func word(_ input: UnsafeBufferPointer<UInt8>, at position: Int) -> UInt32 {
        UnsafeRawBufferPointer(input).loadUnaligned(fromByteOffset: position, as: UInt32.self).littleEndian
    }

    static let truncated = GzipError(.truncated, "the gzip data ends too early")
}
