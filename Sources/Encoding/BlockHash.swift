/// The part that MD5 and SHA-256 differ in: how a block of 64 bytes changes the state.
protocol BlockCompression: Sendable {
    init()
    mutating func compress(_ block: UnsafeRawPointer)
    /// How the length in bits ends the last block.
    static func lengthBytes(_ bits: UInt64) -> [UInt8]
    var digest: [UInt8] { get }
}

/// Cuts bytes into blocks and pads the last, as MD5 and SHA-2 do.
struct BlockHash<Compression: BlockCompression>: Sendable {
    private var compression = Compression()
    private var pending: [UInt8] = []
    private var count: UInt64 = 0

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        count += UInt64(bytes.count)
        var position = 0
        if !pending.isEmpty {
            position = min(64 - pending.count, bytes.count)
            pending.append(contentsOf: bytes[..<position])
            guard pending.count == 64 else { return }
            pending.withUnsafeBytes { block in
                if let base = block.baseAddress { compression.compress(base) }
            }
            pending.removeAll(keepingCapacity: true)
        }
        if let base = bytes.baseAddress {
            while position + 64 <= bytes.count {
                compression.compress(base + position)
                position += 64
            }
        }
        pending.append(contentsOf: bytes[position...])
    }

    /// The digest of all bytes so far; more may follow.
    var digest: [UInt8] {
        var copy = self
        var padding: [UInt8] = [0x80]
        padding.append(contentsOf: repeatElement(0, count: (119 - pending.count) % 64))
        padding.append(contentsOf: Compression.lengthBytes(count &* 8))
        padding.withUnsafeBytes { copy.update($0) }
        return copy.compression.digest
    }
}
