internal import Encoding
internal import HTTP

/// The one place where Google's many ways to say no become an `APIError.Code`.
///
/// Looked at in this order: compute's string codes (stockout and quota families, by prefix), sentences of GKE that only
/// mean "another operation is running", the gRPC word or number, the JSON APIs' `reason`, the HTTP status.
enum GoogleCloudErrors {
    /// Longest message that is passed on, in characters; Google's own are far shorter.
    static let maximumMessageLength = 1024
    /// How long to wait for a cluster's running operation before the next try.
    static let operationRunningRetry: Duration = .seconds(15)

    /// Classifies a reply that is not a success, in any of the error shapes.
    static func error(_ response: HTTPResponse, operation: String) -> APIError {
        let body = ErrorBody(response.body)
        var error = classify(
            words: body.reasons, message: body.message, rpcWord: body.status, httpStatus: response.status)
        error.operation = operation
        error.message = body.message.map(shortened) ?? "HTTP \(response.status) without an error message"
        error.reason = body.reasons.first ?? body.status
        error.httpStatus = response.status
        if let delay = body.retryDelay ?? retryAfter(response.headers) { error.retryAfter = delay }
        return error
    }

    /// Classifies the `error` of a finished long-running operation: `code` is gRPC's number, not HTTP's.
    static func error(rpcCode: Int, message: String, operation: String) -> APIError {
        let word = rpcWords.indices.contains(rpcCode) ? rpcWords[rpcCode] : "UNKNOWN"
        var error = classify(words: bracketedCodes(message), message: message, rpcWord: word, httpStatus: nil)
        error.operation = operation
        error.message = shortened(message)
        error.reason = bracketedCodes(message).first ?? word
        return error
    }

    /// Classifies what a node pool says about itself (`conditions[]`, `statusMessage`).
    static func error(conditions: [StatusCondition], message: String?, operation: String) -> APIError {
        let text = message ?? conditions.lazy.compactMap(\.message).first ?? "no reason given"
        let words = conditions.compactMap(\.code).filter { $0 != "UNKNOWN" } + bracketedCodes(text)
        let word = conditions.lazy.compactMap(\.canonicalCode).first
        var error = classify(words: words, message: text, rpcWord: word, httpStatus: nil)
        error.operation = operation
        error.message = shortened(text)
        error.reason = words.first ?? word
        return error
    }

    // MARK: The table

    private static func classify(
        words: [String], message: String?, rpcWord: String?, httpStatus: Int?
    ) -> APIError {
        func result(_ code: APIError.Code, retryAfter: Duration? = nil) -> APIError {
            APIError(code, operation: "", message: "", retryAfter: retryAfter)
        }
        if let code = words.lazy.compactMap(family).first {
            return result(code, retryAfter: words.contains(where: isOperationRunning) ? operationRunningRetry : nil)
        }
        if let message, saysOperationRunning(message) {
            return result(.rateLimited, retryAfter: operationRunningRetry)
        }
        if httpStatus == 429 || rpcWord == "RESOURCE_EXHAUSTED" {
            return result(exhausted(words: words, message: message ?? "", isReply: httpStatus != nil))
        }
        if let code = rpcWord.flatMap({ rpcCodes[$0] }) { return result(code) }
        if let code = words.lazy.compactMap({ jsonReasons[$0] }).first { return result(code) }
        return result(httpStatus.map(code) ?? .unavailable)
    }

    /// What ran out when no code says it: a reply means a rate, except where it names an allocation quota (QuotaFailure
    /// without RATE_LIMIT_EXCEEDED); an operation that failed means machines, except where it speaks of a quota.
    private static func exhausted(words: [String], message: String, isReply: Bool) -> APIError.Code {
        if words.contains("QuotaFailure") { return .quotaExceeded }
        if isReply { return .rateLimited }
        return message.lowercased().contains("quota") ? .quotaExceeded : .stockedOut
    }

    /// Compute's and GKE's string codes. The order matters: the operations "quota" is a rate.
    private static let families: [(prefix: String, code: APIError.Code)] = [
        ("CONCURRENT_OPERATIONS_QUOTA_EXCEEDED", .rateLimited),
        ("CLUSTER_ALREADY_HAS_OPERATION", .rateLimited),
        ("RATE_LIMIT_EXCEEDED", .rateLimited),
        ("RESOURCE_OPERATION_RATE_EXCEEDED", .rateLimited),
        ("rateLimitExceeded", .rateLimited),
        ("userRateLimitExceeded", .rateLimited),
        ("GCE_STOCKOUT", .stockedOut),
        ("GPU_STOCKOUT", .stockedOut),
        ("ZONE_RESOURCE_POOL_EXHAUSTED", .stockedOut),
        ("REGION_RESOURCE_POOL_EXHAUSTED", .stockedOut),
        ("RESOURCE_POOL_EXHAUSTED", .stockedOut),
        ("GCE_QUOTA_EXCEEDED", .quotaExceeded),
        ("QUOTA_EXCEEDED", .quotaExceeded),
        ("quotaExceeded", .quotaExceeded),
        ("IP_SPACE_EXHAUSTED", .quotaExceeded),
        ("PERMISSIONS_ERROR", .forbidden),
        ("GKE_SERVICE_ACCOUNT_DELETED", .forbidden),
        ("NODE_SERVICE_ACCOUNT_MISSING_PERMISSIONS", .forbidden),
        ("CLOUD_KMS_KEY", .forbidden),
        ("CONDITION_NOT_MET", .forbidden),  // An organization policy's constraint; storage's 412 is `conditionNotMet`.
        ("SERVICE_DISABLED", .forbidden),
        ("BILLING_DISABLED", .forbidden),
        ("IAM_PERMISSION_DENIED", .forbidden),
        ("INTERNAL_ERROR", .unavailable),
        ("RESOURCE_NOT_READY", .unavailable),
        ("RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", .conflict),
        ("RESOURCE_ALREADY_EXISTS", .alreadyExists),
        ("RESOURCE_NOT_FOUND", .notFound),
    ]

    private static func family(_ word: String) -> APIError.Code? {
        families.first { word.hasPrefix($0.prefix) }?.code
    }

    private static func isOperationRunning(_ word: String) -> Bool {
        word.hasPrefix("CLUSTER_ALREADY_HAS_OPERATION") || word.hasPrefix("CONCURRENT_OPERATIONS")
    }

    /// GKE says this with a bare FAILED_PRECONDITION or 409; the sentence is all there is to tell it from a wrong
    /// request.
    private static func saysOperationRunning(_ message: String) -> Bool {
        [
            "incompatible operation", "already has operation", "Master is being updated",
            "not ready for operation", "unable to queue the operation", "Another operation is already in progress",
            "currently locked",
        ].contains { message.contains($0) }
    }

    private static let rpcCodes: [String: APIError.Code] = [
        "CANCELLED": .cancelled, "UNKNOWN": .unavailable, "INVALID_ARGUMENT": .invalid,
        "DEADLINE_EXCEEDED": .timeout, "NOT_FOUND": .notFound, "ALREADY_EXISTS": .alreadyExists,
        "PERMISSION_DENIED": .forbidden, "FAILED_PRECONDITION": .invalid, "ABORTED": .conflict,
        "OUT_OF_RANGE": .invalid, "UNIMPLEMENTED": .invalid, "INTERNAL": .unavailable,
        "UNAVAILABLE": .unavailable, "DATA_LOSS": .unavailable, "UNAUTHENTICATED": .unauthorized,
    ]

    /// By gRPC number.
    private static let rpcWords = [
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
        "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
        "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    ]

    /// The older JSON APIs' `errors[].reason`, where it says more than the HTTP status.
    private static let jsonReasons: [String: APIError.Code] = [
        "alreadyExists": .alreadyExists, "conditionNotMet": .preconditionFailed, "conflict": .conflict,
        "notModified": .preconditionFailed, "backendError": .unavailable, "uploadTooLarge": .tooLarge,
    ]

    private static func code(_ status: Int) -> APIError.Code {
        switch status {
        case 304, 412: .preconditionFailed
        case 401: .unauthorized
        case 403, 407: .forbidden
        case 404: .notFound
        case 409: .conflict
        case 410: .expired
        case 413: .tooLarge
        case 429: .rateLimited
        case 408, 500..<600: .unavailable
        case 300..<400: .malformedResponse
        default: .invalid
        }
    }

    // MARK: Reading

    /// `Retry-After` in seconds; the date form is not used by Google's APIs.
    private static func retryAfter(_ headers: HTTPHeaders) -> Duration? {
        guard let seconds = headers["Retry-After"].flatMap({ Int64($0) }), seconds >= 0 else { return nil }
        return .seconds(min(seconds, 3600))
    }

    /// The `[GCE_STOCKOUT]` inside a sentence.
    private static func bracketedCodes(_ message: String) -> [String] {
        message.split(separator: "[", omittingEmptySubsequences: false).dropFirst().compactMap { part in
            guard let end = part.firstIndex(of: "]") else { return nil }
            let word = part[..<end]
            let isCode = !word.isEmpty && word.utf8.allSatisfy { (0x41...0x5A).contains($0) || $0 == 0x5F }
            return isCode ? String(word) : nil
        }
    }

    private static func shortened(_ message: String) -> String {
        message.count <= maximumMessageLength ? message : message.prefix(maximumMessageLength - 1) + "…"
    }
}

/// What an error reply's body holds, in any of the shapes: google.rpc, the older `errors[]`, OAuth's string.
private struct ErrorBody {
    var message: String?
    /// The gRPC word.
    var status: String?
    /// The most telling word first.
    var reasons: [String] = []
    var retryDelay: Duration?

    /// Anything that is not JSON (front ends answer HTML) leaves everything empty.
    init(_ bytes: [UInt8]) {
        guard let root = try? JSONValue(parsing: bytes), let error = root["error"] else { return }
        if let word = error.stringValue {  // OAuth
            reasons = [word]
            message = root["error_description"]?.stringValue ?? word
            return
        }
        message = error["message"]?.stringValue
        status = error["status"]?.stringValue
        for detail in error["details"]?.arrayValue ?? [] { read(detail) }
        reasons += (error["errors"]?.arrayValue ?? []).compactMap { $0["reason"]?.stringValue }
    }

    private mutating func read(_ detail: JSONValue) {
        switch detail["@type"]?.stringValue {
        case "type.googleapis.com/google.rpc.ErrorInfo":
            if let reason = detail["reason"]?.stringValue { reasons.append(reason) }
        case "type.googleapis.com/google.rpc.QuotaFailure":
            reasons.append("QuotaFailure")
        case "type.googleapis.com/google.rpc.RetryInfo":
            retryDelay = detail["retryDelay"]?.stringValue.flatMap(ErrorBody.duration)
        default:
            break
        }
    }

    /// `1.5s`.
    private static func duration(_ text: String) -> Duration? {
        guard text.hasSuffix("s"), let seconds = Double(text.dropLast()), (0...86400).contains(seconds) else {
            return nil
        }
        return .milliseconds(Int64(seconds * 1000))
    }
}
