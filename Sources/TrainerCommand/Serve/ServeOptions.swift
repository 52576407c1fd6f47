import HTTP
import Training
import TrainingContract

/// How `serve` is asked to serve: flags, else the environment, else the defaults.
struct ServeOptions: Sendable, Hashable {
    var model: ServedModel
    var host: String
    var port: UInt16
    var queue: PredictionQueue.Settings
    /// Nil: as many as the process may use.
    var threads: Int?
    var maximumBodyBytes: Int
    /// URL of the service that sees requests before the model.
    var upstream: String?
    /// URL of the service that sees answers after the model.
    var downstream: String?

    static let flags: Set<String> = [
        "--model", "--digest", "--manifest", "--name", "--host", "--port", "--max-batch", "--max-delay-ms",
        "--max-queue", "--timeout-seconds", "--threads", "--max-body-mb", "--upstream", "--downstream",
    ]

    /// - Parameter flags: by name, as given.
    /// - Throws: `.usage` with a sentence that names the flag or variable.
    init(_ flags: [String: String], environment: [String: String]) throws(TrainingError) {
        func text(_ flag: String, _ variable: String) -> String? {
            let value = flags[flag] ?? environment[variable]
            return value?.isEmpty == true ? nil : value
        }
        func number(_ flag: String, _ range: ClosedRange<Int>) throws(TrainingError) -> Int? {
            guard let text = flags[flag] else { return nil }
            return try Self.number(text, flag, range)
        }
        guard let uri = text("--model", ServingEnvironment.modelURI) else {
            throw TrainingError(
                .usage,
                "there is no model to serve: set --model DIR or gs://BUCKET/PREFIX/, or \(ServingEnvironment.modelURI)")
        }
        model = ServedModel(uri: uri.hasSuffix("/") ? uri : uri + "/")
        model.digest = text("--digest", ServingEnvironment.modelDigest)
        model.manifestURI = text("--manifest", ServingEnvironment.manifestURI)
        guard (model.digest == nil) == (model.manifestURI == nil) else {
            throw TrainingError(.usage, "--digest and --manifest belong together: the digest is that of the manifest")
        }
        if let digest = model.digest, !Self.isDigest(digest) {
            throw TrainingError(
                .usage, "--digest is \"\(digest.prefix(80))\"; it must be sha256: and 64 digits of 0-9a-f")
        }
        model.name = text("--name", ServingEnvironment.modelName) ?? "model"
        model.version = text("", ServingEnvironment.modelVersion)
        let isContainer = environment[ServingEnvironment.port]?.isEmpty == false
        host = text("--host", ServingEnvironment.host) ?? (isContainer ? "0.0.0.0" : "127.0.0.1")
        let portText = text("--port", ServingEnvironment.port)
        port = 8080
        if let portText { port = UInt16(try Self.number(portText, "--port", 0...65535)) }
        queue = PredictionQueue.Settings()
        queue.maximumBatch = try number("--max-batch", 1...4096) ?? queue.maximumBatch
        queue.maximumDelay = .milliseconds(try number("--max-delay-ms", 0...1000) ?? 0)
        queue.capacity = try number("--max-queue", 1...65536) ?? queue.capacity
        queue.deadline = .seconds(try number("--timeout-seconds", 1...3600) ?? 30)
        threads = try number("--threads", 1...256)
        maximumBodyBytes = (try number("--max-body-mb", 1...1024) ?? 32) << 20
        upstream = try Self.service(text("--upstream", ServingEnvironment.upstream), "--upstream")
        downstream = try Self.service(text("--downstream", ServingEnvironment.downstream), "--downstream")
    }

    private static func number(
        _ text: String, _ flag: String, _ range: ClosedRange<Int>
    ) throws(TrainingError) -> Int {
        guard let number = Int(text), range.contains(number) else {
            throw TrainingError(
                .usage,
                "\(flag) needs a number from \(range.lowerBound) to \(range.upperBound), not \"\(text.prefix(40))\"")
        }
        return number
    }

    /// The URL of a service, without a path.
    private static func service(_ text: String?, _ flag: String) throws(TrainingError) -> String? {
        guard let text else { return nil }
        guard let url = HTTPURL(text), url.path == "/", url.query.isEmpty,
            url.origin.hasPrefix("https://") || Loopback.contains(authority: url.authority)
        else {
            throw TrainingError(
                .usage, "\(flag) is \"\(text.prefix(80))\"; it must be https://HOST, or http:// on this machine")
        }
        return url.origin
    }

    private static func isDigest(_ text: String) -> Bool {
        text.hasPrefix("sha256:") && text.utf8.count == 71
            && text.utf8.dropFirst(7).allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }
}
