import Glibc
import Synchronization
import Testing

/// What a scenario asked and what came back, step by step: compared with a golden file that the real server wrote.
///
/// A step whose reply changed after 1.20 has two replies in the file: `before 1.N` and `from 1.N`. The real server at
/// hand writes the one that it can; the other comes from the simulated cluster and is reviewed against Kubernetes'
/// source. All others are written by the real server only.
struct Transcript {
    struct Step {
        var request: String
        /// By which versions they hold for: "", "before 1.22", "from 1.22".
        var replies: [(versions: String, text: String)]
        /// False where what answered is too old for the scenario.
        var isCompared = true
    }

    let name: String
    var steps: [Step] = []

    /// What the golden file holds, nil when there is none.
    static func golden(_ name: String) -> Transcript? {
        TestFiles.text(path(name)).map { Transcript(name: name, text: $0) }
    }

    private static func path(_ name: String) -> String {
        // Tests/APIServerTests/Support/Transcript.swift, two levels up.
        let folder = #filePath.split(separator: "/").dropLast(2).map { "/\($0)" }.joined()
        return "\(folder)/Golden/\(name.replacing(" ", with: "-").replacing(",", with: "")).http"
    }

    init(name: String) { self.name = name }

    private init(name: String, text: String) {
        self.name = name
        for part in text.split(separator: "\n\n## ").dropFirst() {
            let sections = part.split(separator: "\n--- ", omittingEmptySubsequences: false)
            let replies = sections.dropFirst().map { section -> (versions: String, text: String) in
                let lines = section.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
                let body = lines.count > 1 ? String(lines[1]) : ""
                return (
                    lines[0] == "reply" ? "" : String(lines[0]), body.hasSuffix("\n") ? String(body.dropLast()) : body
                )
            }
            steps.append(Step(request: String(sections[0]), replies: replies))
        }
    }

    private var text: String {
        var text = "# \(name)"
        for step in steps {
            text += "\n\n## \(step.request)"
            for reply in step.replies {
                text += "\n--- \(reply.versions.isEmpty ? "reply" : reply.versions)\n\(reply.text)"
            }
        }
        return text + "\n"
    }

    /// Compares with the golden file; with RECORD in the environment, writes what this server may write first.
    func check(on server: APIServer) throws {
        if getenv("RECORD") != nil { try record(from: server) }
        guard let golden = Transcript.golden(name) else {
            Issue.record("there is no golden file of '\(name)': RECORD=1 with a real API server writes it")
            return
        }
        for (index, step) in steps.enumerated() {
            guard index < golden.steps.count else {
                Issue.record("the golden file of '\(name)' ends before step \(index + 1): \(step.request)")
                return
            }
            let expected = golden.steps[index]
            guard expected.request == step.request else {
                Issue.record(
                    "step \(index + 1) of '\(name)' is\n\(step.request)\nin the golden file\n\(expected.request)")
                return
            }
            guard step.isCompared else { continue }
            let reply = step.replies[0]
            let wanted = expected.replies.first { $0.versions == reply.versions }?.text
            if wanted != reply.text {
                Issue.record(
                    """
                    '\(name)', step \(index + 1), on \(server.version)\(server.isReal ? "" : " (simulated)"): \(step.request)
                    \(Transcript.difference(wanted ?? "(nothing for '\(reply.versions)')", reply.text))
                    """)
            }
        }
        if golden.steps.count > steps.count { Issue.record("the golden file of '\(name)' has more steps") }
    }

    /// All lines, with − before those of the golden file and + before those of the server.
    private static func difference(_ expected: String, _ actual: String) -> String {
        let old = expected.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let new = actual.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let difference = new.difference(from: old)
        let removed = Set(difference.removals.map(\.offset))
        let inserted = Set(difference.insertions.map(\.offset))
        var lines: [String] = []
        var (oldIndex, newIndex) = (0, 0)
        while oldIndex < old.count || newIndex < new.count {
            if removed.contains(oldIndex) {
                lines.append("- \(old[oldIndex])")
                oldIndex += 1
            } else if inserted.contains(newIndex) {
                lines.append("+ \(new[newIndex])")
                newIndex += 1
            } else {
                lines.append("  \(new[newIndex])")
                oldIndex += 1
                newIndex += 1
            }
        }
        return lines.joined(separator: "\n")
    }

    // MARK: Recording

    /// The two servers may write the same file at the same time.
    private static let recording = Mutex(())

    private func record(from server: APIServer) throws {
        try Transcript.recording.withLock { _ in try recordAlone(from: server) }
    }

    private func recordAlone(from server: APIServer) throws {
        let old = Transcript.golden(name)
        var result = self
        for index in steps.indices {
            let before = old.flatMap { index < $0.steps.count ? $0.steps[index] : nil }
            let kept = before?.request == steps[index].request ? before?.replies ?? [] : []
            let own = steps[index].replies[0]
            if own.versions.isEmpty {
                // Only a real server says what every version answers, and the oldest at hand is asked first.
                result.steps[index].replies = server.isReal && server.minor == server.coreMinor ? [own] : kept
                continue
            }
            guard steps[index].isCompared else {
                result.steps[index].replies = kept
                continue
            }
            let number = own.versions.split(separator: " ").last ?? ""
            let others = kept.filter { $0.versions.hasSuffix(" \(number)") && $0.versions != own.versions }
            result.steps[index].replies = (others + [own]).sorted { $0.versions < $1.versions }
        }
        try TestFiles.write(result.text, to: Transcript.path(name))
    }
}

extension CollectionDifference.Change {
    fileprivate var offset: Int {
        switch self {
        case .insert(let offset, _, _), .remove(let offset, _, _): offset
        }
    }
}
