/// DEFLATE (RFC 1951) from a borrowed buffer into a growing one.
struct Inflate {
    /// The next byte of the input; after `run`, the first one behind the compressed data.
    var position = 0
    private(set) var outputCount = 0
    private let input: UnsafeBufferPointer<UInt8>
    private let limit: Int
    private var output: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    /// Bits read ahead, the next one lowest.
    private var bits: UInt64 = 0
    private var bitCount = 0

    private static let codeLengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
    private static let lengthBase: [UInt16] = [
        3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227,
        258,
    ]
    private static let lengthExtra: [UInt8] = [
        0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
    ]
    private static let distanceBase: [UInt16] = [
        1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097,
        6145, 8193, 12289, 16385, 24577,
    ]
    private static let distanceExtra: [UInt8] = [
        0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
    ]
    private static let fixedLengths: [UInt8] =
        Array(repeating: 8, count: 144) + Array(repeating: 9, count: 112) + Array(repeating: 7, count: 24)
        + Array(repeating: 8, count: 8)

    init(input: UnsafeBufferPointer<UInt8>, limit: Int, sizeHint: Int) {
        self.input = input
        self.limit = limit
        capacity = max(sizeHint, 4096)
        output = .allocate(capacity: capacity)
    }

    /// Releases the output; nothing may be used afterwards.
    func free() { output.deallocate() }

    func output(from start: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: output + start, count: outputCount - start)
    }

    /// Unpacks one DEFLATE stream from `position`.
    mutating func run() throws(GzipError) {
        bits = 0
        bitCount = 0
        let start = outputCount
        var isLast = false
        while !isLast {
            isLast = try take(1) == 1
            switch try take(2) {
            case 0: try stored()
            case 1:
                let literals = try HuffmanTable(Inflate.fixedLengths)
                let distances = try HuffmanTable(Array(repeating: 5, count: 32))
                try block(literals, distances, from: start)
            case 2:
                let (literals, distances) = try dynamicTables()
                try block(literals, distances, from: start)
            default: throw Inflate.corrupt
            }
        }
        position -= bitCount / 8  // Whole bytes that were read ahead belong to what follows.
        bits = 0
        bitCount = 0
    }

    // MARK: Blocks

    private mutating func stored() throws(GzipError) {
        position -= bitCount / 8
        bits = 0
        bitCount = 0
        guard position + 4 <= input.count else { throw Gzip.truncated }
        let count = Int(input[position]) | Int(input[position + 1]) << 8
        let check = Int(input[position + 2]) | Int(input[position + 3]) << 8
        guard count == ~check & 0xFFFF else { throw Inflate.corrupt }
        position += 4
        guard position + count <= input.count, let base = input.baseAddress else { throw Gzip.truncated }
        try reserve(count)
        (output + outputCount).update(from: base + position, count: count)
        outputCount += count
        position += count
    }

    private mutating func dynamicTables() throws(GzipError) -> (HuffmanTable, HuffmanTable) {
        let literalCount = try take(5) + 257
        let distanceCount = try take(5) + 1
        let codeCount = try take(4) + 4
        guard literalCount <= 286, distanceCount <= 30 else { throw Inflate.corrupt }
        var codeLengths = [UInt8](repeating: 0, count: 19)
        for index in 0..<codeCount { codeLengths[Inflate.codeLengthOrder[index]] = UInt8(try take(3)) }
        let codes = try HuffmanTable(codeLengths)
        var lengths: [UInt8] = []
        while lengths.count < literalCount + distanceCount {
            let symbol = try symbol(codes)
            if symbol < 16 {
                lengths.append(UInt8(symbol))
                continue
            }
            var repeated: UInt8 = 0
            if symbol == 16 {
                guard let last = lengths.last else { throw Inflate.corrupt }
                repeated = last
            }
            let count = symbol == 16 ? 3 + (try take(2)) : symbol == 17 ? 3 + (try take(3)) : 11 + (try take(7))
            lengths.append(contentsOf: repeatElement(repeated, count: count))
        }
        guard lengths.count == literalCount + distanceCount, lengths[256] != 0 else { throw Inflate.corrupt }
        return (
            try HuffmanTable(Array(lengths[..<literalCount])), try HuffmanTable(Array(lengths[literalCount...]))
        )
    }

    private mutating func block(
        _ literals: HuffmanTable, _ distances: HuffmanTable, from start: Int
    ) throws(GzipError) {
        while true {
            let symbol = try symbol(literals)
            if symbol < 256 {
                if outputCount == capacity { try reserve(1) }
                output[outputCount] = UInt8(symbol)
                outputCount += 1
            } else if symbol == 256 {
                return
            } else {
                guard symbol <= 285 else { throw Inflate.corrupt }
                let length = Int(Inflate.lengthBase[symbol - 257]) + (try take(Int(Inflate.lengthExtra[symbol - 257])))
                let code = try self.symbol(distances)
                guard code < 30 else { throw Inflate.corrupt }
                let distance = Int(Inflate.distanceBase[code]) + (try take(Int(Inflate.distanceExtra[code])))
                guard distance <= outputCount - start else { throw Inflate.corrupt }
                try reserve(length)
                copy(length, from: distance)
            }
        }
    }

    /// The source may overlap what is written: then it repeats.
    private mutating func copy(_ length: Int, from distance: Int) {
        let target = output + outputCount
        if distance >= length {
            target.update(from: target - distance, count: length)
        } else {
            for index in 0..<length { target[index] = target[index - distance] }
        }
        outputCount += length
    }

    private mutating func reserve(_ count: Int) throws(GzipError) {
        guard outputCount + count <= limit else {
            throw GzipError(.tooLarge, "the gzip data unpacks to more than \(limit) bytes")
        }
        guard outputCount + count > capacity else { return }
        let grown = max(capacity * 2, outputCount + count)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: grown)
        larger.update(from: output, count: outputCount)
        output.deallocate()
        output = larger
        capacity = grown
    }

    // MARK: Bits

    private mutating func refill() {
        while bitCount <= 56, position < input.count {
            bits |= UInt64(input[position]) << UInt64(bitCount)
            position += 1
            bitCount += 8
        }
    }

    private mutating func take(_ count: Int) throws(GzipError) -> Int {
        if bitCount < count {
            refill()
            if bitCount < count { throw Gzip.truncated }
        }
        let value = Int(bits & (1 << UInt64(count) - 1))
        bits >>= UInt64(count)
        bitCount -= count
        return value
    }

    private mutating func symbol(_ table: HuffmanTable) throws(GzipError) -> Int {
        if bitCount < 15 { refill() }
        let (symbol, length) = table.lookup(bits)
        guard length > 0 else { throw Inflate.corrupt }
        guard length <= bitCount else { throw Gzip.truncated }
        bits >>= UInt64(length)
        bitCount -= length
        return symbol
    }

    static let corrupt = GzipError(.corrupt, "the compressed data is damaged")
}

/// A canonical Huffman code: codes of up to ten bits by table, longer ones bit by bit.
struct HuffmanTable {
    private static let fastBits = 10
    /// By the next ten bits: symbol << 4 | length; 0 when the code is longer or there is none.
    private var fast = [UInt16](repeating: 0, count: 1 << fastBits)
    /// How many codes there are of each length, and their symbols in order.
    private var counts = [Int](repeating: 0, count: 16)
    private var symbols: [UInt16] = []

    /// - Throws: `.corrupt` when the lengths describe more codes than there can be. Fewer are allowed only as one code
    ///   or none, as RFC 1951 does for distances.
    init(_ lengths: [UInt8]) throws(GzipError) {
        for length in lengths { counts[Int(length)] += 1 }
        counts[0] = 0
        var left = 1
        for length in 1...15 {
            left = left * 2 - counts[length]
            if left < 0 { throw Inflate.corrupt }
        }
        guard left == 0 || counts.reduce(0, +) <= 1 else { throw Inflate.corrupt }
        var offsets = [Int](repeating: 0, count: 16)
        for length in 1..<15 { offsets[length + 1] = offsets[length] + counts[length] }
        symbols = Array(repeating: 0, count: lengths.count)
        for (symbol, length) in lengths.enumerated() where length > 0 {
            symbols[offsets[Int(length)]] = UInt16(symbol)
            offsets[Int(length)] += 1
        }
        fillFast()
    }

    private mutating func fillFast() {
        var code = 0
        var index = 0
        for length in 1...HuffmanTable.fastBits {
            for _ in 0..<counts[length] {
                var reversed = 0
                for bit in 0..<length where code >> bit & 1 == 1 { reversed |= 1 << (length - 1 - bit) }
                for slot in stride(from: reversed, to: 1 << HuffmanTable.fastBits, by: 1 << length) {
                    fast[slot] = symbols[index] << 4 | UInt16(length)
                }
                code += 1
                index += 1
            }
            code <<= 1
        }
    }

    /// The symbol that the next bits name, and its length; 0 when they name none.
    func lookup(_ bits: UInt64) -> (symbol: Int, length: Int) {
        let entry = fast[Int(bits & UInt64(1 << HuffmanTable.fastBits - 1))]
        if entry != 0 { return (Int(entry >> 4), Int(entry & 15)) }
        var code = 0
        var first = 0
        var index = 0
        for length in 1...15 {
            code |= Int(bits >> UInt64(length - 1) & 1)
            let count = counts[length]
            if code - count < first { return (Int(symbols[index + code - first]), length) }
            index += count
            first = (first + count) << 1
            code <<= 1
        }
        return (0, 0)
    }
}
