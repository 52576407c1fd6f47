import Encoding
import GoogleCloud
import HTTP
import Telemetry
import Training
import TrainingContract

/// Cloud Storage as the trainer's storage.
struct CloudStorage: Sendable {
    let client: StorageClient
    private let clock: any WallClock

    /// More than any file that the trainer reads.
    private static let readLimit = 2 << 30
    /// Tries of a list or delete; uploads and downloads count their own.
    private static let attempts = 5

    static func isURI(_ text: String) -> Bool { text.hasPrefix("gs://") && StorageURI(text) != nil }

    /// - Parameter environment: `STORAGE_EMULATOR_HOST` names an emulator on this machine; else Application Default
    ///   Credentials are looked for.
    /// - Throws: `.usage` when that is not on this machine, or a credential file cannot be used; `.storageUnavailable`
    ///   when the client cannot be made.
    init(environment: [String: String], clock: any WallClock) throws(TrainingError) {
        do throws(APIError) {
            if let endpoint = environment[TrainingEnvironment.storageEmulatorHost], !endpoint.isEmpty {
                let override = try EndpointOverride(
                    hosts: ["storage.googleapis.com", "*.storage.googleapis.com"], endpoint: endpoint)
                let transport = try CurlTransport(options: CurlOptions(overrides: [override]))
                client = StorageClient(GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: clock))
            } else {
                let transport = try CurlTransport()
                let credentials = try Credentials.find(
                    environment: environment, transport: transport, clock: clock)
                client = StorageClient(
                    GoogleCloudClient(transport: transport, tokens: credentials.tokens, clock: clock))
            }
        } catch {
            let isSetting = [.insecure, .unauthorized, .invalid].contains(error.code)
            throw TrainingError(isSetting ? .usage : .storageUnavailable, error.message)
        }
        self.clock = clock
    }

    func read(_ uri: String) async throws(TrainingError) -> [UInt8]? {
        let place = try Self.place(uri)
        do throws(APIError) {
            return try await client.read(place.path, in: place.bucket, limit: Self.readLimit).bytes
        } catch {
            if error.code == .notFound { return nil }
            throw Self.failure("cannot read \(uri)", error)
        }
    }

    func write(_ uri: String, _ bytes: [UInt8], _ contentType: String) async throws(TrainingError) {
        let place = try Self.place(uri)
        do throws(APIError) {
            _ = try await client.upload(
                bytes, to: place.path, in: place.bucket, options: UploadOptions(contentType: contentType))
        } catch {
            throw Self.failure("cannot write \(uri)", error)
        }
    }

    func list(_ prefix: String) async throws(TrainingError) -> [String] {
        let place = try Self.place(prefix)
        return try await retrying("cannot list \(prefix)") { () async throws(APIError) -> [String] in
            var query = ObjectQuery()
            query.prefix = place.path
            do throws(APIError) {
                return try await client.objects(in: place.bucket, query).objects.map {
                    "gs://\(place.bucket)/\($0.name)"
                }
            } catch {
                if error.code == .notFound { return [] }
                throw error
            }
        }
    }

    func delete(_ uri: String) async throws(TrainingError) {
        let place = try Self.place(uri)
        try await retrying("cannot delete \(uri)") { () async throws(APIError) in
            do throws(APIError) {
                try await client.deleteObject(place.path, in: place.bucket)
            } catch {
                if error.code != .notFound { throw error }
            }
        }
    }

    private func retrying<Value: Sendable>(
        _ what: String, _ body: () async throws(APIError) -> Value
    ) async throws(TrainingError) -> Value {
        var attempt = 1
        while true {
            do throws(APIError) {
                return try await body()
            } catch {
                guard error.isTransient, attempt < Self.attempts else { throw Self.failure(what, error) }
                let delay = error.retryAfter ?? .milliseconds(250 << attempt)
                // A cancelled sleep ends at once; the next try then fails as cancelled.
                try? await clock.sleep(for: delay)
                attempt += 1
            }
        }
    }

    private static func place(_ uri: String) throws(TrainingError) -> StorageURI {
        guard let place = StorageURI(uri) else {
            throw TrainingError(.usage, "\"\(uri.prefix(200))\" is not a place in Cloud Storage")
        }
        return place
    }

    private static func failure(_ what: String, _ error: APIError) -> TrainingError {
        TrainingError(.storageUnavailable, "\(what): \(error.description)")
    }
}
