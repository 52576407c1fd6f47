/// What went wrong in a call over HTTP: the one error type of everything that talks to an API.
///
/// Callers switch on `code`; `reason` carries the service's own word for logs and conditions. No field ever holds a
/// token, a signed URL or a header.
public struct APIError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure; a closed set, safe as a metric label.
    public enum Code: String, Sendable, Hashable, CaseIterable {
        /// The request is wrong and stays wrong until somebody changes it (400, 422).
        case invalid
        /// No or bad credentials (401).
        case unauthorized
        /// The credentials do not allow it (403).
        case forbidden
        case notFound
        case alreadyExists
        /// Optimistic locking failed: observe again (409, etag).
        case conflict
        /// A precondition such as `ifGenerationMatch` or a uid did not hold (412).
        case preconditionFailed
        /// The resource version is too old: list again (410).
        case expired
        /// Too many requests, or an operation is already running: wait, then the same again (429).
        case rateLimited
        /// A quota of the project is used up.
        case quotaExceeded
        /// The machine type is not to be had there now.
        case stockedOut
        /// A passing failure of the service or of the way there (5xx, reset, refused).
        case unavailable
        case timeout
        case cancelled
        /// More bytes than the request allows.
        case tooLarge
        /// The reply is not what the API promises.
        case malformedResponse
        /// TLS or an address that cannot work: certificate, host name, unknown scheme.
        case insecure
    }

    public var code: Code
    /// What was tried, e.g. `GET nodePools` or `PATCH trainingjobs/status`.
    public var operation: String
    /// A sentence for a person.
    public var message: String
    /// The service's own word (`ALREADY_EXISTS`, `AlreadyExists`, `rateLimitExceeded`), where it gave one.
    public var reason: String?
    /// The HTTP status, where a reply came.
    public var httpStatus: Int?
    /// How long the service asks to wait.
    public var retryAfter: Duration?

    public init(
        _ code: Code, operation: String, message: String, reason: String? = nil, httpStatus: Int? = nil,
        retryAfter: Duration? = nil
    ) {
        self.code = code
        self.operation = operation
        self.message = message
        self.reason = reason
        self.httpStatus = httpStatus
        self.retryAfter = retryAfter
    }

    public var description: String {
        let status = httpStatus.map { " (HTTP \($0))" } ?? ""
        return "\(operation): \(message)\(status)"
    }

    /// Whether the same request may succeed later without anybody changing anything.
    public var isTransient: Bool {
        switch code {
        case .rateLimited, .unavailable, .timeout, .malformedResponse, .conflict, .expired: true
        case .invalid, .unauthorized, .forbidden, .notFound, .alreadyExists, .preconditionFailed, .quotaExceeded,
            .stockedOut, .cancelled, .tooLarge, .insecure:
            false
        }
    }
}
