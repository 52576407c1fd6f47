/// What is not mended yet, by scenario and number of its step: a step that is listed must differ from its golden file,
/// so that the list cannot outlive its reasons.
enum KnownDifferences {
    /// Where Kubernetes 1.36 has other words for a refusal than 1.20, or another status, and the simulated cluster still
    /// answers as 1.20 does; and where the numbers of objects count what the older server behind it took.
    private static let newer: [String: Set<Int>] = [
        "a custom resource gets defaults and loses unknown fields": [4],
        "the status is written by its subresource": [3, 6, 7],
        "a custom resource that its schema refuses": [9, 22],
        "the status is applied apart": [4],
        "applies that are refused": [3, 4, 5, 11, 12, 13],
        "bodies that cannot be read": [20, 23, 24, 25, 26],
        "merge patches": [10, 15, 16],
        "unknown fields are refused, warned of or dropped": [3, 5],
    ]

    /// Where the simulated cluster does not answer as 1.36: it does not notice members that are there twice, warns of no
    /// rule that an unchanged value violates, and names the whole path of a status field of a wrong type.
    private static let simulated: [String: Set<Int>] = [
        "rules of a status": [3],
        "strict reading of custom resources": [1, 2],
        "what was valid once may stay": [1, 4, 5, 6, 7],
    ]

    static func contains(_ scenario: String, step: Int, on server: APIServer) -> Bool {
        let steps = server.isReal ? server.minor > server.coreMinor ? newer : [:] : simulated
        return steps[scenario]?.contains(step) ?? false
    }

    /// The newer server ends the connection in the middle of this one.
    static func cannotPlay(_ scenario: String, on server: APIServer) -> Bool {
        server.isReal && server.minor > server.coreMinor && scenario == "bodies of other media types"
    }
}
