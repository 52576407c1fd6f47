internal import Encoding
internal import HTTP

/// One page of a list. A page may be empty and still have a successor.
protocol ResultPage {
    var nextPageToken: String? { get }
    var count: Int { get }
}

/// The way through a list's pages: ends after a bounded number of pages and results, and never walks in a circle.
struct PageTrail {
    /// Ten times what any of our lists needs at its smallest page size.
    static let maximumPages = 2_000

    private let operation: String
    private let limit: Int
    private var count = 0
    private var tokens: Set<String> = []

    /// - Parameter limit: more results are an error.
    init(operation: String, limit: Int) {
        self.operation = operation
        self.limit = limit
    }

    /// Takes a page.
    ///
    /// - Returns: the token of the next; nil at the end.
    /// - Throws: `.tooLarge` beyond the limit, `.malformedResponse` when the pages do not end.
    mutating func next(after token: String?, count newCount: Int) throws(APIError) -> String? {
        count += newCount
        guard count <= limit else {
            throw APIError(.tooLarge, operation: operation, message: "the list has more than \(limit) entries")
        }
        guard let token, !token.isEmpty else { return nil }
        guard tokens.count < Self.maximumPages, tokens.insert(token).inserted else {
            throw APIError(.malformedResponse, operation: operation, message: "the list's pages do not end")
        }
        return token
    }
}

extension GoogleCall {
    /// The same call for the page of a token.
    func page(_ token: String) -> GoogleCall {
        var call = self
        call.url.query.append(HTTPURL.QueryItem("pageToken", token))
        return call
    }
}

extension GoogleCloudClient {
    /// Reads all pages of a list.
    ///
    /// - Throws: as `PageTrail`.
    func pages<Page: Decodable & ResultPage>(
        of type: Page.Type, _ call: GoogleCall, limit: Int
    ) async throws(APIError) -> [Page] {
        var trail = PageTrail(operation: call.operation, limit: limit)
        var pages: [Page] = []
        var next = call
        while true {
            let page: Page = try await value(next)
            pages.append(page)
            guard let token = try trail.next(after: page.nextPageToken, count: page.count) else { return pages }
            next = call.page(token)
        }
    }

    /// Reads all pages of a list whose entries are the array `key`, and what the pages say is missing.
    ///
    /// - Throws: as `PageTrail`; `.malformedResponse` when an entry does not decode.
    func list<Element: Decodable & Sendable>(
        _ call: GoogleCall, _ key: String, of type: Element.Type = Element.self, limit: Int = 10_000
    ) async throws(APIError) -> Listing<Element> {
        try await list(call, limit: limit) { page throws(JSONError) in
            Listing(items: try page.elements(key), unreachable: page.unreachable)
        }
    }

    /// Reads all pages of a list.
    ///
    /// - Parameters:
    ///   - turn: makes the call for the page of a token.
    ///   - read: one page.
    func list<Element: Sendable>(
        _ call: GoogleCall, limit: Int, turn: (GoogleCall, String) -> GoogleCall = { $0.page($1) },
        read: (JSONValue) throws(JSONError) -> Listing<Element>
    ) async throws(APIError) -> Listing<Element> {
        var trail = PageTrail(operation: call.operation, limit: limit)
        var result = Listing<Element>()
        var next = call
        while true {
            let page = try await value(next, as: JSONValue.self)
            let part = try call.read(page, read)
            result.items += part.items
            result.unreachable += part.unreachable.filter { !result.unreachable.contains($0) }
            let token = try trail.next(after: page["nextPageToken"]?.stringValue, count: part.items.count)
            guard let token else { return result }
            next = turn(call, token)
        }
    }
}

extension GoogleCall {
    /// - Throws: `.malformedResponse`.
    fileprivate func read<Value>(
        _ page: JSONValue, _ read: (JSONValue) throws(JSONError) -> Value
    ) throws(APIError) -> Value {
        do throws(JSONError) {
            guard page.objectValue != nil else { throw JSONError(code: .wrongType, message: "not an object") }
            return try read(page)
        } catch {
            throw APIError(
                .malformedResponse, operation: operation, message: "the reply cannot be read: \(error.message)")
        }
    }
}

extension JSONValue {
    /// The entries of a page; a reply leaves an empty list out.
    func elements<Element: Decodable>(_ key: String) throws(JSONError) -> [Element] {
        guard let array = self[key], !array.isNull else { return [] }
        return try array.decode([Element].self)
    }

    /// What a page of the newer APIs says did not answer.
    var unreachable: [String] {
        ["unreachable", "missingZones"].flatMap { self[$0]?.arrayValue ?? [] }.map { $0.stringValue ?? "?" }
    }
}
