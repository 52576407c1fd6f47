internal import Encoding
public import HTTP

/// Cloud Run: run v2 at `https://run.googleapis.com/`.
///
/// Changes return at once with an operation that ends when the service is ready or has failed: the service's own
/// conditions tell. Every change and delete may carry the etag of the service that was read.
public struct RunClient: Sendable {
    private let client: GoogleCloudClient

    public init(_ client: GoogleCloudClient) {
        self.client = client
    }

    private func call(
        _ operation: String, _ method: HTTPMethod, _ path: [PathPart], verb: StaticString? = nil,
        query: [HTTPURL.QueryItem] = [], body: (any Encodable)? = nil
    ) throws(APIError) -> GoogleCall {
        try GoogleCall(
            "run.\(operation)", method, origin: "https://run.googleapis.com", path: ["v2"] + path, verb: verb,
            query: query, body: body)
    }

    // MARK: Services

    /// Maps to `POST v2/{location}/services?serviceId=S`.
    ///
    /// - Parameter validateOnly: makes nothing; the operation's `response` is the service with all defaults.
    /// - Throws: `.alreadyExists`, `.invalid` (a GPU quota that does not suffice too), `.forbidden`.
    public func createService(
        _ id: String, _ configuration: RunServiceConfiguration, in location: LocationName, validateOnly: Bool = false
    ) async throws(APIError) -> RunOperation {
        let id = try NameKind.runService.check(id, operation: "run.services.create")
        return try await client.value(
            call(
                "services.create", .post, location.path + ["services"],
                query: [HTTPURL.QueryItem("serviceId", id)].adding("validateOnly", validateOnly), body: configuration))
    }

    /// Maps to `GET v2/{location}/services/S`.
    ///
    /// - Throws: `.notFound`.
    public func service(_ id: String, in location: LocationName) async throws(APIError) -> RunService {
        try await client.value(call("services.get", .get, location.path(service: id)))
    }

    /// Maps to `GET v2/{location}/services`.
    public func services(in location: LocationName) async throws(APIError) -> Listing<RunService> {
        try await client.list(call("services.list", .get, location.path + ["services"]), "services")
    }

    /// Changes a service. Maps to `PATCH v2/{location}/services/S`.
    ///
    /// - Parameters:
    ///   - etag: of the service that was read; nil changes whatever is there.
    ///   - updateMask: only these fields (`traffic`, `template`, …); empty replaces all that can be set.
    ///   - allowMissing: makes the service where there is none.
    ///   - validateOnly: changes nothing.
    /// - Throws: `.conflict` when it is not the one of the etag any more, `.notFound`, `.invalid`.
    public func patchService(
        _ id: String, _ configuration: RunServiceConfiguration, etag: String?, updateMask: [String] = [],
        allowMissing: Bool = false, validateOnly: Bool = false, in location: LocationName
    ) async throws(APIError) -> RunOperation {
        let query = [HTTPURL.QueryItem]()
            .adding("updateMask", updateMask.isEmpty ? nil : updateMask.joined(separator: ","))
            .adding("allowMissing", allowMissing).adding("validateOnly", validateOnly)
        return try await client.value(
            call(
                "services.patch", .patch, location.path(service: id), query: query,
                body: RunServicePatch(configuration: configuration, etag: etag)))
    }

    /// Maps to `DELETE v2/{location}/services/S?etag=E`.
    ///
    /// - Parameter etag: of the service that was read, so that only that one is deleted.
    /// - Throws: `.conflict` when it is not the one of the etag any more, `.notFound`.
    public func deleteService(
        _ id: String, etag: String?, in location: LocationName, validateOnly: Bool = false
    ) async throws(APIError) -> RunOperation {
        try await client.value(
            call(
                "services.delete", .delete, location.path(service: id),
                query: [HTTPURL.QueryItem]().adding("etag", etag).adding("validateOnly", validateOnly)))
    }

    // MARK: Revisions

    /// Maps to `GET v2/{location}/services/S/revisions/R`.
    ///
    /// - Throws: `.notFound`.
    public func revision(
        _ id: String, of service: String, in location: LocationName
    ) async throws(APIError) -> RunRevision {
        try await client.value(
            call("services.revisions.get", .get, location.path(service: service, revision: id)))
    }

    /// Maps to `GET v2/{location}/services/S/revisions`.
    public func revisions(of service: String, in location: LocationName) async throws(APIError) -> Listing<RunRevision>
    {
        try await client.list(
            call("services.revisions.list", .get, location.path(service: service) + ["revisions"]), "revisions")
    }

    /// Maps to `DELETE v2/{location}/services/S/revisions/R?etag=E`.
    ///
    /// - Throws: `.conflict` when the etag is another's, `.invalid` while traffic goes to it, `.notFound`.
    public func deleteRevision(
        _ id: String, of service: String, etag: String?, in location: LocationName
    ) async throws(APIError) -> LongRunningOperation<RunRevision> {
        try await client.value(
            call(
                "services.revisions.delete", .delete, location.path(service: service, revision: id),
                query: [HTTPURL.QueryItem]().adding("etag", etag)))
    }

    // MARK: Access

    /// Maps to `GET v2/{service}:getIamPolicy?options.requestedPolicyVersion=3`.
    public func policy(ofService id: String, in location: LocationName) async throws(APIError) -> IAMPolicy {
        try await client.value(
            call(
                "services.getIamPolicy", .get, location.path(service: id), verb: "getIamPolicy",
                query: [HTTPURL.QueryItem("options.requestedPolicyVersion", "3")]))
    }

    /// Maps to `POST v2/{service}:setIamPolicy`.
    ///
    /// - Throws: `.conflict` when somebody has changed the policy since it was read, `.invalid` without its etag.
    public func setPolicy(
        _ policy: IAMPolicy, ofService id: String, in location: LocationName
    ) async throws(APIError) -> IAMPolicy {
        let body = SetPolicyRequest(policy: try policy.forSetting(operation: "run.services.setIamPolicy"))
        return try await client.value(
            call("services.setIamPolicy", .post, location.path(service: id), verb: "setIamPolicy", body: body))
    }

    /// The ones of these permissions that we have. Maps to `POST v2/{service}:testIamPermissions`.
    public func grantedPermissions(
        _ permissions: [String], onService id: String, in location: LocationName
    ) async throws(APIError) -> Set<String> {
        let reply: TestPermissionsReply = try await client.value(
            call(
                "services.testIamPermissions", .post, location.path(service: id), verb: "testIamPermissions",
                body: TestPermissionsRequest(permissions: permissions)))
        return Set(reply.permissions ?? [])
    }

    // MARK: Operations

    /// Maps to `GET v2/projects/P/locations/L/operations/ID`.
    ///
    /// - Parameter name: as it was returned.
    /// - Throws: `.notFound` when it is too old: then only the service itself tells.
    public func operation(_ name: String) async throws(APIError) -> RunOperation {
        try await client.value(
            call("operations.get", .get, OperationName(name, operation: "run.operations.get").path))
    }

    /// Returns when the operation ends or the time is over. Maps to `POST v2/projects/P/locations/L/operations/ID:wait`.
    ///
    /// - Parameter seconds: 1 to 60.
    public func waitForOperation(_ name: String, seconds: Int) async throws(APIError) -> RunOperation {
        let seconds = min(max(seconds, 1), 60)
        var call = try call(
            "operations.wait", .post, OperationName(name, operation: "run.operations.wait").path, verb: "wait",
            body: ["timeout": "\(seconds)s"])
        call.timeout = .seconds(seconds + 30)
        return try await client.value(call)
    }
}

extension LocationName {
    fileprivate func path(service id: String) -> [PathPart] { path + ["services", .checked(.runService, id)] }

    fileprivate func path(service: String, revision id: String) -> [PathPart] {
        path(service: service) + ["revisions", .checked(.revision, id)]
    }
}

/// The body of a patch: the configuration's fields and the etag beside them.
private struct RunServicePatch: Encodable {
    var configuration: RunServiceConfiguration
    var etag: String?

    private enum CodingKeys: String, CodingKey { case etag }

    func encode(to encoder: any Encoder) throws {
        try configuration.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(etag, forKey: .etag)
    }
}
