import Encoding
public import HTTP

extension APIError {
    /// Reads a failed reply: a Kubernetes `Status` body where there is one, else the HTTP status alone.
    public init(kubernetesReply response: HTTPResponse, operation: String) {
        // A body that is no JSON is a proxy's page: the HTTP status says enough.
        let body = (try? JSONValue(parsing: response.body)) ?? .null
        let status = body["kind"]?.stringValue == "Status" ? body : .null
        let retryAfter = response.headers["Retry-After"].flatMap { Int64($0) }
        self.init(status: status, httpStatus: response.status, retryAfterSeconds: retryAfter, operation: operation)
    }

    /// Reads a `Status` object, as in a reply or in a watch's ERROR event.
    init(status: JSONValue, httpStatus: Int, retryAfterSeconds: Int64?, operation: String) {
        let details = status["details"]
        let seconds = retryAfterSeconds ?? details?["retryAfterSeconds"]?.integerValue
        let reason = status["reason"]?.stringValue
        self.init(
            APIError.code(httpStatus: httpStatus, reason: reason), operation: operation,
            message: APIError.message(of: status, httpStatus: httpStatus), reason: reason, httpStatus: httpStatus,
            retryAfter: seconds.map { .seconds(min(max($0, 0), 600)) })
    }

    private static func code(httpStatus: Int, reason: String?) -> Code {
        switch httpStatus {
        case 401: .unauthorized
        case 403: .forbidden
        case 404: .notFound
        case 408: .timeout
        case 409: reason == "AlreadyExists" ? .alreadyExists : .conflict
        case 410: .expired
        case 412: .preconditionFailed
        case 413: .tooLarge
        case 429: .rateLimited
        case 400..<500: .invalid
        case 504: .timeout
        case 500...: .unavailable
        default: .malformedResponse
        }
    }

    /// The server's sentence; the causes of an `Invalid` are part of it already, those of other reasons are added.
    private static func message(of status: JSONValue, httpStatus: Int) -> String {
        let sentence = status["message"]?.stringValue ?? "the API server answered with status \(httpStatus)"
        let causes = status.value(at: ["details", "causes"])?.arrayValue ?? []
        let additions = causes.prefix(8).compactMap { cause -> String? in
            guard let text = cause["message"]?.stringValue, !sentence.contains(text) else { return nil }
            return cause["field"]?.stringValue.map { "\($0): \(text)" } ?? text
        }
        return additions.isEmpty ? sentence : sentence + " (" + additions.joined(separator: "; ") + ")"
    }
}
