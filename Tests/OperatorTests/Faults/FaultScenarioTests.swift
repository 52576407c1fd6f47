import Encoding
import Sandbox
import Synchronization
import Testing

@testable import ControllerRuntime
@testable import Operator

/// Faults that last: every story ends as it does undisturbed.
@Suite(.serialized, .timeLimit(.minutes(10))) struct FaultScenarioTests {
    /// Something that goes wrong for a while.
    struct Scenario: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var arm: @Sendable (FaultWorld) -> Void
    }

    /// Counts for one world.
    final class Counter: Sendable {
        private let count = Mutex(0)
        func next() -> Int {
            count.withLock { count in
                count += 1
                return count
            }
        }
    }

    static func until(
        _ seconds: Int, _ fault: @escaping @Sendable (TracedRequest, Counter) -> RequestFault?
    ) -> @Sendable (FaultWorld) -> Void {
        { world in
            let counter = Counter()
            let clock = world.clock
            let end = clock.now + .seconds(seconds)
            world.transport.plan { _, request in clock.now < end ? fault(request, counter) : nil }
        }
    }

    static let scenarios: [Scenario] = [
        Scenario(
            testDescription: "it dies at every third change for ten minutes",
            arm: until(600) { request, counter in
                request.isChange && counter.next() % 3 == 0 ? .crashBeforeReply : nil
            }),
        Scenario(
            testDescription: "every second status write is a conflict",
            arm: until(600) { request, counter in
                request.path.hasSuffix("/status") && counter.next() % 2 == 0 ? .fail(status: 409) : nil
            }),
        Scenario(
            testDescription: "the API server is away for five minutes",
            arm: until(300) { request, _ in request.side == .cluster ? .loseRequest : nil }),
        Scenario(
            testDescription: "the API server asks to wait for five minutes",
            arm: until(300) { request, _ in request.side == .cluster ? .fail(status: 429) : nil }),
        Scenario(
            testDescription: "Google is away for five minutes",
            arm: until(300) { request, _ in request.side == .cloud ? .loseRequest : nil }),
        Scenario(
            testDescription: "every second reply of Google is lost for five minutes",
            arm: until(300) { request, counter in
                request.side == .cloud && counter.next() % 2 == 0 ? .loseReply : nil
            }),
        Scenario(
            testDescription: "what was deleted is listed for a minute more",
            arm: { world in
                var script = FaultScript()
                script.add(.lingerInLists(for: .seconds(60)), on: RequestMatch(side: .cloud, verb: "delete"))
                world.faults.setScript(script)
            }),
        Scenario(
            testDescription: "the right to write statuses is missing for five minutes",
            arm: until(300) { request, _ in request.path.hasSuffix("/status") ? .fail(status: 403) : nil }),
        Scenario(
            testDescription: "events cannot be written",
            arm: until(100_000) { request, _ in request.isEvent ? .fail(status: 403) : nil }),
        Scenario(
            testDescription: "its clock is an hour ahead", arm: { $0.operatorClock.set(.seconds(3600)) }),
        Scenario(
            testDescription: "its clock is an hour behind", arm: { $0.operatorClock.set(.seconds(-3600)) }),
        Scenario(
            testDescription: "its clock jumps an hour ahead and back",
            arm: { world in
                let clock = world.operatorClock
                world.transport.plan { index, _ in
                    if index == 20 { clock.set(.seconds(3600)) }
                    if index == 50 { clock.set(.zero) }
                    return nil
                }
            }),
        Scenario(
            // Each connection counts as dead after five minutes without a byte; the next one is as dead.
            testDescription: "every watch falls silent once it is open, for half an hour",
            arm: { world in
                let clock = world.clock
                let start = clock.now
                let next = Mutex(start)
                world.transport.plan { _, request in
                    guard clock.now < start + .seconds(1800), !request.isEvent else { return nil }
                    return next.withLock { next in
                        guard clock.now >= next else { return nil }
                        next = clock.now + .seconds(306)
                        return .holdWatches(seconds: 300)
                    }
                }
            }),
        Scenario(testDescription: "two replicas believe to lead", arm: { $0.setTwin(true) }),
    ]

    /// How stories end undisturbed, by their names: each is told once for all scenarios.
    private static let references = Mutex<[String: FaultMatrix.Outcome]>([:])

    private static func reference(_ workflow: Workflow) async throws -> FaultMatrix.Outcome {
        if let known = references.withLock({ $0["\(workflow.setting)/\(workflow)"] }) { return known }
        let outcome = try await FaultMatrix.outcome(workflow)
        references.withLock { $0["\(workflow.setting)/\(workflow)"] = outcome }
        return outcome
    }

    static func check(_ workflows: [Workflow], _ scenario: Scenario) async throws {
        #expect(!workflows.isEmpty)
        for workflow in workflows {
            let reference = try await reference(workflow)
            let outcome = try await FaultMatrix.outcome(workflow, scenario.arm)
            var differences = FaultMatrix.differences(outcome, reference)
            // A request that is sent by both, or again and again, counts once: the effort is judged by the matrix.
            differences.removeAll { $0.hasPrefix("I9: ") && $0.contains("requests instead") }
            #expect(differences == [], "\(workflow)")
        }
    }

    @Test(arguments: scenarios) func `a TrainingJob ends as ever`(_ scenario: Scenario) async throws {
        try await Self.check(Workflow.trainingJobs.filter { ["train", "retry", "delete"].contains($0.name) }, scenario)
    }

    @Test(arguments: scenarios) func `a GCSArtifact ends as ever`(_ scenario: Scenario) async throws {
        try await Self.check(Workflow.artifacts, scenario)
    }

    /// A roll-out, and settings and access that change and are changed.
    static let endpoints = Workflow.endpoints.filter {
        ["serve and roll out", "suspend, drift and access"].contains($0.name)
    }

    @Test(arguments: scenarios) func `a ModelEndpoint ends as ever`(_ scenario: Scenario) async throws {
        try await Self.check(Self.endpoints, scenario)
    }
}
