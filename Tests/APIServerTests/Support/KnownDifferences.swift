/// What cannot be compared. Where servers of different versions answer differently, the golden file holds both replies.
enum KnownDifferences {
    /// 1.36 ends the connection instead of an answer, where 1.20 and the simulated cluster refuse the body.
    static func cannotPlay(_ scenario: String, on server: APIServer) -> Bool {
        server.isReal && server.minor > server.coreMinor && scenario == "a protobuf body of a custom resource"
    }
}
