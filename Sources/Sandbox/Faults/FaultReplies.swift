import Encoding
import HTTP

/// Error replies as the real APIs write them.
enum FaultReplies {
    static func reply(
        _ call: FaultCall, status: Int, reason: String?, message: String?, retryAfter: Duration?
    ) -> HTTPReply {
        // What a load balancer in front of either API answers.
        if status == 502, reason == nil {
            let page =
                "<html><head><title>502 Bad Gateway</title></head><body>\(message ?? "Bad Gateway")</body></html>"
            return HTTPReply(status: 502, headers: ["Content-Type": "text/html"], body: Array(page.utf8))
        }
        var reply =
            switch call.side {
            case .cluster: cluster(call, status: status, reason: reason, message: message)
            case .cloud: cloud(call, status: status, reason: reason, message: message)
            }
        let isAsked = call.side == .cluster && [429, 503].contains(status)
        if let wait = retryAfter ?? (isAsked ? .seconds(1) : nil) {
            let (seconds, attoseconds) = wait.components
            reply.headers["Retry-After"] = String(seconds + (attoseconds > 0 ? 1 : 0))
        }
        return reply
    }

    // MARK: Cluster

    private static func cluster(_ call: FaultCall, status: Int, reason: String?, message: String?) -> HTTPReply {
        // API priority and fairness refuses before anything knows of Status objects.
        if status == 429, reason == nil {
            let text = message ?? "Too many requests, please try again later.\n"
            return HTTPReply(
                status: 429, headers: ["Content-Type": "text/plain; charset=utf-8"], body: Array(text.utf8))
        }
        let usual = usualStatus(call, status)
        var error = StatusError(status, reason ?? usual.reason, message ?? usual.message)
        error.details = details(call)
        return HTTPReply(
            status: status, headers: ["Content-Type": "application/json"], body: error.json.serialized())
    }

    private static func details(_ call: FaultCall) -> JSONValue {
        var details: JSONValue = [:]
        if !call.name.isEmpty { details["name"] = .string(call.name) }
        if !call.group.isEmpty { details["group"] = .string(call.group) }
        if !call.resource.isEmpty { details["kind"] = .string(plural(call)) }
        return details
    }

    private static func plural(_ call: FaultCall) -> String { String(call.resource.prefix { $0 != "/" }) }

    static func usualStatus(_ call: FaultCall, _ status: Int) -> (reason: String, message: String) {
        let resource = call.group.isEmpty ? plural(call) : "\(plural(call)).\(call.group)"
        let object = "\(resource) \"\(call.name)\""
        switch status {
        case 400: return ("BadRequest", "the server rejected our request for an unknown reason")
        case 401: return ("Unauthorized", "Unauthorized")
        case 403:
            return (
                "Forbidden",
                "\(object) is forbidden: User \"unknown\" cannot \(call.verb) resource \"\(call.resource)\" in API group "
                    + "\"\(call.group)\""
            )
        case 404: return ("NotFound", "\(object) not found")
        case 405: return ("MethodNotAllowed", "the server does not allow this method on the requested resource")
        case 409 where call.verb == "create": return ("AlreadyExists", "\(object) already exists")
        case 409:
            return (
                "Conflict",
                "Operation cannot be fulfilled on \(object): the object has been modified; please apply your changes to "
                    + "the latest version and try again"
            )
        case 410: return ("Expired", "The provided continue parameter or resource version is too old.")
        case 413: return ("RequestEntityTooLarge", "Request entity too large: limit is 3145728")
        case 415: return ("UnsupportedMediaType", "the body of the request was in an unknown format")
        case 422: return ("Invalid", "\(object) is invalid")
        case 429:
            return (
                "TooManyRequests",
                "the server has received too many requests and has asked us to try again later"
            )
        case 500: return ("InternalError", "Internal error occurred: etcdserver: request timed out")
        case 503: return ("ServiceUnavailable", "the server is currently unable to handle the request")
        case 504:
            return (
                "Timeout", "Timeout: request did not complete within requested timeout - context deadline exceeded"
            )
        default: return ("", "an error on the server (\"unknown\") has prevented the request from succeeding")
        }
    }

    /// The object of an ERROR event.
    static func errorEvent(_ call: FaultCall, status: Int) -> JSONValue {
        let usual = usualStatus(call, status)
        let message = status == 410 ? "too old resource version: 1 (2)" : usual.message
        return ["type": "ERROR", "object": StatusError(status, usual.reason, message).json]
    }

    // MARK: Cloud

    private static func cloud(_ call: FaultCall, status: Int, reason: String?, message: String?) -> HTTPReply {
        let isStorage = ["buckets", "objects"].contains(call.resource)
        let usual = usualCloudError(status, isStorage: isStorage)
        let error = CloudError(status: status, reason: reason ?? usual.reason, message: message ?? usual.message)
        return isStorage ? error.storageReply : error.rpcReply
    }

    private static func usualCloudError(_ status: Int, isStorage: Bool) -> (reason: String, message: String) {
        let words: (rpc: String, storage: String, message: String) =
            switch status {
            case 400: ("INVALID_ARGUMENT", "invalid", "Request contains an invalid argument.")
            case 401:
                ("UNAUTHENTICATED", "authError", "Request had invalid authentication credentials.")
            case 403: ("PERMISSION_DENIED", "forbidden", "The caller does not have permission.")
            case 404: ("NOT_FOUND", "notFound", "Not found.")
            case 408: ("DEADLINE_EXCEEDED", "requestTimeout", "The request timed out.")
            case 409: ("ALREADY_EXISTS", "conflict", "The resource already exists.")
            case 412: ("FAILED_PRECONDITION", "conditionNotMet", "At least one of the pre-conditions did not hold.")
            case 429:
                ("RESOURCE_EXHAUSTED", "rateLimitExceeded", "Quota exceeded for quota metric 'Requests per minute'.")
            case 499: ("CANCELLED", "clientClosedRequest", "The operation was cancelled.")
            case 500: ("INTERNAL", "backendError", "Internal error encountered.")
            case 503: ("UNAVAILABLE", "backendError", "The service is currently unavailable.")
            case 504: ("DEADLINE_EXCEEDED", "gatewayTimeout", "Deadline expired before operation could complete.")
            default: ("UNKNOWN", "unknown", "An unknown error occurred.")
            }
        return (isStorage ? words.storage : words.rpc, words.message)
    }
}
