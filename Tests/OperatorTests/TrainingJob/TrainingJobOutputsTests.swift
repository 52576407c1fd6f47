import ControllerRuntime
import Encoding
import Kubernetes
import HTTP
import Testing
import TrainingContract

@testable import Operator

@Suite struct TrainingJobOutputsTests {
    private let metrics = OutputFile(sizeBytes: 120, crc32c: "AAAAAA==", generation: 7)
    private let model = OutputFile(sizeBytes: 4_800_000, crc32c: "BBBBBB==", generation: 8)

    private func verdict(
        files: [String: OutputFile], _ document: JSONValue = ["test_accuracy": [80, 86.71]]
    ) -> TrainingJobOutputs.Verdict {
        TrainingJobOutputs.verdict(spec().outputs, files: files, documents: ["metrics.json": .json(document)])
    }

    @Test func `records what was found`() {
        let verdict = verdict(files: ["metrics.json": metrics, "model.safetensors": model, "log.txt": metrics])
        #expect(verdict.failure == nil)
        #expect(verdict.status.count == 2)
        #expect(verdict.status.verifiedCount == 2)
        #expect(verdict.status.sizeBytes == 4_800_120)
        #expect(verdict.status.files.map(\.path) == ["metrics.json", "model.safetensors"])
        #expect(verdict.status.files.first?.crc32c == "AAAAAA==")
        #expect(verdict.status.files.first?.generation == "7")
    }

    @Test func `a file that is not what the trainer wrote is named`() {
        func verdict(_ output: ProgressReport.Output) -> TrainingJobOutputs.Verdict {
            TrainingJobOutputs.verdict(
                spec().outputs, files: ["metrics.json": metrics, "model.safetensors": model],
                documents: ["metrics.json": .json(["test_accuracy": [90]])], reported: [output])
        }
        let same = verdict(.init(path: "model.safetensors", sizeBytes: 4_800_000, crc32c: "BBBBBB=="))
        #expect(same.failure == nil)
        let flipped = verdict(.init(path: "model.safetensors", sizeBytes: 4_800_000, crc32c: "CCCCCC=="))
        #expect(flipped.failure?.reason == .outputChecksumMismatch)
        #expect(flipped.status.verifiedCount == 1)
        #expect(flipped.status.files.last?.reason == "OutputChecksumMismatch")
        let cut = verdict(.init(path: "model.safetensors", sizeBytes: 4_800_001, crc32c: "BBBBBB=="))
        #expect(cut.failure?.reason == .outputChecksumMismatch)
        #expect(verdict(.init(path: "other.bin", sizeBytes: 1, crc32c: "x")).failure == nil)
    }

    @Test func `a missing file is named`() {
        let verdict = verdict(files: ["metrics.json": metrics])
        #expect(verdict.failure?.reason == .outputMissing)
        #expect(verdict.failure?.message == "model.safetensors is missing")
        #expect(verdict.status.files.last?.verified == false)
    }

    @Test func `a file that is too small is named`() {
        var small = model
        small.sizeBytes = 0
        let verdict = verdict(files: ["metrics.json": metrics, "model.safetensors": small])
        #expect(verdict.failure?.message == "model.safetensors has 0 bytes, at least 1 are required")
    }

    @Test func `an assertion that does not hold says both numbers`() {
        let verdict = verdict(
            files: ["metrics.json": metrics, "model.safetensors": model], ["test_accuracy": [80, 84.5]])
        #expect(verdict.failure?.reason == .assertionFailed)
        #expect(
            verdict.failure?.message
                == "metrics.json {.test_accuracy[-1:]} is 84.5, which is not at least 85")
        #expect(verdict.status.files.first?.reason == "AssertionFailed")
    }

    @Test(arguments: [
        ("greater", NumericComparison.greaterThan, "86.71", false),
        ("greater or equal", .greaterThanOrEqual, "86.71", true),
        ("less", .lessThan, "87", true),
        ("less or equal", .lessThanOrEqual, "86", false),
        ("equal", .equal, "86.71", true),
    ])
    func `every operator compares`(
        name: String, comparison: NumericComparison, value: String, holds: Bool
    ) {
        let assertion = TrainingJob.Outputs.Assertion(
            file: "metrics.json", jsonPath: "{.test_accuracy[-1:]}", operator: comparison, value: value)
        let violation = TrainingJobOutputs.violation(assertion, .json(["test_accuracy": [80, 86.71]]))
        #expect((violation == nil) == holds)
    }

    @Test func `a file that is no JSON fails its assertion with a sentence`() {
        let assertion = TrainingJob.Outputs.Assertion(
            file: "metrics.json", jsonPath: "{.a}", operator: .equal, value: "1")
        #expect(TrainingJobOutputs.violation(assertion, .unusable("is not JSON")) == "metrics.json: is not JSON")
        #expect(TrainingJobOutputs.violation(assertion, nil) == "metrics.json is missing")
    }

    private func verifying(_ outputs: OutputsObservation, now: Int = 70) -> TrainingJobObservation {
        var seen = trainingObservation(
            attemptJob(condition: "Complete"), pods: [attemptPod(phase: "Succeeded", exitCode: 0)], now: moment(now)
        ) { $0.status = succeededStatus() }
        seen.outputs = outputs
        return seen
    }

    @Test func `the end of the pods is written before anything is verified`() {
        var seen = trainingObservation(
            attemptJob(condition: "Complete"), pods: [attemptPod(phase: "Succeeded", exitCode: 0)], now: moment(500))
        seen.outputs = .found(files: [:], documents: [:])
        let plan = TrainingJobPlan.plan(seen)
        #expect(plan.steps == [])
        #expect(plan.next == .after(.zero))
        #expect(plan.status.run?.result == nil)
        #expect(plan.status.run?.activeSeconds == 60)
        let attempt = plan.status.attempts.last
        #expect(attempt?.endTime == moment(60))
        #expect(attempt?.cause == "Succeeded")
        #expect(attempt?.exitCode == 0)
    }

    @Test func `what has succeeded is verified without its Job, and never run again`() {
        let files = ["metrics.json": metrics, "model.safetensors": model]
        var seen = verifying(.found(files: files, documents: ["metrics.json": .json(["test_accuracy": [90]])]))
        seen.jobs = []
        seen.pods = []
        #expect(TrainingJobPlan.plan(seen).status.run?.result == "Succeeded")
        seen.outputs = .unreadable(APIError(.unavailable, operation: "list", message: "503"))
        for second in [70, 1000, 100_000] {
            seen.now = moment(second)
            let plan = TrainingJobPlan.plan(seen)
            #expect(plan.status.attempts.count == 1)
            #expect(!plan.steps.contains { if case .apply = $0 { true } else { false } })
        }
    }

    @Test func `a Job that vanished unseen has succeeded when the trainer has said so`() {
        var seen = trainingObservation(now: moment(90_000))
        seen.jobs = []
        seen.pods = []
        seen.progress = report(step: 200, epoch: 2)
        #expect(TrainingJobPlan.plan(seen).status.attempts.last?.endTime == nil)
        seen.progress?.outputs = [.init(path: "metrics.json", sizeBytes: 1, crc32c: "AAAAAA==")]
        let attempt = TrainingJobPlan.plan(seen).status.attempts.last
        #expect(attempt?.cause == "Succeeded")
        #expect(attempt?.endTime == moment(50))
        seen.progress?.attempt = 2
        #expect(TrainingJobPlan.plan(seen).status.attempts.last?.endTime == nil)
    }

    @Test func `success is written before anything is released`() {
        let files = ["metrics.json": metrics, "model.safetensors": model]
        let plan = TrainingJobPlan.plan(
            verifying(.found(files: files, documents: ["metrics.json": .json(["test_accuracy": [90]])])))
        #expect(plan.steps == [])
        #expect(plan.status.run?.result == "Succeeded")
        #expect(plan.status.outputs?.verifiedCount == 2)
        #expect(plan.status.resources.count == 1)
        #expect(plan.events.map(\.reason) == ["OutputsVerified"])
    }

    @Test func `an unreadable bucket holds the machines for the grace time only`() {
        let error = APIError(.unavailable, operation: "storage.objects.list", message: "503")
        let early = TrainingJobPlan.plan(verifying(.unreadable(error), now: 70))
        #expect(early.steps == [])
        #expect(early.status.conditions.first { $0.type == "OutputsVerified" }?.reason == "StorageUnavailable")
        let late = TrainingJobPlan.plan(verifying(.unreadable(error), now: 60 + 900))
        #expect(late.steps.count == 1)
        #expect(late.status.run?.result == nil)
    }

    @Test func `a run without outputs succeeds by its exit code`() {
        var seen = verifying(.found(files: [:], documents: [:]))
        seen.revisions = seen.revisions.mapValues { spec in
            var spec = spec
            spec.outputs = nil
            return spec
        }
        #expect(TrainingJobPlan.plan(seen).status.run?.result == "Succeeded")
    }
}

@Suite struct JSONPathTests {
    private let document: JSONValue = ["a": [1, 2.5, 3], "b": ["c d": ["x": -4]], "text": "no number"]

    @Test(arguments: [
        ("{.a[-1:]}", 3.0), ("{.a[0]}", 1), ("{.a[-2]}", 2.5), ("{.b['c d'].x}", -4), ("{$.a[1]}", 2.5),
    ])
    func `names one number`(path: String, expected: Double) throws {
        #expect(try JSONPath(path).number(in: document) == expected)
    }

    @Test(arguments: [
        (".a", ".a: a path stands in braces, e.g. {.test_accuracy[-1:]}"),
        ("{}", "{} names nothing"),
        ("{.a[}", "{.a[}: ] is missing"),
        ("{.a[*]}", "{.a[*]}: [*] is not supported; use an index, [-1:] or ['name']"),
        ("{..a}", "{..a}: a name must follow the dot (wildcards are not supported)"),
        ("{.missing}", "{.missing}: there is no member missing"),
        ("{.a[9]}", "{.a[9]}: a list of 3 elements has no [9]"),
        ("{.text[0]}", "{.text[0]}: [0] is not of a list"),
        ("{.text}", "{.text} names no number"),
    ])
    func `says what is wrong`(path: String, message: String) {
        #expect(throws: JSONPathError(message)) { try JSONPath(path).number(in: document) }
    }
}

@Suite struct OutputGlobTests {
    @Test(arguments: [
        ("metrics.json", "metrics.json", true), ("metrics.json", "a/metrics.json", false),
        ("model.*", "model.pt", true),
        ("model.*", "model.d/x", false), ("**.json", "a/b/c.json", true), ("*/x", "a/x", true), ("*/x", "a/b/x", false),
        ("?.txt", "a.txt", true), ("?.txt", "ab.txt", false), ("**", "", true), ("*", "", true),
        ("shard-*-of-*", "shard-1-of-2", true), ("a**b", "a/x/b", true), ("a**b", "a/x/c", false),
    ])
    func `matches as Cloud Storage does`(pattern: String, path: String, expected: Bool) {
        #expect(OutputGlob(pattern).matches(path) == expected)
    }

    @Test func `many stars take no exponential time`() {
        let pattern = String(repeating: "*a", count: 100)
        #expect(!OutputGlob(pattern).matches(String(repeating: "a", count: 99) + "b"))
    }
}
