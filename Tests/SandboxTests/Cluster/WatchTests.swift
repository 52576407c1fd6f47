import Encoding
import HTTP
import Sandbox
import Testing

/// What a watch tells, and how it ends.
@Suite struct WatchTests {
    @Test func `a watch tells what was there and what changes`() async throws {
        let fixture = try ClusterFixture()
        try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a"))
        let watch = try await fixture.watch(ClusterFixture.path + "?watch=true")
        try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("b"))
        try await fixture.call(
            .patch, ClusterFixture.path + "/b", ["spec": ["size": 5]], type: "application/merge-patch+json")
        try await fixture.call(.delete, ClusterFixture.path + "/a")
        #expect(try await watch.next(4) == ["ADDED a", "ADDED b", "MODIFIED b", "DELETED a"])
        watch.cancel()
    }

    @Test func `a watch resumes after a resource version`() async throws {
        let fixture = try ClusterFixture()
        let first = try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a")).json
        try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("b"))
        let version = first.value(at: ["metadata", "resourceVersion"])?.stringValue ?? ""
        let watch = try await fixture.watch(ClusterFixture.path + "?watch=true&resourceVersion=\(version)")
        #expect(try await watch.next(1) == ["ADDED b"])
        watch.cancel()
    }

    @Test func `a resource version from before the history is an expired error event`() async throws {
        let fixture = try ClusterFixture()
        try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a"))
        fixture.cluster.compact()
        let watch = try await fixture.watch(ClusterFixture.path + "?watch=true&resourceVersion=2")
        let event = try #require(try await watch.next())
        #expect(event["type"] == "ERROR")
        #expect(event.value(at: ["object", "code"]) == 410)
        #expect(event.value(at: ["object", "reason"]) == "Expired")
        #expect(try await watch.next() == nil)
    }

    @Test func `initial events end with an annotated bookmark`() async throws {
        let fixture = try ClusterFixture()
        try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a"))
        let watch = try await fixture.watch(
            ClusterFixture.path
                + "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true")
        #expect(try await watch.next(1) == ["ADDED a"])
        let bookmark = try #require(try await watch.next())
        #expect(bookmark["type"] == "BOOKMARK")
        #expect(
            bookmark.value(at: ["object", "metadata", "annotations"]) == ["k8s.io/initial-events-end": "true"])
        #expect(bookmark.value(at: ["object", "kind"]) == "Widget")
        watch.cancel()
    }

    @Test func `bookmarks come with time and the watch ends at its timeout`() async throws {
        let fixture = try ClusterFixture()
        let watch = try await fixture.watch(
            ClusterFixture.path + "?watch=true&resourceVersion=2&allowWatchBookmarks=true&timeoutSeconds=90")
        fixture.clock.advance(by: .seconds(61))
        await fixture.cluster.tick()
        let bookmark = try #require(try await watch.next())
        #expect(bookmark["type"] == "BOOKMARK")
        #expect(
            bookmark.value(at: ["object", "metadata", "resourceVersion"])
                == .string(String(fixture.cluster.resourceVersion)))
        fixture.clock.advance(by: .seconds(30))
        await fixture.cluster.tick()
        #expect(try await watch.next() == nil)
    }

    @Test func `a selector turns changes into adds and deletes`() async throws {
        let fixture = try ClusterFixture()
        try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a"))
        let watch = try await fixture.watch(ClusterFixture.path + "?watch=true&labelSelector=on%3Dyes")
        for labels: JSONValue in [["on": "yes"], ["on": "yes", "more": "x"], ["on": "no"]] {
            try await fixture.call(
                .patch, ClusterFixture.path + "/a", ["metadata": ["labels": labels]],
                type: "application/merge-patch+json")
        }
        #expect(try await watch.next(3) == ["ADDED a", "MODIFIED a", "DELETED a"])
        watch.cancel()
    }

    @Test func `ages in a watched table are those of the moment`() async throws {
        let fixture = try ClusterFixture()
        try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a"))
        let accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
        let reply = await fixture.cluster.respond(
            to: fixture.request(.get, ClusterFixture.path + "?watch=true", accept: accept))
        guard case .stream(let write) = reply.body else {
            Issue.record("a watch streams")
            return
        }
        fixture.clock.advance(by: .seconds(90))
        let writer = FirstLine()
        // Ends with the error of a writer that wants no more.
        try? await write(writer)
        let event = try JSONValue(parsing: await writer.line)
        let table = try #require(event["object"])
        let ages = (table["columnDefinitions"]?.arrayValue ?? []).firstIndex { $0["name"] == "Age" }
        let cells = table["rows"]?[0]?["cells"]?.arrayValue ?? []
        #expect(ages.map { cells[$0] } == "90s")
    }

    @Test func `a watcher that does not read is dropped, not waited for`() async throws {
        let fixture = try ClusterFixture(change: { $0.watchBufferLimit = 3 })
        let reply = await fixture.cluster.respond(to: fixture.request(.get, ClusterFixture.path + "?watch=true"))
        for index in 0..<10 {
            try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("w\(index)"))
        }
        guard case .stream(let write) = reply.body else {
            Issue.record("a watch streams")
            return
        }
        let writer = CountingWriter()
        try await write(writer)
        #expect(await writer.lines == 3)
    }
}

/// Takes one line and then no more.
private actor FirstLine: HTTPBodyWriter {
    private(set) var line: [UInt8] = []

    func write(_ bytes: [UInt8]) async throws(APIError) {
        line = Array(bytes.prefix { $0 != 0x0A })
        throw APIError(.cancelled, operation: "watch", message: "enough")
    }
}

private actor CountingWriter: HTTPBodyWriter {
    private(set) var lines = 0

    func write(_ bytes: [UInt8]) async throws(APIError) { lines += bytes.count { $0 == 0x0A } }
}
