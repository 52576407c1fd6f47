import Encoding
import Glibc
import HTTP
import Testing

@testable import GoogleCloud

/// A folder for credential files, removed at the end.
final class CredentialFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/trainyard-credentials-XXXXXX".utf8CString)
        path = try #require(mkdtemp(&template).map { String(cString: $0) })
    }

    deinit {
        guard let folder = opendir(path) else { return }
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { unlink("\(path)/\(name)") }
        }
        closedir(folder)
        rmdir(path)
    }

    /// Writes a file as a whole, as whoever projects tokens does; returns its path.
    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        let file = "\(path)/\(name)"
        let handle = try #require(fopen(file + ".new", "w"))
        #expect(fputs(text, handle) >= 0)
        fclose(handle)
        try #require(rename(file + ".new", file) == 0)
        return file
    }

    @discardableResult
    func write(_ name: String, _ json: JSONValue) throws -> String { try write(name, json.serializedText()) }
}

/// Files as gcloud writes them, with canaries in every secret place.
enum CredentialSamples {
    static let authorizedUser: JSONValue = [
        "type": "authorized_user", "client_id": "1.apps.googleusercontent.com", "client_secret": "canary-client-secret",
        "refresh_token": "canary-refresh-token",
    ]

    static func external(source: JSONValue, impersonating: String? = nil) -> JSONValue {
        var file: JSONValue = [
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token", "credential_source": source,
        ]
        if let impersonating { file["service_account_impersonation_url"] = .string(impersonationURL(impersonating)) }
        return file
    }

    static func impersonationURL(_ account: String) -> String {
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/\(account):generateAccessToken"
    }

    static let account = "ml@p1.iam.gserviceaccount.com"
}

@Suite struct CredentialFileTests {
    private func find(_ environment: [String: String]) -> Result<String, APIError> {
        do throws(APIError) {
            let found = try Credentials.find(
                environment: environment, transport: NoTransport(), clock: ImpatientClock())
            return .success(found.origin)
        } catch {
            return .failure(error)
        }
    }

    @Test func `credentials are looked for in Google's order`() throws {
        let folder = try CredentialFolder()
        let named = try folder.write("named.json", CredentialSamples.authorizedUser)
        let home = try CredentialFolder()
        #expect(mkdir(home.path + "/.config", 0o700) == 0)
        #expect(mkdir(home.path + "/.config/gcloud", 0o700) == 0)
        let wellKnown = home.path + "/.config/gcloud/application_default_credentials.json"
        defer {
            unlink(wellKnown)
            rmdir(home.path + "/.config/gcloud")
            rmdir(home.path + "/.config")
        }
        #expect(find(["HOME": home.path]) == .success("the metadata server"))
        try folder.write("application_default_credentials.json", CredentialSamples.authorizedUser)
        #expect(
            find(["HOME": home.path, "CLOUDSDK_CONFIG": folder.path])
                == .success(folder.path + "/application_default_credentials.json"))
        let file = try #require(fopen(wellKnown, "w"))
        #expect(fputs(CredentialSamples.authorizedUser.serializedText(), file) >= 0)
        fclose(file)
        #expect(find(["HOME": home.path]) == .success(wellKnown))
        #expect(find(["HOME": home.path, "GOOGLE_APPLICATION_CREDENTIALS": ""]) == .success(wellKnown))
        #expect(find(["HOME": home.path, "GOOGLE_APPLICATION_CREDENTIALS": named]) == .success(named))
        #expect(find([:]) == .success("the metadata server"))
    }

    @Test func `a file that is named but not there is waited for, and the first token says so`() async throws {
        let folder = try CredentialFolder()
        let path = folder.path + "/later.json"
        let transport = ScriptedTransport { _, _ in
            .reply(.json(["access_token": "t", "expires_in": 3600, "token_type": "Bearer"]))
        }
        let found = try Credentials.find(
            environment: ["GOOGLE_APPLICATION_CREDENTIALS": path], transport: transport, clock: ImpatientClock())
        let error = await failure { () async throws(APIError) in try await found.tokens.token() }
        #expect(error?.code == .unauthorized)
        #expect(error?.message == "\(path) cannot be read: No such file or directory")
        try folder.write("later.json", CredentialSamples.authorizedUser)
        #expect(try await found.tokens.token() == AccessToken("t", lifetime: .seconds(3600)))
    }

    @Test func `a private key is refused with what to use instead, wherever it lies`() throws {
        let folder = try CredentialFolder()
        let key: JSONValue = [
            "type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\ncanary", "client_email": "a@b",
        ]
        let path = try folder.write("key.json", key)
        guard case .failure(let error) = find(["GOOGLE_APPLICATION_CREDENTIALS": path]) else {
            Issue.record("a key was taken")
            return
        }
        #expect(error.code == .unauthorized)
        for part in [path, "private key", "workload identity on GKE", "external_account", "delete the key"] {
            #expect(error.message.contains(part), "\(error.message)")
        }
        #expect(!error.message.contains("canary"))
        let nested: JSONValue = [
            "type": "impersonated_service_account",
            "service_account_impersonation_url": .string(CredentialSamples.impersonationURL(CredentialSamples.account)),
            "source_credentials": key,
        ]
        let other = try folder.write("nested.json", nested)
        guard case .failure(let second) = find(["GOOGLE_APPLICATION_CREDENTIALS": other]) else {
            Issue.record("a key was taken")
            return
        }
        #expect(second.message.hasPrefix("\(other): source_credentials holds a service account's private key"))
    }

    struct Wrong: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var text: String
        var says: String

        init(_ name: String, _ json: JSONValue, says: String) {
            testDescription = name
            text = json.serializedText()
            self.says = says
        }

        init(_ name: String, text: String, says: String) {
            testDescription = name
            self.text = text
            self.says = says
        }
    }

    private static func changed(_ json: JSONValue, _ name: String, to value: JSONValue?) -> JSONValue {
        var members = json.objectValue ?? [:]
        if let value { members[name] = value } else { members.removeValue(forKey: name) }
        return .object(members)
    }

    private static let external = CredentialSamples.external(source: ["file": "/token"])

    static let wrongFiles: [Wrong] = [
        Wrong("empty", text: "", says: "is not a JSON object"),
        Wrong("cut", text: #"{"type": "authorized_user", "client_secret": "canary"#, says: "is not a JSON object"),
        Wrong("a list", text: "[]", says: "is not a JSON object"),
        Wrong("no type", [:], says: "has no type"),
        Wrong("an unknown type", ["type": "canary"], says: "has an unknown type; there are authorized_user"),
        Wrong("a workforce login", ["type": "external_account_authorized_user"], says: "a type that is not supported"),
        Wrong("a type that is no text", ["type": 7], says: "has a type that is no text"),
        Wrong(
            "no refresh token", changed(CredentialSamples.authorizedUser, "refresh_token", to: nil),
            says: "has no refresh_token"),
        Wrong(
            "another universe", changed(CredentialSamples.authorizedUser, "universe_domain", to: "example.com"),
            says: "universe_domain other than googleapis.com"),
        Wrong(
            "a quota project that would leave a header",
            changed(CredentialSamples.authorizedUser, "quota_project_id", to: "a\r\nb"), says: "that is no project"),
        Wrong(
            "a token_url elsewhere", changed(external, "token_url", to: "https://sts.example.com/v1/token"),
            says: "token_url that is not https://sts.googleapis.com/v1/token"),
        Wrong(
            "a token_url that looks right",
            changed(external, "token_url", to: "https://sts.googleapis.com.evil/v1/token"),
            says: "token_url that is not"),
        Wrong(
            "a token_url of another API", changed(external, "token_url", to: "https://storage.googleapis.com/v1/token"),
            says: "token_url that is not"),
        Wrong(
            "a token_url without TLS", changed(external, "token_url", to: "http://sts.googleapis.com/v1/token"),
            says: "token_url that is not"),
        Wrong(
            "a token_url with a user", changed(external, "token_url", to: "https://x@sts.googleapis.com/v1/token"),
            says: "token_url that is not"),
        Wrong(
            "an audience elsewhere", changed(external, "audience", to: "//example.com/x"),
            says: "audience that does not begin with //iam.googleapis.com/"),
        Wrong("no source", changed(external, "credential_source", to: nil), says: "credential_source has no url"),
        Wrong(
            "an executable", CredentialSamples.external(source: ["executable": ["command": "rm"]]),
            says: "has an executable, which is not supported"),
        Wrong(
            "AWS", CredentialSamples.external(source: ["environment_id": "aws1", "url": "http://169.254.169.254/x"]),
            says: "has an environment_id, which is not supported"),
        Wrong(
            "a certificate", CredentialSamples.external(source: ["certificate": [:]]),
            says: "has an certificate, which is not supported"),
        Wrong(
            "a relative file", CredentialSamples.external(source: ["file": "token"]), says: "not an absolute path"),
        Wrong(
            "a source without TLS", CredentialSamples.external(source: ["url": "http://example.com/token"]),
            says: "has a url that is not https"),
        Wrong(
            "an unknown format",
            CredentialSamples.external(source: ["file": "/t", "format": ["type": "xml"]]),
            says: "neither text nor json"),
        Wrong(
            "json without its field",
            CredentialSamples.external(source: ["file": "/t", "format": ["type": "json"]]),
            says: "has no subject_token_field_name"),
        Wrong(
            "impersonation elsewhere",
            changed(
                external, "service_account_impersonation_url",
                to: "https://evil.com/v1/projects/-/serviceAccounts/a@b.iam.gserviceaccount.com:generateAccessToken"),
            says: "service_account_impersonation_url that is not"),
        Wrong(
            "impersonation of a path",
            changed(
                external, "service_account_impersonation_url", to: .string(CredentialSamples.impersonationURL("../x"))),
            says: "service_account_impersonation_url that is not"),
        Wrong(
            "no source credentials",
            [
                "type": "impersonated_service_account",
                "service_account_impersonation_url":
                    .string(CredentialSamples.impersonationURL(CredentialSamples.account)),
            ], says: "has no source_credentials"),
    ]

    @Test(arguments: wrongFiles)
    func `a file that cannot be used says why, and nothing of its content`(wrong: Wrong) throws {
        let folder = try CredentialFolder()
        let path = try folder.write("credentials.json", wrong.text)
        guard case .failure(let error) = find(["GOOGLE_APPLICATION_CREDENTIALS": path]) else {
            Issue.record("it was taken")
            return
        }
        #expect(error.code == .unauthorized)
        #expect(error.message.hasPrefix(path))
        #expect(error.message.contains(wrong.says), "\(error.message)")
        #expect(!error.message.contains("canary"))
    }

    @Test func `credentials do not nest without end`() throws {
        var json = CredentialSamples.authorizedUser
        for _ in 0..<4 {
            json = [
                "type": "impersonated_service_account",
                "service_account_impersonation_url":
                    .string(CredentialSamples.impersonationURL(CredentialSamples.account)),
                "source_credentials": json,
            ]
        }
        #expect(throws: APIError.self) { try CredentialFile(json.serialized(), path: "/f") }
    }

    @Test func `a pipe, a folder and a huge file do not hold anybody up`() throws {
        let folder = try CredentialFolder()
        let pipe = folder.path + "/pipe"
        #expect(mkfifo(pipe, 0o600) == 0)
        let huge = try folder.write("huge", String(repeating: " ", count: (256 << 10) + 1))
        for (path, says) in [
            (pipe, "is not a regular file"), (folder.path, "is not a regular file"),
            (huge, "has more than 262144 bytes"),
        ] {
            guard case .failure(let error) = find(["GOOGLE_APPLICATION_CREDENTIALS": path]) else {
                Issue.record("\(path) was read")
                continue
            }
            #expect(error.message == "\(path) \(says)")
        }
    }
}
