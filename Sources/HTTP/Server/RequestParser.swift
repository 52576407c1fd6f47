/// Reads HTTP/1.1 requests from bytes as they arrive. Pure; one parser a connection.
struct RequestParser {
    /// A request, and what its connection must know.
    struct Parsed: Equatable {
        var request: HTTPRequest
        /// Whether the client allows another request on this connection.
        var keepsAlive: Bool
        /// False for HTTP/1.0, which knows no chunks.
        var understandsChunks: Bool
    }

    enum Event: Equatable {
        case needsMore
        /// The client waits for `100 Continue` before it sends the body. Given once a request.
        case expectsContinue
        case request(Parsed)
        /// The connection ends after this reply.
        case failure(status: Int, reason: String)
    }

    private enum Phase {
        case head
        case body(Head, remaining: Int)
        case chunkSize(Head)
        case chunkData(Head, remaining: Int)
        case chunkEnd(Head)
        case trailer(Head, bytes: Int)
        case failed
    }

    private struct Head {
        var parsed: Parsed
        var expectsContinue: Bool
    }

    private enum Failure: Error {
        case bad(String), headTooLarge, bodyTooLarge, unsupported(String)
    }

    private let limits: HTTPServerLimits
    private var buffer: [UInt8] = []
    /// Bytes of `buffer` that are used up.
    private var consumed = 0
    /// How far an unfinished head was searched for its end.
    private var searched = 0
    private var body: [UInt8] = []
    private var phase = Phase.head

    init(limits: HTTPServerLimits) { self.limits = limits }

    /// Whether no byte of a next request has arrived.
    var isIdle: Bool { if case .head = phase { buffer.count == consumed } else { false } }

    /// Whether a head has begun and is not complete.
    var isInHead: Bool { if case .head = phase { buffer.count > consumed } else { false } }

    mutating func append(_ bytes: some Collection<UInt8>) {
        if consumed == buffer.count || consumed > 1 << 16 {
            buffer.removeFirst(consumed)
            searched = max(0, searched - consumed)
            consumed = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next thing that the bytes so far amount to. Call again after each request and after `expectsContinue`.
    mutating func next() -> Event {
        do throws(Failure) {
            return try step()
        } catch {
            phase = .failed
            switch error {
            case .bad(let reason): return .failure(status: 400, reason: reason)
            case .headTooLarge: return .failure(status: 431, reason: "the request's headers are too long")
            case .bodyTooLarge: return .failure(status: 413, reason: "the request's body is too large")
            case .unsupported(let reason): return .failure(status: 501, reason: reason)
            }
        }
    }

    private mutating func step() throws(Failure) -> Event {
        while true {
            switch phase {
            case .failed: return .needsMore
            case .head:
                guard let lines = try headLines() else { return .needsMore }
                let (head, next) = try RequestParser.readHead(lines, limits: limits)
                phase = next
                if case .head = next { return finished(head) }
                if head.expectsContinue { return .expectsContinue }
            case .body(let head, let remaining):
                let count = takeBody(remaining)
                phase = .body(head, remaining: remaining - count)
                if count < remaining { return .needsMore }
                return finished(head)
            case .chunkSize(let head):
                guard let line = try line(maximum: 1024) else { return .needsMore }
                let size = try RequestParser.chunkSize(line)
                guard body.count + size <= limits.bodyBytes else { throw .bodyTooLarge }
                phase = size == 0 ? .trailer(head, bytes: 0) : .chunkData(head, remaining: size)
            case .chunkData(let head, let remaining):
                let count = takeBody(remaining)
                phase = count < remaining ? .chunkData(head, remaining: remaining - count) : .chunkEnd(head)
                if count < remaining { return .needsMore }
            case .chunkEnd(let head):
                guard let line = try line(maximum: 2) else { return .needsMore }
                guard line.isEmpty else { throw .bad("a chunk is longer than its size") }
                phase = .chunkSize(head)
            case .trailer(let head, let bytes):
                guard let line = try line(maximum: limits.headerBytes - bytes) else { return .needsMore }
                if line.isEmpty { return finished(head) }
                phase = .trailer(head, bytes: bytes + line.count + 2)
            }
        }
    }

    // MARK: Bytes

    private mutating func takeBody(_ wanted: Int) -> Int {
        let count = min(wanted, buffer.count - consumed)
        body.append(contentsOf: buffer[consumed..<consumed + count])
        consumed += count
        return count
    }

    private mutating func finished(_ head: Head) -> Event {
        var parsed = head.parsed
        parsed.request.body = body
        body = []
        phase = .head
        return .request(parsed)
    }

    /// A line without its CRLF; nil when it is not complete yet.
    private mutating func line(maximum: Int) throws(Failure) -> ArraySlice<UInt8>? {
        guard let end = buffer[consumed...].firstIndex(of: 0x0A) else {
            if buffer.count - consumed > maximum { throw .bad("a line is too long") }
            return nil
        }
        guard end > consumed, buffer[end - 1] == 0x0D, end - consumed <= maximum + 1 else {
            throw .bad("a line does not end as it must")
        }
        let line = buffer[consumed..<end - 1]
        consumed = end + 1
        return line
    }

    /// The lines of a complete head; nil when it is not complete yet. Empty lines before it are skipped.
    private mutating func headLines() throws(Failure) -> [String]? {
        while buffer.count - consumed >= 2, buffer[consumed] == 0x0D, buffer[consumed + 1] == 0x0A { consumed += 2 }
        // Something else than HTTP, such as a TLS greeting, may never send the end that a head has.
        if consumed < buffer.count, buffer[consumed] != 0x0D,
            !HTTPHeaders.isToken(String(decoding: [buffer[consumed]], as: UTF8.self))
        {
            throw .bad("not an HTTP request")
        }
        var index = max(consumed, searched - 3)
        while index + 3 < buffer.count {
            if buffer[index] == 0x0D, buffer[index + 1] == 0x0A, buffer[index + 2] == 0x0D, buffer[index + 3] == 0x0A {
                guard index - consumed <= limits.headerBytes else { throw .headTooLarge }
                let head = buffer[consumed..<index]
                consumed = index + 4
                searched = consumed
                return try RequestParser.lines(head)
            }
            index += 1
        }
        searched = buffer.count
        if buffer.count - consumed > limits.headerBytes { throw .headTooLarge }
        return nil
    }

    private static func lines(_ head: ArraySlice<UInt8>) throws(Failure) -> [String] {
        guard head.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x0D || $0 == 0x0A || $0 == 0x09 }) else {
            throw .bad("a control character in the request's head")
        }
        var lines: [String] = []
        for line in head.split(separator: 0x0A, omittingEmptySubsequences: false) {
            let text = line.last == 0x0D ? line.dropLast() : line
            guard !text.contains(0x0D) else { throw .bad("a carriage return in the request's head") }
            lines.append(String(decoding: text, as: UTF8.self))
        }
        return lines
    }
}

// MARK: The head

extension RequestParser {
    private static func readHead(_ lines: [String], limits: HTTPServerLimits) throws(Failure) -> (Head, Phase) {
        let requestLine = try readRequestLine(lines[0])
        var headers = HTTPHeaders()
        for line in lines.dropFirst() {
            guard let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")), HTTPHeaders.isToken(line[..<colon]) else {
                throw .bad("a malformed header field")
            }
            let value = line[line.utf8.index(after: colon)...]
            headers.append(
                String(line[..<colon]), String(value.drop { $0 == " " || $0 == "\t" }.trimmingEnd()))
        }
        let url = try readURL(requestLine.target, host: headers["Host"], isVersion10: requestLine.isVersion10)
        let connection = (headers["Connection"] ?? "").lowercased()
        let parsed = Parsed(
            request: HTTPRequest(requestLine.method, url, headers: headers),
            keepsAlive: requestLine.isVersion10
                ? connection.contains("keep-alive") : !connection.contains("close"),
            understandsChunks: !requestLine.isVersion10)
        let head = Head(
            parsed: parsed, expectsContinue: headers["Expect"]?.lowercased() == "100-continue")
        return (head, try bodyPhase(head, limits: limits))
    }

    private static func readRequestLine(
        _ line: String
    ) throws(Failure) -> (method: HTTPMethod, target: String, isVersion10: Bool) {
        let parts = line.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 3, HTTPHeaders.isToken(parts[0]) else { throw .bad("a malformed request line") }
        guard parts[2] == "HTTP/1.1" || parts[2] == "HTTP/1.0" else { throw .bad("not HTTP/1.1") }
        guard let method = HTTPMethod(rawValue: String(parts[0])) else {
            throw .unsupported("this method is not supported")
        }
        return (method, String(parts[1]), parts[2] == "HTTP/1.0")
    }

    private static func readURL(_ target: String, host: String?, isVersion10: Bool) throws(Failure) -> HTTPURL {
        if target.hasPrefix("http://") {
            guard let url = HTTPURL(target) else { throw .bad("a malformed request target") }
            return url
        }
        guard let (path, query) = HTTPURL.parseTarget(target) else { throw .bad("a malformed request target") }
        guard let authority = host ?? (isVersion10 ? "localhost" : nil), let base = HTTPURL("http://\(authority)")
        else {
            throw .bad("a missing or malformed Host header")
        }
        return HTTPURL(origin: base.origin, path: path, query: query)
    }

    private static func bodyPhase(_ head: Head, limits: HTTPServerLimits) throws(Failure) -> Phase {
        let fields = head.parsed.request.headers.fields
        let lengths = fields.filter { $0.name.lowercased() == "content-length" }.map(\.value)
        let encodings = fields.filter { $0.name.lowercased() == "transfer-encoding" }.map { $0.value.lowercased() }
        if let encoding = encodings.first {
            // Both together are how requests are smuggled past a proxy.
            guard lengths.isEmpty, encodings.count == 1 else { throw .bad("two lengths of one body") }
            guard encoding == "chunked" else { throw .unsupported("this transfer encoding is not supported") }
            return .chunkSize(head)
        }
        guard let text = lengths.first else { return .head }
        guard Set(lengths).count == 1, !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let length = Int(text)
        else { throw .bad("a malformed Content-Length") }
        guard length <= limits.bodyBytes else { throw .bodyTooLarge }
        return length == 0 ? .head : .body(head, remaining: length)
    }

    private static func chunkSize(_ line: ArraySlice<UInt8>) throws(Failure) -> Int {
        let digits = line.prefix { $0 != UInt8(ascii: ";") && $0 != 0x20 && $0 != 0x09 }
        guard !digits.isEmpty, digits.count <= 15, let first = digits.first, first != 0x2B, first != 0x2D,
            let size = Int(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw .bad("a malformed chunk size") }
        return size
    }
}

extension Substring {
    fileprivate func trimmingEnd() -> Substring {
        var text = self
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }
}
