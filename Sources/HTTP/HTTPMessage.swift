/// The verbs in use.
public enum HTTPMethod: String, Sendable, Hashable, CaseIterable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case put = "PUT"
    case patch = "PATCH"
    case delete = "DELETE"
}

/// Header fields in order; names compare without case.
public struct HTTPHeaders: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    /// One field. Printed without its value where that is a credential.
    public struct Field: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
        public var name: String
        public var value: String

        public var description: String { "\(name): \(isCredential ? "***" : value)" }
        public var customMirror: Mirror { Mirror(self, children: ["field": description]) }

        private var isCredential: Bool {
            ["authorization", "proxy-authorization", "cookie", "set-cookie"].contains(name.lowercased())
        }
    }

    public private(set) var fields: [Field] = []

    public init() {}

    public init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { append(name, value) }
    }

    /// The first value of a name; setting replaces all fields of that name, nil removes them.
    public subscript(name: String) -> String? {
        get { fields.first { HTTPHeaders.equal($0.name, name) }?.value }
        set {
            fields.removeAll { HTTPHeaders.equal($0.name, name) }
            if let newValue { append(name, newValue) }
        }
    }

    /// Adds a field beside those of the same name.
    public mutating func append(_ name: String, _ value: String) {
        fields.append(Field(name: name, value: value))
    }

    /// RFC 9110's `token`.
    static func isToken(_ text: some StringProtocol) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "A")...UInt8(ascii: "Z"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    private static func equal(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count && left.lowercased() == right.lowercased()
    }
}

/// A request as a value: what clients build, transports send, servers and simulated servers answer.
public struct HTTPRequest: Sendable, Hashable {
    public var method: HTTPMethod
    public var url: HTTPURL
    public var headers: HTTPHeaders
    public var body: [UInt8]
    /// `send`: from the call to the last byte of the reply. `open`: the longest silence between two bytes.
    public var timeout: Duration
    /// A reply with more bytes is an error (`.tooLarge`); `open` does not count its body. A failed reply is cut instead.
    public var maximumResponseBytes: Int
    /// Shown in the TLS handshake, for credentials that are a certificate.
    public var identity: TLSIdentity?
    /// Not sent any more after this moment (`.cancelled`): what hands the request to the network looks at the time last,
    /// so that a process that was frozen on the way there sends nothing when it wakes. nil: at any time.
    public var notAfter: ContinuousClock.Instant?

    public init(
        _ method: HTTPMethod, _ url: HTTPURL, headers: HTTPHeaders = HTTPHeaders(), body: [UInt8] = [],
        timeout: Duration = .seconds(30), maximumResponseBytes: Int = 64 << 20
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
        self.maximumResponseBytes = maximumResponseBytes
    }

    /// The verb and the address without its query, for error messages and logs: nothing secret is in it.
    public var operation: String { "\(method.rawValue) \(url.origin)\(url.path)" }

    /// Refuses what must not reach a connection: line breaks in header fields, names that are no tokens, an origin that
    /// is not http or https, and credentials over plain http to another machine.
    ///
    /// - Throws: `.invalid` for header fields, `.insecure` for addresses.
    func validate() throws(APIError) {
        for field in headers.fields {
            guard HTTPHeaders.isToken(field.name), field.value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 9 })
            else {
                throw APIError(.invalid, operation: operation, message: "a header field has forbidden characters")
            }
        }
        guard url.origin.hasPrefix("https://") || url.origin.hasPrefix("http://"), !url.authority.isEmpty,
            url.path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { throw APIError(.insecure, operation: method.rawValue, message: "not an http or https address") }
    }
}

/// A complete reply, whatever its status.
public struct HTTPResponse: Sendable, Hashable {
    public var status: Int
    public var headers: HTTPHeaders
    public var body: [UInt8]

    public init(status: Int, headers: HTTPHeaders = HTTPHeaders(), body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// 200 ..< 300.
    public var isSuccess: Bool { (200..<300).contains(status) }
}

/// A reply whose body is still arriving: watches, downloads, logs.
///
/// The body is pulled, so that a slow reader holds the sender back. Whoever opened it reads to the end or calls
/// `cancel`, which may be called more than once.
public struct HTTPStream: Sendable {
    public let status: Int
    public let headers: HTTPHeaders
    private let nextChunk: @Sendable () async throws(APIError) -> [UInt8]?
    private let onCancel: @Sendable () -> Void

    public init(
        status: Int, headers: HTTPHeaders, next: @escaping @Sendable () async throws(APIError) -> [UInt8]?,
        cancel: @escaping @Sendable () -> Void
    ) {
        self.status = status
        self.headers = headers
        self.nextChunk = next
        self.onCancel = cancel
    }

    /// The next bytes, nil at the regular end. One caller at a time.
    ///
    /// - Throws: `.timeout` after the request's timeout without a byte, `.unavailable` when the connection breaks,
    ///   `.cancelled` when the task is cancelled.
    public func next() async throws(APIError) -> [UInt8]? { try await nextChunk() }

    /// Ends the transfer at once.
    public func cancel() { onCancel() }

    /// Reads the rest, at most `limit` bytes.
    ///
    /// - Throws: as `next`; `.tooLarge` beyond the limit.
    public func collect(limit: Int) async throws(APIError) -> [UInt8] {
        var body: [UInt8] = []
        while let chunk = try await next() {
            guard body.count + chunk.count <= limit else {
                cancel()
                throw APIError(.tooLarge, operation: "reading a reply", message: "more than \(limit) bytes")
            }
            body.append(contentsOf: chunk)
        }
        return body
    }
}
