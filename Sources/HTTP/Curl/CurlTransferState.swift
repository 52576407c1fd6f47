/// What one transfer has received so far: header lines in, a head and body bytes out. Pure.
struct CurlTransferState {
    /// Status and headers of the final reply (1xx replies are skipped).
    struct Head: Sendable, Equatable {
        var status: Int
        var headers: HTTPHeaders
    }

    /// Why bytes are refused, which ends the transfer.
    enum Refusal: Error, Equatable {
        case headTooLarge, malformedHead, bodyTooLarge
    }

    static let maximumHeadBytes = 256 << 10

    private(set) var head: Head?
    private(set) var bodyBytes = 0
    /// Counts everything that moved in either direction, so that silence can be noticed.
    private(set) var activity = 0
    private let maximumBodyBytes: Int?
    private var pending: Head?
    private var headBytes = 0

    /// - Parameter maximumBodyBytes: nil for a stream, whose body is not counted.
    init(maximumBodyBytes: Int?) { self.maximumBodyBytes = maximumBodyBytes }

    /// Takes one header line, its CRLF included. True when the final head is complete.
    mutating func received(headerLine line: some Collection<UInt8>) throws(Refusal) -> Bool {
        activity += 1
        if head != nil { return false }  // A trailer of a chunked body: nothing here needs one.
        headBytes += line.count
        guard headBytes <= CurlTransferState.maximumHeadBytes else { throw .headTooLarge }
        let text = String(decoding: line, as: UTF8.self)
        if text.hasPrefix("HTTP/") {
            guard let status = CurlTransferState.status(ofLine: text) else { throw .malformedHead }
            pending = Head(status: status, headers: HTTPHeaders())
            return false
        }
        guard let current = pending else { throw .malformedHead }
        if text == "\r\n" || text == "\n" {
            pending = nil
            if current.status < 200 { return false }
            head = current
            return true
        }
        if let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) {
            let name = text[..<colon]
            guard HTTPHeaders.isToken(name) else { throw .malformedHead }
            pending?.headers.append(String(name), CurlTransferState.trimmed(text[text.utf8.index(after: colon)...]))
        }
        return false
    }

    /// Counts body bytes.
    mutating func received(bodyBytes count: Int) throws(Refusal) {
        activity += 1
        bodyBytes += count
        if let maximumBodyBytes, bodyBytes > maximumBodyBytes { throw .bodyTooLarge }
    }

    /// Notes that body bytes were sent.
    mutating func sentBody() { activity += 1 }

    private static func status(ofLine line: String) -> Int? {
        let parts = line.split(whereSeparator: { $0 == " " || $0 == "\r\n" || $0 == "\n" })
        guard parts.count >= 2, parts[1].utf8.count == 3, let status = Int(parts[1]), (100..<600).contains(status)
        else { return nil }
        return status
    }

    private static func trimmed(_ text: Substring) -> String {
        let bytes = text.utf8
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A }
        guard let start = bytes.firstIndex(where: { !isSpace($0) }),
            let last = bytes.lastIndex(where: { !isSpace($0) })
        else { return "" }
        return String(text[start...last])
    }
}
