internal import HTTP

/// A `multipart/related` upload: JSON metadata, then the media.
struct MultipartBody {
    let metadata: ArraySlice<UInt8>
    let media: ArraySlice<UInt8>
    let mediaType: String

    /// - Throws: 400 when it is not made of these two parts.
    init(contentType: String?, body: [UInt8]) throws(CloudError) {
        let failure = StorageAPI.invalid("Malformed multipart body.")
        guard let boundary = contentType.flatMap(Self.boundary), !boundary.isEmpty else { throw failure }
        let opening = Array("--\(boundary)\r\n".utf8)
        let separator = Array("\r\n--\(boundary)\r\n".utf8)
        let closing = Array("\r\n--\(boundary)--".utf8)
        let blank = Array("\r\n\r\n".utf8)
        guard body.starts(with: opening),
            let metadataStart = Self.end(of: blank, in: body, from: opening.count - 2),
            let middle = Self.end(of: separator, in: body, from: metadataStart - 2),
            let mediaStart = Self.end(of: blank, in: body, from: middle - 2),
            let end = Self.lastStart(of: closing, in: body, notBefore: mediaStart - 2)
        else { throw failure }
        metadata = body[metadataStart..<max(metadataStart, middle - separator.count)]
        media = body[mediaStart..<max(mediaStart, end)]
        let header = String(decoding: body[middle..<max(middle, mediaStart - blank.count)], as: UTF8.self)
        mediaType =
            header.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-type:") }
            .map { String($0.dropFirst(13).drop { $0 == " " }) } ?? "application/octet-stream"
    }

    private static func boundary(_ contentType: String) -> String? {
        guard contentType.hasPrefix("multipart/related") else { return nil }
        for parameter in contentType.split(separator: ";").dropFirst() {
            let text = parameter.drop { $0 == " " }
            if text.hasPrefix("boundary=") { return text.dropFirst(9).filter { $0 != "\"" } }
        }
        return nil
    }

    /// The position behind the first occurrence.
    private static func end(of pattern: [UInt8], in body: [UInt8], from start: Int) -> Int? {
        guard let first = pattern.first else { return start }
        var position = max(0, start)
        while position + pattern.count <= body.count {
            if body[position] == first, body[position..<(position + pattern.count)].elementsEqual(pattern) {
                return position + pattern.count
            }
            position += 1
        }
        return nil
    }

    /// The position of the last occurrence: the media may be large, and the end is near.
    private static func lastStart(of pattern: [UInt8], in body: [UInt8], notBefore limit: Int) -> Int? {
        var position = body.count - pattern.count
        while position >= max(0, limit) {
            if body[position..<(position + pattern.count)].elementsEqual(pattern) { return position }
            position -= 1
        }
        return nil
    }
}
