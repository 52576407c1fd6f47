import Encoding
import GoogleCloud
import HTTP
import Testing

/// Container images in Artifact Registry.
@Suite struct ArtifactRegistryTests {
    private static let digest = "sha256:" + String(repeating: "0a", count: 32)
    private static let repository =
        "https://artifactregistry.googleapis.com/v1/projects/p1/locations/us-central1/repositories/ml"

    private func image(_ text: String) throws -> RegistryImage { try #require(RegistryImage(text)) }

    @Test func `a tag stands for a digest`() async throws {
        let image = try image("us-central1-docker.pkg.dev/p1/ml/vision/mnist:v1")
        let digest = try await expectCall(
            "GET \(Self.repository)/packages/vision%2Fmnist/tags/v1",
            reply: [
                "name": "projects/p1/locations/us-central1/repositories/ml/packages/vision%2Fmnist/tags/v1",
                "version": .string(
                    "projects/p1/locations/us-central1/repositories/ml/packages/vision%2Fmnist/versions/\(Self.digest)"),
            ]
        ) { google throws(APIError) in try await ArtifactRegistryClient(google).digest(of: image) }
        #expect(digest == Self.digest)
    }

    @Test func `a digest stands for itself, where it is there`() async throws {
        let image = try image("us-central1-docker.pkg.dev/p1/ml/mnist@\(Self.digest)")
        let digest = try await expectCall(
            "GET \(Self.repository)/packages/mnist/versions/sha256%3A\(Self.digest.dropFirst(7))",
            reply: ["name": .string("x/versions/\(Self.digest)")]
        ) { google throws(APIError) in try await ArtifactRegistryClient(google).digest(of: image) }
        #expect(digest == Self.digest)
    }

    @Test func `only images of Artifact Registry are read`() {
        #expect(RegistryImage("us-docker.pkg.dev/p1/ml/mnist")?.reference == .tag("latest"))
        #expect(RegistryImage("us-docker.pkg.dev/p1/ml/mnist:v1@\(Self.digest)")?.reference == .digest(Self.digest))
        for other in [
            "mnist", "docker.io/library/mnist:1", "gcr.io/p1/mnist:1", "evil.com/us-docker.pkg.dev/p1/ml/mnist",
            "us-docker.pkg.dev/p1/ml", "us-docker.pkg.dev/p1/ml/", "us-docker.pkg.dev/p1/ml/a:b:c",
            "us-docker.pkg.dev/p1/ml/a@sha256:12", "us-docker.pkg.dev/p1/ml/../other", "-docker.pkg.dev/p1/ml/a",
            "us-docker.pkg.dev/example.com/p1/ml/a b",
        ] { #expect(RegistryImage(other) == nil, "\(other)") }
    }
}
