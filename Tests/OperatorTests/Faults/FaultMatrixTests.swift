import FoundationEssentials
import Testing

/// Whatever goes wrong with whichever request, the end is the same, nothing is made twice, nothing is forgotten, and
/// nothing that is not ours is touched.
///
/// The first story of the oldest groups is run each time, all of them with `TRAINYARD_FAULT_MATRIX=all` (a quarter of an
/// hour): each time all crash points of the story, of the other plans one in `TRAINYARD_FAULT_STRIDE` (1 runs all of them;
/// without it only some of GCSArtifact's). `TRAINYARD_FAULT_PLAN=story/index/fault` runs one.
@Suite(.serialized, .timeLimit(.minutes(60))) struct FaultMatrixTests {
    private static let environment = ProcessInfo.processInfo.environment

    /// Without `TRAINYARD_FAULT_MATRIX=all` each story is told once, with nothing going wrong.
    private func checkWhenAsked(_ title: String, _ workflows: [Workflow]) async throws {
        guard Self.environment["TRAINYARD_FAULT_MATRIX"] != "all", Self.environment["TRAINYARD_FAULT_PLAN"] == nil
        else {
            return try await check(title, workflows)
        }
        for workflow in workflows {
            #expect(try await FaultMatrix.outcome(workflow).violations == [], "\(workflow)")
        }
    }

    private func check(_ title: String, _ workflows: [Workflow], stride: Int = .max) async throws {
        let environment = Self.environment
        let start = ContinuousClock.now
        let isWhole = environment["TRAINYARD_FAULT_MATRIX"] == "all" || environment["TRAINYARD_FAULT_PLAN"] != nil
        let workflows = isWhole ? workflows : Array(workflows.prefix(1))
        let matrix = FaultMatrix(
            workflows: workflows, stride: environment["TRAINYARD_FAULT_STRIDE"].flatMap { Int($0) } ?? stride,
            only: environment["TRAINYARD_FAULT_PLAN"])
        let report = try await matrix.run()
        let seconds = (ContinuousClock.now - start).components.seconds
        let patterns = report.planCounts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        print(
            """
            fault matrix, \(title): \(workflows.count) stories, \(report.planCount) plans \
            (\(patterns.joined(separator: ", "))), crash points \(report.coveredCrashPoints) of \
            \(report.crashPointCount), \(report.requestCount) requests, \(report.statusWriteCount) status writes \
            checked, \(report.failures.count) failures, \(seconds) s
            """)
        for failure in report.failures.prefix(40) { Issue.record("\(failure)") }
        if matrix.only == nil { #expect(report.coveredCrashPoints == report.crashPointCount) }
    }

    @Test func `TrainingJobs survive every fault at every request`() async throws {
        try await check("TrainingJob", Workflow.trainingJobs)
    }

    @Test func `budgets, hangs and plans survive every fault at every request`() async throws {
        try await checkWhenAsked("money", Workflow.money)
    }

    @Test func `runs in a queue survive every fault at every request`() async throws {
        try await checkWhenAsked("queued TrainingJob", Workflow.queued)
    }

    @Test func `a run's way to machines survives every fault at every request`() async throws {
        try await checkWhenAsked("capacity", Workflow.capacity)
    }

    @Test func `several nodes and slices survive every fault at every request`() async throws {
        try await checkWhenAsked("running", Workflow.running)
    }

    @Test func `pods that start again one by one survive every fault at every request`() async throws {
        try await checkWhenAsked("restarting", Workflow.restarting)
    }

    @Test func `what comes after a run survives every fault at every request`() async throws {
        try await checkWhenAsked("ending", Workflow.ending)
    }

    @Test func `GCSArtifacts survive every fault at every request`() async throws {
        try await check("GCSArtifact", Workflow.artifacts, stride: 200)
    }

    @Test func `a bucket's settings survive every fault at every request`() async throws {
        try await checkWhenAsked("bucket settings", Workflow.artifactSettings)
    }

    @Test func `sources, retention and signed URLs survive every fault at every request`() async throws {
        try await checkWhenAsked("contents", Workflow.artifactContents)
    }

    @Test func `ModelEndpoints survive every fault at every request`() async throws {
        try await checkWhenAsked("ModelEndpoint", Workflow.endpoints)
    }

    @Test func `both together survive every fault at every request`() async throws {
        try await check("both", Workflow.whole)
    }
}
