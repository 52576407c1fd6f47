public import Encoding
public import HTTP
public import Telemetry

/// A client of one API server. Every call is one request (a list: one per page); nothing is retried here, but for
/// one more try with fresh credentials after a 401, which says that nothing was done.
public struct KubernetesClient: Sendable {
    /// The bearer token for the next request; nil sends none (client certificates, or a loopback server without).
    public typealias Credentials = @Sendable () async throws(APIError) -> String?

    /// What the API server writes into managedFields.
    public let fieldManager: String
    private let transport: any HTTPTransport
    private let server: HTTPURL
    private let userAgent: String
    private let credentials: any CredentialSource
    private let impersonation: Impersonation?
    private let rateLimiter: RateLimiter?
    private let warnings: ServerWarnings?

    /// - Parameters:
    ///   - rateLimiter: nil sends at once.
    ///   - log: gets the API server's warnings.
    public init(
        transport: any HTTPTransport, server: HTTPURL, fieldManager: String = "trainyard-operator",
        userAgent: String = "trainyard", credentials: any CredentialSource, impersonation: Impersonation? = nil,
        rateLimiter: RateLimiter? = nil, log: Log? = nil
    ) {
        self.init(
            transport: transport, server: server, fieldManager: fieldManager, userAgent: userAgent,
            credentials: credentials, impersonation: impersonation, rateLimiter: rateLimiter,
            warnings: log.map { ServerWarnings(log: $0) })
    }

    /// A client whose token comes from a closure.
    public init(
        transport: any HTTPTransport, server: HTTPURL, fieldManager: String = "trainyard-operator",
        userAgent: String = "trainyard", credentials: @escaping Credentials = { () throws(APIError) in nil }
    ) {
        self.init(
            transport: transport, server: server, fieldManager: fieldManager, userAgent: userAgent,
            credentials: ClosureCredentials(token: credentials), impersonation: nil, rateLimiter: nil, warnings: nil)
    }

    private init(
        transport: any HTTPTransport, server: HTTPURL, fieldManager: String, userAgent: String,
        credentials: any CredentialSource, impersonation: Impersonation?, rateLimiter: RateLimiter?,
        warnings: ServerWarnings?
    ) {
        self.transport = transport
        self.server = server
        self.fieldManager = fieldManager
        self.userAgent = userAgent
        self.credentials = credentials
        self.impersonation = impersonation
        self.rateLimiter = rateLimiter
        self.warnings = warnings
    }

    /// The same client over another transport: how fault injection and the leader's gate are put in between.
    public func through(_ wrap: (any HTTPTransport) -> any HTTPTransport) -> KubernetesClient {
        KubernetesClient(
            transport: wrap(transport), server: server, fieldManager: fieldManager, userAgent: userAgent,
            credentials: credentials, impersonation: impersonation, rateLimiter: rateLimiter, warnings: warnings)
    }

    /// Sends a request and reads the reply as JSON.
    ///
    /// - Throws: the `Status` of the API server as a code, or the transport's error.
    public func send(_ request: KubernetesRequest) async throws(APIError) -> JSONValue {
        try await read(request).value
    }

    /// Sends a request and checks that the reply is JSON; values are made by whoever asks for them.
    func read(_ request: KubernetesRequest) async throws(APIError) -> JSONElement {
        let response = try await reply(to: request)
        do throws(JSONError) {
            return try JSONText(parsing: response.body).root
        } catch {
            throw APIError(malformed: error.description, operation: request.operation)
        }
    }

    /// Opens a watch.
    ///
    /// - Throws: as `send`; `.expired` when the resource version is too old.
    public func watch(
        _ type: ResourceType, _ selection: ObjectSelection = ObjectSelection(), from resourceVersion: String,
        timeoutSeconds: Int = 290, metadataOnly: Bool = false
    ) async throws(APIError) -> WatchStream {
        let request = KubernetesRequest.watch(type, selection, from: resourceVersion, timeoutSeconds: timeoutSeconds)
        return try await open(metadataOnly ? request.forMetadata() : request)
    }

    /// Opens a watch that begins with all objects as they are now, as ADDED events, and a bookmark where they end.
    ///
    /// - Throws: as `send`; `.invalid` when the server has no such watches (before 1.32, or switched off).
    public func watchFromStart(
        _ type: ResourceType, _ selection: ObjectSelection = ObjectSelection(), timeoutSeconds: Int = 290,
        metadataOnly: Bool = false
    ) async throws(APIError) -> WatchStream {
        let request = KubernetesRequest.watchFromStart(type, selection, timeoutSeconds: timeoutSeconds)
        return try await open(metadataOnly ? request.forMetadata() : request)
    }

    private func open(_ request: KubernetesRequest) async throws(APIError) -> WatchStream {
        WatchStream(try await stream(for: request), operation: request.operation)
    }

    /// The successful reply to a request, as bytes.
    ///
    /// - Throws: the `Status` of the API server as a code, or the transport's error.
    func reply(to request: KubernetesRequest) async throws(APIError) -> HTTPResponse {
        do throws(APIError) {
            try await rateLimiter?.wait(for: request)
            let credential = try await credentials.credential()
            var response = try await transport.send(wireRequest(request, credential))
            if response.status == 401, let other = try await replacement(for: credential) {
                response = try await transport.send(wireRequest(request, other))
            }
            warnings?.note(response.headers)
            guard response.isSuccess else { throw failure(response, request) }
            return response
        } catch {
            throw error.during(request.operation)
        }
    }

    /// The successful reply to a request, as a stream: watches, and lists that are read while they arrive.
    ///
    /// - Throws: as `reply(to:)`.
    func stream(for request: KubernetesRequest) async throws(APIError) -> HTTPStream {
        do throws(APIError) {
            try await rateLimiter?.wait(for: request)
            let credential = try await credentials.credential()
            var stream = try await transport.open(wireRequest(request, credential))
            if stream.status == 401, let other = try await replacement(for: credential) {
                stream.cancel()
                stream = try await transport.open(wireRequest(request, other))
            }
            warnings?.note(stream.headers)
            guard stream.status == 200 else {
                let body = try await stream.start(limit: 1 << 20)
                throw failure(HTTPResponse(status: stream.status, headers: stream.headers, body: body), request)
            }
            return stream
        } catch {
            throw error.during(request.operation)
        }
    }

    /// The last lines of a container's log, at most 64 KiB of them. Maps to `GET …/pods/{name}/log`.
    ///
    /// - Throws: `.notFound`; `.invalid` while the container has not started.
    public func log(
        ofPod name: String, namespace: String?, container: String, lineCount: Int
    ) async throws(APIError) -> String {
        let type = ResourceType(group: "", version: "v1", kind: "Pod", plural: "pods")
        var request = KubernetesRequest(
            .get, type, namespace: namespace, name: name, subresource: "log",
            query: [
                HTTPURL.QueryItem("container", container), HTTPURL.QueryItem("tailLines", String(lineCount)),
                HTTPURL.QueryItem("limitBytes", String(64 << 10)),
            ], timeout: .seconds(10))
        request.accept = "text/plain, */*"
        let response = try await reply(to: request)
        return String(decoding: response.body, as: UTF8.self)
    }

    /// What to try once more after a 401; nil when there is nothing else.
    private func replacement(for credential: Credential) async throws(APIError) -> Credential? {
        guard await credentials.refused(credential) else { return nil }
        let other = try await credentials.credential()
        return other == credential ? nil : other
    }

    private func failure(_ response: HTTPResponse, _ request: KubernetesRequest) -> APIError {
        var error = APIError(kubernetesReply: response, operation: request.operation)
        if error.code == .unauthorized, let origin = credentials.origin {
            error.message += "; the API server refused \(origin)"
        }
        return error
    }

    private func wireRequest(_ request: KubernetesRequest, _ credential: Credential) -> HTTPRequest {
        var headers: HTTPHeaders = ["User-Agent": userAgent]
        if let token = credential.token { headers["Authorization"] = "Bearer \(token.revealed)" }
        impersonation?.addHeaders(to: &headers)
        var wire = request.httpRequest(server: server, headers: headers)
        wire.identity = credential.identity
        return wire
    }
}

extension HTTPStream {
    /// The first bytes of the body, at most `limit`; the rest is given up.
    fileprivate func start(limit: Int) async throws(APIError) -> [UInt8] {
        var body: [UInt8] = []
        while body.count < limit, let chunk = try await next() {
            body.append(contentsOf: chunk.prefix(limit - body.count))
        }
        cancel()
        return body
    }
}

extension APIError {
    init(malformed message: String, operation: String) {
        self.init(.malformedResponse, operation: operation, message: message)
    }

    /// The same error named by the call it happened in.
    func during(_ operation: String) -> APIError {
        var error = self
        error.operation = operation
        return error
    }
}

extension JSONElement {
    /// Decodes an object of the API.
    ///
    /// - Throws: `.malformedResponse` with the path of the member that does not fit.
    func object<Object: Decodable>(
        _ type: Object.Type = Object.self, operation: String
    ) throws(APIError) -> Object {
        do throws(JSONError) {
            return try decode(type)
        } catch {
            let name = value(at: ["metadata", "name"])?.stringValue ?? ""
            throw APIError(malformed: "\(type) \(name): \(error.message)", operation: operation)
        }
    }
}

extension JSONValue {
    /// Decodes an object of the API.
    ///
    /// - Throws: `.malformedResponse` with the path of the member that does not fit.
    public func object<Object: Decodable>(
        _ type: Object.Type = Object.self, operation: String
    ) throws(APIError) -> Object {
        try JSONText(indexing: self).root.object(type, operation: operation)
    }
}
