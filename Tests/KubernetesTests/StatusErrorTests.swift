import Encoding
import HTTP
import Kubernetes
import Testing

private func error(_ status: Int, _ body: JSONValue? = nil, headers: HTTPHeaders = [:]) -> APIError {
    APIError(
        kubernetesReply: HTTPResponse(
            status: status, headers: headers, body: body?.serialized() ?? Array("<html>".utf8)),
        operation: "GET pods")
}

private func status(_ reason: String, _ message: String = "m", details: JSONValue? = nil) -> JSONValue {
    var body: JSONValue = [
        "kind": "Status", "apiVersion": "v1", "reason": .string(reason), "message": .string(message),
    ]
    body["details"] = details
    return body
}

@Suite struct StatusErrorTests {
    static let codes: [(Int, String, APIError.Code)] = [
        (400, "BadRequest", .invalid), (401, "Unauthorized", .unauthorized), (403, "Forbidden", .forbidden),
        (404, "NotFound", .notFound), (405, "MethodNotAllowed", .invalid), (409, "AlreadyExists", .alreadyExists),
        (409, "Conflict", .conflict), (410, "Expired", .expired), (410, "Gone", .expired),
        (413, "RequestEntityTooLarge", .tooLarge), (415, "UnsupportedMediaType", .invalid),
        (422, "Invalid", .invalid), (429, "TooManyRequests", .rateLimited), (500, "InternalError", .unavailable),
        (503, "ServiceUnavailable", .unavailable), (504, "Timeout", .timeout), (302, "", .malformedResponse),
    ]

    @Test(arguments: codes)
    func `a status has one code`(httpStatus: Int, reason: String, code: APIError.Code) {
        let error = error(httpStatus, status(reason))
        #expect(error.code == code)
        #expect(error.httpStatus == httpStatus)
        #expect(error.reason == reason)
    }

    @Test func `a body that is no Status leaves the HTTP status to speak`() {
        let error = error(503)
        #expect(error.code == .unavailable)
        #expect(error.message == "the API server answered with status 503")
        #expect(error.reason == nil)
    }

    @Test func `a line of plain text is passed on, as priority and fairness sends one, a page is not`() {
        func answered(_ type: String, _ text: String) -> APIError {
            APIError(
                kubernetesReply: HTTPResponse(
                    status: 429, headers: ["Content-Type": type, "Retry-After": "1"], body: Array(text.utf8)),
                operation: "GET pods")
        }
        let words = "Too many requests, please try again later."
        #expect(
            answered("text/plain; charset=utf-8", words + "\n")
                == APIError(
                    .rateLimited, operation: "GET pods", message: "the API server answered with status 429: \(words)",
                    httpStatus: 429, retryAfter: .seconds(1)))
        let general = "the API server answered with status 429"
        #expect(answered("text/html", words).message == general)
        #expect(answered("text/plain", "two\nlines").message == general)
        #expect(answered("text/plain", String(repeating: "x", count: 300)).message == general)
    }

    @Test func `the causes are told once`() {
        let causes: JSONValue = [
            "causes": [
                ["field": "spec.a", "message": "must be positive"], ["field": "spec.b", "message": "required"],
            ]
        ]
        let message = "widgets.example.com \"w\" is invalid: spec.a: must be positive"
        #expect(error(422, status("Invalid", message, details: causes)).message == message + " (spec.b: required)")
    }

    @Test func `the time to wait comes from the header, else from the details, within bounds`() {
        let details: JSONValue = ["retryAfterSeconds": 3]
        let body = status("TooManyRequests", details: details)
        #expect(error(429, body, headers: ["Retry-After": "7"]).retryAfter == .seconds(7))
        #expect(error(429, body).retryAfter == .seconds(3))
        #expect(error(429, body, headers: ["Retry-After": "99999999"]).retryAfter == .seconds(600))
        let dates: HTTPHeaders = [
            "Retry-After": "Sat, 21 Nov 2026 10:00:20 GMT", "Date": "Sat, 21 Nov 2026 10:00:00 GMT",
        ]
        #expect(error(429, body, headers: dates).retryAfter == .seconds(20))
        #expect(error(429, body, headers: ["Retry-After": "soon"]).retryAfter == .seconds(3))
        #expect(error(503, nil, headers: ["Retry-After": "2"]).retryAfter == .seconds(2))
        #expect(error(500, status("InternalError")).retryAfter == nil)
    }
}
