import GoogleCloud
import HTTP
import Testing

@Suite struct ClusterMetadataTests {
    private static let values = [
        "/computeMetadata/v1/project/project-id": "my-project",
        "/computeMetadata/v1/instance/attributes/cluster-location": "us-central1\n",
        "/computeMetadata/v1/instance/attributes/cluster-name": "training",
    ]

    private struct Handler: HTTPHandler {
        var values: [String: String]
        var flavor: String?

        func respond(to request: HTTPRequest) async -> HTTPReply {
            var headers = HTTPHeaders()
            headers["Metadata-Flavor"] = flavor
            guard request.headers["Metadata-Flavor"] == "Google", let value = values[request.url.path] else {
                return HTTPReply(status: 404, headers: headers, body: Array("<html>".utf8))
            }
            return HTTPReply(status: 200, headers: headers, body: Array(value.utf8))
        }
    }

    private func lookUp(
        _ values: [String: String] = values, flavor: String? = "Google", environment: [String: String] = [:]
    ) async throws(APIError) -> ClusterName {
        try await ClusterName.fromMetadataServer(
            environment: environment, transport: HandlerTransport(Handler(values: values, flavor: flavor)))
    }

    @Test func `a GKE node's metadata server names the cluster`() async throws {
        #expect(
            try await lookUp() == ClusterName("projects/my-project/locations/us-central1/clusters/training"))
    }

    @Test func `a machine without a cluster is told apart from one without a metadata server`() async throws {
        var values = ClusterMetadataTests.values
        values["/computeMetadata/v1/instance/attributes/cluster-location"] = nil
        let outside = await failure { () async throws(APIError) in try await lookUp(values) }
        #expect(
            outside
                == APIError(
                    .notFound, operation: "metadata.cluster",
                    message: "the metadata server has no instance/attributes/cluster-location", httpStatus: 404))
        let other = await failure { () async throws(APIError) in try await lookUp(flavor: nil) }
        #expect(
            other
                == APIError(
                    .unavailable, operation: "metadata.cluster",
                    message: "what answers at metadata.google.internal is no metadata server", httpStatus: 200))
        let client = try CurlTransport()
        let nobody = await failure { () async throws(APIError) in
            try await ClusterName.fromMetadataServer(
                environment: ["GCE_METADATA_HOST": "no-such-host.invalid"], transport: client)
        }
        #expect(
            nobody
                == APIError(
                    .unavailable, operation: "metadata.cluster",
                    message: "no metadata server at no-such-host.invalid: Could not resolve host: no-such-host.invalid")
        )
        await client.shutDown()
    }

    @Test func `answers that are no names, and a host that is none, are refused`() async throws {
        var values = ClusterMetadataTests.values
        values["/computeMetadata/v1/instance/attributes/cluster-name"] = "../evil"
        let evil = await failure { () async throws(APIError) in try await lookUp(values) }
        #expect(evil?.code == .malformedResponse)
        let host = await failure { () async throws(APIError) in
            try await lookUp(environment: ["GCE_METADATA_HOST": "a/b"])
        }
        #expect(host?.code == .invalid)
    }
}
