public import Encoding
public import Kubernetes

/// Condition arithmetic: pure, the only place that sets condition times.
public enum Conditions {
    /// Longest message that is written, in UTF-8 bytes.
    public static let maximumMessageBytes = 1024

    /// The planned conditions as they are written: sorted by type, messages cut, `observedGeneration` set, and
    /// `lastTransitionTime` taken over from `old` unless the status changed.
    public static func merge(
        _ planned: [Condition], over old: [Condition], generation: Int64?, now: Timestamp
    ) -> [Condition] {
        var byType: [String: Condition] = [:]
        for condition in planned {
            byType[condition.type] = stamped(condition, over: old, generation: generation, now: now)
        }
        return byType.values.sorted { $0.type < $1.type }
    }

    /// `conditions` with some set and some removed; the others stay as they are. Times come from `old`.
    static func set(
        _ changed: [Condition], removing removed: [String] = [], in conditions: [Condition], over old: [Condition],
        generation: Int64?, now: Timestamp
    ) -> [Condition] {
        var byType = Dictionary(conditions.map { ($0.type, $0) }, uniquingKeysWith: { _, last in last })
        for type in removed { byType[type] = nil }
        for condition in changed {
            byType[condition.type] = stamped(condition, over: old, generation: generation, now: now)
        }
        return byType.values.sorted { $0.type < $1.type }
    }

    /// The text, or its beginning and "…" so that it has at most `limit` UTF-8 bytes: cut after a word, within one only
    /// where it is longer than a third of the limit.
    public static func cut(_ message: String, to limit: Int = maximumMessageBytes) -> String {
        guard message.utf8.count > limit else { return message }
        var kept = ""
        var count = "…".utf8.count
        var endOfWord: String.Index?
        for character in message {
            if character.isWhitespace { endOfWord = kept.endIndex }
            count += character.utf8.count
            if count > limit { break }
            kept.append(character)
        }
        if let endOfWord, kept[endOfWord...].utf8.count <= limit / 3 { kept = String(kept[..<endOfWord]) }
        return kept + "…"
    }

    private static func stamped(
        _ condition: Condition, over old: [Condition], generation: Int64?, now: Timestamp
    ) -> Condition {
        var condition = condition
        let previous = old.last { $0.type == condition.type }
        condition.lastTransitionTime =
            previous?.status == condition.status
            ? previous?.lastTransitionTime ?? now.wholeSeconds : now.wholeSeconds
        condition.observedGeneration = generation
        condition.message = cut(condition.message)
        return condition
    }
}

extension [Condition] {
    /// Whether the condition of that type is `True`.
    public func isTrue(_ type: String) -> Bool { contains { $0.type == type && $0.status == .true } }

    /// The condition of that type.
    public func first(ofType type: String) -> Condition? { first { $0.type == type } }
}
