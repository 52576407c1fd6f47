import Encoding
import Glibc
import Testing
import TrainingContract

@testable import Training

/// Several sessions in one process, each on its thread, over loopback.
@Suite(.timeLimit(.minutes(3))) struct ParallelTrainingTests {
    /// How each rank ended.
    typealias Ends = [Result<TrainingOutcome, TrainingError>]

    private func places(_ size: Int, peerSeconds: Double = 60, rendezvousSeconds: Double = 60) throws -> [WorldPlace] {
        let port = try #require(WorldPlace.freeLoopbackPort())
        return (0..<size).map {
            WorldPlace(
                rank: $0, size: size, coordinatorHost: "127.0.0.1", coordinatorPort: port,
                rendezvousSeconds: rendezvousSeconds, peerSeconds: peerSeconds)
        }
    }

    private func runs(
        _ places: [WorldPlace], _ memory: MemoryStorage = MemoryStorage(),
        _ change: @escaping (Int, inout SmallRun.State) -> Void = { _, _ in }
    ) -> [SmallRun] {
        places.map { place in
            SmallRun(memory) { state in
                state.world = place
                state.configuration.batchSize = 16 / place.size
                state.configuration.threads = 1
                change(place.rank, &state)
            }
        }
    }

    private func train(_ runs: [SmallRun]) async -> Ends {
        await withTaskGroup(of: (Int, Result<TrainingOutcome, TrainingError>).self) { group in
            for (rank, run) in runs.enumerated() {
                group.addTask {
                    do throws(TrainingError) {
                        return (rank, .success(try await run.train()))
                    } catch {
                        return (rank, .failure(error))
                    }
                }
            }
            var ends: [Int: Result<TrainingOutcome, TrainingError>] = [:]
            for await (rank, end) in group { ends[rank] = end }
            return runs.indices.compactMap { ends[$0] }
        }
    }

    private func finish(_ end: Result<TrainingOutcome, TrainingError>?) -> EpochMetrics? {
        guard case .success(.finished(let metrics)) = end else { return nil }
        return metrics
    }

    // MARK: The same result

    /// 100 images: the last batch of an epoch is not full, and its parts are not equal.
    @Test(arguments: [2, 3, 4]) func `some processes end like one with all their images`(size: Int) async throws {
        let single = SmallRun { $0.configuration.batchSize = 16 / size * size }
        let alone = try #require(finish(.success(try await single.train())))
        let together = runs(try places(size))
        let ends = await train(together)
        for end in ends {
            let metrics = try #require(finish(end))
            // Float32 sums in another order.
            #expect(abs(metrics.trainLoss - alone.trainLoss) < 1e-4)
            #expect(abs(metrics.testLoss - alone.testLoss) < 1e-4)
            #expect(metrics.step == alone.step && metrics.testAccuracy == alone.testAccuracy)
        }
    }

    /// Batches of 128 images have four parts; the last of 300 images has uneven ones.
    @Test func `one, two and four processes that share a batch write the same model`() async throws {
        let data = patterns(count: 300, side: 12, seed: 3)
        var models: [[UInt8]?] = []
        for size in [1, 2, 4] {
            let together = runs(size == 1 ? [.alone] : try places(size)) { _, state in
                state.configuration.batchSize = 128 / size
                state.configuration.epochs = 4
            }
            await withTaskGroup(of: Void.self) { group in
                for run in together { group.addTask { _ = try? await run.train(training: data) } }
            }
            models.append(together[0].model)
        }
        #expect(models[0] != nil && models[0] == models[1] && models[0] == models[2])
    }

    @Test func `the same world writes the same bytes in every run`() async throws {
        let first = runs(try places(4)), second = runs(try places(4))
        _ = await train(first)
        _ = await train(second)
        #expect(first[0].model != nil && first[0].model == second[0].model)
        #expect(first[0].metrics == second[0].metrics)
    }

    @Test func `only rank 0 writes and reports`() async throws {
        let together = runs(try places(3)) { rank, state in
            if rank > 0 { state.checkpointURI = "gs://bucket/not-mine/" }
        }
        _ = await train(together)
        #expect(together[0].memory.writes.allSatisfy { !$0.contains("not-mine") })
        #expect(together.map(\.reports.isEmpty) == [false, true, true])
        #expect(together.dropFirst().allSatisfy { $0.notices == [.gathered(size: 3)] })
    }

    @Test func `a world of more processes than images in the last batch comes to its end`() async throws {
        let together = runs(try places(4))
        let data = patterns(count: 34, side: 12, seed: 5)
        let ends = await withTaskGroup(of: Bool.self) { group in
            for run in together {
                group.addTask {
                    guard case .finished? = try? await run.train(training: data) else { return false }
                    return true
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(ends == [true, true, true, true])
    }

    // MARK: Stop and resume

    @Test(arguments: [0, 2]) func `a stop of any process stops all at the same step`(stopped: Int) async throws {
        let straight = runs(try places(3))
        _ = await train(straight)
        let memory = MemoryStorage()
        let ends = await train(
            runs(try places(3), memory) { rank, state in if rank == stopped { state.stepsBeforeStop = 5 } })
        guard case .success(let outcome) = ends[0], case .stopped(let step, _, let uri?) = outcome else {
            Issue.record("the run did not stop: \(ends)")
            return
        }
        #expect(ends == Array(repeating: .success(outcome), count: 3))
        #expect(uri == "gs://bucket/checkpoints/run/" + BucketLayout.checkpoint(step: step))
        let resumed = runs(try places(3), memory)
        _ = await train(resumed)
        #expect(resumed[0].notices.first == .resumed(step: step, uri: uri))
        #expect(resumed[0].model != nil && resumed[0].model == straight[0].model)
        #expect(resumed[0].metrics == straight[0].metrics)
    }

    @Test func `checkpoints by time are written at the same step of all`() async throws {
        let together = runs(try places(2)) { _, state in state.checkpointIntervalSeconds = 1 }
        let ends = await train(together)
        #expect(ends.allSatisfy { finish($0) != nil })
        let written = together[0].notices.filter { if case .checkpointWritten = $0 { true } else { false } }
        #expect(written.count > 4)
    }

    // MARK: What goes wrong

    @Test func `an error of rank 0 ends all with its sentence`() async throws {
        let together = runs(try places(3))
        together[0].memory.failWrites(endingIn: "metrics.json")
        let ends = await train(together)
        #expect(
            ends == [
                .failure(TrainingError(.storageUnavailable, "the bucket is away")),
                .failure(TrainingError(.storageUnavailable, "rank 0: the bucket is away")),
                .failure(TrainingError(.storageUnavailable, "rank 0: the bucket is away")),
            ])
    }

    @Test func `processes that do not come are named, and nobody waits for ever`() async throws {
        let together = runs(try places(4, rendezvousSeconds: 1))
        let ends = await train([together[0], together[2]])
        guard case .failure(let error) = ends[0], case .failure(let other) = ends[1] else {
            Issue.record("the run went on: \(ends)")
            return
        }
        #expect(
            error.code == .peerLost && error.message.hasPrefix("2 of 4 processes did not come within 1 s (rank 1, 3)"))
        #expect(other.code == .peerLost)
    }

    @Test func `without rank 0 the others give up`() async throws {
        let together = runs(try places(2, rendezvousSeconds: 1))
        let ends = await train([together[1]])
        guard case .failure(let error) = ends[0] else {
            Issue.record("the run went on")
            return
        }
        #expect(error.code == .peerLost && error.message.contains("was not there within 1 s"))
    }

    @Test func `a process with other settings ends all with a sentence`() async throws {
        let together = runs(try places(2)) { rank, state in if rank == 1 { state.configuration.seed = 8 } }
        let ends = await train(together)
        for end in ends {
            guard case .failure(let error) = end else {
                Issue.record("the run went on")
                return
            }
            #expect(error.code == .usage)
            #expect(error.message.contains("rank 1 trains something else"))
            #expect(error.message.contains("seed 8") && error.message.contains("seed 7"))
        }
    }

    @Test func `strangers and processes of another attempt are refused, and the run goes on`() async throws {
        let places = try places(2)
        let together = runs(places)
        async let first = train([together[0]])
        try await Puppet(places[1]).shout("GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n")
        let stale = runs(places) { _, state in state.attempt = 2 }
        let refused = await train([stale[1]])
        #expect(
            refused == [
                .failure(
                    TrainingError(.peerLost, "rank 0: this is attempt 1 of run run, not attempt 2 of run"))
            ])
        let second = await train([together[1]])
        #expect(await (first + second).allSatisfy { finish($0) != nil })
        let messages = together[0].notices.compactMap { if case .refused(let message) = $0 { message } else { nil } }
        #expect(messages.count == 2)
        #expect(messages[0].contains("is not from a trainer of this version"))
        #expect(messages[1].contains("not attempt 2 of run"))
    }

    @Test(arguments: ["dies", "hangs"]) func `a process that is gone ends the others, and the last step is stored`(
        how: String
    ) async throws {
        let places = try places(2, peerSeconds: how == "hangs" ? 3 : 60)
        let together = runs(places)
        async let ends = train([together[0]])
        let puppet = try Puppet(places[1])
        try await puppet.takePart(steps: 3, fingerprint: try await together[1].fingerprint())
        if how == "dies" { await puppet.die() }
        guard case .failure(let error) = await ends[0] else {
            Issue.record("the run went on")
            return
        }
        await puppet.die()
        #expect(error.code == .peerLost)
        #expect(error.message.contains(how == "hangs" ? "is silent at step 3" : "is gone at step 3"))
        #expect(together[0].notices.contains(.peerLost(message: error.message)))
        let uri = "gs://bucket/checkpoints/run/" + BucketLayout.checkpoint(step: 3)
        #expect(together[0].notices.contains(.checkpointWritten(step: 3, uri: uri)))
    }
}

/// A rank 1 by hand, on a thread of its own.
private actor Puppet {
    private let thread: ThreadExecutor
    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }
    private let place: WorldPlace
    private var world: World?

    init(_ place: WorldPlace) throws {
        thread = try ThreadExecutor()
        self.place = place
    }

    /// Sends bytes and waits until the connection is closed.
    func shout(_ text: String) throws {
        let patience = Patience(seconds: 60)
        while true {
            do {
                let socket = try Socket.connected(host: "127.0.0.1", port: place.coordinatorPort, patience)
                try Array(text.utf8).withUnsafeBytes { try socket.send($0, patience) }
                return socket.finish(patience)
            } catch let error as SocketFailure {
                guard error == .system(ECONNREFUSED), patience.left > 0 else { throw error }
                usleep(10_000)
            }
        }
    }

    /// As a process does it, with gradients of zero.
    func takePart(steps: Int, fingerprint: String) throws {
        let world = World(place, isStopping: { false })
        self.world = world
        let hello = World.Hello(runID: "run", attempt: 1, rank: 1, size: place.size, fingerprint: fingerprint)
        try world.gather(hello, nil) { _ in }
        _ = try world.share([])
        let parameters = ParameterSet(try smallPlan().parameters)
        for _ in 0..<3 { try world.share(parameters.gradients) }
        for step in 0..<steps {
            _ = try world.agree(.goOn, step: step)
            _ = try world.sum(BatchLoss(sum: 1, correctCount: 0, count: 8), parameters.gradients, step: step)
        }
    }

    func die() { world = nil }
}
