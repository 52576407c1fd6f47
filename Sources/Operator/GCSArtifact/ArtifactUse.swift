public import HTTP
import Kubernetes

/// Somebody who needs an artifact's data, as plain values: a new kind of user needs nothing here.
public struct ArtifactUse: Sendable, Hashable {
    /// Kind and name: `ModelEndpoint mnist`.
    public var user: String
    /// Names and digests of the versions that are needed.
    public var versions: Set<String>
    /// `gs://bucket/prefix/` that is read from.
    public var places: Set<String>

    /// One that says neither which versions nor which places needs all of them.
    public init(user: String, versions: Set<String> = [], places: Set<String> = []) {
        self.user = user
        self.versions = versions
        self.places = places
    }

    /// Whether a version is needed that has this name and digest and whose files lie there.
    func needs(_ name: String, digest: String, at place: String) -> Bool {
        if versions.isEmpty, places.isEmpty { return true }
        return versions.contains(name) || versions.contains(digest)
            || places.contains { $0.hasPrefix(place) || place.hasPrefix($0) }
    }
}

/// Who uses an artifact, beside TrainingJobs and other artifacts: by the artifact's name and namespace.
public typealias ArtifactUses =
    @Sendable (_ artifact: String, _ namespace: String) async throws(APIError) -> [ArtifactUse]

extension ArtifactUse {
    /// The runs that read the artifact's data now.
    static func ofJobs(_ jobs: [TrainingJob], at place: String) -> [ArtifactUse] {
        jobs.compactMap { job in
            guard let run = job.status?.run, run.result == nil else { return nil }
            let inputs = run.inputs.filter { $0.uri?.hasPrefix(place) == true }
            guard !inputs.isEmpty else { return nil }
            let versions = inputs.flatMap { [$0.version, $0.digest].compactMap { $0 } }
            // Where the version is known, its folder is too: the place alone would hold all versions.
            let places = inputs.filter { $0.version == nil && $0.digest == nil }.compactMap(\.uri)
            return ArtifactUse(
                user: "TrainingJob \(job.metadata.name)", versions: Set(versions), places: Set(places))
        }
    }
}
