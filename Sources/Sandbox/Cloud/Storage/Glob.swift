/// Cloud Storage's `matchGlob`: `*` and `?` stay within a "/"-separated part, `**` crosses parts, `[a-c]`, `[!a]` and
/// `{one,two}` as in a shell.
struct Glob: Sendable {
    private let alternatives: [[Character]]

    init(_ pattern: String) {
        alternatives = Glob.expanded(Array(pattern))
    }

    func matches(_ name: String) -> Bool {
        let characters = Array(name)
        return alternatives.contains { Glob.matches($0[...], characters[...]) }
    }

    /// `a{b,c}d` → `abd`, `acd`; braces do not nest. Alternatives are bounded.
    private static func expanded(_ pattern: [Character]) -> [[Character]] {
        guard let open = pattern.firstIndex(of: "{"), let close = pattern[open...].firstIndex(of: "}") else {
            return [pattern]
        }
        let choices = pattern[(open + 1)..<close].split(separator: ",", omittingEmptySubsequences: false)
        let rests = expanded(Array(pattern[(close + 1)...]))
        let all = choices.flatMap { choice in rests.map { Array(pattern[..<open]) + choice + $0 } }
        return Array(all.prefix(1000))
    }

    private static func matches(_ pattern: ArraySlice<Character>, _ name: ArraySlice<Character>) -> Bool {
        guard let first = pattern.first else { return name.isEmpty }
        let rest = pattern.dropFirst()
        switch first {
        case "*":
            if rest.first == "*" {
                return (name.startIndex...name.endIndex).contains { matches(rest.dropFirst(), name[$0...]) }
            }
            let end = name.firstIndex(of: "/") ?? name.endIndex
            return (name.startIndex...end).contains { matches(rest, name[$0...]) }
        case "?":
            guard let next = name.first, next != "/" else { return false }
            return matches(rest, name.dropFirst())
        case "[":
            guard let next = name.first, let close = rest.dropFirst().firstIndex(of: "]") else { return false }
            return isIn(next, rest[rest.startIndex..<close]) && matches(rest[(close + 1)...], name.dropFirst())
        default:
            return name.first == first && matches(rest, name.dropFirst())
        }
    }

    private static func isIn(_ character: Character, _ set: ArraySlice<Character>) -> Bool {
        let isNegated = set.first == "!" || set.first == "^"
        let members = Array(isNegated ? set.dropFirst() : set)
        var index = 0
        var isMember = false
        while index < members.count {
            if index + 2 < members.count, members[index + 1] == "-", members[index] <= members[index + 2] {
                if (members[index]...members[index + 2]).contains(character) { isMember = true }
                index += 3
            } else {
                if members[index] == character { isMember = true }
                index += 1
            }
        }
        return isMember != isNegated && character != "/"
    }
}
