import Encoding
import Glibc
import GoogleCloud
import HTTP
import Synchronization
import Testing

/// Makes one call of a client against canned replies, compares what went out, and returns what was read.
///
/// - Parameters:
///   - lines: `VERB URL` of each request.
///   - body: of the first request; nil: none.
///   - replies: one for each request. The call must also bear them with new members and with new words.
///   - repeats: false where the call cannot be made again.
func expectCalls<Value>(
    _ lines: [String], body: JSONValue? = nil, replies: [JSONValue], repeats: Bool = true,
    sourceLocation: SourceLocation = #_sourceLocation,
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
    for newer in repeats ? [replies.map(\.withNewMembers), replies.map(\.withNewWords)] : [] {
        let transport = ScriptedTransport { number, _ in
            newer.indices.contains(number - 1) ? .reply(.json(newer[number - 1])) : .loseRequest
        }
        _ = try await call(GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()))
    }
    return value
}

extension JSONValue {
    /// As a later version of the service may send it: every object has a member more.
    fileprivate var withNewMembers: JSONValue {
        switch self {
        case .object(let members):
            .object(members.mapValues(\.withNewMembers).merging(["newMember": "x"]) { first, _ in first })
        case .array(let elements): .array(elements.map(\.withNewMembers))
        default: self
        }
    }

    /// As a later version of the service may send it: every enumeration's word is one that nobody knows yet.
    fileprivate var withNewWords: JSONValue {
        switch self {
        case .object(let members): .object(members.mapValues(\.withNewWords))
        case .array(let elements): .array(elements.map(\.withNewWords))
        case .string(let text) where text.utf8.count > 3 && text.utf8.allSatisfy(Self.isOfWord): "A_NEW_WORD"
        default: self
        }
    }

    private static func isOfWord(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) || byte == 0x5F }
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
        get throws {
            // `nil` in a ternary would be JSON's null.
            guard !body.isEmpty else { return nil }
            return try JSONValue(parsing: body)
        }
    }
}

/// Every request that the tests saw, for a second opinion: with `GOOGLE_REQUEST_LOG=FILE` it is written as the fences
/// that the reference checker reads, each different one once. Left out are requests whose body is not JSON (uploads) and
/// those to an upload's session, which no API description has.
enum RequestLog {
    private static let path = getenv("GOOGLE_REQUEST_LOG").map { String(cString: $0) } ?? ""
    private static let written = Mutex<Set<String>>([])

    private static let documents = [
        "container": "container.v1", "compute": "compute.v1", "tpu": "tpu.v2", "storage": "storage.v1",
        "run": "run.v2", "iamcredentials": "iamcredentials.v1", "iam": "iam.v1",
        "cloudresourcemanager": "cloudresourcemanager.v3", "serviceusage": "serviceusage.v1",
        "monitoring": "monitoring.v3", "cloudbilling": "cloudbilling.v1",
    ]

    static func append(_ request: HTTPRequest) {
        guard !path.isEmpty, let api = request.url.authority.split(separator: ".").first,
            request.url.queryValue("upload_id") == nil, let document = documents[String(api)],
            let json = try? request.json ?? .string("")  // Not JSON: an upload.
        else { return }
        let body = json == .string("") ? "" : String(decoding: json.serialized(), as: UTF8.self) + "\n"
        let text = "```json \(document) \(request.method.rawValue) \(request.url.target.dropFirst())\n\(body)```\n"
        written.withLock { written in
            guard written.insert(text).inserted else { return }
            guard let file = fopen(path, "a") else {
                Issue.record("\(path) cannot be written")
                return
            }
            fputs(text, file)
            fclose(file)
        }
    }
}
