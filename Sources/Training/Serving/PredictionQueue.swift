import Synchronization

/// Gathers what many callers want predicted into batches.
///
/// While one batch is computed the next one gathers; where nothing is computed, the first caller waits at most
/// `maximumDelay` for others. The queue is bounded: beyond that callers are refused at once, so that they can go elsewhere.
public final class PredictionQueue: Sendable {
    public struct Settings: Sendable, Hashable {
        /// Images of one batch; a single call may bring more.
        public var maximumBatch: Int
        public var maximumDelay: Duration
        /// Images that wait, of all callers together.
        public var capacity: Int
        /// A call that has waited so long is not computed any more.
        public var deadline: Duration

        public init(
            maximumBatch: Int = 64, maximumDelay: Duration = .zero, capacity: Int = 1024,
            deadline: Duration = .seconds(30)
        ) {
            self.maximumBatch = maximumBatch
            self.maximumDelay = maximumDelay
            self.capacity = capacity
            self.deadline = deadline
        }
    }

    /// Why a call got no answer.
    public enum Refusal: Error, Sendable, Hashable {
        /// As many wait as may.
        case full
        /// It waited longer than the deadline.
        case late
        /// The caller has gone.
        case cancelled
    }

    private struct Waiting {
        let id: UInt64
        let pixels: [Float]
        let count: Int
        let arrival: ContinuousClock.Instant
        let reply: CheckedContinuation<Result<[Float], Refusal>, Never>
    }

    private struct State {
        var waiting: [Waiting] = []
        var waitingCount = 0
        var isRunning = false
        var lastID: UInt64 = 0
        /// Ends the wait for more callers.
        var pause: Task<Void, Never>?
    }

    public let settings: Settings
    private let predict: @Sendable (_ pixels: [Float]) async -> [Float]
    private let pixelCount: Int
    private let classCount: Int
    private let state = Mutex(State())
    private let onBatch: @Sendable (_ images: Int) -> Void

    /// - Parameter onBatch: called for each batch, with its images.
    public convenience init(
        _ predictor: Predictor, settings: Settings = Settings(),
        onBatch: @escaping @Sendable (_ images: Int) -> Void = { _ in }
    ) {
        self.init(predictor.signature, settings: settings, onBatch: onBatch) { await predictor.probabilities($0) }
    }

    init(
        _ signature: ModelSignature, settings: Settings,
        onBatch: @escaping @Sendable (_ images: Int) -> Void = { _ in },
        predict: @escaping @Sendable (_ pixels: [Float]) async -> [Float]
    ) {
        self.predict = predict
        self.settings = settings
        self.onBatch = onBatch
        pixelCount = signature.pixelCount
        classCount = signature.classCount
    }

    /// Images that wait now.
    public var depth: Int { state.withLock { $0.waitingCount } }

    /// The probabilities of all classes, image after image.
    ///
    /// - Parameter pixels: as `Predictor.probabilities` takes them, of at least one image.
    public func probabilities(_ pixels: [Float]) async throws(Refusal) -> [Float] {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { reply in submit(id, pixels, reply) }
        } onCancel: {
            cancel(id)
        }
        return try result.get()
    }

    private func submit(
        _ id: UInt64, _ pixels: [Float], _ reply: CheckedContinuation<Result<[Float], Refusal>, Never>
    ) {
        let entry = Waiting(
            id: id, pixels: pixels, count: pixels.count / pixelCount, arrival: .now, reply: reply)
        let refusal: Refusal? = state.withLock { state in
            // One call that is larger than the whole queue is taken when nobody waits: it could never be otherwise.
            guard state.waiting.isEmpty || state.waitingCount + entry.count <= settings.capacity else { return .full }
            state.waiting.append(entry)
            state.waitingCount += entry.count
            if state.waitingCount >= settings.maximumBatch { state.pause?.cancel() }
            if !state.isRunning {
                state.isRunning = true
                Task { await run() }
            }
            return nil
        }
        if let refusal { reply.resume(returning: .failure(refusal)) }
    }

    private func cancel(_ id: UInt64) {
        let entry: Waiting? = state.withLock { state in
            // Not here yet, or in the batch that is computed: then the answer comes, and nobody looks at it.
            guard let index = state.waiting.firstIndex(where: { $0.id == id }) else { return nil }
            let entry = state.waiting.remove(at: index)
            state.waitingCount -= entry.count
            return entry
        }
        entry?.reply.resume(returning: .failure(.cancelled))
    }

    /// Computes batch after batch until nobody waits.
    private func run() async {
        await gather()
        while let batch = takeBatch() {
            guard !batch.isEmpty else { continue }
            onBatch(batch.reduce(0) { $0 + $1.count })
            let probabilities = await predict(batch.flatMap(\.pixels))
            var first = 0
            for entry in batch {
                let end = first + entry.count * classCount
                entry.reply.resume(returning: .success(Array(probabilities[first..<end])))
                first = end
            }
        }
    }

    /// Waits for more callers, where the first one may wait.
    private func gather() async {
        guard settings.maximumDelay > .zero else { return }
        let delay = settings.maximumDelay
        let pause: Task<Void, Never>? = state.withLock { state in
            guard state.waitingCount < settings.maximumBatch else { return nil }
            // A cancelled sleep ends at once, which is what is wanted.
            let pause = Task { _ = try? await Task.sleep(for: delay) }
            state.pause = pause
            return pause
        }
        await pause?.value
        state.withLock { $0.pause = nil }
    }

    /// The next batch, empty where all that were taken are late; nil when nobody waits, and the run ends.
    private func takeBatch() -> [Waiting]? {
        let now = ContinuousClock.now
        let (batch, late): ([Waiting]?, [Waiting]) = state.withLock { state in
            guard !state.waiting.isEmpty else {
                state.isRunning = false
                return (nil, [])
            }
            var taken: [Waiting] = []
            var late: [Waiting] = []
            var images = 0
            var next = 0
            while next < state.waiting.count {
                let entry = state.waiting[next]
                if now - entry.arrival > settings.deadline {
                    late.append(entry)
                } else {
                    guard images == 0 || images + entry.count <= settings.maximumBatch else { break }
                    taken.append(entry)
                    images += entry.count
                }
                next += 1
            }
            state.waiting.removeFirst(next)
            state.waitingCount -= (taken + late).reduce(0) { $0 + $1.count }
            return (taken, late)
        }
        for entry in late { entry.reply.resume(returning: .failure(.late)) }
        return batch
    }
}
