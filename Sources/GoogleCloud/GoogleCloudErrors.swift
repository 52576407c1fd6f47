internal import Encoding
internal import HTTP

/// The one place where Google's many ways to say no become an `APIError.Code`.
///
/// Looked at in this order: the string codes of compute, GKE and the JSON APIs (by family), sentences that only mean
/// "another operation is running" or "no capacity", the gRPC word or number, the HTTP status. An unknown word counts as
/// if it were not there.
///
/// What follows from a code is decided by the runtime's retry table, and which reason the `Ready` condition shows by its
/// error overlay:
///
/// | code | said by | tried again | reason |
/// |---|---|---|---|
/// | `.rateLimited` | 429, `rateLimitExceeded`, an operation that runs | after `retryAfter`, else backoff | RateLimited |
/// | `.unavailable` | 5xx, 408, UNAVAILABLE, INTERNAL, UNKNOWN | after `retryAfter`, else backoff | Unavailable |
/// | `.timeout` | 504, DEADLINE_EXCEEDED, no reply | after `retryAfter`, else backoff | Timeout |
/// | `.malformedResponse` | a redirect, a reply that cannot be read | backoff | MalformedResponse |
/// | `.conflict` | ABORTED, 409 `conflict`, a policy that changed | read again at once | – |
/// | `.preconditionFailed` | 412, a stale fingerprint | read again at once | PreconditionFailed |
/// | `.expired` | 410, a lost upload session | backoff | Expired |
/// | `.notFound` | 404, a service account that is not known yet | backoff | NotFound |
/// | `.unauthorized` | 401 after one fresh token, `invalid_grant` | backoff | Unauthorized |
/// | `.alreadyExists` | ALREADY_EXISTS, `duplicate` | slowly, unless it is ours | NameConflict |
/// | `.quotaExceeded` | codes with QUOTA, QuotaFailure, addresses | slowly; first another candidate | QuotaExceeded |
/// | `.stockedOut` | STOCKOUT, RESOURCE_POOL_EXHAUSTED | slowly; first another candidate | StockedOut |
/// | `.forbidden` | 403, IAM, org policy, service or billing off | slowly | PermissionDenied |
/// | `.tooLarge` | 413 | slowly | TooLarge |
/// | `.invalid` | 400, 422, 501, FAILED_PRECONDITION | when something changes, and hourly | Invalid |
/// | `.cancelled` | CANCELLED, 499 | never: it was our own | – |
///
/// "Slowly" is the controller's recheck interval (10 minutes by default); backoff is exponential with full jitter. An
/// operation that runs is waited for 15 s (`operationRunningRetry`).
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
        let message = body.message ?? "HTTP \(response.status) without an error message"
        error.message = readable(body.quota?.completing(message) ?? message)
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
        error.message = readable(message)
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
        error.message = readable(text)
        error.reason = words.first ?? word
        return error
    }

    /// Classifies the string codes of compute: an operation's `error.errors[]`, a managed instance's
    /// `lastAttempt.errors.errors[]`, an instance group manager's `listErrors`.
    ///
    /// - Parameter httpStatus: `httpErrorStatusCode`, where there is one.
    static func error(compute errors: [ComputeErrorItem], httpStatus: Int? = nil, operation: String) -> APIError {
        let words = errors.flatMap { [$0.code, $0.reason].compactMap { $0 } }
        let text = errors.lazy.compactMap(\.message).first ?? words.first ?? "no reason given"
        let quota = errors.lazy.compactMap(\.quota).first
        var error = classify(words: words, message: text, rpcWord: nil, httpStatus: httpStatus)
        error.operation = operation
        error.message = readable(quota?.completing(text) ?? text)
        error.reason = words.first
        error.httpStatus = httpStatus
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
        let text = message ?? ""
        if let code = sentences.first(where: { $0.parts.allSatisfy { text.contains($0) } })?.code {
            return result(code, retryAfter: code == .rateLimited ? operationRunningRetry : nil)
        }
        if httpStatus == 429 || rpcWord == "RESOURCE_EXHAUSTED" {
            return result(exhausted(words: words, message: text, isReply: httpStatus != nil))
        }
        if let code = rpcWord.flatMap({ rpcCodes[$0] }) { return result(code) }
        if let code = words.lazy.compactMap({ jsonReasons[$0] }).first { return result(code) }
        return result(httpStatus.map(code) ?? .unavailable)
    }

    /// What ran out when no code says it: a reply means a rate, except where it names an allocation quota (QuotaFailure
    /// without RATE_LIMIT_EXCEEDED); an operation that failed means machines, except where it speaks of a quota.
    private static func exhausted(words: [String], message: String, isReply: Bool) -> APIError.Code {
        if words.contains(QuotaDetail.word) { return .quotaExceeded }
        if isReply { return saysAllocationQuota(message) ? .quotaExceeded : .rateLimited }
        return message.lowercased().contains("quota") ? .quotaExceeded : .stockedOut
    }

    /// `Quota 'TPUS' exhausted. Limit 32 in region europe-west4`; a rate's message names a quota metric instead.
    private static func saysAllocationQuota(_ message: String) -> Bool {
        message.contains("Quota '") && (message.contains("exceeded") || message.contains("exhausted"))
    }

    private enum Match {
        case prefix(String)
        case part(String)
    }

    /// String codes by family. The order matters: the "quota" of operations and requests is a rate.
    private static let families: [(match: Match, code: APIError.Code)] = [
        (.prefix("CONCURRENT_OPERATIONS_QUOTA_EXCEEDED"), .rateLimited),
        (.prefix("CLUSTER_ALREADY_HAS_OPERATION"), .rateLimited),
        (.part("RATE_LIMIT_EXCEEDED"), .rateLimited),
        (.prefix("RESOURCE_OPERATION_RATE_EXCEEDED"), .rateLimited),
        (.prefix("rateLimitExceeded"), .rateLimited),
        (.prefix("userRateLimitExceeded"), .rateLimited),
        (.part("STOCKOUT"), .stockedOut),
        (.part("RESOURCE_POOL_EXHAUSTED"), .stockedOut),
        (.prefix("RESOURCES_EXHAUSTED"), .stockedOut),
        (.prefix("resource_availability"), .stockedOut),
        // A virtual machine that is preempted while it is being created.
        (.prefix("UNSUPPORTED_OPERATION"), .stockedOut),
        (.part("IP_SPACE_EXHAUSTED"), .quotaExceeded),
        (.part("QUOTA"), .quotaExceeded),
        (.prefix("quotaExceeded"), .quotaExceeded),
        (.part("PERMISSIONS_ERROR"), .forbidden),
        (.prefix("GKE_SERVICE_ACCOUNT_DELETED"), .forbidden),
        (.part("MISSING_PERMISSIONS"), .forbidden),
        (.prefix("CLOUD_KMS_KEY"), .forbidden),
        (.prefix("CONDITION_NOT_MET"), .forbidden),  // An org policy's constraint; storage's 412 is `conditionNotMet`.
        (.prefix("SERVICE_DISABLED"), .forbidden),
        (.prefix("accessNotConfigured"), .forbidden),
        (.prefix("BILLING_DISABLED"), .forbidden),
        (.prefix("CONSUMER_INVALID"), .forbidden),
        (.prefix("consumerInvalid"), .forbidden),
        (.prefix("CONSUMER_SUSPENDED"), .forbidden),
        (.prefix("USER_PROJECT_DENIED"), .forbidden),
        (.prefix("IAM_PERMISSION_DENIED"), .forbidden),
        (.prefix("ACCESS_TOKEN_SCOPE_INSUFFICIENT"), .forbidden),
        (.prefix("ACCESS_TOKEN_EXPIRED"), .unauthorized),
        (.prefix("ACCESS_TOKEN_TYPE_UNSUPPORTED"), .unauthorized),
        (.prefix("CREDENTIALS_MISSING"), .unauthorized),
        (.prefix("INTERNAL_ERROR"), .unavailable),
        (.prefix("RESOURCE_NOT_READY"), .unavailable),
        (.prefix("resourceNotReady"), .unavailable),
        (.prefix("RESOURCE_IN_USE_BY_ANOTHER_RESOURCE"), .conflict),
        (.prefix("resourceInUseByAnotherResource"), .conflict),
        (.prefix("RESOURCE_ALREADY_EXISTS"), .alreadyExists),
        (.prefix("RESOURCE_NOT_FOUND"), .notFound),
        (.prefix("INVALID_FIELD_VALUE"), .invalid),
        (.prefix("INVALID_USAGE"), .invalid),
        (.prefix("INVALID_RESERVATION"), .invalid),
    ]

    private static func family(_ word: String) -> APIError.Code? {
        families.first { family in
            switch family.match {
            case .prefix(let prefix): word.hasPrefix(prefix)
            case .part(let part): word.contains(part)
            }
        }?.code
    }

    private static func isOperationRunning(_ word: String) -> Bool {
        word.hasPrefix("CLUSTER_ALREADY_HAS_OPERATION") || word.hasPrefix("CONCURRENT_OPERATIONS")
    }

    /// What is only said in a sentence, beside a word that would mean something else: all parts must be in it.
    private static let sentences: [(parts: [String], code: APIError.Code)] = [
        // GKE says these with a bare FAILED_PRECONDITION or 409.
        (["incompatible operation"], .rateLimited), (["already has operation"], .rateLimited),
        (["Master is being updated"], .rateLimited), (["not ready for operation"], .rateLimited),
        (["unable to queue the operation"], .rateLimited),
        (["Another operation is already in progress"], .rateLimited), (["currently locked"], .rateLimited),
        (["concurrent operations quota"], .rateLimited),
        (["There were concurrent policy changes"], .conflict),
        // Cloud TPU: codes 9, 8 and 3.
        (["Insufficient reserved capacity"], .stockedOut), (["There is no more capacity in the zone"], .stockedOut),
        (["while in state PREEMPTED"], .stockedOut),
        // Until an account that was just created is known everywhere.
        (["ervice account", "does not exist"], .notFound),
    ]

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
        "notModified": .preconditionFailed, "backendError": .unavailable, "internalError": .unavailable,
        "uploadTooLarge": .tooLarge, "duplicate": .alreadyExists, "insufficientPermissions": .forbidden,
        "retentionPolicyNotMet": .forbidden, "objectUnderActiveHold": .forbidden, "authError": .unauthorized,
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
        case 499: .cancelled
        case 501, 505: .invalid
        case 504: .timeout
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

    /// Without credentials, and not too long.
    private static func readable(_ message: String) -> String {
        let scrubbed = Redaction.scrubbed(String(message.prefix(2 * maximumMessageLength)))
        return scrubbed.count <= maximumMessageLength ? scrubbed : scrubbed.prefix(maximumMessageLength - 1) + "…"
    }
}

/// One entry of compute's `errors[]`.
struct ComputeErrorItem: Sendable, Hashable {
    /// `ZONE_RESOURCE_POOL_EXHAUSTED`, …
    var code: String?
    var message: String?
    /// `errorDetails[].errorInfo.reason`.
    var reason: String?
    var quota: QuotaDetail?

    init(code: String?, message: String? = nil, reason: String? = nil, quota: QuotaDetail? = nil) {
        self.code = code
        self.message = message
        self.reason = reason
        self.quota = quota
    }

    /// An entry as it is on the wire.
    init(_ json: JSONValue) {
        let details = json["errorDetails"]?.arrayValue ?? []
        self.init(
            code: json["code"]?.stringValue, message: json["message"]?.stringValue,
            reason: details.lazy.compactMap { $0["errorInfo"]?["reason"]?.stringValue }.first,
            quota: details.lazy.compactMap { $0["quotaInfo"].flatMap { QuotaDetail(quotaInfo: $0) } }.first)
    }
}
