/// What goes over the connections between rank 0 and the others: 20 bytes, then the payload.
///
/// `TYDP`, kind, value, two zeros, the payload's length (32 bits) and the step (64 bits), little-endian.
struct Frame: Hashable {
    enum Kind: UInt8 {
        /// Who wants to take part; JSON.
        case hello = 1
        /// Bytes of rank 0's that all need.
        case share = 2
        /// What a rank wants to happen next, in `value`; empty.
        case vote = 3
        /// What happens next; empty.
        case decision = 4
        /// Three numbers and a gradient: a rank's own, and then the sum of all.
        case sum = 5
        /// Rank 0 has stored what there is to store; the checkpoint's URI.
        case stored = 6
        /// The end: the exit code in `value`, and a sentence.
        case farewell = 7
    }

    var kind: Kind
    var value: UInt8 = 0
    /// Bytes of the payload.
    var count: Int
    /// Both sides are at the same one.
    var step: Int

    static let headerCount = 20
    private static let magic: [UInt8] = Array("TYDP".utf8)
    /// Of a farewell's sentence and a hello.
    static let maximumTextCount = 4096

    var header: [UInt8] {
        var bytes = Frame.magic + [kind.rawValue, value, 0, 0]
        for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: count >> shift)) }
        for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: step >> shift)) }
        return bytes
    }

    init(_ kind: Kind, value: UInt8 = 0, count: Int = 0, step: Int = 0) {
        self.kind = kind
        self.value = value
        self.count = count
        self.step = step
    }

    /// Nil when the bytes come from something else than a trainer.
    init?(header: [UInt8]) {
        guard header.count == Frame.headerCount, Array(header.prefix(4)) == Frame.magic,
            let kind = Kind(rawValue: header[4])
        else { return nil }
        self.kind = kind
        value = header[5]
        count = header[8..<12].reversed().reduce(0) { $0 << 8 | Int($1) }
        step = Int(truncatingIfNeeded: header[12..<20].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }
}
