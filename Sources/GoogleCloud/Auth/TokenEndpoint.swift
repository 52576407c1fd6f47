internal import Encoding
internal import HTTP
internal import Telemetry

/// How tokens are asked for: small replies, no redirects, a few tries, and nothing of what was sent in an error.
struct TokenEndpoint: Sendable {
    static let maximumResponseBytes = 64 << 10
    /// No access token of Google lives longer (an organization may allow 12 hours).
    static let longestLifetime: Duration = .seconds(12 * 3600)

    let transport: any HTTPTransport
    let clock: any WallClock
    /// For errors.
    let operation: String

    /// Sends a request up to `tries` times, with pauses of 0.25 s, 0.5 s, …, while the reply or its absence is one that
    /// passes.
    ///
    /// - Parameter secrets: stand in the request; they are taken out of a reply that is no success.
    /// - Throws: `.unavailable`, `.timeout`, `.cancelled`.
    func reply(
        to request: HTTPRequest, hiding secrets: [Secret], tries: Int = 4,
        mayPass: (HTTPResponse) -> Bool = TokenEndpoint.mayPass
    ) async throws(APIError) -> HTTPResponse {
        var request = request
        request.maximumResponseBytes = TokenEndpoint.maximumResponseBytes
        var attempt = 1
        while true {
            do throws(APIError) {
                let response = try await transport.send(request)
                if attempt >= tries || !mayPass(response) { return response.hiding(secrets) }
            } catch {
                guard error.code == .unavailable, attempt < tries else {
                    var error = error
                    error.operation = operation
                    throw error
                }
            }
            do throws(CancellationError) {
                try await clock.sleep(for: .milliseconds(125 << attempt))
            } catch {
                throw APIError(.cancelled, operation: operation, message: "the request was cancelled")
            }
            attempt += 1
        }
    }

    /// What Google's own library tries again.
    static func mayPass(_ response: HTTPResponse) -> Bool {
        if [408, 429, 500, 502, 503, 504].contains(response.status) { return true }
        guard !response.isSuccess, let body = try? JSONValue(parsing: response.body),  // Else it is no OAuth error.
            let word = body["error"]?.stringValue
        else { return false }
        return ["internal_failure", "server_error", "temporarily_unavailable"].contains(word)
    }

    /// A form as token endpoints take it.
    func form(
        _ url: HTTPURL, _ fields: [(name: String, value: String)], headers: HTTPHeaders = [:]
    ) -> HTTPRequest {
        var headers = headers
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        headers["Accept"] = "application/json"
        let body = fields.map { "\(HTTPURL.encoded($0.name))=\(HTTPURL.encoded($0.value))" }.joined(separator: "&")
        return HTTPRequest(.post, url, headers: headers, body: Array(body.utf8), timeout: .seconds(15))
    }

    /// Reads a token endpoint's success: `{"access_token", "expires_in", "token_type"}`.
    ///
    /// - Throws: `.malformedResponse` without a word of the body.
    func token(in response: HTTPResponse, quotaProject: String? = nil) throws(APIError) -> (AccessToken, JSONValue) {
        guard let body = try? JSONValue(parsing: response.body),  // The parser's message could quote the token.
            let secret = body["access_token"]?.stringValue, TokenEndpoint.isHeaderSafe(secret),
            let seconds = body["expires_in"]?.integerValue ?? body["expires_in"]?.stringValue.flatMap({ Int64($0) }),
            seconds > 0, (body["token_type"]?.stringValue ?? "Bearer").lowercased() == "bearer"
        else {
            throw APIError(
                .malformedResponse, operation: operation,
                message: "the reply holds no access token that can be used", httpStatus: response.status)
        }
        let lifetime = min(.seconds(min(seconds, 1 << 30)), TokenEndpoint.longestLifetime)
        return (AccessToken(secret, lifetime: lifetime, quotaProject: quotaProject), body)
    }

    /// Printable ASCII of a sensible length: what may stand in a header.
    static func isHeaderSafe(_ secret: String) -> Bool {
        (1...16_384).contains(secret.utf8.count) && secret.utf8.allSatisfy { $0 > 32 && $0 < 127 }
    }

    /// What a token endpoint's refusal means. OAuth's errors are about the credentials, whatever the status says.
    ///
    /// - Parameters:
    ///   - who: the credentials, as the subject of a sentence.
    ///   - remedy: what a person does about it.
    func refusal(_ response: HTTPResponse, of who: String, remedy: String) -> APIError {
        var error = GoogleCloudErrors.error(response, operation: operation)
        guard [400, 401, 403].contains(response.status) else { return error }
        error.code = response.status == 403 ? .forbidden : .unauthorized
        error.message = "\(who) is not accepted (\(error.reason ?? "no reason"): \(error.message)): \(remedy)"
        return error
    }
}

extension HTTPResponse {
    /// The reply without these texts, where it is no success: error bodies may echo what was sent.
    func hiding(_ secrets: [Secret]) -> HTTPResponse {
        guard !isSuccess, !secrets.isEmpty, !body.isEmpty else { return self }
        var text = String(decoding: body, as: UTF8.self)
        for secret in secrets where secret.revealed.utf8.count >= 4 {
            text = text.replacing(secret.revealed, with: "***")
            text = text.replacing(HTTPURL.encoded(secret.revealed), with: "***")
        }
        var response = self
        response.body = Array(text.utf8)
        return response
    }
}
