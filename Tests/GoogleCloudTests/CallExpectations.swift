import Encoding
import Glibc
import GoogleCloud
import HTTP
import Testing

/// Makes one call of a client against canned replies, compares what went out, and returns what was read.
///
/// - Parameters:
///   - lines: `VERB URL` of each request; what follows ` -> ` in none of them.
///   - body: of the first request; nil: none.
///   - replies: one for each request.
func expectCalls<Value>(
    _ lines: [String], body: JSONValue? = nil, replies: [JSONValue], sourceLocation: SourceLocation = #_sourceLocation,
    _ call: (GoogleCloudClient) async throws(APIError) -> Value
) async throws -> Value {
    let transport = ScriptedTransport { number, _ in
        replies.indices.contains(number - 1) ? .reply(.json(replies[number - 1])) : .loseRequest
    }
    let value = try await call(GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()))
    #expect(transport.requests.map(\.line) == lines, sourceLocation: sourceLocation)
    let first = try #require(transport.requests.first, sourceLocation: sourceLocation)
    #expect(try first.json == body, sourceLocation: sourceLocation)
    #expect(first.headers["Content-Type"] == (body == nil ? nil : "application/json"), sourceLocation: sourceLocation)
    for request in transport.requests { try RequestLog.append(request) }
    return value
}

/// As `expectCalls`, for one request.
func expectCall<Value>(
    _ line: String, body: JSONValue? = nil, reply: JSONValue = [:],
    sourceLocation: SourceLocation = #_sourceLocation,
    _ call: (GoogleCloudClient) async throws(APIError) -> Value
) async throws -> Value {
    try await expectCalls([line], body: body, replies: [reply], sourceLocation: sourceLocation, call)
}

extension HTTPRequest {
    var line: String { "\(method.rawValue) \(url)" }

    /// nil for an empty body.
    var json: JSONValue? {
        get throws { body.isEmpty ? nil : try JSONValue(parsing: body) }
    }
}

/// Every request that the tests saw, for a second opinion: with `GOOGLE_REQUEST_LOG=FILE` it is written as the fences
/// that the reference checker reads.
enum RequestLog {
    private static let documents = [
        "container": "container.v1", "compute": "compute.v1", "tpu": "tpu.v2", "storage": "storage.v1",
        "run": "run.v2", "iamcredentials": "iamcredentials.v1", "iam": "iam.v1",
        "cloudresourcemanager": "cloudresourcemanager.v3", "serviceusage": "serviceusage.v1",
        "monitoring": "monitoring.v3", "cloudbilling": "cloudbilling.v1",
    ]

    static func append(_ request: HTTPRequest) throws {
        guard let path = getenv("GOOGLE_REQUEST_LOG").map({ String(cString: $0) }), !path.isEmpty else { return }
        let api = try #require(request.url.authority.split(separator: ".").first)
        let document = try #require(documents[String(api)])
        let body = try request.json.map { String(decoding: $0.serialized(), as: UTF8.self) + "\n" } ?? ""
        let text = "```json \(document) \(request.method.rawValue) \(request.url.target.dropFirst())\n\(body)```\n"
        let file = try #require(fopen(path, "a"))
        fputs(text, file)
        fclose(file)
    }
}
