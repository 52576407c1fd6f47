import Encoding
import GoogleCloud
import HTTP
import Telemetry

/// `trainyard artifact`: what lies below a place in Cloud Storage, brought here or there. With Google's own storage it uses
/// Application Default Credentials.
struct ArtifactCommand: Sendable {
    let options: ArtifactOptions
    let output: Console
    let complaints: Console
    let interrupts: Interrupts

    /// - Returns: the exit status.
    func run() async -> Int32 {
        do throws(RunError) {
            let transport = try Self.transport(options)
            let result = await perform(transport)
            await transport.shutDown()
            output.line(try result.get())
            return 0
        } catch {
            complaints.line("trainyard: \(Format.line(error.message, limit: 1000))")
            return error.exitStatus
        }
    }

    private func perform(_ transport: CurlTransport) async -> Result<String, RunError> {
        do throws(RunError) {
            guard let place = StorageURI(options.place) else {
                throw RunError(.usage, "\(options.place) is no place in Cloud Storage")
            }
            let storage = try client(transport)
            switch options.verb {
            case .ls: return .success(try await list(place, storage))
            case .pull, .push: return .success(try await move(place, storage))
            }
        } catch {
            return .failure(error)
        }
    }

    // MARK: Who answers

    private static func endpoint(_ options: ArtifactOptions) -> String? {
        let text = options.endpoint ?? Environment.value("STORAGE_EMULATOR_HOST") ?? ""
        if text.isEmpty { return nil }
        return text.contains("://") ? text : "http://\(text)"
    }

    private static func transport(_ options: ArtifactOptions) throws(RunError) -> CurlTransport {
        do throws(APIError) {
            guard let endpoint = endpoint(options) else { return try CurlTransport() }
            let hosts = ["storage.googleapis.com", "*.storage.googleapis.com"]
            return try CurlTransport(
                options: CurlOptions(overrides: [EndpointOverride(hosts: hosts, endpoint: endpoint)]))
        } catch {
            throw RunError(.usage, error.message)
        }
    }

    private func client(_ transport: CurlTransport) throws(RunError) -> StorageClient {
        let clock = SystemClock()
        guard Self.endpoint(options) == nil else {
            return StorageClient(GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: clock))
        }
        let names = ["GOOGLE_APPLICATION_CREDENTIALS", "HOME", "CLOUDSDK_CONFIG", "GCE_METADATA_HOST"]
        var environment: [String: String] = [:]
        for name in names { if let value = Environment.value(name) { environment[name] = value } }
        do throws(APIError) {
            let credentials = try Credentials.find(environment: environment, transport: transport, clock: clock)
            return StorageClient(GoogleCloudClient(transport: transport, tokens: credentials.tokens, clock: clock))
        } catch {
            throw RunError(.usage, error.message)
        }
    }

    // MARK: ls

    /// More is counted, not shown.
    private static let shownLimit = 1000

    private func list(_ place: StorageURI, _ storage: StorageClient) async throws(RunError) -> String {
        let versions = try await versions(below: place, storage)
        guard versions.isEmpty else { return options.isJSON ? json(versions) : table(versions) }
        let objects = try await reading {
            () async throws(APIError) in
            try await storage.objects(in: place.bucket, ObjectQuery(prefix: place.path, limit: 1_000_000)).objects
        }
        let total = objects.reduce(Int64(0)) { $0 + $1.size }
        if options.isJSON {
            let items = objects.map { object -> JSONValue in
                [
                    "name": .string(object.name), "sizeBytes": .integer(object.size),
                    "crc32c": .string(object.crc32c ?? ""),
                ]
            }
            return JSONValue.object(["objects": .array(items), "sizeBytes": .integer(total)]).serializedText()
        }
        let lines = objects.prefix(Self.shownLimit).map { object in
            "\(Format.padded(Format.bytes(object.size), 12, onLeft: true))  \(Format.line(object.name, limit: 1024))"
        }
        let more =
            objects.count > Self.shownLimit ? ["… and \(Format.count(objects.count - Self.shownLimit)) more"] : []
        return (lines + more + ["\(Format.plural(objects.count, "object")), \(Format.bytes(total))"])
            .joined(separator: "\n")
    }

    private func versions(
        below place: StorageURI, _ storage: StorageClient
    ) async throws(RunError) -> [VersionManifest] {
        guard let folder = place.appending("manifests/") else { return [] }
        return try await reading { () async throws(APIError) in
            var found: [VersionManifest] = []
            let query = ObjectQuery(prefix: folder.path, limit: 10_000)
            for object in try await storage.objects(in: place.bucket, query).objects
            where object.name.hasSuffix(".json") {
                let bytes = try await storage.read(object.name, in: place.bucket, limit: 16 << 20).bytes
                if let manifest = VersionManifest(bytes) { found.append(manifest) }
            }
            return found.sorted { ($0.time, $0.version) > ($1.time, $1.version) }
        }
    }

    private func json(_ versions: [VersionManifest]) -> String {
        let items = versions.map { version -> JSONValue in
            [
                "version": .string(version.version), "digest": .string(version.digest), "uri": .string(version.uri),
                "files": .integer(Int64(version.files.count)), "sizeBytes": .integer(version.sizeBytes),
                "time": .string(version.time),
            ]
        }
        return JSONValue.object(["versions": .array(items)]).serializedText()
    }

    private func table(_ versions: [VersionManifest]) -> String {
        let width = versions.map(\.version.count).max() ?? 0
        return versions.map { version in
            [
                Format.padded(version.version, width), Format.padded(Format.bytes(version.sizeBytes), 12, onLeft: true),
                Format.padded(Format.plural(version.files.count, "file"), 12, onLeft: true), version.time,
                String(version.digest.prefix(19)),
            ].joined(separator: "  ")
        }.joined(separator: "\n")
    }

    // MARK: pull and push

    private func move(_ place: StorageURI, _ storage: StorageClient) async throws(RunError) -> String {
        let bar = TransferBar(console: complaints)
        let transfer = FolderTransfer(storage, parallelism: options.parallelism) { bar.show($0) }
        let folder = options.folder ?? Self.defaultFolder(place, version: options.version)
        let start = ContinuousClock.now
        let result = await interruptibly { () async throws(APIError) in
            if options.verb == .push { return try await transfer.push(folder, to: place) }
            guard let version = options.version else { return try await transfer.pull(place, to: folder) }
            return try await pull(version, of: place, to: folder, transfer, storage)
        }
        complaints.live("")
        let progress: FolderTransfer.Progress
        do throws(APIError) {
            progress = try result.get()
        } catch {
            throw Self.failure(error, isInterrupted: interrupts.poll() > 0)
        }
        return report(progress, folder, place, seconds: Double((ContinuousClock.now - start) / .seconds(1)))
    }

    /// The version's files in the generations that its manifest names: what has changed since is not taken.
    private func pull(
        _ version: String, of place: StorageURI, to folder: String, _ transfer: FolderTransfer,
        _ storage: StorageClient
    ) async throws(APIError) -> FolderTransfer.Progress {
        guard let path = place.appending("manifests/\(version).json") else {
            throw APIError(.invalid, operation: "pull", message: "\(place) is no folder: end it with /")
        }
        let bytes = try await storage.read(path.path, in: path.bucket, limit: 16 << 20).bytes
        guard let manifest = VersionManifest(bytes), let home = StorageURI(manifest.uri), home.isPrefix else {
            throw APIError(.malformedResponse, operation: "pull", message: "\(path) is no manifest of a version")
        }
        do throws(APIError) {
            return try await transfer.pull(manifest.objects(in: home), below: home, to: folder)
        } catch {
            guard error.code == .notFound else { throw error }
            throw APIError(
                .notFound, operation: "pull",
                message: "a file of \(version) has changed or is gone since it was published: \(error.message)")
        }
    }

    private static func defaultFolder(_ place: StorageURI, version: String?) -> String {
        version ?? place.path.split(separator: "/").last.map(String.init) ?? place.bucket
    }

    private func report(
        _ progress: FolderTransfer.Progress, _ folder: String, _ place: StorageURI, seconds: Double
    ) -> String {
        if options.isJSON {
            return JSONValue.object([
                "files": .integer(Int64(progress.fileCount)), "skipped": .integer(Int64(progress.skippedCount)),
                "bytes": .integer(progress.bytes), "folder": .string(folder), "uri": .string(place.description),
            ]).serializedText()
        }
        let what = "\(Format.plural(progress.fileCount, "file")), \(Format.bytes(progress.bytes))"
        let skipped = progress.skippedCount > 0 ? " (\(Format.count(progress.skippedCount)) were there already)" : ""
        let ends = options.verb == .push ? "\(folder) → \(place)" : "\(place) → \(folder)"
        return "\(ends): \(what)\(skipped) in \(Format.decimal(seconds, 1)) s, checksums verified"
    }

    /// A first Ctrl-C ends the transfer; what has come stays for the next start.
    private func interruptibly(
        _ body: @escaping @Sendable () async throws(APIError) -> FolderTransfer.Progress
    ) async -> Result<FolderTransfer.Progress, APIError> {
        await withTaskGroup(of: Result<FolderTransfer.Progress, APIError>?.self) { group in
            group.addTask {
                do throws(APIError) {
                    return .success(try await body())
                } catch {
                    return .failure(error)
                }
            }
            let interrupts = interrupts
            group.addTask {
                while !Task.isCancelled, interrupts.poll() == 0 { await Pause.milliseconds(50) }
                return nil
            }
            var result: Result<FolderTransfer.Progress, APIError>?
            while result == nil, let next = await group.next() {
                if next == nil { group.cancelAll() }
                result = next
            }
            group.cancelAll()
            return result ?? .failure(APIError(.cancelled, operation: "transfer", message: "the transfer was stopped"))
        }
    }

    // MARK: Errors

    private func reading<Value: Sendable>(
        _ body: () async throws(APIError) -> Value
    ) async throws(RunError) -> Value {
        do throws(APIError) {
            return try await body()
        } catch {
            throw Self.failure(error, isInterrupted: interrupts.poll() > 0)
        }
    }

    private static func failure(_ error: APIError, isInterrupted: Bool) -> RunError {
        if isInterrupted { return RunError(.interrupted, "stopped; the same command goes on where it was") }
        return switch error.code {
        case .notFound: RunError(.missingInput, error.message)
        case .invalid: RunError(.badData, error.message)
        case .unavailable, .timeout, .rateLimited:
            RunError(.unavailable, "\(error.message); the same command goes on where it was")
        default: RunError(.failed, error.message)
        }
    }
}
