import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes

/// Whether the published versions are still what their manifests say. Only those that somebody may use by a name are looked
/// at: the latest, and those that aliases point at.
enum GCSArtifactVerification {
    typealias Observation = GCSArtifactObservation
    typealias Status = GCSArtifact.Status

    /// One round looks at so many.
    static let maximumCount = 8
    static let condition = "Verified"

    /// The versions to look at, newest first.
    static func names(in status: Status) -> [String] {
        let wanted = Set([status.latestVersion?.name].compactMap { $0 } + status.aliases.map(\.version))
        return Array(status.versions.map(\.name).filter(wanted.contains).prefix(maximumCount))
    }

    /// What is not as published; nil when all is. The first path in the manifest's order.
    ///
    /// - Parameter files: below the manifest's place, by relative path.
    static func problem(
        _ manifest: GCSArtifactManifest, files: [String: OutputFile], requiredFiles: [String]
    ) -> String? {
        for file in manifest.files {
            guard let found = files[file.path] else { return "\(file.path) is gone" }
            guard found.crc32c == file.crc32c, found.sizeBytes == file.sizeBytes else {
                return
                    "\(file.path) has other bytes than were published (CRC32C \(found.crc32c), published \(file.crc32c))"
            }
            guard String(found.generation) == file.generation else {
                return "\(file.path) was written again (generation \(found.generation), published \(file.generation))"
            }
        }
        let paths = Set(manifest.files.map(\.path))
        return requiredFiles.first { !paths.contains($0) }.map { "the required file \($0) is not in it" }
    }

    // MARK: Status

    /// The verdicts of this round; where nothing was looked at, the last ones stay.
    static func apply(_ status: inout Status, _ observation: Observation) {
        for check in observation.checks {
            guard let index = status.versions.firstIndex(where: { $0.name == check.version }) else { continue }
            status.versions[index].verified = check.problem == nil
            guard status.latestVersion?.name == check.version else { continue }
            status.latestVersion?.verified = check.problem == nil
            status.latestVersion?.reason = check.problem == nil ? nil : GCSArtifactReason.versionChanged.rawValue
        }
    }

    /// `Verified`'s reason and message; nil where there is no version yet, or none was looked at.
    static func verdict(
        _ observation: Observation, _ status: Status
    ) -> (isTrue: Bool, reason: GCSArtifactReason, message: String)? {
        guard !status.versions.isEmpty else { return nil }
        guard !observation.checks.isEmpty else {
            guard let before = observation.status.conditions.first(ofType: condition) else { return nil }
            let reason: GCSArtifactReason = before.status == .true ? .verified : .versionChanged
            return (before.status == .true, reason, before.message)
        }
        if let broken = observation.checks.first(where: { $0.problem != nil }) {
            return (false, .versionChanged, "version \(broken.version): \(broken.problem ?? "")")
        }
        let names = observation.checks.map(\.version).joined(separator: ", ")
        return (true, .verified, "as published: \(names)")
    }
}

/// What was found where a version lies.
public struct VersionCheck: Sendable, Hashable {
    public var version: String
    /// nil: it is as published.
    public var problem: String?

    public init(version: String, problem: String?) {
        self.version = version
        self.problem = problem
    }
}
