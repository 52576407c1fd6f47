import Encoding
import GoogleCloud
import HTTP
import Testing

@Suite struct ErrorTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var status: Int
        var body: JSONValue
        var code: APIError.Code
        var reason: String?
        var headers: HTTPHeaders = [:]
        var retryAfter: Duration?
        var testDescription: String { name }
    }

    /// google.rpc's shape.
    static func rpc(_ status: String, _ message: String = "m", details: [JSONValue] = []) -> JSONValue {
        ["error": ["code": 0, "message": .string(message), "status": .string(status), "details": .array(details)]]
    }

    /// The older JSON APIs' shape.
    static func legacy(_ reason: String, _ message: String = "m") -> JSONValue {
        ["error": ["code": 0, "message": .string(message), "errors": [["reason": .string(reason)]]]]
    }

    static func info(_ reason: String) -> JSONValue {
        ["@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": .string(reason), "domain": "d"]
    }

    static let cases: [Case] = [
        Case(
            name: "wrong request", status: 400, body: rpc("INVALID_ARGUMENT"), code: .invalid,
            reason: "INVALID_ARGUMENT"),
        Case(
            name: "operation running", status: 400,
            body: rpc("FAILED_PRECONDITION", "Cluster is running incompatible operation operation-1."),
            code: .rateLimited, reason: "FAILED_PRECONDITION", retryAfter: .seconds(15)),
        Case(
            name: "operation running, by reason", status: 400,
            body: rpc("FAILED_PRECONDITION", details: [info("CLUSTER_ALREADY_HAS_OPERATION")]), code: .rateLimited,
            reason: "CLUSTER_ALREADY_HAS_OPERATION", retryAfter: .seconds(15)),
        Case(
            name: "operations quota is a rate", status: 429,
            body: rpc("RESOURCE_EXHAUSTED", details: [info("CONCURRENT_OPERATIONS_QUOTA_EXCEEDED")]),
            code: .rateLimited, reason: "CONCURRENT_OPERATIONS_QUOTA_EXCEEDED", retryAfter: .seconds(15)),
        Case(
            name: "another precondition", status: 400, body: rpc("FAILED_PRECONDITION", "Legacy abac."),
            code: .invalid, reason: "FAILED_PRECONDITION"),
        Case(
            name: "unauthenticated", status: 401, body: rpc("UNAUTHENTICATED"), code: .unauthorized,
            reason: "UNAUTHENTICATED"),
        Case(
            name: "no permission", status: 403,
            body: rpc("PERMISSION_DENIED", details: [info("IAM_PERMISSION_DENIED")]), code: .forbidden,
            reason: "IAM_PERMISSION_DENIED"),
        Case(
            name: "service disabled", status: 403, body: rpc("PERMISSION_DENIED", details: [info("SERVICE_DISABLED")]),
            code: .forbidden, reason: "SERVICE_DISABLED"),
        Case(
            name: "rate as 403", status: 403, body: legacy("rateLimitExceeded"), code: .rateLimited,
            reason: "rateLimitExceeded"),
        Case(
            name: "quota as 403", status: 403, body: legacy("quotaExceeded"), code: .quotaExceeded,
            reason: "quotaExceeded"),
        Case(name: "forbidden", status: 403, body: legacy("forbidden"), code: .forbidden, reason: "forbidden"),
        Case(name: "not found", status: 404, body: rpc("NOT_FOUND"), code: .notFound, reason: "NOT_FOUND"),
        Case(name: "exists", status: 409, body: rpc("ALREADY_EXISTS"), code: .alreadyExists, reason: "ALREADY_EXISTS"),
        Case(name: "etag", status: 409, body: rpc("ABORTED"), code: .conflict, reason: "ABORTED"),
        Case(name: "storage conflict", status: 409, body: legacy("conflict"), code: .conflict, reason: "conflict"),
        Case(name: "lost session", status: 410, body: legacy("gone"), code: .expired, reason: "gone"),
        Case(
            name: "precondition", status: 412, body: legacy("conditionNotMet"), code: .preconditionFailed,
            reason: "conditionNotMet"),
        Case(name: "not modified", status: 304, body: .null, code: .preconditionFailed),
        Case(
            name: "rate with a header", status: 429, body: rpc("RESOURCE_EXHAUSTED"), code: .rateLimited,
            reason: "RESOURCE_EXHAUSTED", headers: ["Retry-After": "7"], retryAfter: .seconds(7)),
        Case(
            name: "rate with RetryInfo", status: 429,
            body: rpc(
                "RESOURCE_EXHAUSTED",
                details: [
                    info("RATE_LIMIT_EXCEEDED"), ["@type": "type.googleapis.com/google.rpc.QuotaFailure"],
                    ["@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"],
                ]), code: .rateLimited, reason: "RATE_LIMIT_EXCEEDED", retryAfter: .milliseconds(1500)),
        Case(
            name: "allocation quota", status: 429,
            body: rpc("RESOURCE_EXHAUSTED", details: [["@type": "type.googleapis.com/google.rpc.QuotaFailure"]]),
            code: .quotaExceeded, reason: "QuotaFailure"),
        Case(name: "internal", status: 500, body: rpc("INTERNAL"), code: .unavailable, reason: "INTERNAL"),
        Case(
            name: "deadline", status: 504, body: rpc("DEADLINE_EXCEEDED"), code: .timeout, reason: "DEADLINE_EXCEEDED"),
        Case(name: "HTML from a front end", status: 502, body: .null, code: .unavailable),
        Case(
            name: "OAuth", status: 400, body: ["error": "invalid_grant", "error_description": "expired"],
            code: .invalid, reason: "invalid_grant"),
        Case(name: "redirect", status: 302, body: .null, code: .malformedResponse),
    ]

    @Test(arguments: cases)
    func `a reply is classified`(expected: Case) async {
        let transport = ScriptedTransport { _, _ in
            .reply(
                expected.body == .null
                    ? HTTPResponse(status: expected.status, headers: expected.headers, body: Array("<html>".utf8))
                    : .json(expected.body, status: expected.status, headers: expected.headers))
        }
        let client = ContainerClient(
            GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()))
        let error = await failure { () async throws(APIError) in
            try await client.nodePool("pool", in: cluster)
        }
        #expect(error?.code == expected.code)
        #expect(error?.reason == expected.reason)
        #expect(error?.retryAfter == expected.retryAfter)
        #expect(error?.httpStatus == expected.status)
        #expect(error?.operation == "container.nodePools.get")
    }

    static let operations: [(String, Int, String, APIError.Code)] = [
        ("stockout", 8, "IGM. Current errors: [GCE_STOCKOUT]: Instance 'a' creation failed", .stockedOut),
        ("compute stockout", 8, "[ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS]: x", .stockedOut),
        ("quota", 8, "Current errors: [GCE_QUOTA_EXCEEDED]: x", .quotaExceeded),
        ("quota without a code", 8, "Insufficient quota to satisfy the request", .quotaExceeded),
        ("exhausted without a code", 8, "requested resource is exhausted", .stockedOut),
        ("addresses", 8, "[IP_SPACE_EXHAUSTED_WITH_DETAILS]", .quotaExceeded),
        ("permissions", 7, "[PERMISSIONS_ERROR]", .forbidden),
        ("organization policy", 9, "[CONDITION_NOT_MET]: Constraint violated", .forbidden),
        ("internal", 13, "[INTERNAL_ERROR]", .unavailable),
        ("not found", 5, "gone", .notFound),
        ("a number that does not exist", 99, "?", .unavailable),
    ]

    @Test(arguments: operations)
    func `a failed operation is classified by gRPC's numbers`(
        name: String, number: Int, message: String, code: APIError.Code
    ) {
        let operation = ContainerOperation(
            name: "operation-1", operationType: "SET_NODE_POOL_SIZE", status: .done,
            error: .init(code: number, message: message))
        #expect(operation.failure?.code == code)
        #expect(operation.failure?.message == message)
        #expect(operation.failure?.operation == "container.SET_NODE_POOL_SIZE")
    }

    @Test func `an operation that runs or succeeded has no failure`() {
        let error = ContainerOperation.RPCStatus(code: 8, message: "x")
        #expect(ContainerOperation(name: "o", status: .running, error: error).failure == nil)
        #expect(ContainerOperation(name: "o", status: .done).failure == nil)
        #expect(ContainerOperation(name: "o", status: .done, error: .init(code: nil, message: nil)).failure == nil)
    }

    @Test func `a pool in error says why`() {
        let stockout = StatusCondition(
            code: "GCE_STOCKOUT", canonicalCode: "RESOURCE_EXHAUSTED", message: "no machines")
        #expect(NodePool(name: "p", status: .error, conditions: [stockout]).failure?.code == .stockedOut)
        #expect(NodePool(name: "p", status: .error, conditions: [stockout]).failure?.message == "no machines")
        #expect(
            NodePool(name: "p", status: .runningWithError, statusMessage: "[GCE_QUOTA_EXCEEDED]").failure?.code
                == .quotaExceeded)
        #expect(NodePool(name: "p", status: .error).failure?.code == .unavailable)
        #expect(NodePool(name: "p", status: .running, conditions: [stockout]).failure == nil)
    }

    @Test func `a long message is cut`() {
        let operation = ContainerOperation(
            name: "o", status: .done, error: .init(code: 13, message: String(repeating: "x", count: 5000)))
        #expect(operation.failure?.message.count == 1024)
    }
}

let cluster = ClusterName(project: "p1", location: "us-central1", cluster: "c1") ?? { preconditionFailure("valid") }()
