import Encoding
import HTTP
import Kubernetes
import Operator
import Sandbox

/// The second half of a run whose files hold a ModelEndpoint: waits until it serves what was trained, sends it images,
/// and deletes it.
struct EndpointRun: Sendable {
    /// From the published version to a revision that serves.
    private static let readyLimit = Duration.seconds(180)
    /// A condition Stalled that stays this long ends the wait.
    private static let stalledLimit = Duration.seconds(10)
    private static let deletionLimit = Duration.seconds(60)
    private static let imageCount = 100
    /// Of the images, those that are told one by one.
    private static let shownCount = 10

    let sandbox: RunningSandbox
    let endpoint: ManifestDocument
    /// Where the data set lies; nil: there is nothing to send.
    let seed: String?
    let interrupts: Interrupts
    let tell: @Sendable (String, String) -> Void

    /// What was answered, and what went wrong, if anything did. The endpoint is gone afterwards.
    func run() async -> (EndpointResult, RunError?) {
        var result = EndpointResult()
        var problem: RunError?
        do throws(RunError) {
            try await waitUntilServing(&result)
            try await predict(&result)
        } catch {
            problem = error
        }
        do throws(RunError) {
            try await delete()
        } catch {
            problem = problem ?? error
        }
        return (result, problem)
    }

    // MARK: Waiting

    private func waitUntilServing(_ result: inout EndpointResult) async throws(RunError) {
        let clock = ContinuousClock()
        let deadline = clock.now + Self.readyLimit
        var told = ""
        var stalledSince: ContinuousClock.Instant?
        while true {
            let object = try? await get()  // What cannot be read now is read at the next look.
            let ready = Self.condition("Ready", of: object)
            let reason = ready?["reason"]?.stringValue ?? "Waiting"
            let message = Format.line(ready?["message"]?.stringValue ?? "nothing is known of it yet", limit: 300)
            if ready?["status"] == "True", reason == "Serving" {
                result.url = object?.value(at: ["status", "url"])?.stringValue
                result.modelVersion = object?.value(at: ["status", "active", "modelVersion"])?.stringValue
                result.coldStartMilliseconds = coldStart(object)
                tell("serving", "version \(result.modelVersion ?? "?") at \(result.url ?? "?")")
                return
            }
            if ready != nil, told != reason {
                told = reason
                tell("endpoint", message)
            }
            let isStalled = Self.condition("Stalled", of: object)?["status"] == "True"
            stalledSince = isStalled ? stalledSince ?? clock.now : nil
            if let since = stalledSince, clock.now - since > Self.stalledLimit {
                throw RunError(.failed, "the endpoint does not serve: \(reason): \(message)")
            }
            guard clock.now < deadline else {
                throw RunError(.failed, "the endpoint does not serve after three minutes: \(reason): \(message)")
            }
            guard interrupts.poll() == 0 else { throw Self.interrupted }
            await Pause.milliseconds(100)
        }
    }

    private static var interrupted: RunError { RunError(.interrupted, "stopped; the endpoint is deleted") }

    private func get() async throws(APIError) -> JSONValue {
        try await sandbox.kubernetes.get(
            ModelEndpoint.resourceType, namespace: endpoint.namespace, name: endpoint.name)
    }

    private static func condition(_ type: String, of object: JSONValue?) -> JSONValue? {
        object?.value(at: ["status", "conditions"])?.arrayValue?.first { $0["type"]?.stringValue == type }
    }

    private func coldStart(_ object: JSONValue?) -> Double? {
        let resources = object?.value(at: ["status", "resources"])?.arrayValue ?? []
        let prefix = "//run.googleapis.com/"
        guard let revision = object?.value(at: ["status", "active", "revision"])?.stringValue,
            let reference = resources.lazy.compactMap({ $0["externalRef"]?.stringValue }).first(where: {
                $0.hasPrefix(prefix)
            }),
            let time = sandbox.world.front?.coldStart(
                revision: revision, of: String(reference.dropFirst(prefix.count)))
        else { return nil }
        return time / .milliseconds(1)
    }

    // MARK: Predictions

    private func predict(_ result: inout EndpointResult) async throws(RunError) {
        guard let url = result.url else { throw RunError(.failed, "the endpoint serves, but its status names no URL") }
        guard let seed else {
            tell("predict", "the files name no folder with images to send")
            return
        }
        let images = try TestImages(folder: seed).sample(Self.imageCount)
        let token = sandbox.world.cloud.issueIdentityToken(
            to: "sandbox@\(SandboxSettings.project).iam.gserviceaccount.com", audience: url)
        let transport: CurlTransport
        do throws(APIError) {
            transport = try CurlTransport()
        } catch {
            throw RunError(.unavailable, error.message)
        }
        let isFashion = seed.hasSuffix("fashion-mnist")
        let outcome: Result<Void, RunError>
        do throws(RunError) {
            for (place, image) in images.enumerated() {
                guard interrupts.poll() == 0 else { throw Self.interrupted }
                let prediction = try await predict(image, url: url, token: token, transport)
                result.predictions.append(prediction)
                if place < Self.shownCount { tell("predict", Self.line(prediction, isFashion: isFashion)) }
            }
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        await transport.shutDown()
        try outcome.get()
        if let shown = result.shown { tell("predict", shown) }
    }

    private func predict(
        _ image: (index: Int, pixels: [UInt8], label: Int), url: String, token: String, _ transport: CurlTransport
    ) async throws(RunError) -> EndpointResult.Prediction {
        let body: JSONValue = ["instances": [["b64": .string(Base64.encode(image.pixels))]]]
        guard let address = HTTPURL("\(url)/predict") else { throw RunError(.failed, "\(url) is no URL") }
        let request = HTTPRequest(
            .post, address,
            headers: ["Content-Type": "application/json", "Authorization": "Bearer \(token)"],
            body: body.serialized())
        let begun = ContinuousClock.now
        let response: HTTPResponse
        do throws(APIError) {
            response = try await transport.send(request)
        } catch {
            throw RunError(.failed, "image \(image.index) got no answer: \(error.message)")
        }
        let time = ContinuousClock.now - begun
        let first = (try? JSONValue(parsing: response.body))?["predictions"]?[0]
        guard response.status == 200, let predicted = first?["class"]?.integerValue,
            let score = first?["score"]?.doubleValue
        else {
            let text = Format.line(String(decoding: response.body.prefix(300), as: UTF8.self))
            throw RunError(.failed, "image \(image.index) got HTTP \(response.status): \(text)")
        }
        return EndpointResult.Prediction(
            index: image.index, predicted: Int(predicted), score: score, label: image.label,
            milliseconds: time / .milliseconds(1))
    }

    private static let fashion = [
        "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ]

    /// "image 4200: class 9 (ankle boot), score 0.998, right, 1.72 ms"
    static func line(_ prediction: EndpointResult.Prediction, isFashion: Bool) -> String {
        func name(_ label: Int) -> String {
            isFashion && fashion.indices.contains(label) ? "\(label) (\(fashion[label]))" : "\(label)"
        }
        let judgement = prediction.isRight ? "right" : "wrong, it is \(name(prediction.label))"
        return "image \(prediction.index): class \(name(prediction.predicted)), score "
            + "\(Format.decimal(prediction.score, 3)), \(judgement), \(Format.decimal(prediction.milliseconds, 2)) ms"
    }

    // MARK: The end

    private func delete() async throws(RunError) {
        let reference = ObjectReference(
            type: ModelEndpoint.resourceType, namespace: endpoint.namespace, name: endpoint.name)
        let deadline = ContinuousClock.now + Self.deletionLimit
        do throws(APIError) {
            try await sandbox.kubernetes.delete(reference)
        } catch  where error.code == .notFound {
            return
        } catch {
            throw RunError(.failed, "the endpoint cannot be deleted: \(error.message)")
        }
        while true {
            do throws(APIError) {
                _ = try await get()
            } catch  where error.code == .notFound {
                if sandbox.world.cloud.runServiceLines().isEmpty {
                    tell("deleted", "\(endpoint.title) and its Cloud Run service")
                    return
                }
            } catch {}  // What cannot be read now is read at the next look.
            guard ContinuousClock.now < deadline else {
                throw RunError(.failed, "the endpoint is not gone a minute after it was deleted")
            }
            await Pause.milliseconds(100)
        }
    }
}
