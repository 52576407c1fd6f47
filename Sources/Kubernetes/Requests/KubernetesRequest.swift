public import Encoding
public import HTTP

/// One request to a Kubernetes API server as a value: built here, sent by `KubernetesClient`, compared in tests.
public struct KubernetesRequest: Sendable, Hashable {
    public var method: HTTPMethod
    /// Percent-encoded path below the server's URL.
    public var path: String
    public var query: [HTTPURL.QueryItem]
    public var contentType: String?
    /// The forms of the reply that are wanted.
    public var accept = "application/json"
    public var body: JSONValue?
    /// What errors and metrics call it, e.g. `PATCH trainingjobs/status`.
    public var operation: String
    /// As `HTTPRequest.timeout`: for the whole call, or for the longest silence of a watch.
    public var timeout: Duration

    init(
        _ method: HTTPMethod, _ type: ResourceType, namespace: String?, name: String? = nil,
        subresource: String? = nil, query: [HTTPURL.QueryItem] = [], contentType: String? = nil,
        body: JSONValue? = nil, timeout: Duration = .seconds(30)
    ) {
        self.method = method
        self.path = type.path(namespace: namespace, name: name, subresource: subresource)
        self.query = query
        self.contentType = body == nil ? nil : contentType ?? "application/json"
        self.body = body
        self.operation = "\(method.rawValue) \(type.plural)" + (subresource.map { "/" + $0 } ?? "")
        self.timeout = timeout
    }

    /// Whether the reply goes on until the server ends it.
    var isWatch: Bool { query.contains { $0.name == "watch" && $0.value == "true" } }

    /// The same request for nothing but the metadata of each object; a server that cannot do that sends them whole.
    public func forMetadata() -> Self {
        var request = self
        let kind = isList ? "PartialObjectMetadataList" : "PartialObjectMetadata"
        request.accept = "application/json;as=\(kind);g=meta.k8s.io;v=v1,application/json"
        return request
    }

    private var isList: Bool { query.contains { $0.name == "limit" } }

    /// The request on the wire; `server` may have a path of its own, as behind a proxy.
    public func httpRequest(server: HTTPURL, headers: HTTPHeaders = HTTPHeaders()) -> HTTPRequest {
        var headers = headers
        headers["Accept"] = accept
        if let contentType { headers["Content-Type"] = contentType }
        let prefix = server.path.hasSuffix("/") ? String(server.path.dropLast()) : server.path
        return HTTPRequest(
            method, HTTPURL(origin: server.origin, path: prefix + path, query: query), headers: headers,
            body: body?.serialized() ?? [], timeout: timeout, maximumResponseBytes: 256 << 20)
    }
}

extension ResourceType {
    /// `/api/v1/…` for the core group, `/apis/group/version/…` for the others; `namespace` nil means all of them.
    func path(namespace: String?, name: String? = nil, subresource: String? = nil) -> String {
        var segments = group.isEmpty ? ["api", version] : ["apis", group, version]
        if isNamespaced, let namespace { segments += ["namespaces", namespace] }
        segments.append(plural)
        if let name { segments.append(name) }
        if let subresource { segments.append(subresource) }
        return "/" + segments.map(HTTPURL.encodedSegment).joined(separator: "/")
    }
}

/// Which objects a list or watch covers.
public struct ObjectSelection: Sendable, Hashable {
    /// nil means all namespaces.
    public var namespace: String?
    public var labelSelector: String?
    public var fieldSelector: String?

    public init(namespace: String? = nil, labelSelector: String? = nil, fieldSelector: String? = nil) {
        self.namespace = namespace
        self.labelSelector = labelSelector
        self.fieldSelector = fieldSelector
    }

    var query: [HTTPURL.QueryItem] {
        var items: [HTTPURL.QueryItem] = []
        if let labelSelector { items.append(.init("labelSelector", labelSelector)) }
        if let fieldSelector { items.append(.init("fieldSelector", fieldSelector)) }
        return items
    }
}

/// What happens to the children of a deleted object.
public enum PropagationPolicy: String, Sendable, Hashable {
    /// The garbage collector deletes them afterwards.
    case background = "Background"
    /// They go first.
    case foreground = "Foreground"
    /// They stay.
    case orphan = "Orphan"
}
