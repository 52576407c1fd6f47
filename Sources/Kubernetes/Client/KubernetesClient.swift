public import Encoding
public import HTTP

/// A client of one API server. Every call is one request (a list: one per page); nothing is retried here.
public struct KubernetesClient: Sendable {
    /// The bearer token for the next request; nil sends none (client certificates, or a loopback server without).
    public typealias Credentials = @Sendable () async throws(APIError) -> String?

    /// What the API server writes into managedFields.
    public let fieldManager: String
    private let transport: any HTTPTransport
    private let server: HTTPURL
    private let credentials: Credentials
    private let userAgent: String

    public init(
        transport: any HTTPTransport, server: HTTPURL, fieldManager: String = "trainyard-operator",
        userAgent: String = "trainyard", credentials: @escaping Credentials = { () throws(APIError) in nil }
    ) {
        self.transport = transport
        self.server = server
        self.credentials = credentials
        self.fieldManager = fieldManager
        self.userAgent = userAgent
    }

    /// The same client over another transport: how fault injection and the leader's gate are put in between.
    public func through(_ wrap: (any HTTPTransport) -> any HTTPTransport) -> KubernetesClient {
        KubernetesClient(
            transport: wrap(transport), server: server, fieldManager: fieldManager, userAgent: userAgent,
            credentials: credentials)
    }

    /// Sends a request and reads the reply as JSON.
    ///
    /// - Throws: the `Status` of the API server as a code, or the transport's error.
    public func send(_ request: KubernetesRequest) async throws(APIError) -> JSONValue {
        let response: HTTPResponse
        do throws(APIError) {
            response = try await transport.send(try await wireRequest(request))
        } catch {
            throw error.during(request.operation)
        }
        guard response.isSuccess else {
            throw APIError(kubernetesReply: response, operation: request.operation)
        }
        do throws(JSONError) {
            return try JSONValue(parsing: response.body)
        } catch {
            throw APIError(malformed: error.description, operation: request.operation)
        }
    }

    /// Opens a watch.
    ///
    /// - Throws: as `send`; `.expired` when the resource version is too old.
    public func watch(
        _ type: ResourceType, _ selection: ObjectSelection = ObjectSelection(), from resourceVersion: String,
        timeoutSeconds: Int = 290
    ) async throws(APIError) -> WatchStream {
        let request = KubernetesRequest.watch(
            type, selection, from: resourceVersion, timeoutSeconds: timeoutSeconds)
        do throws(APIError) {
            let stream = try await transport.open(try await wireRequest(request))
            guard stream.status == 200 else {
                let body = try await stream.collect(limit: 1 << 20)
                throw APIError(
                    kubernetesReply: HTTPResponse(status: stream.status, headers: stream.headers, body: body),
                    operation: request.operation)
            }
            return WatchStream(stream, operation: request.operation)
        } catch {
            throw error.during(request.operation)
        }
    }

    private func wireRequest(_ request: KubernetesRequest) async throws(APIError) -> HTTPRequest {
        var headers: HTTPHeaders = ["User-Agent": userAgent]
        if let token = try await credentials() { headers["Authorization"] = "Bearer \(token)" }
        return request.httpRequest(server: server, headers: headers)
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

extension JSONValue {
    /// Decodes an object of the API.
    ///
    /// - Throws: `.malformedResponse` with the path of the member that does not fit.
    public func object<Object: Decodable>(
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
