import Testing

/// A talk with an API server whose transcript must be the same on every server.
struct Scenario: Sendable, CustomTestStringConvertible {
    let name: String
    /// The minor version that has what the scenario is about.
    let since: Int
    let script: @Sendable (Session) async throws -> Void

    init(_ name: String, since: Int = 20, _ script: @escaping @Sendable (Session) async throws -> Void) {
        self.name = name
        self.since = since
        self.script = script
    }

    var testDescription: String { name }

    /// Plays the scenario and compares its transcript; a server that is too old skips it, and says so.
    func play(on server: APIServer) async throws {
        guard server.minor >= since else {
            print("skipped on \(server.version): '\(name)' needs Kubernetes 1.\(since)")
            return
        }
        guard !KnownDifferences.cannotPlay(name, on: server) else {
            print("skipped on \(server.version): '\(name)' is a known difference")
            return
        }
        let session = try await Session(name, since: since > 20 ? since : nil, on: server)
        do {
            try await script(session)
        } catch {
            Issue.record(error, "'\(name)' on \(server.version) after \(session.transcript.steps.count) steps")
            await session.end()
            return
        }
        await session.end()
        try session.transcript.check(on: server)
    }
}
