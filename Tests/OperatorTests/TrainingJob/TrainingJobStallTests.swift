import ControllerRuntime
import Encoding
import Kubernetes
import Testing
import TrainingContract

@testable import Operator

@Suite struct TrainingJobStallTests {
    private func seen(
        step: Int? = 100, same: Int? = 60, deadline: Int? = 60, pods: [Pod] = [attemptPod()],
        _ change: (inout TrainingJobObservation) -> Void = { _ in }
    ) -> TrainingJobObservation {
        var seen = trainingObservation(pods: pods) { $0.spec.progress = .init(stallDeadlineSeconds: deadline) }
        seen.progress = step.map { report(step: $0) }
        seen.sameStepFor = same.map { .seconds($0) }
        change(&seen)
        return seen
    }

    @Test func `no new step within the deadline ends the attempt and its machines, and counts`() throws {
        let plan = TrainingJobPlan.plan(seen { $0.logTail = "{\"step\": 100}\nwaiting for the others\n" })
        #expect(plan.steps == [])
        #expect(plan.status.attempts.last?.cause == "StepStalled")
        #expect(plan.status.attempts.last?.node == "node-0")
        #expect(plan.status.restarts == 1)
        #expect(plan.status.restartsCountTowardsMax == 1)
        #expect(plan.status.capacity?.current == nil, "the pool is replaced")
        let failure = try #require(plan.status.lastFailure)
        #expect(failure.class == "Infrastructure")
        #expect(
            failure.message?.hasPrefix("no new step for 60 s although the pods run: step 100 of 200; the log of ")
                == true)
        #expect(failure.message?.hasSuffix("ends:\n{\"step\": 100}\nwaiting for the others") == true)
    }

    @Test func `of a long log the last whole lines are kept`() throws {
        let lines = (0..<40).map { "line \($0): " + String(repeating: "x", count: 80) }
        let kept = try #require(TrainingJobStall.lastLines(lines.joined(separator: "\n")))
        #expect(kept == lines.suffix(7).joined(separator: "\n"))
        #expect(kept.count <= 700)
        #expect(TrainingJobStall.lastLines("\n \n") == nil)
        let long = try #require(TrainingJobStall.lastLines(String(repeating: "word ", count: 400)))
        #expect(long.hasPrefix("word ") && long.utf8.count <= 200)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var step: Int? = 100
        var same: Int?
        var deadline: Int? = 60
        var isOverdue: Bool
        var testDescription: String { name }
    }

    @Test(arguments: [
        Row(name: "a second too early", same: 59, isOverdue: false), Row(name: "in time", same: 60, isOverdue: true),
        Row(name: "nothing is asked for", same: 9999, deadline: nil, isOverdue: false),
        Row(name: "nothing was seen", same: nil, isOverdue: false),
        Row(name: "before the first step", step: nil, same: 1799, isOverdue: false),
        Row(name: "a first step that never comes", step: nil, same: 1800, isOverdue: true),
        Row(
            name: "a longer deadline counts for the first step too", step: nil, same: 1800, deadline: 3600,
            isOverdue: false),
        Row(name: "an attempt that has only loaded its checkpoint", step: 0, same: 1799, isOverdue: false),
        Row(name: "after the last step outputs are written", step: 200, same: 1799, isOverdue: false),
        Row(name: "outputs that are never written", step: 200, same: 1800, isOverdue: true),
    ])
    func `the deadline is for steps`(row: Row) {
        #expect(
            TrainingJobStall.isOverdue(seen(step: row.step, same: row.same, deadline: row.deadline)) == row.isOverdue)
    }

    @Test func `a report of an earlier attempt says nothing about this one`() {
        let other = seen(same: 61) { $0.progress?.attempt = 7 }
        #expect(!TrainingJobStall.isOverdue(other))
    }

    // MARK: The watch

    private func age(
        _ watch: inout StepWatch, step: Int?, at second: Int, isReadable: Bool = true, pods: [Pod] = [attemptPod()],
        deadline: Int = 600
    ) -> Duration? {
        watch.age(
            seen(step: step, deadline: deadline, pods: pods), isReadable: isReadable, uptime: .seconds(second))
    }

    @Test func `counts while a step stands still, from the first sight of it`() {
        var watch = StepWatch()
        #expect(age(&watch, step: 100, at: 1000) == .zero)
        #expect(age(&watch, step: 100, at: 1050) == .seconds(50))
        #expect(age(&watch, step: 101, at: 1060) == .zero)
        #expect(age(&watch, step: 101, at: 1090) == .seconds(30))
    }

    @Test func `a step backwards is a step: the attempt began from a checkpoint`() {
        var watch = StepWatch()
        _ = age(&watch, step: 100, at: 0)
        #expect(age(&watch, step: 90, at: 500) == .zero)
    }

    @Test(arguments: ["Pending", "Failed", "Succeeded"])
    func `pods that do not run have no steps to make`(phase: String) {
        var watch = StepWatch()
        _ = age(&watch, step: nil, at: 0)
        #expect(age(&watch, step: nil, at: 5000, pods: [attemptPod(phase: phase)]) == nil)
        #expect(age(&watch, step: nil, at: 5010) == .zero, "images were pulled and data was loaded meanwhile")
    }

    @Test func `a bucket that cannot be read is no evidence`() {
        var watch = StepWatch()
        _ = age(&watch, step: 100, at: 0)
        #expect(age(&watch, step: nil, at: 3000, isReadable: false) == .seconds(540))
        #expect(age(&watch, step: 100, at: 3010) == .seconds(550))
        #expect(age(&watch, step: 100, at: 3060) == .seconds(600))
    }

    @Test func `a new process and another attempt begin anew`() {
        var watch = StepWatch()
        _ = age(&watch, step: 100, at: 0)
        var restarted = StepWatch()
        #expect(age(&restarted, step: 100, at: 500) == .zero)
        var next = seen(deadline: 600) { seen in
            seen.job.status = trainingStatus(attempt: 2)
            seen.jobs = [attemptJob(2)]
            seen.pods = [attemptPod(2)]
        }
        next.progress?.attempt = 1
        #expect(watch.age(next, isReadable: true, uptime: .seconds(500)) == .zero)
    }

    @Test func `a deadline without reports to look at is refused`() {
        let job = trainingJob { spec in
            spec.outputs = nil
            spec.progress = .init(stallDeadlineSeconds: 600)
        }
        var recorded = job
        recorded.status = status(run: run(job))
        let ready = TrainingJobPlan.plan(observation(recorded)).status.conditions.first { $0.type == "Ready" }
        #expect(ready?.reason == "InvalidSpec")
        #expect(ready?.message.contains("needs outputs") == true)
    }
}

@Suite struct TrainingJobSeriesTests {
    private func report(epochs: ClosedRange<Int>, stepsPerEpoch: Int = 10) -> ProgressReport {
        var report = OperatorTests.report(step: epochs.upperBound * stepsPerEpoch, epoch: epochs.upperBound)
        report.history = epochs.map {
            .init(epoch: $0, step: $0 * stepsPerEpoch, metrics: ["train_loss": 1 / Double($0)])
        }
        return report
    }

    /// What the status has after epochs were told one by one, each report with the last 64 of them.
    private func told(_ epochCount: Int) -> TrainingJob.TrainerStatus.Series? {
        (1...epochCount).reduce(nil) { series, epoch in
            TrainingJobSeries.merged("train_loss", earlier: series, report(epochs: max(1, epoch - 63)...epoch))
        }
    }

    @Test func `few points stay as they are`() throws {
        let series = try #require(told(64))
        #expect(series.steps == (1...64).map { Int64($0) * 10 })
        #expect(series.values.count == 64)
    }

    @Test(arguments: [65, 128, 500, 1000])
    func `many epochs make at most 64 points over the whole run`(epochCount: Int) throws {
        let series = try #require(told(epochCount))
        #expect((33...64).contains(series.steps.count))
        #expect(series.steps.first == 10)
        #expect(series.steps.last == Int64(epochCount) * 10)
        #expect(series.steps == Set(series.steps).sorted())
        #expect(series.values.count == series.steps.count)
        let widest = zip(series.steps, series.steps.dropFirst()).map { $1 - $0 }.max() ?? 0
        #expect(Double(widest) <= Double(epochCount) * 10 / 10, "no tenth of the run is without a point")
    }

    @Test func `the same report again changes nothing`() {
        let series = told(300)
        #expect(TrainingJobSeries.merged("train_loss", earlier: series, report(epochs: 237...300)) == series)
    }

    @Test func `an attempt from a checkpoint replaces what it trains again`() throws {
        let before = try #require(told(20))
        let after = try #require(
            TrainingJobSeries.merged("train_loss", earlier: before, report(epochs: 1...15)))
        #expect(after.steps == (1...15).map { Int64($0) * 10 })
        var empty = report(epochs: 1...1)
        empty.history = []
        empty.step = 120
        #expect(TrainingJobSeries.merged("train_loss", earlier: before, empty)?.steps.last == 120)
        #expect(TrainingJobSeries.merged("other", earlier: nil, empty) == nil)
    }
}
