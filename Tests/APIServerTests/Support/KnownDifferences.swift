/// What is not mended yet, by scenario and number of its step: a step that is listed must differ from its golden file,
/// so that the list cannot outlive its reasons.
enum KnownDifferences {
    private static let newer: [String: Set<Int>] = [:]
    private static let simulated: [String: Set<Int>] = [:]

    static func contains(_ scenario: String, step: Int, on server: APIServer) -> Bool {
        let steps = server.isReal ? server.minor > server.coreMinor ? newer : [:] : simulated
        return steps[scenario]?.contains(step) ?? false
    }

    /// 1.36 ends the connection instead of an answer, where 1.20 and the simulated cluster refuse the body.
    static func cannotPlay(_ scenario: String, on server: APIServer) -> Bool {
        server.isReal && server.minor > server.coreMinor && scenario == "a protobuf body of a custom resource"
    }
}
