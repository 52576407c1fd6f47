import Kubernetes
import ControllerRuntime
import Encoding
import Sandbox
import Testing
import TrainingContract

@testable import Operator

/// What a TrainingJob lives through for the sake of money and time: a budget, a hang, a plan.
extension Workflow {
    static let money: [Workflow] = [
        Workflow(
            name: "budget stop and continue", setting: "unending", make: world(program: Trainers.checkpointing()),
            story: { world in
                // Grace period and release cost $0.036, so that not quite a minute is left.
                try await world.createJob {
                    $0.budget = .init(currencyCode: "USD", maxCost: "0.042", onExceeded: .checkpointAndSuspend)
                }
                try await world.expectJob("stopped by the budget") {
                    $0?.readyReason == "BudgetExceeded" && $0?.isTrue("Stalled") == true
                        && $0?.isTrue("Suspended") == true
                }
                try await world.patchJob(["spec": ["budget": ["maxCost": "5.00"]]])
                try await world.expectJob("the end") { $0?.isOver == true }
            }),
        Workflow(
            name: "budget ends the run", setting: "unending", make: world(program: Trainers.checkpointing()),
            story: { world in
                try await world.createJob {
                    $0.budget = .init(currencyCode: "USD", maxCost: "0.042", onExceeded: .fail)
                }
                try await world.expectJob("the end") { $0?.isOver == true }
            }),
        Workflow(
            name: "stalled steps", setting: "hanging", make: world(program: Trainers.hanging()),
            story: { world in
                try await world.createJob { $0.progress = .init(stallDeadlineSeconds: 60) }
                try await world.expectJob("the end") { $0?.isOver == true }
            }),
        Workflow(
            name: "plan, then apply", setting: "plan", make: world(),
            story: { world in
                try await world.createJob { $0.mode = .plan }
                try await world.expectJob("the plan") { $0?.readyReason == "Planned" }
                try await world.patchJob(["spec": ["mode": "Apply"]])
                try await world.expectJob("the end") { $0?.isOver == true }
            }),
    ]
}

extension Trainers {
    /// The first attempt trains until it is told to stop, and writes a checkpoint at step 150 then; the next succeeds.
    static func checkpointing() -> @Sendable (PodContext) async -> PodResult {
        { context in
            guard context.environment["ML_ATTEMPT"] == "1" else { return await succeeding()(context) }
            let steps = (0..<20).map { index in
                PodResult.Step(after: .seconds(4 + 600 * index)) { put(context, report(context, step: 100 + index)) }
            }
            return PodResult(
                exitCode: 0, after: .seconds(100_000), steps: steps,
                onTerminate: .init(exitCode: 75, after: .seconds(2)) { put(context, report(context, step: 150)) })
        }
    }

    /// The first attempt makes a hundred steps and then none, deaf to signals; the next succeeds.
    static func hanging() -> @Sendable (PodContext) async -> PodResult {
        { context in
            guard context.environment["ML_ATTEMPT"] == "1" else { return await succeeding()(context) }
            let steps = [PodResult.Step(after: .seconds(4)) { put(context, report(context, step: 100)) }]
            return PodResult(
                exitCode: 0, after: .seconds(100_000), log: "step 100\nwaiting for a peer that is gone\n", steps: steps,
                onTerminate: nil)
        }
    }

    private static func report(_ context: PodContext, step: Int) -> ProgressReport {
        var report = OperatorTests.report(step: step)
        report.runID = context.environment["ML_RUN_ID"] ?? ""
        return report
    }

    private static func put(_ context: PodContext, _ report: ProgressReport) {
        do {
            let bytes = try JSONValue(encoding: report).serialized()
            try context.putObject(context.environment["ML_PROGRESS_URI"] ?? "", bytes)
        } catch {
            Issue.record("progress: \(error)")
        }
    }
}
