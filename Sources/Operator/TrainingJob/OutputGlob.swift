/// A pattern for paths, as Cloud Storage's matchGlob: `*` and `?` stay within one folder, `**` crosses folders.
struct OutputGlob: Sendable, Hashable {
    private enum Token: Sendable, Hashable {
        case character(Character)
        case anyCharacter
        case anyName
        case anyPath
    }

    private let tokens: [Token]
    /// Whether it names exactly one path.
    let isLiteral: Bool

    init(_ pattern: String) {
        var tokens: [Token] = []
        var rest = pattern[...]
        while let character = rest.popFirst() {
            switch character {
            case "*" where rest.first == "*":
                rest.removeFirst()
                tokens.append(.anyPath)
            case "*": tokens.append(.anyName)
            case "?": tokens.append(.anyCharacter)
            default: tokens.append(.character(character))
            }
        }
        self.tokens = tokens
        isLiteral = tokens.allSatisfy { if case .character = $0 { true } else { false } }
    }

    /// Whether a path matches; time is at most pattern length times path length.
    func matches(_ path: String) -> Bool {
        let characters = Array(path)
        // The positions in the pattern that the characters so far can have led to.
        var states = closure([0])
        for character in characters {
            var next: Set<Int> = []
            for state in states where state < tokens.count {
                switch tokens[state] {
                case .character(let expected): if expected == character { next.insert(state + 1) }
                case .anyCharacter: if character != "/" { next.insert(state + 1) }
                case .anyName: if character != "/" { next.insert(state) }
                case .anyPath: next.insert(state)
                }
            }
            states = closure(next)
            if states.isEmpty { return false }
        }
        return states.contains(tokens.count)
    }

    /// Adds the positions that follow without a character: stars match nothing too.
    private func closure(_ states: Set<Int>) -> Set<Int> {
        var result = states
        var open = Array(states)
        while let state = open.popLast() {
            guard state < tokens.count, tokens[state] == .anyName || tokens[state] == .anyPath else { continue }
            if result.insert(state + 1).inserted { open.append(state + 1) }
        }
        return result
    }
}
