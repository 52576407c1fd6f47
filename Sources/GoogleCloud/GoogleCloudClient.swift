internal import Encoding
public import HTTP
internal import Synchronization
public import Telemetry

/// What every API's client shares: the transport, the credentials, the limits, and how a call is made.
///
/// URLs always name Google's hosts over https; an emulator is a property of the transport (`EndpointOverride`), so that
/// nothing in a request or an object can move a call elsewhere. A 401 is answered by one fresh token and one more try;
/// nothing else is retried here. The token is taken out of replies that are no success before anybody reads them.
public struct GoogleCloudClient: Sendable {
    public let transport: any HTTPTransport
    public let tokens: any TokenSource
    public let clock: any WallClock
    private let limits: CallLimits?
    private let userAgent: String

    /// - Parameters:
    ///   - limits: shared by all clients of a process; nil: none.
    ///   - userAgent: product and version, as Google's support asks for them.
    public init(
        transport: any HTTPTransport, tokens: any TokenSource, clock: any WallClock, limits: CallLimits? = nil,
        userAgent: String = "trainyard"
    ) {
        self.transport = transport
        self.tokens = tokens
        self.clock = clock
        self.limits = limits
        self.userAgent = userAgent
    }

    /// The same client with other credentials, a tenant's for example (`ImpersonatedTokens`).
    public func with(tokens: any TokenSource) -> GoogleCloudClient {
        GoogleCloudClient(transport: transport, tokens: tokens, clock: clock, limits: limits, userAgent: userAgent)
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
        let response = try await sent(call, token: token)
        guard response.status == 401, let token else { return response }
        await tokens.discard(token)
        return try await sent(call, token: try await tokens.token())
    }

    /// Makes the call and returns as soon as the reply's head is there; every status is a value.
    func open(_ call: GoogleCall) async throws(APIError) -> HTTPStream {
        let token = try await tokens.token()
        let stream = try await opened(call, token: token)
        guard stream.status == 401, let token else { return await stream.hiding(token) }
        stream.cancel()
        await tokens.discard(token)
        let fresh = try await tokens.token()
        return try await opened(call, token: fresh).hiding(fresh)
    }

    private func sent(_ call: GoogleCall, token: AccessToken?) async throws(APIError) -> HTTPResponse {
        let response: HTTPResponse = try await attempt(call, token: token) { request throws(APIError) in
            try await transport.send(request)
        } result: { response in
            CallResult(
                status: response.status, error: GoogleCloudErrors.error(response, operation: call.operation))
        }
        return response.hiding([token?.secret].compactMap { $0 })
    }

    private func opened(_ call: GoogleCall, token: AccessToken?) async throws(APIError) -> HTTPStream {
        try await attempt(call, token: token) { request throws(APIError) in
            try await transport.open(request)
        } result: { stream in
            // Its body is not there yet: the status says enough.
            CallResult(
                status: stream.status,
                error: GoogleCloudErrors.error(HTTPResponse(status: stream.status), operation: call.operation))
        }
    }

    /// One attempt, within the limits; a transport's error gets the method's name.
    private func attempt<Reply>(
        _ call: GoogleCall, token: AccessToken?, _ send: (HTTPRequest) async throws(APIError) -> Reply,
        result: (Reply) -> CallResult
    ) async throws(APIError) -> Reply {
        let request = try request(call, token: token)
        let permit = try await limits?.admit(call)
        do throws(APIError) {
            let reply = try await send(request)
            if let permit { limits?.finished(permit, result(reply)) }
            return reply
        } catch {
            if let permit { limits?.finished(permit, CallResult(error)) }
            var error = error
            error.operation = call.operation
            throw error
        }
    }

    /// - Throws: `.insecure` for an address that is not one of Google's APIs.
    private func request(_ call: GoogleCall, token: AccessToken?) throws(APIError) -> HTTPRequest {
        let authority = call.url.authority
        guard call.url.origin.hasPrefix("https://"), authority.hasSuffix(".googleapis.com"),
            authority.utf8.allSatisfy({
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x2E
            })
        else {
            throw APIError(.insecure, operation: call.operation, message: "not the https address of a Google API")
        }
        var headers = call.headers
        headers["User-Agent"] = userAgent
        if headers["Accept"] == nil { headers["Accept"] = "application/json" }
        if let token { headers["Authorization"] = "Bearer \(token.secret.revealed)" }
        if let project = token?.quotaProject { headers["X-Goog-User-Project"] = project }
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

extension HTTPStream {
    /// The stream, or, where it is no success, a short one of an error body without the token.
    fileprivate func hiding(_ token: AccessToken?) async -> HTTPStream {
        guard status >= 400, let token else { return self }
        var body: [UInt8] = []
        do throws(APIError) {
            while body.count < 64 << 10, let chunk = try await next() { body += chunk }
        } catch {
            body = []  // The status is what counts.
        }
        cancel()
        let hidden = HTTPResponse(status: status, headers: headers, body: body).hiding([token.secret]).body
        let rest = Mutex<[UInt8]?>(hidden.isEmpty ? nil : hidden)
        return HTTPStream(
            status: status, headers: headers,
            next: { () async throws(APIError) -> [UInt8]? in
                rest.withLock { rest in
                    defer { rest = nil }
                    return rest
                }
            },
            cancel: {})
    }
}
