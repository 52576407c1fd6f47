/// Replies as they go on the wire. Pure.
enum ReplyEncoder {
    /// Status line and headers; `bodyLength` nil means a body in chunks (or, for HTTP/1.0, until the connection ends).
    static func head(
        status: Int, headers: HTTPHeaders, bodyLength: Int?, keepsAlive: Bool, usesChunks: Bool
    ) -> [UInt8] {
        var text = "HTTP/1.1 \(status) \(reason(status))\r\n"
        for field in headers.fields where isAllowed(field) { text += "\(field.name): \(field.value)\r\n" }
        if let bodyLength {
            if mayHaveBody(status) { text += "Content-Length: \(bodyLength)\r\n" }
        } else if usesChunks {
            text += "Transfer-Encoding: chunked\r\n"
        }
        text += keepsAlive ? "\r\n" : "Connection: close\r\n\r\n"
        return Array(text.utf8)
    }

    static func chunk(_ bytes: [UInt8]) -> [UInt8] {
        Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + [0x0D, 0x0A]
    }

    static let lastChunk = Array("0\r\n\r\n".utf8)
    static let continueLine = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)

    /// 204 and 304 have neither a body nor a length.
    static func mayHaveBody(_ status: Int) -> Bool { status != 204 && status != 304 && status >= 200 }

    /// Framing is ours, and a value with a line break would let a handler's data write headers.
    private static func isAllowed(_ field: HTTPHeaders.Field) -> Bool {
        let name = field.name.lowercased()
        return name != "content-length" && name != "transfer-encoding" && name != "connection"
            && HTTPHeaders.isToken(field.name) && field.value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 9 }
    }

    private static func reason(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 204: "No Content"
        case 206: "Partial Content"
        case 304: "Not Modified"
        case 308: "Resume Incomplete"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 410: "Gone"
        case 412: "Precondition Failed"
        case 413: "Content Too Large"
        case 415: "Unsupported Media Type"
        case 416: "Range Not Satisfiable"
        case 422: "Unprocessable Content"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        default: "Status"
        }
    }
}
