import Encoding
import Glibc
import HTTP
import Sandbox
import Testing

/// What goes wrong behind the front, and who notices.
@Suite struct RunFrontFaultTests {
    @Test(
        arguments: [
            ("exits:1", "failed to start and listen on the port", "Container called exit(3)."),
            ("deaf:1", "failed to start and listen on the port", "PORT=8080"),
            ("unhealthy:1", "failed the configured startup probe checks", ""),
            ("nowhere:1", "Image 'nowhere:1' not found.", "The sandbox can run"),
        ])
    func `a revision that does not come up serves nobody and the old one goes on`(
        image: String, text: String, more: String
    ) async throws {
        try await FrontFixture.with { fixture in
            let old = try #require(try await fixture.deploy()["latestReadyRevision"]?.lastSegment)
            let probe: JSONValue = ["httpGet": ["path": "/health"], "periodSeconds": 1, "failureThreshold": 5]
            let container: JSONValue = image == "unhealthy:1" ? ["startupProbe": probe] : [:]
            // Four minutes of patience pass quickly.
            let service = try await fixture.deploy(
                FrontFixture.body(image, container: container), mask: "template",
                passing: image == "deaf:1" ? .seconds(5) : .milliseconds(50))
            let new = try #require(service["latestCreatedRevision"]?.lastSegment)
            let uri = try #require(service["uri"]?.stringValue)
            #expect(service["latestReadyRevision"]?.lastSegment == old)
            let condition = try #require(service["terminalCondition"])
            #expect(condition["state"] == "CONDITION_FAILED")
            let message = condition["message"]?.stringValue ?? ""
            #expect(message.hasPrefix("Revision '\(new)' is not ready and cannot serve traffic. "), "\(message)")
            #expect(message.contains(text) && message.contains(more), "\(message)")
            #expect(try await fixture.tally(uri, 10) == [old: 10])
            _ = try await fixture.until("the end of its process", passing: .seconds(1)) {
                fixture.front.instances().allSatisfy { $0.revision == old } ? true : nil
            }

            // Weight for it is taken back by Cloud Run, and counted as the caller's fault.
            let split = try await fixture.deploy(FrontFixture.weights([(old, 50), (new, 50)]), mask: "traffic")
            #expect(split["conditions"]?[0]?["state"] == "CONDITION_FAILED")
            #expect(split["trafficStatuses"]?.arrayValue?.compactMap { $0["revision"]?.stringValue } == [old])
            #expect(try await fixture.tally(uri, 10) == [old: 10])
            #expect(
                fixture.cloud.runTrafficViolations == ["web: 50 percent for \(new), which is not ready"])
        }
    }

    @Test func `no request is lost while weights move and a broken revision comes`() async throws {
        try await FrontFixture.with { fixture in
            let one = try await fixture.deploy()
            let first = try #require(one["latestReadyRevision"]?.lastSegment)
            let uri = try #require(one["uri"]?.stringValue)
            try await fixture.deploy(FrontFixture.weights([(first, 100)]), mask: "traffic")
            let answers = try await ConstantLoad.during(fixture, "\(uri)/slow?ms=2") { load in
                let two = try await fixture.deploy(FrontFixture.body("stand-in:2"), mask: "template")
                let second = try #require(two["latestReadyRevision"]?.lastSegment)
                for percent in [Int64(10), 50, 90, 100, 40, 0, 100] {
                    let weights = [(first, 100 - percent), (second, percent)].filter { $0.1 > 0 }
                    try await fixture.deploy(FrontFixture.weights(weights), mask: "traffic")
                    let count = load.count
                    _ = try await fixture.until("more load") { load.count > count + 20 ? true : nil }
                }
                try await fixture.deploy(FrontFixture.body("exits:1"), mask: "template")
                let count = load.count
                _ = try await fixture.until("more load") { load.count > count + 20 ? true : nil }
            }
            #expect(answers.count > 150)
            #expect(answers.filter { $0.status != 200 } == [])
            #expect(fixture.cloud.runTrafficViolations.isEmpty)
        }
    }

    @Test func `an instance that dies takes only the requests that it was at`() async throws {
        try await FrontFixture.with { fixture in
            let service = try await fixture.deploy()
            let uri = try #require(service["uri"]?.stringValue)
            let victim = try #require(fixture.front.instances().first?.processID)
            let answers = try await ConstantLoad.during(fixture, "\(uri)/slow?ms=5") { load in
                _ = try await fixture.until("load") { load.count > 20 ? true : nil }
                kill(victim, SIGKILL)
                _ = try await fixture.until("another instance", passing: .milliseconds(20)) {
                    fixture.front.instances().contains { $0.isReady && $0.processID != victim } ? true : nil
                }
                let count = load.count
                _ = try await fixture.until("more load") { load.count > count + 50 ? true : nil }
            }
            let failed = answers.filter { $0.status != 200 }
            #expect(failed.allSatisfy { $0.status == 503 })
            // Until the next look at the process more requests may run into it.
            #expect(failed.count >= 1 && failed.count < 200, "\(failed.count)")
            #expect(answers.suffix(50).allSatisfy { $0.status == 200 })
        }
    }

    @Test func `an instance gets no more requests at once than its concurrency and the rest waits or gets 429`()
        async throws
    {
        try await FrontFixture.with { fixture in
            let body = FrontFixture.body(
                template: ["maxInstanceRequestConcurrency": 1, "scaling": ["maxInstanceCount": 2]])
            let service = try await fixture.deploy(body)
            let uri = try #require(service["uri"]?.stringValue)
            // Six for two: they come one after the other, and nobody is refused.
            let served = try await Self.atOnce(6) { try await fixture.get("\(uri)/slow?ms=20") }
            #expect(served == Array(repeating: .init(status: 200, text: "1"), count: 6))
            #expect(fixture.front.instances().count == 2)

            async let busy = Self.atOnce(2) { try await fixture.get("\(uri)/slow?ms=2000") }
            _ = try await fixture.until("two busy instances") {
                fixture.front.instances().allSatisfy { $0.requestCount == 1 } ? true : nil
            }
            async let third = fixture.get(uri)
            try await Task.sleep(for: .milliseconds(50))
            fixture.clock.advance(by: .seconds(10))
            #expect(try await third.status == 429)
            #expect(try await busy.map(\.status) == [200, 200])
            #expect(try await fixture.get(uri).status == 200)
        }
    }

    @Test func `a request is answered with 504 when its time is over`() async throws {
        try await FrontFixture.with { fixture in
            let service = try await fixture.deploy(FrontFixture.body(template: ["timeout": "1s"]))
            let uri = try #require(service["uri"]?.stringValue)
            #expect(try await fixture.get("\(uri)/slow?ms=30000").status == 504)
            #expect(try await fixture.get("\(uri)/slow?ms=1").status == 200)
        }
    }

    @Test func `an instance that does not end on SIGTERM is killed ten seconds later`() async throws {
        try await FrontFixture.with { fixture in
            _ = try await fixture.deploy(FrontFixture.body("stubborn:1"))
            let process = try #require(fixture.front.instances().first?.processID)
            let delete = try await fixture.call(.delete, "\(FrontFixture.services)/web")
            #expect(delete.status == 200)
            try await Task.sleep(for: .milliseconds(200))
            #expect(kill(process, 0) == 0)
            fixture.clock.advance(by: .seconds(10))
            _ = try await fixture.until("the end of its process") {
                fixture.front.instances().isEmpty ? true : nil
            }
            #expect(kill(process, 0) != 0)
            fixture.clock.advance(by: .seconds(1))
            #expect(try await fixture.call(.get, "\(FrontFixture.services)/web").status == 404)
            #expect(fixture.cloud.computeResources().isEmpty)
        }
    }

    /// So many calls at the same time.
    private static func atOnce<Value: Sendable>(
        _ count: Int, _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> [Value] {
        try await withThrowingTaskGroup(of: Value.self) { group in
            for _ in 0..<count { group.addTask { try await body() } }
            var values: [Value] = []
            for try await value in group { values.append(value) }
            return values
        }
    }
}
