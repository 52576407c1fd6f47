import Encoding
import GoogleCloud
import HTTP
import Testing

/// Lists end, and say what is not in them.
@Suite struct PageTests {
    /// Lists Cloud Run services against pages by number.
    func list(
        _ page: @escaping @Sendable (_ number: Int) -> JSONValue
    ) async -> (result: Result<[String], APIError>, requests: Int) {
        let transport = ScriptedTransport { number, _ in .reply(.json(page(number))) }
        let client = RunClient(GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()))
        do throws(APIError) {
            let listing = try await client.services(in: LocationName(project: "p1", location: "us-central1"))
            return (.success(listing.items.map(\.name)), transport.requests.count)
        } catch {
            return (.failure(error), transport.requests.count)
        }
    }

    @Test func `an empty page in the middle is not the end`() async throws {
        let found = await list { number in
            switch number {
            case 1: ["services": [["name": "a"]], "nextPageToken": "1"]
            case 2: ["nextPageToken": "2"]
            case 3: ["services": nil, "nextPageToken": "3"]
            default: ["services": [["name": "b"]], "nextPageToken": ""]
            }
        }
        #expect(try found.result.get() == ["a", "b"])
        #expect(found.requests == 4)
    }

    @Test(arguments: [1, 2, 7])
    func `pages that go in a circle are an error`(length: Int) async {
        let found = await list { ["nextPageToken": .string("page \($0 % length)")] }
        #expect(throws: APIError.self) { try found.result.get() }
        if case .failure(let error) = found.result {
            #expect(error.code == .malformedResponse)
            #expect(error.message == "the list's pages do not end")
        }
        #expect(found.requests == length + 1)
    }

    @Test func `pages that never repeat and never end are an error`() async {
        let found = await list { ["nextPageToken": .string("\($0)")] }
        #expect(throws: APIError.self) { try found.result.get() }
        #expect(found.requests == 2001)
    }

    @Test func `a list that is too long is an error`() async {
        let many: JSONValue = .array(Array(repeating: ["name": "s"], count: 4000))
        let found = await list { ["services": many, "nextPageToken": .string("\($0)")] }
        if case .failure(let error) = found.result { #expect(error.code == .tooLarge) }
        #expect(found.requests == 3)
    }

    @Test(arguments: [
        "[]", "7", "null", #"{"services":7}"#, #"{"services":{"a":1}}"#, #"{"services":[7]}"#, #"{"services":["#, "",
        "<html>", #"{"services":[{"name":7}]}"#,
    ])
    func `a page that is none is malformed, not the end of the list`(body: String) async {
        let transport = ScriptedTransport { _, _ in .reply(HTTPResponse(status: 200, body: Array(body.utf8))) }
        let client = RunClient(GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()))
        let error = await failure { () async throws(APIError) in
            try await client.services(in: LocationName(project: "p1", location: "us-central1"))
        }
        #expect(error?.code == .malformedResponse)
    }

    @Test func `a search for the first objects ends too`() async {
        let transport = ScriptedTransport { number, _ in .reply(.json(["nextPageToken": .string("\(number % 3)")])) }
        let storage = StorageClient(
            GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()))
        let error = await failure { () async throws(APIError) in
            try await storage.firstObjects(in: "bucket", ObjectQuery())
        }
        #expect(error?.code == .malformedResponse)
        #expect(transport.requests.count == 4)
    }

    @Test func `a list with gaps does not pass for a complete one`() throws {
        #expect(try Listing(items: [1, 2]).complete(operation: "o") == [1, 2])
        let gaps = Listing(items: [1], unreachable: ["a", "b", "c", "d", "e", "f"])
        let error = #expect(throws: APIError.self) { try gaps.complete(operation: "o") }
        #expect(error?.code == .unavailable)
        #expect(error?.message == "the list is incomplete; no answer from a, b, c, d, e …")
    }
}
