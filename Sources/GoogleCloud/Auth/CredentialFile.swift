internal import Encoding
internal import HTTP

/// What a file of Application Default Credentials says.
indirect enum CredentialFile: Sendable, Hashable {
    case authorizedUser(AuthorizedUser)
    case externalAccount(ExternalAccount)
    /// Acts as another service account, with the nested credentials' right to do so.
    case impersonated(ImpersonatedAccount, source: CredentialFile, quotaProject: String?)
}

/// A person who has run `gcloud auth application-default login`.
struct AuthorizedUser: Sendable, Hashable {
    var clientID: String
    var clientSecret: Secret
    var refreshToken: Secret
    var quotaProject: String?
}

/// Workload or workforce identity federation: a token of somewhere else is exchanged for one of Google's.
struct ExternalAccount: Sendable, Hashable {
    /// Where the subject token is.
    enum Source: Sendable, Hashable {
        case file(String)
        case url(HTTPURL, headers: [String: Secret])
    }

    var audience: String
    var subjectTokenType: String
    var tokenURL: HTTPURL
    var source: Source
    /// nil: the whole text is the token.
    var jsonField: String?
    var clientID: String?
    var clientSecret: Secret?
    /// The project of a workforce pool's calls.
    var userProject: String?
    var impersonates: ImpersonatedAccount?
    var quotaProject: String?
}

extension CredentialFile {
    /// How many credentials may lie in one another.
    private static let maximumDepth = 3

    /// - Parameter path: for the errors.
    /// - Throws: `.unauthorized` with a sentence about what the file must have; never a word of its content.
    init(_ bytes: [UInt8], path: String) throws(APIError) {
        guard let json = try? JSONValue(parsing: bytes), json.objectValue != nil else {  // It could quote a secret.
            throw APIError(.unauthorized, operation: "credentials", message: "\(path) is not a JSON object")
        }
        try self.init(Fields(json: json, path: path, place: ""), depth: 1)
    }

    private init(_ fields: Fields, depth: Int) throws(APIError) {
        guard depth <= CredentialFile.maximumDepth else { throw fields.error("nests too many source_credentials") }
        if let universe = try fields.text("universe_domain"), universe != "googleapis.com" {
            throw fields.error("names a universe_domain other than googleapis.com, which is not supported")
        }
        switch try fields.required("type") {
        case "authorized_user": self = .authorizedUser(try AuthorizedUser(fields))
        case "external_account": self = .externalAccount(try ExternalAccount(fields))
        case "impersonated_service_account":
            guard let nested = fields.json["source_credentials"], nested.objectValue != nil else {
                throw fields.error("has no source_credentials")
            }
            let source = try CredentialFile(
                Fields(json: nested, path: fields.path, place: fields.place + "source_credentials."),
                depth: depth + 1)
            self = .impersonated(
                try fields.impersonatedAccount(fields.required("service_account_impersonation_url")), source: source,
                quotaProject: try fields.project("quota_project_id"))
        case "service_account":
            throw fields.error(
                "holds a service account's private key, which is not supported: use workload identity on GKE, "
                    + "workload identity federation elsewhere (type external_account), or run `gcloud auth "
                    + "application-default login --impersonate-service-account=ACCOUNT`; then delete the key")
        case "external_account_authorized_user", "gdch_service_account":
            throw fields.error(
                "has a type that is not supported; there are authorized_user, external_account and "
                    + "impersonated_service_account")
        default:
            throw fields.error(
                "has an unknown type; there are authorized_user, external_account and impersonated_service_account")
        }
    }
}

extension AuthorizedUser {
    fileprivate init(_ fields: Fields) throws(APIError) {
        clientID = try fields.required("client_id")
        clientSecret = Secret(try fields.required("client_secret"))
        refreshToken = Secret(try fields.required("refresh_token"))
        quotaProject = try fields.project("quota_project_id")
    }
}

extension ExternalAccount {
    fileprivate init(_ fields: Fields) throws(APIError) {
        audience = try fields.required("audience")
        guard audience.hasPrefix("//iam.googleapis.com/") else {
            throw fields.error("has an audience that does not begin with //iam.googleapis.com/")
        }
        subjectTokenType = try fields.required("subject_token_type")
        guard subjectTokenType.hasPrefix("urn:ietf:params:oauth:token-type:") else {
            throw fields.error("has a subject_token_type that is not supported")
        }
        tokenURL = try ExternalAccount.tokenURL(fields)
        let place = fields.nested("credential_source")
        (source, jsonField) = (try ExternalAccount.source(place), try ExternalAccount.jsonField(place))
        clientID = try fields.text("client_id")
        clientSecret = try fields.text("client_secret").map { Secret($0) }
        userProject = try fields.project("workforce_pool_user_project")
        quotaProject = try fields.project("quota_project_id")
        if let url = try fields.text("service_account_impersonation_url") {
            impersonates = try fields.impersonatedAccount(url)
            let lifetime = fields.json["service_account_impersonation"]?["token_lifetime_seconds"]?.integerValue
            if let lifetime {
                guard (600...43_200).contains(lifetime) else {
                    throw fields.error("has a token_lifetime_seconds that is not from 600 to 43200")
                }
                impersonates?.lifetime = .seconds(lifetime)
            }
        }
    }

    /// The subject token goes to this address: Google's security token service and nobody else.
    private static func tokenURL(_ fields: Fields) throws(APIError) -> HTTPURL {
        let text = try fields.required("token_url")
        guard let url = HTTPURL(text), url.query.isEmpty, url.path == "/v1/token",
            url.origin.hasPrefix("https://"), !url.authority.contains(":"), url.authority.hasSuffix(".googleapis.com"),
            url.authority.split(separator: ".").first.map({ $0 == "sts" || $0.hasSuffix("-sts") }) == true
        else { throw fields.error("has a token_url that is not https://sts.googleapis.com/v1/token") }
        return url
    }

    private static func source(_ fields: Fields) throws(APIError) -> Source {
        for name in ["executable", "environment_id", "certificate"] where fields.json[name] != nil {
            throw fields.error(
                "has an \(name), which is not supported: only file and url are sources of a subject token")
        }
        if let file = try fields.text("file") {
            guard file.hasPrefix("/") else { throw fields.error("has a file that is not an absolute path") }
            return .file(file)
        }
        guard let url = HTTPURL(try fields.required("url")) else { throw fields.error("has a url that is none") }
        // Over plain http only what never leaves the machine: a local server, or the cloud's own metadata server.
        guard
            url.origin.hasPrefix("https://") || Loopback.contains(authority: url.authority)
                || url.authority == "169.254.169.254"
        else { throw fields.error("has a url that is not https") }
        var headers: [String: Secret] = [:]
        for (name, value) in fields.json["headers"]?.objectValue ?? [:] {
            guard let value = value.stringValue else { throw fields.error("has a header that is no text") }
            headers[name] = Secret(value)
        }
        return .url(url, headers: headers)
    }

    private static func jsonField(_ fields: Fields) throws(APIError) -> String? {
        let format = fields.nested("format")
        switch try format.text("type") {
        case nil, "text"?: return nil
        case "json"?: return try format.required("subject_token_field_name")
        default: throw format.error("has a type that is neither text nor json")
        }
    }
}

/// An object of a credential file.
private struct Fields {
    var json: JSONValue
    var path: String
    /// Where in the file, ending in a dot; empty at the top.
    var place: String

    func nested(_ name: String) -> Fields {
        Fields(json: json[name] ?? .null, path: path, place: "\(place)\(name).")
    }

    func text(_ name: String) throws(APIError) -> String? {
        guard let value = json[name], value != .null else { return nil }
        guard let text = value.stringValue else { throw error("has a \(name) that is no text") }
        return text.isEmpty ? nil : text
    }

    func required(_ name: String) throws(APIError) -> String {
        guard let text = try text(name) else { throw error("has no \(name)") }
        return text
    }

    func project(_ name: String) throws(APIError) -> String? {
        guard let text = try text(name) else { return nil }
        guard GoogleNames.isProject(text) else { throw error("has a \(name) that is no project") }
        return text
    }

    func impersonatedAccount(_ url: String) throws(APIError) -> ImpersonatedAccount {
        var delegates: [String] = []
        for delegate in json["delegates"]?.arrayValue ?? [] {
            guard let text = delegate.stringValue else { throw error("has a delegate that is no text") }
            delegates.append(text.split(separator: "/").last.map(String.init) ?? "")
        }
        let prefix = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"
        let suffix = ":generateAccessToken"
        guard url.hasPrefix(prefix), url.hasSuffix(suffix), url.utf8.count > prefix.utf8.count + suffix.utf8.count,
            let account = ImpersonatedAccount(
                String(url.dropFirst(prefix.count).dropLast(suffix.count)), delegates: delegates)
        else { throw error("has a service_account_impersonation_url that is not \(prefix)ACCOUNT\(suffix)") }
        return account
    }

    func error(_ problem: String) -> APIError {
        let what = place.isEmpty ? path : "\(path): \(place.dropLast())"
        return APIError(.unauthorized, operation: "credentials", message: "\(what) \(problem)")
    }
}
