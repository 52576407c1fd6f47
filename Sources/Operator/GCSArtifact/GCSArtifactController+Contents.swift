import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Synchronization
import Telemetry

/// When an object's contents were looked at last, by this process: that is dear, and nothing follows from how long ago it
/// was.
final class LookTimes: Sendable {
    private static let limit = 16_384
    private let times = Mutex<[String: Duration]>([:])

    /// Whether it is time again; then it counts as looked at.
    ///
    /// - Parameter isAtFirst: whether it is time the first time.
    func isDue(_ key: String, every interval: Duration, now: Duration, isAtFirst: Bool = true) -> Bool {
        times.withLock { times in
            let last = times[key]
            if let last, now - last < interval { return false }
            if times.count >= Self.limit { times = [:] }
            times[key] = now
            return last != nil || isAtFirst
        }
    }

    /// The look failed.
    func forget(_ key: String) { times.withLock { $0[key] = nil } }
}

extension GCSArtifactController {
    private static var verificationInterval: Duration { .seconds(300) }
    /// With a budget, and without.
    private static var usageInterval: (Duration, Duration) { (.seconds(3600), .seconds(10_800)) }
    /// No more are counted; with a budget, and without.
    private static var maximumObjectCount: (Int, Int) { (200_000, 20_000) }
    /// Safetensors files of one version whose beginnings are looked at.
    private static var maximumModelCount: Int { 16 }

    /// Versions and size, now and then, of an object that is in place; never in the first round of a description, so that
    /// a new object is ready soon.
    func observeContents(_ observation: inout GCSArtifactObservation) async throws(APIError) {
        let artifact = observation.artifact
        guard observation.dataBucket != nil, observation.place != nil, let uid = artifact.metadata.uid,
            artifact.status?.observedGeneration == artifact.metadata.generation,
            artifact.status?.conditions.isTrue("Ready") == true
        else { return }
        let names = GCSArtifactVerification.names(in: observation.status)
        let key = "\(uid) \(names.joined(separator: " "))"
        if !names.isEmpty, looks.isDue(key, every: Self.verificationInterval, now: clock.uptime) {
            observation.checks = await checks(names, observation)
            if observation.checks.isEmpty { looks.forget(key) }
        }
        // A list of everything is dear. Without a budget nothing hangs on it: it is made when there is a new version, whose
        // status is written anyway, and now and then.
        let hasBudget = artifact.spec.budget != nil
        let latest = observation.status.latestVersion?.name
        let counted = hasBudget ? uid : "\(uid) counted \(latest ?? "")"
        let interval = hasBudget ? Self.usageInterval.0 : Self.usageInterval.1
        if looks.isDue(counted, every: interval, now: clock.uptime, isAtFirst: hasBudget || latest != nil) {
            observation.usage = await usage(observation)
            if observation.usage == nil { looks.forget(counted) }
        }
    }

    // MARK: Versions

    /// Empty when Cloud Storage could not say: the last verdict stays.
    private func checks(_ names: [String], _ observation: GCSArtifactObservation) async -> [VersionCheck] {
        var checks: [VersionCheck] = []
        for name in names {
            do throws(APIError) {
                checks.append(try await check(name, observation))
            } catch {
                return []
            }
        }
        return checks
    }

    private func check(
        _ name: String, _ observation: GCSArtifactObservation
    ) async throws(APIError) -> VersionCheck {
        guard let place = observation.place.flatMap({ GCSArtifactManifest.place(version: name, in: $0) }) else {
            return VersionCheck(version: name, problem: "its name cannot be an object's")
        }
        let bytes: [UInt8]
        do throws(APIError) {
            bytes = try await storage.read(place.path, in: place.bucket, limit: Self.maximumManifestBytes).bytes
        } catch {
            guard error.code == .notFound else { throw error }
            return VersionCheck(version: name, problem: "its manifest \(place) is gone")
        }
        let published = observation.status.versions.first { $0.name == name }?.digest
        guard GCSArtifactManifest.digest(bytes) == published, let manifest = GCSArtifactManifest(bytes),
            let home = StorageURI(manifest.uri), home.bucket == place.bucket, home.isPrefix
        else { return VersionCheck(version: name, problem: "its manifest \(place) was changed") }
        let required = observation.spec.verification?.requiredFiles ?? []
        let files = try await files(below: home)
        return VersionCheck(
            version: name,
            problem: GCSArtifactVerification.problem(manifest, files: files, requiredFiles: required))
    }

    /// What is wrong with a model's files, as far as their beginnings tell; nil when nothing is.
    func malformedModel(
        _ files: [String: OutputFile], below prefix: StorageURI
    ) async throws(APIError) -> String? {
        let models = files.filter { $0.key.hasSuffix(".safetensors") }.sorted { $0.key < $1.key }
        for (path, file) in models.prefix(Self.maximumModelCount) {
            guard let place = prefix.appending(path) else { continue }
            if let problem = try await problem(of: place, file) { return "\(path) is no safetensors file: \(problem)" }
        }
        return nil
    }

    private func problem(of place: StorageURI, _ file: OutputFile) async throws(APIError) -> String? {
        guard file.sizeBytes >= 8 else { return "it has \(file.sizeBytes) bytes" }
        let start = try await storage.read(
            place.path, in: place.bucket, range: 0..<8, generation: file.generation, limit: 8
        ).bytes
        guard let length = SafetensorsHeader.length(start, fileSize: file.sizeBytes) else {
            return "it begins with a length that it cannot have"
        }
        // A header so long is looked at by whoever loads it.
        guard length <= Self.maximumManifestBytes else { return nil }
        let header = try await storage.read(
            place.path, in: place.bucket, range: 8..<(8 + length), generation: file.generation, limit: Int(length)
        ).bytes
        return SafetensorsHeader.problem(header, dataSize: file.sizeBytes - 8 - length)
    }

    // MARK: Size

    /// nil when it could not be counted.
    private func usage(_ observation: GCSArtifactObservation) async -> StorageUsage? {
        guard let place = observation.place else { return nil }
        let hasBudget = observation.spec.budget != nil
        let limit = hasBudget ? Self.maximumObjectCount.0 : Self.maximumObjectCount.1
        let query = ObjectQuery(prefix: place.path, versions: true, limit: limit)
        do throws(APIError) {
            var usage = StorageUsage()
            usage.isPartial = try await !storage.visitObjects(in: place.bucket, query) { usage.add($0) }
            return usage
        } catch {
            return nil
        }
    }
}
