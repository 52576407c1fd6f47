import Encoding
import Synchronization
import TrainingContract

@testable import Training

/// Storage in memory, with the calls it got.
final class MemoryStorage: Sendable {
    private let state = Mutex(State())

    struct State: Sendable {
        var objects: [String: [UInt8]] = [:]
        var writes: [String] = []
        /// Writes of URIs that end so fail.
        var failingSuffix: String?
    }

    var objects: [String: [UInt8]] {
        get { state.withLock { $0.objects } }
        set { state.withLock { $0.objects = newValue } }
    }

    /// URIs in the order in which they were written.
    var writes: [String] { state.withLock { $0.writes } }

    func failWrites(endingIn suffix: String?) { state.withLock { $0.failingSuffix = suffix } }

    var storage: TrainingStorage {
        TrainingStorage(
            read: { uri async throws(TrainingError) in self.objects[uri] },
            write: { uri, bytes, _ async throws(TrainingError) in
                let fails = self.state.withLock { state in
                    if let suffix = state.failingSuffix, uri.hasSuffix(suffix) { return true }
                    state.objects[uri] = bytes
                    state.writes.append(uri)
                    return false
                }
                if fails { throw TrainingError(.storageUnavailable, "the bucket is away") }
            },
            list: { prefix async throws(TrainingError) in self.objects.keys.filter { $0.hasPrefix(prefix) } },
            delete: { uri async throws(TrainingError) in _ = self.state.withLock { $0.objects.removeValue(forKey: uri) }
            })
    }
}

/// An IDX file.
func idx(_ extents: [Int], _ bytes: [UInt8]) -> [UInt8] {
    var file: [UInt8] = [0, 0, 8, UInt8(extents.count)]
    for extent in extents {
        for shift in [24, 16, 8, 0] { file.append(UInt8(truncatingIfNeeded: extent >> shift)) }
    }
    return file + bytes
}

/// Images that a small network can learn: class k is bright in its own rows.
func patterns(count: Int, side: Int, seed: UInt64) -> ImageDataset {
    var random = RandomStream(seed: seed, purpose: 99)
    var pixels: [UInt8] = []
    var labels: [UInt8] = []
    for _ in 0..<count {
        let label = UInt8(random.next(below: 10))
        labels.append(label)
        for row in 0..<side {
            for column in 0..<side {
                let isBright = (row + 2 * column) % 10 == Int(label)
                pixels.append(UInt8(random.next(below: 100)) + (isBright ? 150 : 0))
            }
        }
    }
    return ImageDataset(height: side, width: side, pixels: pixels, labels: labels)
}

/// A network that trains in milliseconds.
let smallModel = ModelDescription.smallCNN(firstChannels: 3, secondChannels: 5, hidden: 17)

/// The model for images of 12 × 12.
func smallPlan(_ model: ModelDescription = smallModel) throws(TrainingError) -> NetworkPlan {
    try NetworkPlan(model, height: 12, width: 12, name: "model")
}

/// One run over small data, with everything it told.
final class SmallRun: Sendable {
    let memory: MemoryStorage
    private let state = Mutex(State())

    struct State: Sendable {
        var configuration = TrainingConfiguration()
        var model = smallModel
        var availableMemoryBytes: Int?
        var resumeURI: String?
        var checkpointURI: String? = "gs://bucket/checkpoints/run/"
        var checkpointIntervalSeconds: Double?
        var gracePeriodSeconds: Double?
        var world = WorldPlace.alone
        var attempt = 1
        /// Answers to `shouldStop` before a yes; nil: never.
        var stepsBeforeStop: Int?
        var seconds = 0.0
        var reports: [ProgressReport] = []
        var notices: [TrainingNotice] = []
    }

    init(_ memory: MemoryStorage = MemoryStorage(), _ change: (inout State) -> Void = { _ in }) {
        self.memory = memory
        state.withLock { state in
            state.configuration.batchSize = 16
            state.configuration.seed = 7
            state.configuration.learningRate = 0.01
            state.configuration.threads = 2
            change(&state)
        }
    }

    var reports: [ProgressReport] { state.withLock { $0.reports } }
    var notices: [TrainingNotice] { state.withLock { $0.notices } }

    func train(
        training: ImageDataset = patterns(count: 100, side: 12, seed: 1),
        test: ImageDataset = patterns(count: 40, side: 12, seed: 2)
    ) async throws(TrainingError) -> TrainingOutcome {
        try await session(training: training, test: test).run()
    }

    /// What the processes of a world compare.
    func fingerprint() async throws(TrainingError) -> String {
        try await session(
            training: patterns(count: 100, side: 12, seed: 1), test: patterns(count: 40, side: 12, seed: 2)
        ).fingerprint
    }

    private func session(training: ImageDataset, test: ImageDataset) throws(TrainingError) -> TrainingSession {
        let settings = state.withLock { $0 }
        var context = TrainingContext(
            runID: "run", attempt: settings.attempt, outputURI: "gs://bucket/runs/run/",
            checkpointURI: settings.checkpointURI,
            resumeURI: settings.resumeURI, checkpointIntervalSeconds: settings.checkpointIntervalSeconds,
            storage: memory.storage, shouldStop: { self.shouldStop() },
            now: { Timestamp(seconds: 1_700_000_000) },
            seconds: {
                // Each look at the clock takes a tenth of a second.
                self.state.withLock { state in
                    state.seconds += 0.1
                    return state.seconds
                }
            },
            report: { report in self.state.withLock { $0.reports.append(report) } },
            notice: { notice in self.state.withLock { $0.notices.append(notice) } })
        context.gracePeriodSeconds = settings.gracePeriodSeconds
        context.world = settings.world
        context.availableMemoryBytes = settings.availableMemoryBytes
        return try TrainingSession(
            settings.configuration, context, model: settings.model, training: training, test: test)
    }

    private func shouldStop() -> Bool {
        state.withLock { state in
            // The processes of a world ask while they wait for each other too, any number of times.
            let hasBegun = state.world.size == 1 || state.notices.contains(.gathered(size: state.world.size))
            guard let left = state.stepsBeforeStop, hasBegun else { return false }
            state.stepsBeforeStop = left - 1
            return left <= 0
        }
    }

    var model: [UInt8]? { memory.objects["gs://bucket/runs/run/model.safetensors"] }

    /// `metrics.json` without the speeds, which depend on time.
    var metrics: JSONValue? {
        guard let bytes = memory.objects["gs://bucket/runs/run/metrics.json"],
            var value = try? JSONValue(parsing: bytes)
        else { return nil }
        value["images_per_second"] = nil
        return value
    }
}
