internal import Encoding
public import HTTP
public import Telemetry

/// What every API's client shares: the transport, the credentials, and how a call is made.
///
/// URLs always name Google's hosts over https; an emulator is a property of the transport (`EndpointOverride`), so that
/// nothing in a request or an object can move a call elsewhere. A 401 is answered by one fresh token and one more try;
/// nothing else is retried here.
public struct GoogleCloudClient: Sendable {
    public let transport: any HTTPTransport
    public let tokens: any TokenSource
    public let clock: any WallClock
    private let userAgent: String

    /// - Parameter userAgent: product and version, as Google's support asks for them.
    public init(
        transport: any HTTPTransport, tokens: any TokenSource, clock: any WallClock, userAgent: String = "trainyard"
    ) {
        self.transport = transport
        self.tokens = tokens
        self.clock = clock
        self.userAgent = userAgent
    }
}

/// One call of an API method.
struct GoogleCall: Sendable {
    /// The method's id in the discovery document, for errors and metrics: `container.nodePools.create`.
    var operation: String
    var method: HTTPMethod
    var url: HTTPURL
    var headers: HTTPHeaders = [:]
    var body: [UInt8] = []
    var timeout: Duration = .seconds(30)
    var maximumResponseBytes = 64 << 20

    init(_ operation: String, _ method: HTTPMethod, _ url: HTTPURL) {
        self.operation = operation
        self.method = method
        self.url = url
    }

    /// A call with a JSON body.
    init(_ operation: String, _ method: HTTPMethod, _ url: HTTPURL, json: JSONValue) {
        self.init(operation, method, url)
        headers["Content-Type"] = "application/json"
        body = json.serialized()
    }
}

extension GoogleCloudClient {
    /// Makes the call and decodes the reply's JSON.
    ///
    /// - Throws: what the API answered, classified; `.malformedResponse` when the reply does not decode.
    func value<Value: Decodable>(_ call: GoogleCall, as type: Value.Type = Value.self) async throws(APIError) -> Value {
        try call.decode(type, from: try await reply(call))
    }

    /// Makes the call.
    ///
    /// - Throws: every status that is not 2xx, classified.
    @discardableResult
    func reply(_ call: GoogleCall) async throws(APIError) -> HTTPResponse {
        let response = try await exchange(call)
        guard response.isSuccess else { throw GoogleCloudErrors.error(response, operation: call.operation) }
        return response
    }

    /// Makes the call; every status is a value.
    func exchange(_ call: GoogleCall) async throws(APIError) -> HTTPResponse {
        let token = try await tokens.token()
        let response = try await attempt(call, token: token) { request throws(APIError) in
            try await transport.send(request)
        }
        guard response.status == 401, let token else { return response }
        await tokens.discard(token)
        return try await attempt(call, token: try await tokens.token()) { request throws(APIError) in
            try await transport.send(request)
        }
    }

    /// Makes the call and returns as soon as the reply's head is there; every status is a value.
    func open(_ call: GoogleCall) async throws(APIError) -> HTTPStream {
        let token = try await tokens.token()
        let stream = try await attempt(call, token: token) { request throws(APIError) in
            try await transport.open(request)
        }
        guard stream.status == 401, let token else { return stream }
        stream.cancel()
        await tokens.discard(token)
        return try await attempt(call, token: try await tokens.token()) { request throws(APIError) in
            try await transport.open(request)
        }
    }

    /// One attempt; a transport's error gets the method's name.
    private func attempt<Reply>(
        _ call: GoogleCall, token: AccessToken?, _ send: (HTTPRequest) async throws(APIError) -> Reply
    ) async throws(APIError) -> Reply {
        do throws(APIError) {
            return try await send(request(call, token: token))
        } catch {
            var error = error
            error.operation = call.operation
            throw error
        }
    }

    private func request(_ call: GoogleCall, token: AccessToken?) -> HTTPRequest {
        var headers = call.headers
        headers["User-Agent"] = userAgent
        if headers["Accept"] == nil { headers["Accept"] = "application/json" }
        if let token { headers["Authorization"] = "Bearer \(token.secret)" }
        return HTTPRequest(
            call.method, call.url, headers: headers, body: call.body, timeout: call.timeout,
            maximumResponseBytes: call.maximumResponseBytes)
    }
}

extension GoogleCall {
    /// Decodes a reply's JSON.
    ///
    /// - Throws: `.malformedResponse`.
    func decode<Value: Decodable>(
        _ type: Value.Type = Value.self, from response: HTTPResponse
    ) throws(APIError) -> Value {
        do throws(JSONError) {
            return try JSONValue(parsing: response.body).decode(type)
        } catch {
            throw APIError(
                .malformedResponse, operation: operation, message: "the reply cannot be read: \(error.message)",
                httpStatus: response.status)
        }
    }

    /// The JSON of a request body.
    ///
    /// - Throws: `.invalid` when the value cannot be encoded.
    static func encode(_ value: some Encodable, operation: String) throws(APIError) -> JSONValue {
        do throws(JSONError) {
            return try JSONValue(encoding: value)
        } catch {
            throw APIError(.invalid, operation: operation, message: error.message)
        }
    }
}
