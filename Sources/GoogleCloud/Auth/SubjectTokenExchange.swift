internal import Encoding
internal import HTTP

/// A token of somewhere else for an access token of Google's: the subject token is read anew each time, as whoever
/// projects it renews it.
///
/// Maps to `POST https://sts.googleapis.com/v1/token`.
struct SubjectTokenExchange: TokenFetcher {
    let account: ExternalAccount
    /// Of the credential file, for errors.
    let path: String
    let endpoint: TokenEndpoint

    func fetch() async throws(APIError) -> AccessToken {
        let subject = try await subjectToken()
        guard subject.revealed.utf8.count <= TokenEndpoint.maximumResponseBytes else {
            throw error("the subject token is too long")
        }
        let request = request(subject)
        let secrets = [subject] + [account.clientSecret].compactMap { $0 }
        let response = try await endpoint.reply(to: request, hiding: secrets)
        guard response.isSuccess else {
            throw endpoint.refusal(
                response, of: "the subject token of \(path)",
                remedy: "check the audience, the provider's attribute condition and that the token is not over")
        }
        return try endpoint.token(in: response, quotaProject: account.quotaProject).0
    }

    private func request(_ subject: Secret) -> HTTPRequest {
        var fields = [
            (name: "grant_type", value: "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", account.audience), ("scope", ImpersonatedAccount.cloudPlatform),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token", subject.revealed), ("subject_token_type", account.subjectTokenType),
        ]
        var headers: HTTPHeaders = [:]
        if let id = account.clientID {
            let pair = "\(HTTPURL.encoded(id)):\(HTTPURL.encoded(account.clientSecret?.revealed ?? ""))"
            headers["Authorization"] = "Basic \(Base64.encode(Array(pair.utf8)))"
        } else if let project = account.userProject {
            fields.append(("options", JSONValue.object(["userProject": .string(project)]).serializedText()))
        }
        return endpoint.form(account.tokenURL, fields, headers: headers)
    }

    private func subjectToken() async throws(APIError) -> Secret {
        switch account.source {
        case .file(let file):
            return try CredentialBytes.token(in: CredentialBytes.bytes(file), field: account.jsonField, what: file)
        case .url(let url, let fields):
            var headers: HTTPHeaders = [:]
            for (name, value) in fields.sorted(by: { $0.key < $1.key }) { headers[name] = value.revealed }
            let what = "the subject token's server \(url.authority)"
            let response: HTTPResponse
            do throws(APIError) {
                response = try await endpoint.reply(
                    to: HTTPRequest(.get, url, headers: headers, timeout: .seconds(10)), hiding: [])
            } catch {
                var error = error
                error.message = "\(what): \(error.message)"
                throw error
            }
            guard response.isSuccess else {
                var error = GoogleCloudErrors.error(response, operation: endpoint.operation)
                error.message = "\(what) answered HTTP \(response.status)"  // Its body may be anything.
                error.reason = nil
                throw error
            }
            return try CredentialBytes.token(in: response.body, field: account.jsonField, what: "the reply of \(what)")
        }
    }

    private func error(_ message: String) -> APIError {
        APIError(.unauthorized, operation: endpoint.operation, message: "\(path): \(message)")
    }
}
