import Testing

/// The same requests, the same replies: goldens that a real kube-apiserver wrote, on the simulated cluster.
@Suite struct `the simulated API server` {
    @Test(arguments: Scenario.all)
    func `answers as the real one`(scenario: Scenario) async throws {
        try await scenario.play(on: APIServer.simulated())
    }
}

/// The goldens again, on a kube-apiserver with etcd; one after the other, since a compaction concerns them all.
@Suite(.serialized, .enabled(if: Assets.folder != nil, Assets.reason), RealServerTrait())
struct `a real API server` {
    @Test(arguments: Scenario.all)
    func `answers as the golden files say`(scenario: Scenario) async throws {
        try await scenario.play(on: try #require(APIServer.shared))
    }
}

/// The goldens a third time, with custom resources as a newer Kubernetes serves them.
@Suite(.serialized, .enabled(if: Assets.extensions != nil, Assets.newerReason), RealServerTrait(isNewer: true))
struct `custom resources of a newer API server` {
    @Test(arguments: Scenario.all)
    func `answer as the golden files say`(scenario: Scenario) async throws {
        try await scenario.play(on: try #require(APIServer.shared))
    }
}

extension Scenario {
    static let all: [Scenario] = writes + patches + applies + deletes + reads + watches + errors + builtIns + rules
}
