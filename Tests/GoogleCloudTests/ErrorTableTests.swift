import Encoding
import HTTP
import Testing

@testable import GoogleCloud

/// Every row of the retry tables, and every word that Google's services are known to say.
@Suite struct ErrorTableTests {
    private static func reply(_ status: Int, _ body: JSONValue) -> APIError {
        GoogleCloudErrors.error(.json(body, status: status), operation: "x.y")
    }

    private static func rpc(_ word: String, _ message: String = "m", info: String? = nil) -> JSONValue {
        var details: [JSONValue] = []
        if let info {
            details.append(["@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": .string(info)])
        }
        return ["error": ["message": .string(message), "status": .string(word), "details": .array(details)]]
    }

    private static func legacy(_ reason: String) -> JSONValue {
        ["error": ["message": "m", "errors": [["reason": .string(reason), "message": "m"]]]]
    }

    static let statuses: [(Int, APIError.Code)] = [
        (302, .malformedResponse), (304, .preconditionFailed), (400, .invalid), (401, .unauthorized),
        (403, .forbidden), (404, .notFound), (405, .invalid), (408, .unavailable), (409, .conflict), (410, .expired),
        (412, .preconditionFailed), (413, .tooLarge), (418, .invalid), (422, .invalid), (429, .rateLimited),
        (499, .cancelled), (500, .unavailable), (501, .invalid), (502, .unavailable), (503, .unavailable),
        (504, .timeout), (599, .unavailable),
    ]

    @Test(arguments: statuses)
    func `a status without a word is enough`(status: Int, code: APIError.Code) {
        let error = GoogleCloudErrors.error(
            HTTPResponse(status: status, body: Array("<html>".utf8)), operation: "x.y")
        #expect(
            error
                == APIError(
                    code, operation: "x.y", message: "HTTP \(status) without an error message", httpStatus: status))
    }

    static let rpcNumbers: [(Int, String, APIError.Code)] = [
        (1, "CANCELLED", .cancelled), (2, "UNKNOWN", .unavailable), (3, "INVALID_ARGUMENT", .invalid),
        (4, "DEADLINE_EXCEEDED", .timeout), (5, "NOT_FOUND", .notFound), (6, "ALREADY_EXISTS", .alreadyExists),
        (7, "PERMISSION_DENIED", .forbidden), (8, "RESOURCE_EXHAUSTED", .stockedOut),
        (9, "FAILED_PRECONDITION", .invalid), (10, "ABORTED", .conflict), (11, "OUT_OF_RANGE", .invalid),
        (12, "UNIMPLEMENTED", .invalid), (13, "INTERNAL", .unavailable), (14, "UNAVAILABLE", .unavailable),
        (15, "DATA_LOSS", .unavailable), (16, "UNAUTHENTICATED", .unauthorized), (17, "UNKNOWN", .unavailable),
        (-1, "UNKNOWN", .unavailable),
    ]

    @Test(arguments: rpcNumbers)
    func `an operation's number is gRPC's`(number: Int, word: String, code: APIError.Code) {
        #expect(
            GoogleCloudErrors.error(rpcCode: number, message: "m", operation: "x.y")
                == APIError(code, operation: "x.y", message: "m", reason: word))
    }

    static let reasons: [(String, Int, APIError.Code)] = [
        // ErrorInfo and the older JSON APIs.
        ("SERVICE_DISABLED", 403, .forbidden), ("BILLING_DISABLED", 403, .forbidden),
        ("CONSUMER_INVALID", 403, .forbidden), ("consumerInvalid", 403, .forbidden),
        ("USER_PROJECT_DENIED", 403, .forbidden), ("IAM_PERMISSION_DENIED", 403, .forbidden),
        ("accessNotConfigured", 403, .forbidden), ("ACCESS_TOKEN_SCOPE_INSUFFICIENT", 403, .forbidden),
        ("ACCESS_TOKEN_EXPIRED", 401, .unauthorized), ("ACCESS_TOKEN_TYPE_UNSUPPORTED", 401, .unauthorized),
        ("CREDENTIALS_MISSING", 401, .unauthorized), ("RATE_LIMIT_EXCEEDED", 429, .rateLimited),
        ("rateLimitExceeded", 403, .rateLimited), ("userRateLimitExceeded", 403, .rateLimited),
        ("quotaExceeded", 403, .quotaExceeded), ("alreadyExists", 409, .alreadyExists),
        ("duplicate", 409, .alreadyExists), ("conflict", 409, .conflict), ("conditionNotMet", 412, .preconditionFailed),
        ("backendError", 503, .unavailable), ("internalError", 500, .unavailable), ("forbidden", 403, .forbidden),
        ("insufficientPermissions", 403, .forbidden), ("retentionPolicyNotMet", 403, .forbidden),
        ("notFound", 404, .notFound), ("invalid", 400, .invalid), ("required", 400, .invalid),
        ("resourceInUseByAnotherResource", 400, .conflict), ("resourceNotReady", 400, .unavailable),
        ("uploadTooLarge", 413, .tooLarge), ("gone", 410, .expired), ("authError", 401, .unauthorized),
        ("CLUSTER_ALREADY_HAS_OPERATION", 400, .rateLimited),
        ("CONCURRENT_OPERATIONS_QUOTA_EXCEEDED", 429, .rateLimited),
        // What nobody has heard of counts as if it were not there.
        ("SOMETHING_NEW", 400, .invalid), ("somethingNew", 403, .forbidden), ("SOMETHING_NEW", 503, .unavailable),
    ]

    @Test(arguments: reasons)
    func `a reason decides, in either shape`(reason: String, status: Int, code: APIError.Code) {
        let older = Self.reply(status, Self.legacy(reason))
        let newer = Self.reply(status, Self.rpc("", info: reason))
        #expect(older.code == code)
        #expect(newer.code == code)
        #expect(older.reason == reason)
        #expect(newer.reason == reason)
    }

    static let sentences: [(Int, String, String, APIError.Code)] = [
        (400, "FAILED_PRECONDITION", "Cluster is running incompatible operation operation-1.", .rateLimited),
        (400, "FAILED_PRECONDITION", "Master is being updated.", .rateLimited),
        (400, "FAILED_PRECONDITION", "Cluster is not ready for operation: retry.", .rateLimited),
        (409, "ABORTED", "unable to queue the operation", .rateLimited),
        (409, "ABORTED", "Another operation is already in progress", .rateLimited),
        (409, "", "The resource is currently locked", .rateLimited),
        (429, "RESOURCE_EXHAUSTED", "hits the concurrent operations quota 5", .rateLimited),
        (409, "ABORTED", "There were concurrent policy changes. Please retry.", .conflict),
        (400, "INVALID_ARGUMENT", "Service account a@b does not exist.", .notFound),
        (400, "INVALID_ARGUMENT", "Service account a@b has no name.", .invalid),
        (429, "RESOURCE_EXHAUSTED", "Quota 'TPUV2' exhausted. Limit 32 in region europe-west4", .quotaExceeded),
        (
            429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Reads' and limit 'Reads per minute'",
            .rateLimited
        ),
        (403, "PERMISSION_DENIED", "Location us-east1-d is not found or access is unauthorized.", .forbidden),
        (400, "NEW_WORD", "m", .invalid), (503, "NEW_WORD", "m", .unavailable),
    ]

    @Test(arguments: sentences)
    func `a sentence decides where the word would mislead`(
        status: Int, word: String, message: String, code: APIError.Code
    ) {
        let error = Self.reply(status, Self.rpc(word, message))
        #expect(error.code == code)
        #expect(error.message == message)
        let waits = code == .rateLimited && !message.hasPrefix("Quota")
        #expect(error.retryAfter == (waits ? .seconds(15) : nil))
    }

    static let computeCodes: [(String, APIError.Code)] = [
        ("ZONE_RESOURCE_POOL_EXHAUSTED", .stockedOut), ("ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", .stockedOut),
        ("REGION_RESOURCE_POOL_EXHAUSTED", .stockedOut), ("RESOURCE_POOL_EXHAUSTED", .stockedOut),
        ("GPU_STOCKOUT", .stockedOut), ("GCE_STOCKOUT", .stockedOut), ("UNSUPPORTED_OPERATION", .stockedOut),
        ("QUOTA_EXCEEDED", .quotaExceeded), ("QUOTA_EXCEEDED_WITH_DETAILS", .quotaExceeded),
        ("GCE_QUOTA_EXCEEDED", .quotaExceeded), ("SOME_NEW_QUOTA_PROBLEM", .quotaExceeded),
        ("IP_SPACE_EXHAUSTED", .quotaExceeded), ("VM_IP_SPACE_EXHAUSTED_WITH_DETAILS", .quotaExceeded),
        ("PERMISSIONS_ERROR", .forbidden), ("VM_PERMISSIONS_ERROR", .forbidden), ("CONDITION_NOT_MET", .forbidden),
        ("GKE_SERVICE_ACCOUNT_DELETED", .forbidden), ("NODE_SERVICE_ACCOUNT_MISSING_PERMISSIONS", .forbidden),
        ("CLOUD_KMS_KEY_ERROR", .forbidden), ("CLOUD_KMS_KEY_DESTROYED", .forbidden),
        ("RESOURCE_NOT_READY", .unavailable), ("INTERNAL_ERROR", .unavailable),
        ("RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", .conflict), ("RESOURCE_OPERATION_RATE_EXCEEDED", .rateLimited),
        ("RESOURCE_ALREADY_EXISTS", .alreadyExists), ("RESOURCE_NOT_FOUND", .notFound),
        ("INVALID_FIELD_VALUE", .invalid), ("INVALID_USAGE", .invalid), ("INVALID_RESERVATION", .invalid),
        ("A_NEW_CODE", .unavailable),
    ]

    @Test(arguments: computeCodes)
    func `compute's codes, alone, of a managed instance and in a pool's text`(word: String, code: APIError.Code) {
        let item = ComputeErrorItem(["code": .string(word), "message": "no machine"])
        #expect(
            GoogleCloudErrors.error(compute: [item], operation: "compute.x")
                == APIError(code, operation: "compute.x", message: "no machine", reason: word))
        guard word != "A_NEW_CODE" else { return }
        let text =
            "Google Compute Engine: Not all instances running in IGM. Current errors: [\(word)]: Instance 'a' failed"
        let pool = GoogleCloudErrors.error(conditions: [], message: text, operation: "container.nodePools")
        #expect(pool.code == code)
        #expect(pool.reason == word)
    }

    static let failures: [(String, Int, String, APIError.Code)] = [
        ("no capacity", 8, "There is no more capacity in the zone \"europe-west4-a\"; you can try", .stockedOut),
        ("no reserved capacity", 9, "Insufficient reserved capacity. Contact customer support", .stockedOut),
        ("preempted while made", 3, "update is not supported while in state PREEMPTED", .stockedOut),
        ("a slice at once", 8, "Atomic resize failed with [GCE_STOCKOUT]", .stockedOut),
        ("internal", 13, "internal error", .unavailable),
    ]

    @Test(arguments: failures)
    func `what a queued resource or an operation failed with`(
        name: String, number: Int, message: String, code: APIError.Code
    ) {
        #expect(GoogleCloudErrors.error(rpcCode: number, message: message, operation: "tpu.x").code == code)
    }

    @Test func `a stockout of a compute operation by its details only`() {
        let item = ComputeErrorItem([
            "code": "SOMETHING_NEW", "message": "x",
            "errorDetails": [["errorInfo": ["reason": "resource_availability", "domain": "compute.googleapis.com"]]],
        ])
        #expect(GoogleCloudErrors.error(compute: [item], httpStatus: 503, operation: "o").code == .stockedOut)
        #expect(GoogleCloudErrors.error(compute: [], operation: "o").message == "no reason given")
    }

    static let quotas: [(String, APIError, String)] = [
        (
            "QuotaFailure",
            reply(
                429,
                [
                    "error": [
                        "status": "RESOURCE_EXHAUSTED", "message": "Quota is exhausted.",
                        "details": [
                            [
                                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                                "violations": [
                                    [
                                        "quotaMetric": "compute.googleapis.com/gpus_per_gpu_family",
                                        "quotaValue": "8", "quotaDimensions": ["region": "us-central1"],
                                    ]
                                ],
                            ]
                        ],
                    ]
                ]),
            "Quota is exhausted. (quota compute.googleapis.com/gpus_per_gpu_family, limit 8, in us-central1)"
        ),
        (
            "ErrorInfo of a rate",
            reply(
                429,
                [
                    "error": [
                        "status": "RESOURCE_EXHAUSTED", "message": "Too many.",
                        "details": [
                            [
                                "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED",
                                "metadata": [
                                    "quota_metric": "container.googleapis.com/read", "quota_limit_value": "3000",
                                    "quota_location": "global",
                                ],
                            ]
                        ],
                    ]
                ]), "Too many. (quota container.googleapis.com/read, limit 3000, in global)"
        ),
        (
            "compute",
            GoogleCloudErrors.error(
                compute: [
                    ComputeErrorItem([
                        "code": "QUOTA_EXCEEDED", "message": "Quota 'NVIDIA_T4_GPUS' exceeded.  Limit: 1 in region r.",
                        "errorDetails": [
                            [
                                "quotaInfo": [
                                    "metricName": "compute.googleapis.com/nvidia_t4_gpus", "limit": 1,
                                    "dimensions": ["region": "us-central1"],
                                ]
                            ]
                        ],
                    ])
                ], operation: "o"),
            "Quota 'NVIDIA_T4_GPUS' exceeded.  Limit: 1 in region r. (quota compute.googleapis.com/nvidia_t4_gpus, in "
                + "us-central1)"
        ),
    ]

    @Test(arguments: quotas)
    func `a quota's metric, limit and place are said`(name: String, error: APIError, message: String) {
        #expect(error.message == message)
    }

    @Test func `every code that a reply can lead to has a row`() {
        var seen = Set(Self.statuses.map(\.1) + Self.rpcNumbers.map(\.2) + Self.reasons.map(\.2))
        seen.formUnion(Self.sentences.map(\.3) + Self.computeCodes.map(\.1))
        #expect(Set(APIError.Code.allCases).subtracting(seen) == [.insecure])
    }
}
