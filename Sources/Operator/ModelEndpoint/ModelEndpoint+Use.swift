import HTTP
public import Kubernetes

extension ModelEndpoint {
    /// The versions that it serves, is about to serve, or names.
    var use: ArtifactUse {
        let revisions = [
            status?.active?.modelDigest, status?.active?.modelVersion, status?.candidate?.modelDigest,
            status?.candidate?.modelVersion, spec.model.artifactRef.version, spec.model.artifactRef.digest,
        ]
        let versions = Set(revisions.compactMap { $0 })
        // One that has not begun yet needs what its alias names, and aliased versions are kept anyway.
        return ArtifactUse(
            user: "\(ModelEndpoint.resourceType.kind) \(metadata.name)",
            versions: versions.isEmpty ? [spec.model.artifactRef.alias ?? ""] : versions)
    }

    /// Who of the endpoints uses an artifact, read live: an artifact's data goes only when nobody serves it.
    public static func uses(_ kubernetes: KubernetesClient) -> ArtifactUses {
        { artifact, namespace async throws(APIError) in
            do throws(APIError) {
                return try await kubernetes.list(ModelEndpoint.self, ObjectSelection(namespace: namespace)).items
                    .filter { $0.spec.model.artifactRef.name == artifact }.map(\.use)
            } catch {
                // Where the kind is not installed, nobody serves.
                guard error.code == .notFound else { throw error }
                return []
            }
        }
    }
}
