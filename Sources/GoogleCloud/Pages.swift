internal import Encoding
internal import HTTP

/// One page of a list. A page may be empty and still have a successor.
protocol ResultPage {
    var nextPageToken: String? { get }
    var count: Int { get }
}

extension GoogleCloudClient {
    /// Reads all pages of a list.
    ///
    /// - Throws: `.tooLarge` beyond `limit` results in all, `.malformedResponse` when a page names itself as its
    ///   successor.
    func pages<Page: Decodable & ResultPage>(
        of type: Page.Type, _ call: GoogleCall, limit: Int
    ) async throws(APIError) -> [Page] {
        var pages: [Page] = []
        var count = 0
        var call = call
        let query = call.url.query
        var token: String?
        while true {
            let page: Page = try await value(call)
            count += page.count
            pages.append(page)
            guard count <= limit else {
                throw APIError(.tooLarge, operation: call.operation, message: "the list has more than \(limit) entries")
            }
            guard let next = page.nextPageToken, !next.isEmpty else { return pages }
            guard next != token else {
                throw APIError(
                    .malformedResponse, operation: call.operation, message: "the list's pages do not end")
            }
            token = next
            call.url.query = query + [HTTPURL.QueryItem("pageToken", next)]
        }
    }
}
