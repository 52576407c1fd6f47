internal import Encoding
internal import HTTP

/// artifactregistry v1, read only: every image is there, but those that the script says are missing.
struct ArtifactRegistryAPI: CloudAPI {
    static let routes: [Route] = {
        let repository = "v1/projects/{project}/locations/{location}/repositories/{repository}"
        let method = "artifactregistry.projects.locations.repositories"
        return [
            Route(.get, "\(repository)/packages/{package}/tags/{tag}", "\(method).packages.tags.get"),
            Route(.get, "\(repository)/packages/{package}/versions/{version}", "\(method).packages.versions.get"),
            Route(.get, repository, "\(method).get"),
        ]
    }()

    mutating func perform(
        _ call: APICall, in world: CloudWorld, shared: inout SharedState
    ) throws(CloudError) -> HTTPReply {
        let parent = "projects/\(call["project"])/locations/\(call["location"])/repositories/\(call["repository"])"
        let base = "\(call["location"])-docker.pkg.dev/\(call["project"])/\(call["repository"])"
        guard !call["package"].isEmpty else {
            let mode = world.script.apis.remoteRepositories.contains(base) ? "REMOTE_REPOSITORY" : "STANDARD_REPOSITORY"
            return .json(["name": .string(parent), "format": "DOCKER", "mode": .string(mode)])
        }
        let tag = call["tag"]
        let image = "\(base)/\(call["package"])" + (tag.isEmpty ? "@\(call["version"])" : ":\(tag)")
        let resource = call.request.url.path.dropFirst("/v1/".count)
        if world.script.apis.unauthorizedImages.contains(image) {
            throw .permissionDenied("artifactregistry.tags.get", resource: String(resource))
        }
        guard !world.script.apis.missingImages.contains(image) else {
            throw .resourceNotFound("Requested entity was not found.")
        }
        let package = HTTPURL.encodedSegment(call["package"])
        let digest = tag.isEmpty ? call["version"] : Self.digest(of: image)
        let version = "\(parent)/packages/\(package)/versions/\(digest)"
        return .json(
            tag.isEmpty
                ? ["name": .string(version)]
                : ["name": .string("\(parent)/packages/\(package)/tags/\(tag)"), "version": .string(version)])
    }

    /// The same for the same image, and like no other's.
    static func digest(of image: String) -> String {
        let parts = (0..<8).map { StableHash.hex(UInt32(truncatingIfNeeded: StableHash.fnv1a("\($0) \(image)"))) }
        return "sha256:" + parts.joined()
    }
}
