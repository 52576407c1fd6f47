internal import Encoding
public import HTTP
internal import Telemetry

/// Acting as a service account without its key: iamcredentials v1 at `https://iamcredentials.googleapis.com/`.
///
/// Needs `roles/iam.serviceAccountTokenCreator` on that account. The default timeout is short: others wait for it.
public struct IAMCredentialsClient: Sendable {
    private let client: GoogleCloudClient

    public init(_ client: GoogleCloudClient) {
        self.client = client
    }

    private func call(
        _ operation: String, account: String, verb: StaticString, body: any Encodable
    ) throws(APIError) -> GoogleCall {
        try GoogleCall(
            "iamcredentials.\(operation)", .post, origin: "https://iamcredentials.googleapis.com",
            path: ["v1", "projects", "-", "serviceAccounts", .checked(.serviceAccount, account)], verb: verb,
            body: body)
    }

    /// A token of the account. Maps to `POST v1/projects/-/serviceAccounts/EMAIL:generateAccessToken`.
    ///
    /// - Parameters:
    ///   - lifetime: 1 second to 1 hour.
    ///   - delegates: accounts on the way, each allowed to act as the next; e-mail addresses.
    /// - Throws: `.forbidden` when we may not act as it, `.notFound`, `.malformedResponse`.
    public func generateAccessToken(
        for account: String, scopes: [String] = ["https://www.googleapis.com/auth/cloud-platform"],
        lifetime: Duration = .seconds(3600), delegates: [String] = []
    ) async throws(APIError) -> AccessToken {
        struct Body: Encodable {
            var scope: [String]
            var lifetime: String
            var delegates: [String]?
        }
        let seconds = min(max(lifetime.components.seconds, 1), 3600)
        let body = Body(
            scope: scopes, lifetime: "\(seconds)s",
            delegates: try delegateNames(delegates, "iamcredentials.generateAccessToken"))
        let call = try call("generateAccessToken", account: account, verb: "generateAccessToken", body: body)
        let now = client.clock.now
        let reply = try await client.reply(call)
        return try Self.token(reply, issuedAt: now, operation: call.operation)
    }

    /// A signature that the account's Google-managed key makes; the key may change after 12 hours.
    /// Maps to `POST v1/projects/-/serviceAccounts/EMAIL:signBlob`.
    ///
    /// - Throws: `.forbidden` when we may not sign as it, `.notFound`, `.malformedResponse`.
    public func signBlob(
        _ payload: [UInt8], as account: String, delegates: [String] = []
    ) async throws(APIError) -> BlobSignature {
        struct Body: Encodable {
            var payload: String
            var delegates: [String]?
        }
        let body = Body(
            payload: Base64.encode(payload), delegates: try delegateNames(delegates, "iamcredentials.signBlob"))
        return try await client.value(call("signBlob", account: account, verb: "signBlob", body: body))
    }

    private func delegateNames(_ accounts: [String], _ operation: String) throws(APIError) -> [String]? {
        var names: [String] = []
        for account in accounts {
            names.append(
                "projects/-/serviceAccounts/\(try NameKind.serviceAccount.check(account, operation: operation))")
        }
        return names.isEmpty ? nil : names
    }

    /// The parser's message is not passed on: it could quote the token.
    private static func token(
        _ reply: HTTPResponse, issuedAt: Timestamp, operation: String
    ) throws(APIError) -> AccessToken {
        guard let body = try? JSONValue(parsing: reply.body),  // What is wrong with it could quote the token.
            let secret = body["accessToken"]?.stringValue, !secret.isEmpty,
            secret.utf8.allSatisfy({ $0 > 32 && $0 < 127 }),
            let expires = body["expireTime"]?.stringValue.flatMap({ Timestamp($0) }), expires > issuedAt
        else {
            throw APIError(
                .malformedResponse, operation: operation, message: "the token cannot be read", httpStatus: reply.status)
        }
        return AccessToken(secret, issuedAt: issuedAt, lifetime: expires - issuedAt)
    }
}

/// A signature over bytes.
public struct BlobSignature: Decodable, Sendable, Hashable {
    public var keyID: String?
    public var bytes: [UInt8]

    private enum CodingKeys: String, CodingKey { case keyId, signedBlob }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        keyID = try container.decodeIfPresent(String.self, forKey: .keyId)
        guard let bytes = Base64.decode(try container.decode(String.self, forKey: .signedBlob)) else {
            throw DecodingError.dataCorruptedError(forKey: .signedBlob, in: container, debugDescription: "not base64")
        }
        self.bytes = bytes
    }
}
