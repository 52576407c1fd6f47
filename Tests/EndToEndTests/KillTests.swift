import Encoding
import HTTP
import Sandbox
import Testing

/// `kill -9` of the operator at the moments where a crash could buy a machine twice or forget one.
@Suite(.serialized, .timeLimit(.minutes(5))) struct KillTests {
    /// A moment: after the nth matching request was handled and before its reply is sent.
    struct Moment: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var occurrence = 1
        var matches: @Sendable (Traffic.Exchange) -> Bool
    }

    static let moments = [
        Moment(testDescription: "after the intent was recorded") { exchange in
            exchange.isJobStatus && exchange.resources.contains { $0["state"] == "Intent" }
        },
        Moment(testDescription: "after the second create was handled, before its reply", occurrence: 2) { exchange in
            exchange.line == "POST nodePools"
        },
        Moment(testDescription: "after the resize was handled, before its reply") { exchange in
            exchange.line.hasPrefix("POST nodePools/") && exchange.line.hasSuffix(":setSize")
        },
        Moment(testDescription: "while it trains") { exchange in
            exchange.isJobStatus && exchange.body.value(at: ["status", "state"]) == "Training"
        },
        Moment(testDescription: "after the outputs were verified") { exchange in
            exchange.isJobStatus && exchange.body.isTrue("OutputsVerified")
        },
        Moment(testDescription: "after the stocked-out pool's delete was handled, before its reply") { exchange in
            exchange.line.hasPrefix("DELETE nodePools/")
        },
        Moment(testDescription: "after the release was handled, before its reply", occurrence: 2) { exchange in
            exchange.line.hasPrefix("DELETE nodePools/")
        },
    ]

    /// What an undisturbed run ends with, without names and times.
    private static let end: JSONValue = [
        "state": "Complete",
        "conditions": [
            "Complete=True/Succeeded", "ComputeReleased=True/Released", "OutputsVerified=True/Succeeded",
            "Ready=True/Succeeded",
        ],
        "candidates": ["spot us-central1-a StockedOut x1", "spot us-central1-b Acquired x1"],
        "run": "1 Succeeded", "podAttempts": 1, "verified": 2, "resources": 0,
    ]

    @Test func `an undisturbed run`() async throws {
        try await check { story in }
    }

    @Test(arguments: moments)
    func `a killed operator goes on where it was`(moment: Moment) async throws {
        try await check { story in
            story.traffic.at(moment.occurrence, moment.matches) { story.killOperator() }
            try await story.waitForJob("the moment of the kill") { _ in story.traffic.hasFired }
            try story.startOperator()
        }
    }

    private func check(_ disturb: (Story) async throws -> Void) async throws {
        try await Story.run(stockouts: ["spot/us-central1-a"]) { story in
            try await story.createArtifacts()
            try await story.create(Manifests.job())
            try await disturb(story)
            let job = try await story.waitForJob("Complete and ComputeReleased") { $0.isDone }

            #expect(Self.summary(of: job) == Self.end)
            let created = story.traffic.poolChanges(.post).map { $0.body.value(at: ["nodePool", "name"]) }
            #expect(created.count == 2, "one create for each candidate tried")
            #expect(Set(created).count == 2)
            #expect(Set(story.traffic.poolChanges(.delete).map(\.line)).count == 2)
            #expect(story.world.computeResources() == [])
        }
    }

    private static func summary(of job: JSONValue) -> JSONValue {
        func text(_ value: JSONValue, _ keys: String...) -> [String] {
            keys.map { key in value[key]?.stringValue ?? value[key]?.integerValue.map(String.init) ?? "" }
        }
        let status = job["status"] ?? [:]
        let conditions = (status["conditions"]?.arrayValue ?? []).map { condition in
            let parts = text(condition, "type", "status", "reason")
            return "\(parts[0])=\(parts[1])/\(parts[2])"
        }
        let candidates = (status.value(at: ["capacity", "attempts"])?.arrayValue ?? []).map { attempt in
            text(attempt, "candidate", "zone", "result").joined(separator: " ") + " x" + text(attempt, "count")[0]
        }
        return [
            "state": status["state"] ?? .null, "conditions": .array(conditions.sorted().map { .string($0) }),
            "candidates": .array(candidates.map { .string($0) }),
            "run": .string(text(status["run"] ?? [:], "number", "result").joined(separator: " ")),
            "podAttempts": .integer(Int64(status["attempts"]?.arrayValue?.count ?? 0)),
            "verified": status.value(at: ["outputs", "verifiedCount"]) ?? .null,
            "resources": .integer(Int64(status["resources"]?.arrayValue?.count ?? 0)),
        ]
    }
}

extension Traffic.Exchange {
    fileprivate var isJobStatus: Bool { line == "PATCH trainingjobs/train/status" }

    fileprivate var resources: [JSONValue] { body.value(at: ["status", "resources"])?.arrayValue ?? [] }
}
