public import HTTP

/// Container images in Artifact Registry, read only: artifactregistry v1 at `https://artifactregistry.googleapis.com/`.
public struct ArtifactRegistryClient: Sendable {
    private let client: GoogleCloudClient

    public init(_ client: GoogleCloudClient) {
        self.client = client
    }

    private func call(_ operation: String, _ path: [PathPart]) throws(APIError) -> GoogleCall {
        try GoogleCall(
            "artifactregistry.\(operation)", .get, origin: "https://artifactregistry.googleapis.com",
            path: ["v1", "projects"] + path)
    }

    /// The digest that an image's tag stands for, or the image's own, when the registry has it.
    ///
    /// Maps to `GET …/packages/P/tags/T` and `GET …/packages/P/versions/sha256:…`; where that is not found, to
    /// `GET …/repositories/R`, because a remote or virtual repository may fetch what it does not hold yet.
    ///
    /// - Throws: `.notFound` only when the image is certainly not there; what the API says otherwise.
    public func digest(of image: RegistryImage) async throws(APIError) -> String {
        do throws(APIError) {
            return try await version(of: image)
        } catch  where error.code == .notFound {
            struct Repository: Decodable { var mode: String? }
            let missing = error
            let repository: Repository = try await client.value(
                call("projects.locations.repositories.get", image.repositoryPath))
            guard repository.mode == nil || repository.mode == "STANDARD_REPOSITORY" else {
                throw APIError(
                    .invalid, operation: missing.operation,
                    message: "\(image.repository) is a repository that fetches what it does not hold")
            }
            throw missing
        }
    }

    private func version(of image: RegistryImage) async throws(APIError) -> String {
        let package = image.repositoryPath + ["packages", .checked(.imagePackage, image.package)]
        switch image.reference {
        case .digest(let digest):
            struct Version: Decodable { var name: String? }
            let _: Version = try await client.value(
                call(
                    "projects.locations.repositories.packages.versions.get",
                    package + ["versions", .checked(.imageDigest, digest)]))
            return digest
        case .tag(let tag):
            struct Tag: Decodable { var version: String }
            let found: Tag = try await client.value(
                call(
                    "projects.locations.repositories.packages.tags.get",
                    package + ["tags", .checked(.imageTag, tag)]))
            return try NameKind.imageDigest.check(
                String(found.version.split(separator: "/").last ?? ""), operation: "artifactregistry.tags.get")
        }
    }
}

extension RegistryImage {
    fileprivate var repositoryPath: [PathPart] {
        [
            .checked(.project, project), "locations", .checked(.location, location), "repositories",
            .checked(.imageRepository, repository),
        ]
    }
}

/// An image in Artifact Registry: `LOCATION-docker.pkg.dev/PROJECT/REPOSITORY/PACKAGE:TAG`, or `@sha256:…` for the tag.
public struct RegistryImage: Sendable, Hashable {
    public enum Reference: Sendable, Hashable {
        case tag(String)
        case digest(String)
    }

    public var location: String
    public var project: String
    public var repository: String
    /// With slashes where the image lies deeper.
    public var package: String
    public var reference: Reference

    /// nil for images elsewhere, and for those of a project in a domain.
    public init?(_ image: String) {
        let parts = image.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
        let suffix = "-docker.pkg.dev"
        guard parts.count == 4, parts[0].hasSuffix(suffix), !parts[3].isEmpty else { return nil }
        location = String(parts[0].dropLast(suffix.count))
        project = parts[1]
        repository = parts[2]
        let halves = parts[3].split(separator: "@", omittingEmptySubsequences: false).map(String.init)
        let named = halves[0].split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard halves.count <= 2, named.count <= 2 else { return nil }
        package = named[0]
        if halves.count == 2 {
            reference = .digest(halves[1])
        } else {
            reference = .tag(named.count == 2 ? named[1] : "latest")
        }
        guard NameKind.location.accepts(location), NameKind.project.accepts(project),
            NameKind.imageRepository.accepts(repository), NameKind.imagePackage.accepts(package)
        else { return nil }
        switch reference {
        case .tag(let tag): guard NameKind.imageTag.accepts(tag) else { return nil }
        case .digest(let digest): guard NameKind.imageDigest.accepts(digest) else { return nil }
        }
    }
}
