import Encoding
import Glibc
import System
import Testing
import TrainingContract

@testable import TrainerCommand

/// The executable: killed, stopped, and several of it together.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ProcessTests {
    private let stopped = TrainerExitCode.stoppedAfterCheckpoint.rawValue

    // MARK: One process

    /// Three files for each checkpoint (before the first step, after each epoch), then model and metrics.
    @Test func `kill -9 at every write leaves what the next start goes on from`() async throws {
        try await TrainerFolder.with { folder in
            #expect(try await folder.run("straight") == .status(0))
            let faults = (1...11).map { "kill-at-write=\($0)" } + ["kill-after-write=11"]
            for (index, fault) in faults.enumerated() {
                let output = "killed-\(index)"
                #expect(
                    try await folder.run(output, [TrainingEnvironment.fault: fault]) == .signal(SIGKILL), "\(fault)")
                let complete = try folder.checkpoints(output)
                #expect(complete == Array([0, 9, 18].prefix(index / 3)).suffix(2), "\(fault)")
                #expect(try await folder.run(output, attempt: 2) == .status(0), "\(fault)")
                if let last = complete.last {
                    #expect(folder.log(output).contains("resumed at step \(last) from"), "\(fault)")
                }
                try folder.expectSame(output, "straight")
                #expect(try folder.checkpoints(output) == [9, 18], "\(fault)")
            }
        }
    }

    @Test(arguments: ["term-at-step", "kill-at-step"])
    func `two preemptions in the middle of an epoch change no bit of the result`(fault: String) async throws {
        try await TrainerFolder.with { folder in
            #expect(try await folder.run("straight") == .status(0))
            let isTerm = fault == "term-at-step"
            // A signal of its own is seen some steps later.
            for (attempt, step) in [(1, 2), (2, isTerm ? 11 : 12)] {
                let exit = try await folder.run(
                    "disturbed", attempt: attempt,
                    [TrainingEnvironment.fault: "\(fault)=\(step),attempt=\(attempt)"])
                #expect(exit == (isTerm ? .status(stopped) : .signal(SIGKILL)), "attempt \(attempt)")
            }
            #expect(try folder.model("disturbed") == nil)
            #expect(try await folder.run("disturbed", attempt: 3) == .status(0))
            #expect(folder.log("disturbed").contains("resumed at step"))
            try folder.expectSame("disturbed", "straight")
        }
    }

    // MARK: Four processes

    @Test func `four processes end like one with four times the batch`() async throws {
        try await TrainerFolder.with { folder in
            #expect(try await folder.run("one", batchSize: 8) == .status(0))
            #expect(try await folder.run("four", batchSize: 2, processes: 4) == .status(0))
            let one = try folder.metrics("one"), four = try folder.metrics("four")
            for (name, values) in one.objectValue ?? [:] {
                for (left, right) in zip(values.arrayValue ?? [], four[name]?.arrayValue ?? []) {
                    let difference = abs((left.doubleValue ?? 0) - (right.doubleValue ?? 1))
                    #expect(difference < (name == "test_accuracy" ? 5.01 : 1e-4), "\(name)")
                }
            }
            // From 32 images a process on, the model is the same in every bit.
            #expect(try await folder.run("whole", batchSize: 128) == .status(0))
            #expect(try await folder.run("shared", batchSize: 32, processes: 4) == .status(0))
            let whole = try folder.model("whole"), shared = try folder.model("shared")
            #expect(whole != nil && whole == shared)
            #expect(try await folder.run("again", batchSize: 2, processes: 4) == .status(0))
            try folder.expectSame("four", "again")
        }
    }

    @Test func `SIGTERM of any of four stops all after one checkpoint, and they go on from it`() async throws {
        try await TrainerFolder.with { folder in
            #expect(try await folder.run("four", batchSize: 2, processes: 4) == .status(0))
            let exit = try await folder.run(
                "stopped", batchSize: 2, processes: 4, [TrainingEnvironment.fault: "term-at-step=4,rank=3"])
            #expect(exit == .status(stopped))
            let step = try #require(try folder.checkpoints("stopped").last)
            #expect((5..<18).contains(step))
            #expect(try await folder.run("stopped", batchSize: 2, processes: 4, attempt: 2) == .status(0))
            try folder.expectSame("stopped", "four")
        }
    }

    @Test func `kill -9 of one of four ends all, and at most the step under way is lost`() async throws {
        try await TrainerFolder.with { folder in
            #expect(try await folder.run("four", batchSize: 2, processes: 4) == .status(0))
            let exit = try await folder.run(
                "killed", batchSize: 2, processes: 4, [TrainingEnvironment.fault: "kill-at-step=6,rank=2"])
            #expect(exit == .status(TrainerExitCode.peerLost.rawValue))
            #expect(folder.log("killed").contains("rank 2 of 4"))
            #expect(try folder.checkpoints("killed") == [0, 6])
            #expect(try await folder.run("killed", batchSize: 2, processes: 4, attempt: 2) == .status(0))
            try folder.expectSame("killed", "four")
        }
    }

    @Test func `one of four that hangs ends all within a bounded time`() async throws {
        try await TrainerFolder.with { folder in
            let exit = try await folder.run(
                "hanging", batchSize: 2, processes: 4,
                [
                    TrainingEnvironment.fault: "hang-at-step=6,rank=1", TrainingEnvironment.peerTimeoutSeconds: "2",
                ])
            #expect(exit == .status(TrainerExitCode.peerLost.rawValue))
            #expect(folder.log("hanging").contains("is silent at step 6"))
            #expect(try folder.checkpoints("hanging") == [0, 6])
        }
    }

    /// As pods do it: each with its rank, rank 0 last.
    @Test func `processes that get rank and coordinator from outside find each other`() async throws {
        try await TrainerFolder.with { folder in
            let ranks = try #require(
                try LocalRanks(
                    try Options(["train", "--processes", "2"]), environment: [TrainingEnvironment.attempt: "1"]))
            let second = try folder.start("pods", batchSize: 4, ranks.environments[1])
            let first = try folder.start("pods", batchSize: 4, ranks.environments[0])
            #expect(try await first.end() == .status(0))
            #expect(try await second.end() == .status(0))
            #expect(try await folder.run("two", batchSize: 4, processes: 2) == .status(0))
            try folder.expectSame("pods", "two")
        }
    }

    @Test func `a wrong setting is told once, whatever the number of processes`() async throws {
        try await TrainerFolder.with { folder in
            let exit = try await folder.run("wrong", batchSize: 0, processes: 4)
            #expect(exit == .status(TrainerExitCode.usage.rawValue))
            #expect(folder.log("wrong").split(separator: "\n").count == 1)
        }
    }
}
