public import Encoding
public import HTTP

/// A V4 signed URL: whoever has it may do one thing with one object until it expires, without credentials.
///
/// Made in two halves, because the key is Google's: `stringToSign` goes to `IAMCredentialsClient.signBlob`, and its
/// signature to `url(signature:)`. <https://cloud.google.com/storage/docs/authentication/signatures>
public struct SignedURLRequest: Sendable, Hashable {
    public enum Method: String, Sendable, Hashable {
        case get = "GET"
        case put = "PUT"
    }

    /// The API's limit, 7 days.
    public static let maximumLifetime: Duration = .seconds(604_800)
    private static let host = "storage.googleapis.com"
    private static let algorithm = "GOOG4-RSA-SHA256"

    public let method: Method
    public let place: StorageURI
    /// The service account that signs; its rights are those of the URL.
    public let account: String
    public let time: Timestamp
    /// Whole seconds.
    public let lifetime: Duration

    /// - Parameters:
    ///   - lifetime: 1 second to 7 days.
    /// - Throws: `.invalid` for a lifetime out of range, a prefix instead of an object, or an account that is none.
    public init(
        _ method: Method, _ place: StorageURI, as account: String, at time: Timestamp, lifetime: Duration
    ) throws(APIError) {
        let operation = "signing a URL"
        try NameKind.serviceAccount.check(account, operation: operation)
        guard !place.isPrefix else {
            throw APIError(.invalid, operation: operation, message: "\(place) is a folder: a URL is for one object")
        }
        guard
            !place.path.split(separator: "/", omittingEmptySubsequences: false).contains(where: {
                $0 == "." || $0 == ".."
            })
        else {
            throw APIError(
                .invalid, operation: operation, message: "\(place) has a part . or .., which no client sends unchanged")
        }
        guard lifetime >= .seconds(1), lifetime <= Self.maximumLifetime else {
            throw APIError(.invalid, operation: operation, message: "a signed URL lives from 1 second to 7 days")
        }
        self.method = method
        self.place = place
        self.account = account
        self.time = time.wholeSeconds
        self.lifetime = .seconds(lifetime.components.seconds)
    }

    public var expirationTime: Timestamp { time + lifetime }

    /// What the account's key signs, in UTF-8.
    public var stringToSign: String {
        [Self.algorithm, stamp, scope, SHA256.hexadecimal(of: Array(canonicalRequest.utf8))].joined(separator: "\n")
    }

    /// - Parameter signature: RSA over SHA-256 of `stringToSign`, as `signBlob` returns it.
    public func url(signature: [UInt8]) -> String {
        "https://\(Self.host)\(path)?\(query)&X-Goog-Signature=\(Self.hexadecimal(signature))"
    }

    // MARK: The canonical request

    private var canonicalRequest: String {
        [method.rawValue, path, query, "host:\(Self.host)", "", "host", "UNSIGNED-PAYLOAD"].joined(separator: "\n")
    }

    /// Path style: bucket names with dots have no certificate of their own.
    private var path: String {
        let segments = place.path.split(separator: "/", omittingEmptySubsequences: false)
        return "/\(place.bucket)/" + segments.map { HTTPURL.encoded(String($0)) }.joined(separator: "/")
    }

    /// Sorted by name; the signature, which is last in the URL, is no part of it.
    private var query: String {
        [
            ("X-Goog-Algorithm", Self.algorithm), ("X-Goog-Credential", "\(account)/\(scope)"),
            ("X-Goog-Date", stamp), ("X-Goog-Expires", String(lifetime.components.seconds)),
            ("X-Goog-SignedHeaders", "host"),
        ].map { "\($0)=\(HTTPURL.encoded($1))" }.joined(separator: "&")
    }

    /// `20261121T100000Z`.
    private var stamp: String { time.description.filter { $0 != "-" && $0 != ":" } }
    private var scope: String { "\(stamp.prefix(8))/auto/storage/goog4_request" }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0\(digits)" : digits
        }.joined()
    }
}
