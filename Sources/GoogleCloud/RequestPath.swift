internal import Encoding
internal import HTTP

/// A segment of a request's path: a word of the API's, or a name that is checked and percent-encoded whole.
struct PathPart: Sendable, ExpressibleByStringLiteral {
    private let kind: NameKind?
    private let text: String

    /// A literal only: text that is known at run time goes through `checked`.
    init(stringLiteral word: StaticString) {
        kind = nil
        text = word.description
    }

    private init(_ kind: NameKind, _ name: String) {
        self.kind = kind
        text = name
    }

    static func checked(_ kind: NameKind, _ name: String) -> PathPart { PathPart(kind, name) }

    func encoded(operation: String) throws(APIError) -> String {
        HTTPURL.encodedSegment(try kind?.check(text, operation: operation) ?? text)
    }
}

extension GoogleCall {
    /// A call at a path of checked names.
    ///
    /// - Parameters:
    ///   - verb: a custom method; goes after the path and a colon.
    ///   - body: sent as JSON.
    /// - Throws: `.invalid` when a name is none or the body cannot be encoded.
    init(
        _ operation: String, _ method: HTTPMethod, origin: String, path: [PathPart], verb: StaticString? = nil,
        query: [HTTPURL.QueryItem] = [], body: (any Encodable)? = nil
    ) throws(APIError) {
        var text = ""
        for part in path { text += "/" + (try part.encoded(operation: operation)) }
        if let verb { text += ":\(verb)" }
        let url = HTTPURL(origin: origin, path: text, query: query)
        if let body {
            self.init(operation, method, url, json: try GoogleCall.encode(body, operation: operation))
        } else {
            self.init(operation, method, url)
        }
    }
}

extension [HTTPURL.QueryItem] {
    /// Adds a parameter; nil adds none.
    func adding(_ name: String, _ value: String?) -> Self { value.map { self + [.init(name, $0)] } ?? self }

    /// Adds a number; nil adds none.
    func adding(_ name: String, _ value: Int64?) -> Self { adding(name, value.map { String($0) }) }

    /// Adds a flag where it is set.
    func adding(_ name: String, _ isSet: Bool) -> Self { adding(name, isSet ? "true" : nil) }
}
