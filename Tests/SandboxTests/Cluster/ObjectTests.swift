import Encoding
import HTTP
import Sandbox
import Testing

/// Create, read, update and delete as a real API server does them.
@Suite struct ObjectTests {
    @Test func `a created object gets its metadata and defaults`() async throws {
        let fixture = try ClusterFixture()
        let reply = try await fixture.call(
            .post, ClusterFixture.path, ClusterFixture.widget("a", ["size": 2, "parts": [["name": "x"]]]))
        #expect(reply.status == 201)
        #expect(
            reply.json["spec"] == ["size": 2, "color": "Red", "replicas": 1, "parts": [["name": "x", "weight": 0.5]]])
        #expect(reply.json["status"] == ["observedGeneration": -1])
        let metadata = try #require(reply.json["metadata"])
        #expect(metadata["generation"] == 1)
        #expect(metadata["namespace"] == "default")
        #expect(metadata["creationTimestamp"] == "2023-11-14T22:13:20Z")
        #expect(metadata["uid"]?.stringValue?.count == 36)
        #expect(try await fixture.call(.get, ClusterFixture.path + "/a").json == reply.json)
    }

    @Test func `a second create of the same name is refused`() async throws {
        let fixture = try ClusterFixture()
        try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a"))
        let reply = try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a"))
        #expect(reply.status == 409)
        #expect(reply.json["reason"] == "AlreadyExists")
        #expect(reply.message == "widgets.example.dev \"a\" already exists")
    }

    @Test func `generateName draws a free name`() async throws {
        let fixture = try ClusterFixture()
        var widget = ClusterFixture.widget("")
        widget["metadata"] = ["generateName": "w-"]
        let name = try await fixture.call(.post, ClusterFixture.path, widget).json
            .value(at: ["metadata", "name"])?.stringValue
        #expect(name?.hasPrefix("w-") == true && name?.count == 7)
    }

    @Test func `a stale resource version is a conflict`() async throws {
        let fixture = try ClusterFixture()
        var object = try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a")).json
        object.set(3, at: ["spec", "size"])
        #expect(try await fixture.call(.put, ClusterFixture.path + "/a", object).status == 200)
        let reply = try await fixture.call(.put, ClusterFixture.path + "/a", object)
        #expect(reply.status == 409)
        #expect(reply.json["reason"] == "Conflict")
        #expect(
            reply.message.hasPrefix("Operation cannot be fulfilled on widgets.example.dev \"a\": the object has been"))
    }

    @Test func `the status is written by its subresource only and moves no generation`() async throws {
        let fixture = try ClusterFixture()
        var object = try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a")).json
        object["status"] = ["message": "hello"]
        object.set(3, at: ["spec", "size"])
        let status = try await fixture.call(.put, ClusterFixture.path + "/a/status", object)
        #expect(status.json["status"] == ["message": "hello", "observedGeneration": -1])
        #expect(status.json.value(at: ["spec", "size"]) == 1)
        #expect(status.json.value(at: ["metadata", "generation"]) == 1)
        object = status.json
        object["status"] = ["message": "ignored"]
        object.set(3, at: ["spec", "size"])
        let spec = try await fixture.call(.put, ClusterFixture.path + "/a", object)
        #expect(spec.json.value(at: ["status", "message"]) == "hello")
        #expect(spec.json.value(at: ["metadata", "generation"]) == 2)
    }

    @Test func `a write that changes nothing gets no new revision`() async throws {
        let fixture = try ClusterFixture()
        let object = try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a")).json
        let before = fixture.cluster.resourceVersion
        let reply = try await fixture.call(.put, ClusterFixture.path + "/a", object)
        #expect(reply.json == object)
        #expect(fixture.cluster.resourceVersion == before)
    }

    @Test func `a dry run validates and stores nothing`() async throws {
        let fixture = try ClusterFixture()
        let reply = try await fixture.call(.post, ClusterFixture.path + "?dryRun=All", ClusterFixture.widget("a"))
        #expect(reply.status == 201)
        #expect(try await fixture.call(.get, ClusterFixture.path + "/a").status == 404)
        let bad = try await fixture.call(
            .post, ClusterFixture.path + "?dryRun=All", ClusterFixture.widget("a", ["size": 99]))
        #expect(bad.status == 422)
    }

    @Test func `a finalizer holds a deleted object until it is removed`() async throws {
        let fixture = try ClusterFixture()
        var widget = ClusterFixture.widget("a")
        widget.set(["example.dev/hold"], at: ["metadata", "finalizers"])
        try await fixture.call(.post, ClusterFixture.path, widget)
        let deleted = try await fixture.call(.delete, ClusterFixture.path + "/a")
        #expect(deleted.status == 200)
        #expect(deleted.json.value(at: ["metadata", "deletionTimestamp"]) == "2023-11-14T22:13:20Z")
        var waiting = try await fixture.call(.get, ClusterFixture.path + "/a").json
        waiting.set(["example.dev/hold", "example.dev/new"], at: ["metadata", "finalizers"])
        let refused = try await fixture.call(.put, ClusterFixture.path + "/a", waiting)
        #expect(refused.status == 422)
        #expect(refused.message.contains("no new finalizers can be added if the object is being deleted"))
        waiting.set([], at: ["metadata", "finalizers"])
        #expect(try await fixture.call(.put, ClusterFixture.path + "/a", waiting).status == 200)
        #expect(try await fixture.call(.get, ClusterFixture.path + "/a").status == 404)
    }

    @Test func `a delete holds its preconditions`() async throws {
        let fixture = try ClusterFixture()
        try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a"))
        let reply = try await fixture.call(
            .delete, ClusterFixture.path + "/a", ["preconditions": ["uid": "someone-else"]])
        #expect(reply.status == 409)
        #expect(try await fixture.call(.get, ClusterFixture.path + "/a").status == 200)
    }

    @Test func `pages of a list show one revision`() async throws {
        let fixture = try ClusterFixture()
        for name in ["a", "b", "c", "d", "e"] {
            try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget(name))
        }
        let first = try await fixture.call(.get, ClusterFixture.path + "?limit=2").json
        #expect(first.value(at: ["metadata", "remainingItemCount"]) == 3)
        try await fixture.call(.delete, ClusterFixture.path + "/c")
        let token = try #require(first.value(at: ["metadata", "continue"])?.stringValue)
        let second = try await fixture.call(.get, ClusterFixture.path + "?limit=2&continue=\(token)").json
        #expect(names(second) == ["c", "d"])
        #expect(second.value(at: ["metadata", "resourceVersion"]) == first.value(at: ["metadata", "resourceVersion"]))
        fixture.clock.advance(by: .seconds(600))
        let late = try await fixture.call(.get, ClusterFixture.path + "?limit=2&continue=\(token)")
        #expect(late.status == 410)
        #expect(late.json["reason"] == "Expired")
    }

    @Test(arguments: [
        ("labelSelector=color%3Dred", ["a"]), ("labelSelector=color+in+(red,blue)", ["a", "b"]),
        ("labelSelector=color!%3Dred", ["b", "c"]), ("labelSelector=!color", ["c"]),
        ("labelSelector=color", ["a", "b"]),
        ("labelSelector=color+notin+(red),color", ["b"]), ("fieldSelector=metadata.name%3Db", ["b"]),
        ("fieldSelector=spec.color%3DBlue", ["c"]),
    ])
    func `selectors choose`(query: String, expected: [String]) async throws {
        let fixture = try ClusterFixture()
        for (name, color) in [("a", "red"), ("b", "blue")] {
            var widget = ClusterFixture.widget(name)
            widget.set(["color": .string(color)], at: ["metadata", "labels"])
            try await fixture.call(.post, ClusterFixture.path, widget)
        }
        try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("c", ["size": 1, "color": "Blue"]))
        #expect(names(try await fixture.call(.get, ClusterFixture.path + "?" + query).json) == expected)
    }

    @Test func `a field selector that is not offered is refused`() async throws {
        let fixture = try ClusterFixture()
        let reply = try await fixture.call(.get, ClusterFixture.path + "?fieldSelector=spec.size%3D1")
        #expect(reply.status == 400)
        #expect(reply.message == "field label not supported: spec.size")
    }

    @Test func `unknown paths, versions and tokens are refused`() async throws {
        let fixture = try ClusterFixture()
        #expect(try await fixture.call(.get, "/apis/example.dev/v2/widgets").status == 404)
        #expect(try await fixture.call(.get, "/nothing").status == 404)
        // Without a token one is system:anonymous, who may not do it.
        #expect(try await fixture.call(.get, ClusterFixture.path, token: "").status == 403)
        #expect(try await fixture.call(.get, ClusterFixture.path, token: "wrong").status == 401)
        #expect(try await fixture.call(.get, "/healthz", token: "").status == 200)
    }

    @Test func `an object needs its namespace`() async throws {
        let fixture = try ClusterFixture()
        let path = "/apis/example.dev/v1/namespaces/nowhere/widgets"
        let reply = try await fixture.call(.post, path, ClusterFixture.widget("a"))
        #expect(reply.status == 404)
        #expect(reply.message == "namespaces \"nowhere\" not found")
    }

    private func names(_ list: JSONValue) -> [String] {
        (list["items"]?.arrayValue ?? []).compactMap { $0.value(at: ["metadata", "name"])?.stringValue }
    }
}
