public import Encoding
public import HTTP
import Telemetry

extension APIError {
    /// The `reason` of a list or watch from a resource version that the server has not reached: it lags behind, or its
    /// storage was put back to an earlier state.
    public static let resourceVersionTooLarge = "ResourceVersionTooLarge"

    /// Reads a failed reply: a Kubernetes `Status` body where there is one, else the HTTP status and a short text.
    ///
    /// - Parameter now: for a `Retry-After` that is a date, where the reply has none of its own.
    public init(kubernetesReply response: HTTPResponse, operation: String, now: Timestamp? = nil) {
        // A body that is no JSON is a proxy's page or a line of text: the HTTP status says enough.
        let body = (try? JSONValue(parsing: response.body)) ?? .null
        let status = body["kind"]?.stringValue == "Status" ? body : .null
        self.init(
            status: status, httpStatus: response.status,
            retryAfterSeconds: response.headers.retryAfter(now: now ?? SystemClock().now).map { $0.components.seconds },
            operation: operation)
        if status.isNull, let line = APIError.line(of: response) { message += ": \(line)" }
    }

    /// The only line of a plain text, such as "Too many requests, please try again later.".
    private static func line(of response: HTTPResponse) -> String? {
        guard response.headers["Content-Type"]?.lowercased().hasPrefix("text/plain") == true,
            response.body.count <= 256, let text = String(validating: response.body, as: UTF8.self)
        else { return nil }
        let lines = text.split(whereSeparator: \.isNewline)
        return lines.count == 1 ? String(lines[0]) : nil
    }

    /// Reads a `Status` object, as in a reply or in a watch's ERROR event.
    init(status: JSONValue, httpStatus: Int, retryAfterSeconds: Int64?, operation: String) {
        let details = status["details"]
        let seconds = retryAfterSeconds ?? details?["retryAfterSeconds"]?.integerValue
        let causes = details?["causes"]?.arrayValue ?? []
        // The one cause that says what to do where the reason ("Timeout") does not.
        let isTooLarge = causes.contains { $0["reason"]?.stringValue == APIError.resourceVersionTooLarge }
        let reason = isTooLarge ? APIError.resourceVersionTooLarge : status["reason"]?.stringValue
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
