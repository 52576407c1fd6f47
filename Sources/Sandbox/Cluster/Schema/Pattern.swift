/// A compiled regular expression of RE2's syntax, matched in time linear in the text (Thompson's construction).
///
/// Known: literals, classes, `.`, `^`, `$`, groups, alternation, repetition, `\d \w \s \b` and their opposites, `\A`,
/// `\z`. Matching is unanchored, as in JSON schema and in CEL's `matches`.
struct Pattern: Sendable {
    enum Instruction: Sendable {
        case set(ScalarSet)
        case split(Int, Int)
        case jump(Int)
        case start, end, wordBoundary(Bool)
        case match
    }

    let text: String
    let program: [Instruction]
    /// A larger program is refused: repetition of repetition multiplies.
    static let maximumInstructions = 20_000

    /// - Throws: `.invalidConfiguration` with what is wrong or not known.
    init(_ text: String) throws(SandboxError) {
        var parser = PatternParser(text)
        let node = try parser.parse()
        var program: [Instruction] = []
        try Pattern.compile(node, into: &program)
        program.append(.match)
        self.text = text
        self.program = program
    }

    /// Whether the pattern is found anywhere in the text.
    func matches(_ text: String) -> Bool {
        let scalars = Array(text.unicodeScalars)
        var current = ThreadList(capacity: program.count)
        var next = ThreadList(capacity: program.count)
        for position in 0...scalars.count {
            if add(0, to: &current, scalars, position) { return true }
            guard position < scalars.count else { return false }
            next.removeAll()
            for index in current.members {
                guard case .set(let set) = program[index], set.contains(scalars[position]) else { continue }
                if add(index + 1, to: &next, scalars, position + 1) { return true }
            }
            swap(&current, &next)
        }
        return false
    }

    /// Follows the instructions that read nothing; true when the match is reached.
    private func add(_ start: Int, to list: inout ThreadList, _ scalars: [Unicode.Scalar], _ position: Int) -> Bool {
        var pending = [start]
        while let index = pending.popLast() {
            guard list.insert(index) else { continue }
            switch program[index] {
            case .match: return true
            case .jump(let target): pending.append(target)
            case .split(let first, let second):
                pending.append(second)
                pending.append(first)
            case .start: if position == 0 { pending.append(index + 1) }
            case .end: if position == scalars.count { pending.append(index + 1) }
            case .wordBoundary(let isWanted):
                let before = position > 0 && ScalarSet.word.contains(scalars[position - 1])
                let after = position < scalars.count && ScalarSet.word.contains(scalars[position])
                if (before != after) == isWanted { pending.append(index + 1) }
            case .set: break
            }
        }
        return false
    }

    private struct ThreadList {
        private var isMember: [Bool]
        private(set) var members: [Int] = []

        init(capacity: Int) { isMember = Array(repeating: false, count: capacity) }

        mutating func insert(_ index: Int) -> Bool {
            guard !isMember[index] else { return false }
            isMember[index] = true
            members.append(index)
            return true
        }

        mutating func removeAll() {
            for index in members { isMember[index] = false }
            members.removeAll(keepingCapacity: true)
        }
    }

    private static func compile(_ node: PatternNode, into program: inout [Instruction]) throws(SandboxError) {
        guard program.count < maximumInstructions else {
            throw SandboxError(.invalidConfiguration, "the pattern is too large")
        }
        switch node {
        case .empty: break
        case .set(let set): program.append(.set(set))
        case .assertion(let instruction): program.append(instruction)
        case .sequence(let nodes): for node in nodes { try compile(node, into: &program) }
        case .alternatives(let nodes): try compileAlternatives(nodes, into: &program)
        case .repetition(let node, let minimum, let maximum):
            for _ in 0..<minimum { try compile(node, into: &program) }
            if let maximum {
                try compileOptionals(node, count: maximum - minimum, into: &program)
            } else {
                let split = program.count
                program.append(.jump(0))
                try compile(node, into: &program)
                program.append(.jump(split))
                program[split] = .split(split + 1, program.count)
            }
        }
    }

    private static func compileAlternatives(
        _ nodes: [PatternNode], into program: inout [Instruction]
    ) throws(SandboxError) {
        var ends: [Int] = []
        for (index, node) in nodes.enumerated() {
            guard index < nodes.count - 1 else {
                try compile(node, into: &program)
                break
            }
            let split = program.count
            program.append(.jump(0))
            try compile(node, into: &program)
            ends.append(program.count)
            program.append(.jump(0))
            program[split] = .split(split + 1, program.count)
        }
        for end in ends { program[end] = .jump(program.count) }
    }

    private static func compileOptionals(
        _ node: PatternNode, count: Int, into program: inout [Instruction]
    ) throws(SandboxError) {
        var splits: [Int] = []
        for _ in 0..<max(0, count) {
            splits.append(program.count)
            program.append(.jump(0))
            try compile(node, into: &program)
        }
        for split in splits { program[split] = .split(split + 1, program.count) }
    }
}

/// A set of characters as ranges.
struct ScalarSet: Sendable {
    var ranges: [ClosedRange<UInt32>]
    var isNegated = false

    static let digits = ScalarSet(ranges: [0x30...0x39])
    static let word = ScalarSet(ranges: [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
    static let space = ScalarSet(ranges: [0x09...0x0A, 0x0C...0x0D, 0x20...0x20])
    /// `.` without the flag `s`.
    static let anyButNewline = ScalarSet(ranges: [0x0A...0x0A], isNegated: true)

    func contains(_ scalar: Unicode.Scalar) -> Bool {
        ranges.contains { $0.contains(scalar.value) } != isNegated
    }

    /// The ranges with the negation carried out.
    var positiveRanges: [ClosedRange<UInt32>] {
        guard isNegated else { return ranges }
        var result: [ClosedRange<UInt32>] = []
        var start: UInt32 = 0
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if range.lowerBound > start { result.append(start...(range.lowerBound - 1)) }
            start = max(start, range.upperBound + 1)
        }
        if start <= 0x10FFFF { result.append(start...0x10FFFF) }
        return result
    }
}

/// The tree of a pattern.
indirect enum PatternNode: Sendable {
    case empty
    case set(ScalarSet)
    case assertion(Pattern.Instruction)
    case sequence([PatternNode])
    case alternatives([PatternNode])
    case repetition(PatternNode, minimum: Int, maximum: Int?)
}
