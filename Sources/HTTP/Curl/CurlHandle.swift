import CLibcurl

/// An easy handle set up for one transfer. Lives on the event thread only.
final class CurlHandle {
    let easy: UnsafeMutableRawPointer
    private let lists: [UnsafeMutablePointer<curl_slist>?]
    /// Where libcurl puts its words for a failure.
    private let errorText: UnsafeMutablePointer<CChar>

    /// - Throws: `.unavailable` when libcurl has no memory or knows no such option, `.insecure` for TLS material that
    ///   it refuses.
    init(_ transfer: CurlTransfer, options: CurlOptions, route: CurlRoute) throws(APIError) {
        let request = transfer.request
        guard let easy = curl_easy_init() else {
            throw APIError(.unavailable, operation: request.operation, message: "libcurl has no memory")
        }
        var setup = CurlSetup(easy: easy, operation: request.operation)
        let target = route.target(of: request.url)
        setup.address(target, request: request, options: options)
        setup.limits(transfer, options: options)
        setup.body(request)
        setup.callbacks(transfer)
        setup.tls(options.tls, identity: request.identity ?? options.tls.identity)
        let headers = CurlSetup.headerList(request, host: target.host)
        setup.set(CURLOPT_HTTPHEADER, pointer: headers)
        let connections = target.connectTo.map { curl_slist_append(nil, $0) } ?? nil
        setup.set(CURLOPT_CONNECT_TO, pointer: connections)
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        setup.set(CURLOPT_ERRORBUFFER, pointer: errorText)
        lists = [headers, connections]
        self.easy = easy
        if let failure = setup.failure { throw failure }
    }

    deinit {
        curl_easy_cleanup(easy)
        for list in lists { curl_slist_free_all(list) }
        errorText.deallocate()
    }

    /// libcurl's words for the failure, without line breaks; empty when it has none.
    var failureText: String { String(cString: errorText).split(whereSeparator: \.isNewline).joined(separator: " ") }

    /// `errno` of the connection, 0 when there was none.
    var systemError: Int {
        var value = 0
        trainyard_curl_get_long(easy, CURLINFO_OS_ERRNO, &value)
        return value
    }
}

extension CurlTransfer {
    /// The transfer behind a callback's context.
    fileprivate static func of(context: UnsafeMutableRawPointer?) -> CurlTransfer? {
        context.map { Unmanaged<CurlTransfer>.fromOpaque($0).takeUnretainedValue() }
    }

    /// The transfer that an easy handle was set up for.
    static func of(easy: UnsafeMutableRawPointer) -> CurlTransfer? {
        var context: UnsafeMutableRawPointer?
        trainyard_curl_get_pointer(easy, CURLINFO_PRIVATE, &context)
        return of(context: context)
    }
}

/// Sets options one after the other and keeps the first failure.
private struct CurlSetup {
    let easy: UnsafeMutableRawPointer
    let operation: String
    private(set) var failure: APIError?

    init(easy: UnsafeMutableRawPointer, operation: String) {
        self.easy = easy
        self.operation = operation
    }

    mutating func address(_ target: CurlRoute.Target, request: HTTPRequest, options: CurlOptions) {
        set(CURLOPT_URL, target.url)
        set(CURLOPT_USERAGENT, options.userAgent)
        // Escaped dots in a path must arrive as they are written.
        set(CURLOPT_PATH_AS_IS, 1)
        // One connection a request: a dead one is found by that request's timeout and hurts no other.
        set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        // Always said, so that libcurl does not look into the environment itself.
        set(CURLOPT_PROXY, target.proxy?.url.revealed ?? "")
        set(CURLOPT_NOPROXY, "")
        // Its reply to CONNECT is not the server's.
        set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        if request.headers["Accept-Encoding"] == nil { set(CURLOPT_ACCEPT_ENCODING, "gzip") }
    }

    mutating func limits(_ transfer: CurlTransfer, options: CurlOptions) {
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_FOLLOWLOCATION, 0)
        set(CURLOPT_CONNECTTIMEOUT_MS, options.connectTimeout.milliseconds)
        if transfer.kind == .collected { set(CURLOPT_TIMEOUT_MS, transfer.request.timeout.milliseconds) }
        set(CURLOPT_MAXAGE_CONN, options.idleTimeout.milliseconds / 1000)
        set(CURLOPT_TCP_KEEPALIVE, 1)
        set(CURLOPT_TCP_KEEPIDLE, 30)
        set(CURLOPT_TCP_KEEPINTVL, 15)
    }

    mutating func body(_ request: HTTPRequest) {
        switch request.method {
        case .get where request.body.isEmpty: set(CURLOPT_HTTPGET, 1)
        case .head: set(CURLOPT_NOBODY, 1)
        case .delete where request.body.isEmpty: set(CURLOPT_CUSTOMREQUEST, "DELETE")
        case .get, .post, .put, .patch, .delete:
            set(CURLOPT_POST, 1)
            set(CURLOPT_POSTFIELDSIZE_LARGE, offset: request.body.count)
            if request.method != .post { set(CURLOPT_CUSTOMREQUEST, request.method.rawValue) }
        }
    }

    mutating func callbacks(_ transfer: CurlTransfer) {
        // The event thread holds the transfer for as long as the handle exists.
        let context = Unmanaged.passUnretained(transfer).toOpaque()
        set(CURLOPT_PRIVATE, pointer: context)
        set(CURLOPT_HEADERDATA, pointer: context)
        set(CURLOPT_WRITEDATA, pointer: context)
        set(CURLOPT_READDATA, pointer: context)
        set(CURLOPT_SEEKDATA, pointer: context)
        set(CURLOPT_HEADERFUNCTION) { data, size, count, context in
            guard let data, let transfer = CurlSetup.transfer(context) else { return 0 }
            let total = size * count
            return data.withMemoryRebound(to: UInt8.self, capacity: total) { bytes in
                transfer.received(headerLine: UnsafeBufferPointer(start: bytes, count: total)) ? total : 0
            }
        }
        set(CURLOPT_WRITEFUNCTION) { data, size, count, context in
            guard let data, let transfer = CurlSetup.transfer(context) else { return 0 }
            let total = size * count
            let receipt = data.withMemoryRebound(to: UInt8.self, capacity: total) { bytes in
                transfer.received(body: UnsafeBufferPointer(start: bytes, count: total))
            }
            switch receipt {
            case .taken: return total
            case .paused: return Int(CURL_WRITEFUNC_PAUSE)
            case .refused: return 0
            }
        }
        set(CURLOPT_READFUNCTION) { data, size, count, context in
            guard let data, let transfer = CurlSetup.transfer(context) else { return Int(CURL_READFUNC_ABORT) }
            let total = size * count
            return data.withMemoryRebound(to: UInt8.self, capacity: total) { bytes in
                transfer.readBody(into: UnsafeMutableBufferPointer(start: bytes, count: total))
            }
        }
        note(
            trainyard_curl_set_seek_callback(easy) { context, offset, origin in
                guard origin == 0, let transfer = CurlSetup.transfer(context), transfer.seekBody(to: Int(offset))
                else { return Int32(CURL_SEEKFUNC_FAIL) }
                return Int32(CURL_SEEKFUNC_OK)
            })
    }

    mutating func tls(_ tls: CurlOptions.TLS, identity: TLSIdentity?) {
        set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        set(CURLOPT_SSL_VERIFYPEER, tls.insecureSkipVerify ? 0 : 1)
        set(CURLOPT_SSL_VERIFYHOST, tls.insecureSkipVerify ? 0 : 2)
        // A renewed file of authorities is noticed, in a pod's service account above all.
        note(trainyard_curl_set_authority_cache(easy, 60))
        if let authority = tls.authority {
            set(CURLOPT_CAPATH, pointer: nil)
            set(authority, file: CURLOPT_CAINFO, bytes: CURLOPT_CAINFO_BLOB)
        }
        guard let identity else { return }
        set(identity.certificate, file: CURLOPT_SSLCERT, bytes: CURLOPT_SSLCERT_BLOB)
        set(identity.key, file: CURLOPT_SSLKEY, bytes: CURLOPT_SSLKEY_BLOB)
    }

    /// libcurl's defaults that nobody asked for are switched off: the form type of a POST, and `Expect`, which costs a
    /// second with servers that ignore it.
    static func headerList(_ request: HTTPRequest, host: String?) -> UnsafeMutablePointer<curl_slist>? {
        var lines = request.headers.fields.map { $0.value.isEmpty ? "\($0.name);" : "\($0.name): \($0.value)" }
        if request.headers["Content-Type"] == nil { lines.append("Content-Type:") }
        if request.headers["Expect"] == nil { lines.append("Expect:") }
        if let host, request.headers["Host"] == nil { lines.append("Host: \(host)") }
        var list: UnsafeMutablePointer<curl_slist>?
        for line in lines { list = curl_slist_append(list, line) ?? list }
        return list
    }

    // MARK: One option

    private static func transfer(_ context: UnsafeMutableRawPointer?) -> CurlTransfer? { .of(context: context) }

    private mutating func note(_ result: CURLcode) {
        if result == CURLE_OK || failure != nil { return }
        failure = .transfer(result, systemError: 0, text: "", operation: operation)
    }

    private mutating func set(_ pem: PEM, file: CURLoption, bytes: CURLoption) {
        switch pem {
        case .file(let path): set(file, path)
        case .bytes(let content):
            note(content.withUnsafeBytes { trainyard_curl_set_blob(easy, bytes, $0.baseAddress, $0.count) })
        }
    }

    private mutating func set(_ option: CURLoption, _ value: Int) { note(trainyard_curl_set_long(easy, option, value)) }

    private mutating func set(_ option: CURLoption, _ value: String) {
        note(trainyard_curl_set_string(easy, option, value))
    }

    private mutating func set(_ option: CURLoption, offset: Int) {
        note(trainyard_curl_set_offset(easy, option, curl_off_t(offset)))
    }

    mutating func set(_ option: CURLoption, pointer: UnsafeRawPointer?) {
        note(trainyard_curl_set_pointer(easy, option, pointer))
    }

    private mutating func set(_ option: CURLoption, callback: trainyard_curl_data_callback) {
        note(trainyard_curl_set_data_callback(easy, option, callback))
    }
}
