import Encoding
import HTTP
import Sandbox
import Testing

/// What a script does to requests for the cloud.
@Suite struct CloudFaultTests {
    private static let creates = RequestMatch(side: .cloud, verb: "create", resource: "nodePools")
    private static let pools = RequestMatch(side: .cloud, resource: "nodePools")

    @Test func `faults are scripted per method and call`() async throws {
        let fixture = CloudFixture()
        fixture.setFaults {
            $0.add(.fail(status: 503, message: "Try again."), on: Self.creates, calls: 1...1)
            $0.add(.loseRequest(), on: Self.creates, calls: 2...2)
            $0.add(.loseReply(), on: Self.creates, calls: 3...3)
        }
        #expect(try await fixture.createPool("pool").reason == "UNAVAILABLE")
        for expected in [0, 1] {
            await #expect(throws: APIError.self) { try await fixture.createPool("pool") }
            #expect(fixture.cloud.nodePools().count == expected)
        }
        #expect(try await fixture.createPool("pool").reason == "ALREADY_EXISTS")
        #expect(fixture.cloud.callCount("container.nodePools.create") == 2)
    }

    @Test(arguments: [[], ["us-central1-b"]])
    func `an incomplete list lacks entries, and may say so`(unreachable: [String]) async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket()
        for name in ["a", "b", "c"] { _ = try await fixture.upload(name, name) }
        fixture.setFaults {
            $0.add(.change(.incompleteList(unreachable: unreachable)), on: RequestMatch(verb: "list"), calls: 1...2)
        }
        let objects = try await fixture.call(.get, "\(CloudFixture.storage)/b/bucket/o").json
        #expect(objects["items"]?.arrayValue?.compactMap { $0["name"]?.stringValue } == ["b"])
        #expect(
            objects["unreachable"]?.arrayValue?.compactMap(\.stringValue) == (unreachable.isEmpty ? nil : unreachable))
        #expect(try await fixture.call(.get, "\(CloudFixture.storage)/b?project=p1").json["items"] == nil)
        #expect(try await fixture.list() == ["a", "b", "c"])
    }

    @Test func `what is made appears late in reads and lists`() async throws {
        let fixture = CloudFixture()
        let inserts = RequestMatch(verb: "insert", resource: "objects", name: "late")
        fixture.setFaults {
            $0.add(.appearLate(after: .seconds(30)), on: Self.creates)
            $0.add(.appearLate(after: .seconds(60)), on: inserts)
        }
        _ = try await fixture.createPool("pool")
        try await fixture.createBucket()
        _ = try await fixture.upload("late", "1")
        _ = try await fixture.upload("soon", "2")
        #expect(try await fixture.pool("pool").reason == "NOT_FOUND")
        #expect(try await fixture.call(.get, "\(CloudFixture.cluster)/nodePools").json == [:])
        #expect(try await fixture.createPool("pool").reason == "ALREADY_EXISTS")
        #expect(try await fixture.list() == ["soon"])
        fixture.clock.advance(by: .seconds(30))
        #expect(try await fixture.pool("pool").json["name"] == "pool")
        let late = "\(CloudFixture.storage)/b/bucket/o/late"
        #expect(try await fixture.call(.get, late).reason == "notFound")
        #expect(try await fixture.call(.get, late + "?alt=media").status == 404)
        fixture.clock.advance(by: .seconds(30))
        #expect(try await fixture.list() == ["late", "soon"])
        #expect(try await fixture.read("late") == "1")
    }

    @Test func `replies have words and members that nobody knows yet`() async throws {
        let fixture = CloudFixture()
        _ = try await fixture.createPool("pool", config: ["spot": true, "resourceLabels": ["team": "ml"]])
        fixture.setFaults {
            $0.add(.change(.unknownWord(field: "status")), on: Self.pools, calls: 1...1)
            $0.add(.change(.newFields), on: Self.pools, calls: 2...2)
        }
        let unknown = try await fixture.pool("pool").json
        #expect(unknown["status"] == .string(ReplyChange.unknownWord))
        let new = try await fixture.pool("pool").json
        #expect(new[ReplyChange.newField] != nil)
        #expect(new["config"]?[ReplyChange.newField] != nil)
        // A label more would be another fault.
        #expect(new["config"]?["resourceLabels"] == ["team": "ml"])
        #expect(try await fixture.pool("pool").json[ReplyChange.newField] == nil)
    }

    @Test func `integers may be strings, and default values left out`() async throws {
        let fixture = CloudFixture()
        _ = try await fixture.createPool("pool", config: ["spot": false, "tags": [], "diskSizeGb": 50])
        fixture.setFaults {
            $0.add(.change(.integersAsStrings(fields: ["diskSizeGb"])), on: Self.pools, calls: 1...1)
            $0.add(.change(.defaultsOmitted), on: Self.pools, calls: 2...2)
        }
        #expect(try await fixture.pool("pool").json["config"]?["diskSizeGb"] == "50")
        let config = try await fixture.pool("pool").json["config"]
        #expect(config?["spot"] == nil && config?["tags"] == nil)
        #expect(config?["diskSizeGb"] == 50)
    }

    @Test func `errors and media are not changed`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket()
        _ = try await fixture.upload("a", "{\"status\":\"x\"")
        fixture.setFaults { $0.add(.change(.newFields), on: RequestMatch(side: .cloud)) }
        #expect(try await fixture.read("a") == "{\"status\":\"x\"")
        #expect(try await fixture.call(.get, "\(CloudFixture.storage)/b/bucket/o/b").json[ReplyChange.newField] == nil)
    }
}
