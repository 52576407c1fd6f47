import Encoding
import HTTP
import Synchronization
import Telemetry
import Testing

@testable import GoogleCloud

/// Secrets that are planted everywhere show nowhere.
@Suite struct CanaryTests {
    private final class LogBook: LogSink {
        private let kept = Mutex<[LogLine]>([])
        var text: String { kept.withLock { $0 }.map { $0.json.serializedText() }.joined(separator: "\n") }
        func write(_ line: LogLine) { kept.withLock { $0.append(line) } }
    }

    static let canaries = [
        "canary-access-token", "canary-upload-session", "canary-signature", "canary-refresh-token",
        "canary-client-secret", "canary-subject-token",
    ]

    private static func expectNone(in text: String, _ place: String) {
        for canary in canaries where text.contains(canary) { Issue.record("\(canary) is in \(place): \(text)") }
    }

    private static func everyForm(of value: some Any) -> String {
        var dumped = ""
        dump(value, to: &dumped)
        return "\(value) \(String(reflecting: value)) \([value]) \(Optional(value) as Any) \(dumped)"
    }

    /// Error bodies as careless services and proxies write them, with what they were sent.
    static let echoes: [(String, @Sendable (HTTPRequest) -> String)] = [
        ("the header", { "Request had Authorization: \($0.headers["Authorization"] ?? "")" }),
        ("the token alone", { ($0.headers["Authorization"] ?? "").replacing("Bearer ", with: "") + " is not valid" }),
        ("the token encoded", { HTTPURL.encoded($0.headers["Authorization"] ?? "") }),
        ("the URL", { "No such session: \($0.url.text)" }),
        ("a signed URL", { _ in "https://storage.googleapis.com/b/o?X-Goog-Signature=canary-signature&x=1" }),
        ("a token in a URL", { _ in "GET /o?alt=media&access_token=canary-access-token HTTP/1.1" }),
        ("JSON", { _ in #"got {"accessToken": "canary-access-token", "client_secret":"canary-client-secret"}"# }),
        ("a form", { _ in "refresh_token=canary-refresh-token&subject_token=canary-subject-token" }),
    ]

    @Test(arguments: echoes.indices, [400, 401, 403, 503])
    func `what an error body echoes shows in no error, log line or metric`(index: Int, status: Int) async throws {
        let echo = Self.echoes[index].1
        let book = LogBook()
        let registry = MetricsRegistry()
        let clock = ImpatientClock()
        let scripted = ScriptedTransport { number, request in
            if request.headers["X-Upload-Content-Length"] != nil {
                return .reply(
                    HTTPResponse(
                        status: 200,
                        headers: [
                            "Location":
                                "https://storage.googleapis.com/upload/storage/v1/b/b/o?upload_id=canary-upload-session"
                        ]))
            }
            return .reply(.json(["error": ["message": .string(echo(request))]], status: status))
        }
        let log = Log(level: .debug, sink: book)
        let transport = InstrumentedTransport(scripted, metrics: HTTPClientMetrics(registry), log: log)
        let limits = CallLimits(clock: clock, metrics: CallMetrics(registry))
        let client = GoogleCloudClient(
            transport: transport, tokens: FixedToken(), clock: clock, limits: limits)
        let storage = StorageClient(client, transfers: .forTests)
        var errors: [APIError] = []
        errors += [await failure { () async throws(APIError) in try await storage.bucket("bucket") }].compactMap { $0 }
        errors += [
            await failure { () async throws(APIError) in try await storage.read("o", in: "bucket") },
            await failure { () async throws(APIError) in
                try await storage.upload(pattern(300 << 10), to: "o", in: "bucket")
            },
        ].compactMap { $0 }
        #expect(errors.count == 3)
        #expect(scripted.requests.contains { $0.url.text.contains("canary-upload-session") } || status == 401)
        #expect(scripted.requests.allSatisfy { $0.headers["Authorization"] == "Bearer canary-access-token" })
        for error in errors { Self.expectNone(in: Self.everyForm(of: error), "an error") }
        for request in scripted.requests {
            var request = request
            request.body = []
            Self.expectNone(in: Self.everyForm(of: request), "a request's description")
        }
        Self.expectNone(in: book.text, "the log")
        #expect(book.text.contains("http request"))
        Self.expectNone(in: registry.text, "the metrics")
    }

    private struct FixedToken: TokenSource {
        func token() async throws(APIError) -> AccessToken? {
            AccessToken("canary-access-token", lifetime: .seconds(3600))
        }
        func discard(_ token: AccessToken) async {}
    }

    @Test func `credentials print as stars in every form, and cannot be encoded`() throws {
        let folder = try CredentialFolder()
        let subject = try folder.write("subject", "canary-subject-token")
        var external = CredentialSamples.external(source: [
            "url": "https://ci.example.com/t?access_token=canary-access-token",
            "headers": ["X-Key": "canary-signature"],
        ])
        external["client_secret"] = "canary-client-secret"
        let nested: JSONValue = [
            "type": "impersonated_service_account",
            "service_account_impersonation_url": .string(CredentialSamples.impersonationURL(CredentialSamples.account)),
            "source_credentials": CredentialSamples.authorizedUser,
        ]
        for json in [CredentialSamples.authorizedUser, external, nested] {
            let file = try CredentialFile(json.serialized(), path: "/f")
            Self.expectNone(in: Self.everyForm(of: file), "a credential file")
        }
        let token = AccessToken("canary-access-token", lifetime: .seconds(1))
        Self.expectNone(in: Self.everyForm(of: token), "a token")
        let read = try CredentialBytes.token(in: CredentialBytes.bytes(subject), field: nil, what: "f")
        #expect(read.revealed == "canary-subject-token")
        Self.expectNone(in: Self.everyForm(of: read), "a subject token")
        for value: Any in [token, read] { #expect(!(value is any Encodable)) }
    }

    @Test func `an upload session and a URL print without their credentials, and go out with them`() throws {
        var state = ResumableUploadState(size: 10, chunkBytes: 1, retries: 1)
        let text =
            "https://storage.googleapis.com/o?name=a%2Fb&upload_id=canary-upload-session&X-Goog-Signature=canary-signature"
        let url = try #require(HTTPURL(text))
        state.sessionStarted(url)
        Self.expectNone(in: Self.everyForm(of: state), "an upload's state")
        Self.expectNone(in: Self.everyForm(of: url), "a URL")
        #expect(url.description == "https://storage.googleapis.com/o?name=a%2Fb&upload_id=***&X-Goog-Signature=***")
        #expect(url.text == text)
    }

    static let texts: [(String, String)] = [
        ("Authorization: Bearer abc", "Authorization: ***"), ("authorization=abc, next", "authorization=***, next"),
        ("sent Bearer 0123456789abcdef", "sent Bearer ***"), ("ya29.a0AfH-x_y is old", "*** is old"),
        ("1//0gABCDEFGHIJKL is revoked", "*** is revoked"), ("GOCSPX-abc_def!", "***!"),
        ("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0.c2ln in it", "*** in it"),
        ("?upload_id=AB-c&name=x", "?upload_id=***&name=x"), ("no bearer of bad news", "no bearer of bad news"),
        ("The access token expired", "The access token expired"),
        (
            "permission iam.serviceAccounts.getAccessToken denied",
            "permission iam.serviceAccounts.getAccessToken denied"
        ),
    ]

    @Test(arguments: texts)
    func `foreign texts lose what has the form of a credential, and nothing else`(text: String, expected: String) {
        #expect(Redaction.scrubbed(text) == expected)
    }
}
