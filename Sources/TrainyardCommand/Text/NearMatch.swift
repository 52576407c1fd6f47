/// Finds what somebody probably meant.
enum NearMatch {
    /// "; did you mean 'x'?", or nothing when no candidate is near.
    static func hint(_ text: String, _ candidates: [String]) -> String {
        guard let best = nearest(text, candidates) else { return "" }
        return "; did you mean '\(best)'?"
    }

    /// The candidate with the fewest edits, at most a third of the longer word's letters (and at least two); the first
    /// in the list when several are equally near.
    static func nearest(_ text: String, _ candidates: [String]) -> String? {
        let scored = candidates.map { (candidate: $0, edits: edits(from: text.lowercased(), to: $0.lowercased())) }
        guard let best = scored.min(by: { $0.edits < $1.edits }) else { return nil }
        let limit = max(2, max(text.count, best.candidate.count) / 3)
        return best.edits <= limit ? best.candidate : nil
    }

    /// Levenshtein distance.
    private static func edits(from left: String, to right: String) -> Int {
        let right = Array(right)
        var row = Array(0...right.count)
        for (index, character) in left.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for column in right.indices {
                let substitution = diagonal + (right[column] == character ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(substitution, row[column] + 1, row[column + 1] + 1)
            }
        }
        return row[right.count]
    }
}
