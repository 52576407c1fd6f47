import FoundationEssentials
import Testing

/// Whatever goes wrong with whichever request, the end is the same, nothing is made twice, nothing is forgotten, and
/// nothing that is not ours is touched.
///
/// The first story of each is run each time, all of them with `TRAINYARD_FAULT_MATRIX=all` (minutes): each time all
/// crash points of the story, of the other plans one in `TRAINYARD_FAULT_STRIDE` (1 runs all of them; without it
/// only some of GCSArtifact's);
/// `TRAINYARD_FAULT_PLAN=story/index/fault` runs one.
@Suite(.serialized, .timeLimit(.minutes(30))) struct FaultMatrixTests {
    private static let environment = ProcessInfo.processInfo.environment

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
        try await check("money", Workflow.money)
    }

    @Test func `runs in a queue survive every fault at every request`() async throws {
        try await check("queued TrainingJob", Workflow.queued)
    }

    @Test func `a run's way to machines survives every fault at every request`() async throws {
        try await check("capacity", Workflow.capacity)
    }

    @Test func `GCSArtifacts survive every fault at every request`() async throws {
        try await check("GCSArtifact", Workflow.artifacts, stride: 200)
    }

    @Test func `both together survive every fault at every request`() async throws {
        try await check("both", Workflow.whole)
    }
}
