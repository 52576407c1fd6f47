import CSystem
import HTTP
import Kernels
import Telemetry
import Training
import TrainingContract

/// `trainyard-trainer serve`: answers predictions over HTTP until it is asked to stop.
struct ServeCommand: Sendable {
    let options: ServeOptions
    let storage: TrainingStorage
    var environment: [String: String] = [:]
    let clock: any WallClock
    let log: Log
    /// Called with the port once the model is loaded.
    var onReady: @Sendable (UInt16) -> Void = { _ in }

    /// Cloud Run kills ten seconds after SIGTERM.
    static let grace = Duration.seconds(8)

    /// - Throws: `.usage` where the port cannot be had, `.missingInput`, `.badData`, `.storageUnavailable`,
    ///   `.unsupportedMachine`.
    func run(shouldStop: @escaping @Sendable () -> Bool) async throws(TrainingError) -> TrainerExitCode {
        guard trainyard_cpu_has_kernel_features() != 0 else {
            throw TrainingError(.unsupportedMachine, "this processor has no AVX2 and FMA, which the kernels need")
        }
        let metrics = ServeMetrics()
        let handler = PredictionHandler(
            metrics: metrics, maximumImages: options.queue.capacity, chain: try chain())
        // Listens before the model is there: whoever asks then learns that it is being loaded.
        let server = try listen(handler)
        let result = await load(metrics)
        guard case .success(let serving) = result else {
            await server.stop(grace: .zero)
            return try result.map { _ in TrainerExitCode.success }.get()
        }
        handler.serve(serving)
        log.info("serving", [.path: .string(options.model.uri), .address: .string(server.origin)])
        onReady(server.port)
        while !shouldStop() {
            do { try await clock.sleep(for: .milliseconds(50)) } catch { break }
        }
        handler.drain()
        log.info("stopping: what is under way is answered")
        await server.stop(grace: Self.grace)
        return .success
    }

    private func chain() throws(TrainingError) -> ProcessorChain? {
        guard options.upstream != nil || options.downstream != nil else { return nil }
        do throws(APIError) {
            return try ProcessorChain(options, environment: environment, clock: clock)
        } catch {
            throw TrainingError(.usage, "the processors cannot be called: \(error.message)")
        }
    }

    private func listen(_ handler: PredictionHandler) throws(TrainingError) -> HTTPServer {
        var limits = HTTPServerLimits()
        limits.headerBytes = 16 << 10
        limits.bodyBytes = options.maximumBodyBytes
        limits.requestTimeout = .seconds(60)
        limits.stallTimeout = .seconds(20)
        do throws(APIError) {
            return try HTTPServer(host: options.host, port: options.port, handler: handler, limits: limits)
        } catch {
            throw TrainingError(.usage, "cannot listen on \(options.host):\(options.port): \(error.message)")
        }
    }

    private func load(_ metrics: ServeMetrics) async -> Result<PredictionHandler.Serving, TrainingError> {
        do throws(TrainingError) {
            let weights = try await options.model.load(storage)
            let predictor = try Predictor(
                weights, name: options.model.uri + BucketLayout.model,
                backend: CPUBackend(threadCount: options.threads ?? Processors.usableCount))
            let queue = PredictionQueue(predictor, settings: options.queue) { metrics.batch(images: $0) }
            return .success(
                .init(
                    form: InferenceProtocol(
                        modelName: options.model.name, modelVersion: options.model.version,
                        signature: predictor.signature),
                    queue: queue))
        } catch {
            return .failure(error)
        }
    }
}
