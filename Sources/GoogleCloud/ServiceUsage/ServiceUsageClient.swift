public import HTTP

/// Which APIs a project has switched on, read only: serviceusage v1 at `https://serviceusage.googleapis.com/`.
public struct ServiceUsageClient: Sendable {
    private let client: GoogleCloudClient

    public init(_ client: GoogleCloudClient) {
        self.client = client
    }

    private func call(
        _ operation: String, project: String, _ path: [PathPart], verb: StaticString? = nil,
        query: [HTTPURL.QueryItem] = []
    ) throws(APIError) -> GoogleCall {
        try GoogleCall(
            "serviceusage.services.\(operation)", .get, origin: "https://serviceusage.googleapis.com",
            path: ["v1", "projects", .checked(.project, project), "services"] + path, verb: verb, query: query)
    }

    /// Maps to `GET v1/projects/P/services/S`.
    ///
    /// - Parameter name: `container.googleapis.com`, …
    /// - Throws: `.forbidden`, also when there is no such service.
    public func service(_ name: String, project: String) async throws(APIError) -> APIService {
        try await client.value(call("get", project: project, [.checked(.apiService, name)]))
    }

    /// Several at once. Maps to `GET v1/projects/P/services:batchGet?names=…&names=…`.
    ///
    /// - Parameter names: 1 to 30.
    /// - Throws: `.invalid` when they are too many or none.
    public func services(_ names: [String], project: String) async throws(APIError) -> [APIService] {
        struct Reply: Decodable { var services: [APIService]? }
        let operation = "serviceusage.services.batchGet"
        guard (1...30).contains(names.count) else {
            throw APIError(.invalid, operation: operation, message: "1 to 30 services at once, not \(names.count)")
        }
        try NameKind.project.check(project, operation: operation)
        var query: [HTTPURL.QueryItem] = []
        for name in names {
            try NameKind.apiService.check(name, operation: operation)
            query.append(.init("names", "projects/\(project)/services/\(name)"))
        }
        let reply: Reply = try await client.value(
            call("batchGet", project: project, [], verb: "batchGet", query: query))
        return reply.services ?? []
    }

    /// All that are switched on. Maps to `GET v1/projects/P/services?filter=state:ENABLED`.
    public func enabledServices(project: String) async throws(APIError) -> Listing<APIService> {
        try await client.list(
            call("list", project: project, [], query: [.init("filter", "state:ENABLED"), .init("pageSize", "200")]),
            "services")
    }
}

/// An API in a project.
public struct APIService: Decodable, Sendable, Hashable {
    public enum State: String, Sendable, Hashable {
        case enabled = "ENABLED"
        case disabled = "DISABLED"
    }

    struct Config: Decodable, Sendable, Hashable { var name: String? }

    /// `projects/NUMBER/services/S`.
    public var name: String
    public var state: OpenEnum<State>?
    var config: Config?

    /// `container.googleapis.com`, …
    public var id: String { config?.name ?? name.split(separator: "/").last.map(String.init) ?? name }
    public var isEnabled: Bool { state == .known(.enabled) }
}
