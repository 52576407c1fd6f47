import Encoding
import GoogleCloud
import Kubernetes

/// Which version is to be served, and whether it may be.
enum ModelEndpointModel {
    /// A version as the artifact's status names it.
    struct Named: Sendable, Hashable {
        var version: String
        var digest: String
    }

    enum Resolution: Sendable, Hashable {
        case named(Named)
        case missing(ModelEndpointReason, String)
    }

    /// Looks the reference up in the artifact's status.
    static func resolve(
        _ reference: ModelEndpoint.Model.ArtifactReference, in artifact: GCSArtifact?
    ) -> Resolution {
        guard let artifact, !artifact.metadata.isDeleting else {
            return .missing(.artifactNotFound, "there is no GCSArtifact \(reference.name) in this namespace")
        }
        let status = artifact.status ?? GCSArtifact.Status()
        let version: GCSArtifact.Status.Version?
        if let alias = reference.alias {
            guard let target = status.aliases.first(where: { $0.name == alias }) else {
                return .missing(
                    .versionNotFound, "the alias \(alias) of \(reference.name) does not point at a version yet")
            }
            version = status.versions.first { $0.name == target.version }
        } else if let name = reference.version {
            version = status.versions.first { $0.name == name }
        } else {
            version = status.versions.first { $0.digest == reference.digest }
        }
        guard let version else {
            let wanted = reference.version ?? reference.digest ?? reference.alias ?? ""
            return .missing(.versionNotFound, "\(reference.name) has no version \(wanted)")
        }
        guard version.verified == true else {
            return .missing(
                .versionNotVerified, "version \(version.name) of \(reference.name) is not as it was published")
        }
        return .named(Named(version: version.name, digest: version.digest))
    }

    /// The first requirement that a version does not meet, as a sentence; nil when it meets all.
    static func unmet(_ spec: ModelEndpoint.Spec, _ model: TargetModel) -> String? {
        for requirement in spec.model.requirements ?? [] {
            let wanted = "\(requirement.metric) \(requirement.operator.symbol) \(requirement.value)"
            guard let text = model.metrics[requirement.metric], let value = Double(text) else {
                return "version \(model.version) was recorded without \(requirement.metric), which must be \(wanted)"
            }
            guard let bound = Double(requirement.value), requirement.operator.holds(value, bound) else {
                return "version \(model.version) has \(requirement.metric) \(text); required is \(wanted)"
            }
        }
        return nil
    }
}
