import Testing
import Training
import TrainingContract

@testable import TrainerCommand

struct LocalRanksTests {
    private func ranks(_ environment: [String: String], _ arguments: [String] = []) throws(TrainingError) -> LocalRanks?
    {
        try LocalRanks(try Options(["train"] + arguments), environment: environment)
    }

    private func places(_ ranks: LocalRanks?) -> [String] {
        (ranks?.environments ?? []).map {
            ["ML_RANK", "ML_WORLD_SIZE", "ML_LOCAL_RANK", "ML_LOCAL_WORLD_SIZE", "ML_COORDINATOR"]
                .map { [environment = $0] name in environment[name] ?? "-" }.joined(separator: " ")
        }
    }

    /// Two nodes with two processes each: the pod knows its node's number only.
    @Test(arguments: [["ML_RANK": "1"], ["ML_NODE_RANK": "1", "ML_RANK": "0"]])
    func `a container starts the processes of its node`(node: [String: String]) throws {
        let environment = ["ML_WORLD_SIZE": "4", "ML_LOCAL_WORLD_SIZE": "2", "ML_COORDINATOR": "a:1"]
        #expect(places(try ranks(environment.merging(node) { $1 })) == ["2 4 0 2 a:1", "3 4 1 2 a:1"])
    }

    @Test func `by hand a free port of this machine is taken`() throws {
        let found = places(try ranks([:], ["--processes", "2"]))
        #expect(found.count == 2)
        #expect(
            found.first?.hasPrefix("0 2 0 2 127.0.0.1:") == true && found.last?.hasPrefix("1 2 1 2 127.0.0.1:") == true)
    }

    @Test(arguments: [
        [:], ["ML_WORLD_SIZE": "4", "ML_RANK": "1", "ML_COORDINATOR": "a:1"], ["ML_LOCAL_WORLD_SIZE": "1"],
        ["ML_WORLD_SIZE": "4", "ML_LOCAL_WORLD_SIZE": "2", "ML_LOCAL_RANK": "1"],
    ])
    func `otherwise the process trains itself`(environment: [String: String]) throws {
        #expect(try ranks(environment) == nil)
    }

    @Test func `a world that its nodes do not divide is refused`() {
        let error = #expect(throws: TrainingError.self) {
            try ranks(["ML_WORLD_SIZE": "5", "ML_LOCAL_WORLD_SIZE": "2"])
        }
        #expect(error?.message == "ML_WORLD_SIZE is 5, which is not a multiple of ML_LOCAL_WORLD_SIZE, 2")
    }

    @Test(arguments: [
        ("a:29500", "a", 29500), ("10.0.0.7:1", "10.0.0.7", 1), ("[::1]:65535", "::1", 65535),
    ])
    func `a coordinator is host and port`(text: String, host: String, port: Int) throws {
        let place = try WorldPlace(environment: ["ML_WORLD_SIZE": "2", "ML_RANK": "1", "ML_COORDINATOR": text])
        #expect(place.coordinatorHost == host && Int(place.coordinatorPort) == port && place.rank == 1)
    }

    @Test(arguments: ["a", "a:", ":1", "a:0", "a:65536", "a:b"]) func `anything else is not`(text: String) {
        let error = #expect(throws: TrainingError.self) {
            try WorldPlace(environment: ["ML_WORLD_SIZE": "2", "ML_RANK": "1", "ML_COORDINATOR": text])
        }
        #expect(error?.message.contains("it must be HOST:PORT") == true)
    }

    @Test func `the processes of a node share its processors`() throws {
        let environment = [
            "ML_LOCAL_WORLD_SIZE": "64", "ML_LOCAL_RANK": "0", "ML_INPUT_X_URI": "gs://data-bucket/",
            "ML_OUTPUT_URI": "gs://runs-bucket/",
        ]
        let plan = try RunPlan(try Options(["train"]), environment: environment)
        #expect(plan.configuration.threads == 1)
    }
}
