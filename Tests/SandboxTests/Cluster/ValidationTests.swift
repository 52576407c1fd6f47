import Encoding
import HTTP
import Sandbox
import Testing

/// What a custom resource's schema and rules refuse, in the API server's words.
@Suite struct ValidationTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var name: String
        var spec: JSONValue
        var message: String
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(
            name: "wrong type", spec: ["size": 1, "options": ["epochs": 5]],
            message: "spec.options.epochs: Invalid value: \"integer\": spec.options.epochs in body must be of type "
                + "string: \"integer\""),
        Case(name: "required", spec: [:], message: "spec.size: Required value"),
        Case(
            name: "enum", spec: ["size": 1, "color": "Green"],
            message: "spec.color: Unsupported value: \"Green\": supported values: \"Red\", \"Blue\""),
        Case(
            name: "maximum", spec: ["size": 11],
            message: "spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10"),
        Case(
            name: "minimum", spec: ["size": 0],
            message: "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"),
        Case(
            name: "pattern", spec: ["size": 1, "code": "A1"],
            message: "spec.code: Invalid value: \"A1\": spec.code in body should match '^[a-z]+$'"),
        Case(
            name: "length", spec: ["size": 1, "code": "abcdef"],
            message: "spec.code: Too long: may not be more than 5 bytes"),
        Case(
            name: "too many properties", spec: ["size": 1, "options": ["a": "1", "b": "2", "c": "3"]],
            message: "spec.options: Too many: 3: must have at most 2 items"),
        Case(
            name: "duplicate key", spec: ["size": 1, "parts": [["name": "a"], ["name": "a"]]],
            message: "spec.parts[1]: Duplicate value: {\"name\":\"a\"}"),
        Case(
            name: "duplicate element", spec: ["size": 1, "tags": ["a", "a"]],
            message: "spec.tags[1]: Duplicate value: \"a\""),
        Case(
            name: "format", spec: ["size": 1, "parts": [["name": "a", "when": "yesterday"]]],
            message: "spec.parts[0].when: Invalid value: \"yesterday\": spec.parts[0].when in body must be of type "
                + "date-time: \"yesterday\""),
        Case(
            name: "int or string", spec: ["size": 1, "port": true],
            message: "spec.port: Invalid value: \"boolean\": spec.port in body must be of type integer,string: "
                + "\"boolean\""),
        Case(
            name: "rule", spec: ["size": 1, "parts": [["name": "bad"]]],
            message: "spec: Invalid value: no bad parts"),
    ]

    @Test(arguments: cases)
    func `a bad value is refused with its path`(example: Case) async throws {
        let fixture = try ClusterFixture()
        let reply = try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a", example.spec))
        #expect(reply.status == 422)
        #expect(reply.json["reason"] == "Invalid")
        #expect(reply.message.hasPrefix("Widget.example.dev \"a\" is invalid: "))
        #expect(reply.message.contains(example.message), "\(reply.message)")
        #expect(reply.json.value(at: ["details", "kind"]) == "Widget")
        #expect(reply.json.value(at: ["details", "causes"])?.arrayValue?.isEmpty == false)
    }

    @Test func `rules wait until the schema holds`() async throws {
        let fixture = try ClusterFixture()
        let reply = try await fixture.call(
            .post, ClusterFixture.path, ClusterFixture.widget("a", ["parts": [["name": "bad"]]]))
        #expect(!reply.message.contains("no bad parts"))
        #expect(reply.message.contains("some validation rules were not checked because the object was invalid"))
    }

    @Test func `unknown fields are refused, warned of or dropped`() async throws {
        let fixture = try ClusterFixture()
        let widget = ClusterFixture.widget("a", ["size": 1, "sise": 2, "parts": [["name": "x", "wait": 1]]])
        let strict = try await fixture.call(.post, ClusterFixture.path + "?fieldValidation=Strict", widget)
        #expect(strict.status == 400)
        #expect(
            strict.message
                == "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field "
                + "\"spec.parts[0].wait\", unknown field \"spec.sise\"")
        let warned = try await fixture.call(.post, ClusterFixture.path, widget)
        #expect(warned.status == 201)
        #expect(warned.json["spec"]?["sise"] == nil)
        #expect(
            warned.headers.fields.filter { $0.name == "Warning" }.map(\.value) == [
                "299 - \"unknown field \\\"spec.parts[0].wait\\\"\"", "299 - \"unknown field \\\"spec.sise\\\"\"",
            ])
    }

    @Test func `nulls mean absence unless null is allowed, and free objects keep everything`() async throws {
        let fixture = try ClusterFixture()
        let reply = try await fixture.call(
            .post, ClusterFixture.path,
            ClusterFixture.widget(
                "a", ["size": 1, "code": nil, "note": nil, "color": nil, "free": ["any": ["thing": 1]]]))
        #expect(
            reply.json["spec"]
                == ["size": 1, "note": nil, "color": "Red", "replicas": 1, "free": ["any": ["thing": 1]]])
    }

    @Test func `a transition rule compares with the old value`() async throws {
        let fixture = try ClusterFixture()
        var object = try await fixture.call(
            .post, ClusterFixture.path, ClusterFixture.widget("a", ["size": 1, "fixed": "x"])
        ).json
        object.set("y", at: ["spec", "fixed"])
        let reply = try await fixture.call(.put, ClusterFixture.path + "/a", object)
        #expect(reply.message.hasSuffix("spec.fixed: Invalid value: \"y\": fixed is immutable"))
        object.set(nil, at: ["spec", "fixed"])
        #expect(try await fixture.call(.put, ClusterFixture.path + "/a", object).status == 200)
    }

    @Test func `what an update leaves alone is not checked again`() async throws {
        let fixture = try ClusterFixture()
        var loose = ClusterFixture.widgets
        try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a", ["size": 9, "code": "abcde"]))
        loose = try await fixture.call(.get, Self.definitionPath).json
        var versions = try #require(loose.value(at: ["spec", "versions"])?.arrayValue)
        versions[0].set(
            3, at: ["schema", "openAPIV3Schema", "properties", "spec", "properties", "code", "maxLength"])
        loose.set(.array(versions), at: ["spec", "versions"])
        #expect(try await fixture.call(.put, Self.definitionPath, loose).status == 200)
        let patched = try await fixture.call(
            .patch, ClusterFixture.path + "/a", ["spec": ["size": 8]], type: "application/merge-patch+json")
        #expect(patched.status == 200)
        let refused = try await fixture.call(
            .patch, ClusterFixture.path + "/a", ["spec": ["code": "abcd"]], type: "application/merge-patch+json")
        #expect(refused.status == 422)
    }

    private static let definitionPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.dev"

    @Test(arguments: [
        ("A", "a lowercase RFC 1123 subdomain must consist of"), ("", "name or generateName is required"),
        ("forbidden", "that name is forbidden"),
    ])
    func `a bad name is refused`(name: String, message: String) async throws {
        let fixture = try ClusterFixture()
        let reply = try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget(name))
        #expect(reply.status == 422)
        #expect(reply.message.contains(message), "\(reply.message)")
    }

    @Test(arguments: [
        ("self.size > 0 &&", "Syntax error"), ("self.nope == 1", "undefined field 'nope'"),
        ("self.size == 'x'", "found no matching overload for '_==_' applied to '(int, string)'"),
        ("self.color.lowerAscii() == 'red'", "undeclared reference to 'lowerAscii'"),
        ("other.size == 1", "undeclared reference to 'other'"), ("self.size", "must evaluate to a bool"),
        ("self.color.matches('[')", "error parsing regexp"),
    ])
    func `a rule that cannot be evaluated is refused with its definition`(rule: String, message: String) throws {
        var definition = ClusterFixture.widgets
        var versions = try #require(definition.value(at: ["spec", "versions"])?.arrayValue)
        versions[0].set(
            [["rule": .string(rule)]],
            at: ["schema", "openAPIV3Schema", "properties", "spec", "x-kubernetes-validations"])
        definition.set(.array(versions), at: ["spec", "versions"])
        let error = #expect(throws: SandboxError.self) { try ClusterFixture(crds: [definition]) }
        #expect(error?.code == .invalidCRD)
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test func `an unknown keyword of a schema is refused`() throws {
        var definition = ClusterFixture.widgets
        var versions = try #require(definition.value(at: ["spec", "versions"])?.arrayValue)
        versions[0].set("x", at: ["schema", "openAPIV3Schema", "properties", "spec", "$ref"])
        definition.set(.array(versions), at: ["spec", "versions"])
        #expect(throws: SandboxError.self) { try ClusterFixture(crds: [definition]) }
    }
}
