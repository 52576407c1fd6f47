import Encoding
import HTTP
import Sandbox
import Testing

/// Server-side apply: ownership, conflicts, removal.
@Suite struct ApplyTests {
    private let fixture: ClusterFixture

    init() throws { fixture = try ClusterFixture() }

    private func apply(
        _ spec: JSONValue, by manager: String, force: Bool = false, name: String = "a", subresource: String = "",
        change: (inout JSONValue) -> Void = { _ in }
    ) async throws -> ClusterFixture.Reply {
        var body = ClusterFixture.widget(name, spec)
        change(&body)
        return try await fixture.call(
            .patch, ClusterFixture.path + "/\(name)\(subresource)?fieldManager=\(manager)&force=\(force)", body,
            type: "application/apply-patch+yaml")
    }

    private func fields(_ object: JSONValue, of manager: String) -> JSONValue? {
        object.value(at: ["metadata", "managedFields"])?.arrayValue?
            .first { $0["manager"]?.stringValue == manager }?["fieldsV1"]
    }

    @Test func `an apply creates what is not there and owns what it says`() async throws {
        let reply = try await apply(["size": 1, "parts": [["name": "x", "weight": 1.5]], "steps": [1, 2]], by: "one")
        #expect(reply.status == 201)
        #expect(
            fields(reply.json, of: "one") == [
                "f:spec": [
                    "f:size": [:], "f:steps": [:],
                    "f:parts": ["k:{\"name\":\"x\"}": [".": [:], "f:name": [:], "f:weight": [:]]],
                ]
            ])
    }

    @Test func `the same apply again changes nothing`() async throws {
        let first = try await apply(["size": 1, "tags": ["b", "a"]], by: "one")
        fixture.clock.advance(by: .seconds(60))
        let second = try await apply(["size": 1, "tags": ["b", "a"]], by: "one")
        #expect(second.status == 200)
        #expect(second.json == first.json)
    }

    @Test func `another manager's field is a conflict that names it`() async throws {
        _ = try await apply(["size": 1], by: "one")
        let reply = try await apply(["size": 2], by: "two")
        #expect(reply.status == 409)
        #expect(reply.message == "Apply failed with 1 conflict: conflict with \"one\": .spec.size")
        #expect(
            reply.json.value(at: ["details", "causes"]) == [
                [
                    "reason": "FieldManagerConflict", "message": "conflict with \"one\"",
                    "field": ".spec.size",
                ]
            ])
        let forced = try await apply(["size": 2], by: "two", force: true)
        #expect(forced.json.value(at: ["spec", "size"]) == 2)
        #expect(fields(forced.json, of: "one") == nil)
    }

    @Test func `agreeing managers share a field and it stays until the last lets go`() async throws {
        _ = try await apply(["size": 1, "code": "abc"], by: "one")
        _ = try await apply(["size": 1, "code": "abc"], by: "two")
        let first = try await apply(["size": 1], by: "one")
        #expect(first.json.value(at: ["spec", "code"]) == "abc")
        let second = try await apply(["size": 1], by: "two")
        #expect(second.json.value(at: ["spec", "code"]) == nil)
    }

    @Test func `map lists merge by key and lose only what their manager drops`() async throws {
        _ = try await apply(["size": 1, "parts": [["name": "x"], ["name": "y", "weight": 2]]], by: "one")
        let two = try await apply(["size": 1, "parts": [["name": "z", "weight": 3]]], by: "two")
        #expect(
            two.json.value(at: ["spec", "parts"]) == [
                ["name": "x", "weight": 0.5], ["name": "y", "weight": 2], ["name": "z", "weight": 3],
            ])
        let one = try await apply(["size": 1, "parts": [["name": "x"]]], by: "one")
        #expect(
            one.json.value(at: ["spec", "parts"]) == [["name": "x", "weight": 0.5], ["name": "z", "weight": 3]])
    }

    @Test func `an update takes over the fields that it changes`() async throws {
        var object = try await apply(["size": 1, "code": "abc"], by: "one").json
        object.set(5, at: ["spec", "size"])
        let updated = try await fixture.call(.put, ClusterFixture.path + "/a?fieldManager=editor", object).json
        #expect(fields(updated, of: "editor") == ["f:spec": ["f:size": [:]]])
        #expect(fields(updated, of: "one") == ["f:spec": ["f:code": [:]]])
        #expect(try await apply(["size": 1, "code": "abc"], by: "one").status == 409)
    }

    @Test func `the status is applied apart from the rest`() async throws {
        _ = try await apply(["size": 1], by: "one")
        let reply = try await apply(["size": 9], by: "controller", subresource: "/status") { body in
            body["status"] = ["message": "hello"]
        }
        #expect(reply.json.value(at: ["spec", "size"]) == 1)
        #expect(reply.json.value(at: ["status", "message"]) == "hello")
        #expect(fields(reply.json, of: "controller") == ["f:status": ["f:message": [:]]])
        let entry = reply.json.value(at: ["metadata", "managedFields"])?.arrayValue?
            .first { $0["manager"] == "controller" }
        #expect(entry?["subresource"] == "status")
    }

    @Test func `labels are merged and removed one by one`() async throws {
        _ = try await apply(["size": 1], by: "one") { $0.set(["a": "1", "b": "2"], at: ["metadata", "labels"]) }
        try await fixture.call(
            .patch, ClusterFixture.path + "/a", ["metadata": ["labels": ["c": "3"]]],
            type: "application/merge-patch+json")
        let reply = try await apply(["size": 1], by: "one") { $0.set(["a": "1"], at: ["metadata", "labels"]) }
        #expect(reply.json.value(at: ["metadata", "labels"]) == ["a": "1", "c": "3"])
    }

    @Test func `an apply needs a manager and fields that exist`() async throws {
        let noManager = try await fixture.call(
            .patch, ClusterFixture.path + "/a", ClusterFixture.widget("a"), type: "application/apply-patch+yaml")
        #expect(noManager.status == 422)
        let unknown = try await apply(["size": 1, "sise": 1], by: "one")
        #expect(unknown.status == 500)
        #expect(unknown.message.contains(".spec.sise: field not declared in schema"))
    }

    @Test func `YAML bodies are read`() async throws {
        var request = fixture.request(
            .patch, ClusterFixture.path + "/a?fieldManager=one", type: "application/apply-patch+yaml")
        request.body = Array(
            "apiVersion: example.dev/v1\nkind: Widget\nmetadata:\n  name: a\nspec:\n  size: 4\n".utf8)
        #expect(try await fixture.send(request).json.value(at: ["spec", "size"]) == 4)
    }
}

/// The three other patches.
@Suite struct PatchTests {
    private let fixture: ClusterFixture

    init() throws { fixture = try ClusterFixture() }

    @Test func `a JSON patch tests, adds, replaces and removes`() async throws {
        try await fixture.call(
            .post, ClusterFixture.path, ClusterFixture.widget("a", ["size": 1, "steps": [1, 2], "code": "abc"]))
        let reply = try await fixture.call(
            .patch, ClusterFixture.path + "/a",
            [
                ["op": "test", "path": "/spec/size", "value": 1],
                ["op": "replace", "path": "/spec/size", "value": 2],
                ["op": "add", "path": "/spec/steps/-", "value": 3], ["op": "add", "path": "/spec/steps/0", "value": 0],
                ["op": "remove", "path": "/spec/code"],
                ["op": "add", "path": "/metadata/annotations", "value": [:]],
                ["op": "add", "path": "/metadata/annotations/x.dev~1y", "value": "z"],
            ], type: "application/json-patch+json")
        #expect(reply.json["spec"] == ["size": 2, "steps": [0, 1, 2, 3], "color": "Red", "replicas": 1])
        #expect(reply.json.value(at: ["metadata", "annotations"]) == ["x.dev/y": "z"])
        let failed = try await fixture.call(
            .patch, ClusterFixture.path + "/a", [["op": "test", "path": "/spec/size", "value": 9]],
            type: "application/json-patch+json")
        #expect(failed.status == 422)
    }

    @Test func `a merge patch with a stale resource version is a conflict`() async throws {
        try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a"))
        let reply = try await fixture.call(
            .patch, ClusterFixture.path + "/a", ["metadata": ["resourceVersion": "1"], "spec": ["size": 2]],
            type: "application/merge-patch+json")
        #expect(reply.status == 409)
    }

    @Test func `custom resources take no strategic merge patch`() async throws {
        try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a"))
        let reply = try await fixture.call(
            .patch, ClusterFixture.path + "/a", ["spec": ["size": 2]],
            type: "application/strategic-merge-patch+json")
        #expect(reply.status == 415)
    }

    @Test func `a strategic merge patch merges lists by their keys`() async throws {
        let path = "/api/v1/namespaces/default/services"
        try await fixture.call(
            .post, path,
            [
                "apiVersion": "v1", "kind": "Service", "metadata": ["name": "s", "finalizers": ["a.dev/a"]],
                "spec": ["ports": [["port": 80, "name": "http"], ["port": 81, "name": "other"]]],
            ])
        let reply = try await fixture.call(
            .patch, path + "/s",
            [
                "metadata": ["finalizers": ["a.dev/b"]],
                "spec": [
                    "ports": [
                        ["port": 82, "name": "new"], ["port": 81, "$patch": "delete"], ["port": 80, "name": "web"],
                    ],
                    "$setElementOrder/ports": [["port": 82], ["port": 80]],
                ],
            ], type: "application/strategic-merge-patch+json")
        let ports = reply.json.value(at: ["spec", "ports"])?.arrayValue ?? []
        #expect(ports.map { $0["name"] } == ["new", "web"])
        #expect(reply.json.value(at: ["metadata", "finalizers"]) == ["a.dev/b", "a.dev/a"])
    }
}
