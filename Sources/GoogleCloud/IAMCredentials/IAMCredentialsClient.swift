internal import Encoding
public import HTTP

/// Acting as a service account without its key: iamcredentials v1 at `https://iamcredentials.googleapis.com/`.
///
/// Needs `roles/iam.serviceAccountTokenCreator` on that account. Its tokens are the credentials' matter (`Auth`).
public struct IAMCredentialsClient: Sendable {
    private let client: GoogleCloudClient

    public init(_ client: GoogleCloudClient) {
        self.client = client
    }

    /// A signature that the account's Google-managed key makes; the key may change after 12 hours.
    /// Maps to `POST v1/projects/-/serviceAccounts/EMAIL:signBlob`.
    ///
    /// - Parameter delegates: accounts on the way, each allowed to act as the next; e-mail addresses.
    /// - Throws: `.forbidden` when we may not sign as it, `.notFound`, `.malformedResponse`.
    public func signBlob(
        _ payload: [UInt8], as account: String, delegates: [String] = []
    ) async throws(APIError) -> BlobSignature {
        struct Body: Encodable {
            var payload: String
            var delegates: [String]?
        }
        let operation = "iamcredentials.serviceAccounts.signBlob"
        let body = Body(payload: Base64.encode(payload), delegates: try delegateNames(delegates, operation))
        return try await client.value(
            GoogleCall(
                operation, .post, origin: "https://iamcredentials.googleapis.com",
                path: ["v1", "projects", "-", "serviceAccounts", .checked(.serviceAccount, account)], verb: "signBlob",
                body: body))
    }

    private func delegateNames(_ accounts: [String], _ operation: String) throws(APIError) -> [String]? {
        var names: [String] = []
        for account in accounts {
            names.append(
                "projects/-/serviceAccounts/\(try NameKind.serviceAccount.check(account, operation: operation))")
        }
        return names.isEmpty ? nil : names
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
        let text = try container.decode(String.self, forKey: .signedBlob)
        guard let bytes = Base64.decode(text), !bytes.isEmpty else {
            throw DecodingError.dataCorruptedError(
                forKey: .signedBlob, in: container, debugDescription: "not base64, or empty")
        }
        self.bytes = bytes
    }
}
