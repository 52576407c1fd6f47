/// Reads a pattern's text into its tree.
struct PatternParser {
    private let text: String
    private let scalars: [Unicode.Scalar]
    private var position = 0
    private var depth = 0

    init(_ text: String) {
        self.text = text
        scalars = Array(text.unicodeScalars)
    }

    mutating func parse() throws(SandboxError) -> PatternNode {
        let node = try alternatives()
        guard position == scalars.count else { throw failure("an unexpected )") }
        return node
    }

    private mutating func alternatives() throws(SandboxError) -> PatternNode {
        depth += 1
        defer { depth -= 1 }
        guard depth <= 100 else { throw failure("too many nested groups") }
        var branches = [try sequence()]
        while consume("|") { branches.append(try sequence()) }
        return branches.count == 1 ? branches[0] : .alternatives(branches)
    }

    private mutating func sequence() throws(SandboxError) -> PatternNode {
        var nodes: [PatternNode] = []
        while let scalar = peek, scalar != "|", scalar != ")" {
            nodes.append(try repeated(try atom()))
        }
        return nodes.count == 1 ? nodes[0] : .sequence(nodes)
    }

    private mutating func repeated(_ atom: PatternNode) throws(SandboxError) -> PatternNode {
        var node = atom
        while let scalar = peek {
            switch scalar {
            case "*": node = .repetition(node, minimum: 0, maximum: nil)
            case "+": node = .repetition(node, minimum: 1, maximum: nil)
            case "?": node = .repetition(node, minimum: 0, maximum: 1)
            case "{":
                guard let (bounds, end) = bounds() else { return node }
                guard bounds.minimum <= 1000, bounds.maximum ?? 0 <= 1000, bounds.maximum ?? 1000 >= bounds.minimum
                else { throw failure("a bad repetition count") }
                node = .repetition(node, minimum: bounds.minimum, maximum: bounds.maximum)
                position = end - 1
            default: return node
            }
            position += 1
            _ = consume("?")  // Lazy or greedy: the same texts match.
        }
        return node
    }

    /// `{2}`, `{2,}` or `{2,5}` at the position, with its end; nil for a literal brace.
    private func bounds() -> ((minimum: Int, maximum: Int?), Int)? {
        guard let close = scalars[position...].firstIndex(of: "}") else { return nil }
        let inside = String(String.UnicodeScalarView(scalars[(position + 1)..<close]))
        let parts = inside.split(separator: ",", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let minimum = Int(parts[0]) else { return nil }
        if parts.count == 1 { return ((minimum, minimum), close + 1) }
        if parts[1].isEmpty { return ((minimum, nil), close + 1) }
        guard let maximum = Int(parts[1]) else { return nil }
        return ((minimum, maximum), close + 1)
    }

    private mutating func atom() throws(SandboxError) -> PatternNode {
        let scalar = scalars[position]
        position += 1
        switch scalar {
        case "^": return .assertion(.start)
        case "$": return .assertion(.end)
        case ".": return .set(.anyButNewline)
        case "[": return .set(try characterClass())
        case "(": return try group()
        case "\\": return try escape()
        case "*", "+", "?": throw failure("missing argument to repetition operator: \(scalar)")
        default: return .set(ScalarSet(ranges: [scalar.value...scalar.value]))
        }
    }

    private mutating func group() throws(SandboxError) -> PatternNode {
        if consume("?") {
            if consume("P") || peek == "<" {
                guard consume("<"), let end = scalars[position...].firstIndex(of: ">") else {
                    throw failure("an unknown group")
                }
                position = end + 1
            } else if !consume(":") {
                throw failure("flags are not supported")
            }
        }
        let node = try alternatives()
        guard consume(")") else { throw failure("a missing )") }
        return node
    }

    private mutating func escape() throws(SandboxError) -> PatternNode {
        switch peek {
        case "b": return assertion(.wordBoundary(true))
        case "B": return assertion(.wordBoundary(false))
        case "A": return assertion(.start)
        case "z": return assertion(.end)
        default: return .set(try escapedSet())
        }
    }

    private mutating func assertion(_ instruction: Pattern.Instruction) -> PatternNode {
        position += 1
        return .assertion(instruction)
    }

    /// What follows a backslash, as a set.
    private mutating func escapedSet() throws(SandboxError) -> ScalarSet {
        guard let scalar = peek else { throw failure("a trailing backslash") }
        position += 1
        switch scalar {
        case "d": return .digits
        case "D": return ScalarSet(ranges: ScalarSet.digits.ranges, isNegated: true)
        case "w": return .word
        case "W": return ScalarSet(ranges: ScalarSet.word.ranges, isNegated: true)
        case "s": return .space
        case "S": return ScalarSet(ranges: ScalarSet.space.ranges, isNegated: true)
        case "n": return ScalarSet(ranges: [0x0A...0x0A])
        case "r": return ScalarSet(ranges: [0x0D...0x0D])
        case "t": return ScalarSet(ranges: [0x09...0x09])
        case "f": return ScalarSet(ranges: [0x0C...0x0C])
        case "v": return ScalarSet(ranges: [0x0B...0x0B])
        case "x":
            let value = try hexadecimal()
            return ScalarSet(ranges: [value...value])
        default:
            guard scalar.isASCII, !scalar.properties.isAlphabetic, !ScalarSet.digits.contains(scalar) else {
                throw failure("an unknown escape \\\(scalar)")
            }
            return ScalarSet(ranges: [scalar.value...scalar.value])
        }
    }

    private mutating func hexadecimal() throws(SandboxError) -> UInt32 {
        var digits = ""
        if consume("{") {
            while let scalar = peek, scalar != "}" {
                digits.unicodeScalars.append(scalar)
                position += 1
            }
            guard consume("}") else { throw failure("a bad \\x escape") }
        } else {
            while digits.count < 2, let scalar = peek {
                digits.unicodeScalars.append(scalar)
                position += 1
            }
        }
        guard let value = UInt32(digits, radix: 16), value <= 0x10FFFF else { throw failure("a bad \\x escape") }
        return value
    }

    private mutating func characterClass() throws(SandboxError) -> ScalarSet {
        var set = ScalarSet(ranges: [], isNegated: consume("^"))
        var isFirst = true
        while let scalar = peek {
            if scalar == "]", !isFirst {
                position += 1
                return set
            }
            isFirst = false
            if let named = try namedClass() {
                set.ranges += named.positiveRanges
                continue
            }
            let lower = try classMember()
            guard peek == "-", position + 1 < scalars.count, scalars[position + 1] != "]",
                lower.isNegated == false, lower.ranges.count == 1, let start = lower.ranges.first?.lowerBound
            else {
                set.ranges += lower.positiveRanges
                continue
            }
            position += 1
            guard let end = try classMember().ranges.first?.upperBound, end >= start else {
                throw failure("a bad character range")
            }
            set.ranges.append(start...end)
        }
        throw failure("a missing ]")
    }

    private mutating func classMember() throws(SandboxError) -> ScalarSet {
        if consume("\\") { return try escapedSet() }
        guard let scalar = peek else { throw failure("a missing ]") }
        position += 1
        return ScalarSet(ranges: [scalar.value...scalar.value])
    }

    /// `[:alpha:]` and the like.
    private mutating func namedClass() throws(SandboxError) -> ScalarSet? {
        guard position + 1 < scalars.count, scalars[position] == "[", scalars[position + 1] == ":" else { return nil }
        let names: [String: ScalarSet] = [
            "digit": .digits, "word": .word, "space": ScalarSet(ranges: [0x09...0x0D, 0x20...0x20]),
            "alpha": ScalarSet(ranges: [0x41...0x5A, 0x61...0x7A]), "upper": ScalarSet(ranges: [0x41...0x5A]),
            "lower": ScalarSet(ranges: [0x61...0x7A]),
            "alnum": ScalarSet(ranges: [0x30...0x39, 0x41...0x5A, 0x61...0x7A]),
            "xdigit": ScalarSet(ranges: [0x30...0x39, 0x41...0x46, 0x61...0x66]),
        ]
        guard let end = scalars[position...].firstIndex(of: "]"), scalars[end - 1] == ":" else {
            throw failure("a bad character class")
        }
        let name = String(String.UnicodeScalarView(scalars[(position + 2)..<(end - 1)]))
        guard let set = names[name] else { throw failure("an unknown character class [:\(name):]") }
        position = end + 1
        return set
    }

    private var peek: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

    private mutating func consume(_ scalar: Unicode.Scalar) -> Bool {
        guard peek == scalar else { return false }
        position += 1
        return true
    }

    private func failure(_ what: String) -> SandboxError {
        SandboxError(.invalidConfiguration, "error parsing regexp `\(text)`: \(what)")
    }
}
