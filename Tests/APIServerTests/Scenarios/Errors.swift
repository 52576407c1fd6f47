import Encoding
import HTTP

extension Scenario {
    static let errors: [Scenario] = [
        Scenario("who may do what") { session in
            try await session.call(.get, Paths.configMaps, token: "")
            try await session.call(.get, Paths.configMaps, token: "wrong")
            let limited = APIServer.limitedToken
            try await session.call(.get, Paths.configMaps, token: limited)
            try await session.call(.get, Paths.configMaps + "/other", token: limited)
            try await session.call(.get, Paths.configMaps + "/mine", token: limited)
            try await session.call(.post, Paths.configMaps, Bodies.configMap("mine"), token: limited)
            try await session.call(.get, Paths.widgets, token: limited)
            try await session.call(.post, Paths.widgets, Bodies.widget("w"), token: limited)
            try await session.call(.put, Paths.widgets + "/w/status", Bodies.widget("w"), token: limited)
            try await session.call(.get, "/api/v1/nodes", token: limited)
            try await session.call(.delete, "/apis/example.dev/v1/namespaces/NS/widgets", token: limited)
            try await session.call(.get, "/logs", token: limited)
            try await session.call(.get, "/apis/example.dev/v1/namespaces/NS/nothing", token: limited)
            try await session.call(.get, Paths.configMaps + "?watch=true", token: limited)
            try await session.call(
                .patch, Paths.widgets + "/w?fieldManager=m", Bodies.widget("w"), type: "application/apply-patch+yaml",
                token: limited)
        },
        Scenario("a user asks what it may") { session in
            let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
            let attributes: [JSONValue] = [
                ["verb": "get", "group": "example.dev", "resource": "widgets", "namespace": "NS"],
                ["verb": "delete", "group": "example.dev", "resource": "widgets", "namespace": "NS"],
                ["verb": "get", "group": "example.dev", "resource": "widgets", "subresource": "status"],
                ["verb": "get", "resource": "configmaps", "name": "mine", "namespace": "NS"],
                ["verb": "get", "resource": "configmaps", "namespace": "NS"],
                ["verb": "*", "group": "*", "resource": "*"],
            ]
            for attribute in attributes {
                let review: JSONValue = [
                    "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                    "spec": ["resourceAttributes": attribute],
                ]
                try await session.call(
                    .post, reviews, review, token: APIServer.limitedToken,
                    only: { ["allowed": $0.value(at: ["status", "allowed"]) ?? .null, "kind": $0["kind"] ?? .null] })
            }
            try await session.call(
                .post, reviews,
                [
                    "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                    "spec": ["nonResourceAttributes": ["path": "/metrics", "verb": "get"]],
                ], token: APIServer.limitedToken, only: { ["allowed": $0.value(at: ["status", "allowed"]) ?? .null] })
            try await session.call(
                .post, reviews,
                ["apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": [:]],
                token: APIServer.limitedToken)
            try await session.call(.get, reviews)
        },
        Scenario("paths that are not there") { session in
            for path in [
                "/apis/example.dev/v1/namespaces/NS/gadgets", "/apis/example.dev/v9/namespaces/NS/widgets",
                "/apis/nowhere.dev/v1/things", "/api/v1/namespaces/NS/nothings", "/api/v2/pods",
                "/apis/example.dev/v1/namespaces/NS/widgets/w/odd", "/api/v1/namespaces/NS/configmaps/a/status",
                "/apis/example.dev/v1/namespaces/NS/widgets/none",
            ] {
                try await session.call(.get, path)
            }
            try await session.call(
                .get, "/nothing",
                only: { ["lists": .array(($0.objectValue ?? [:]).keys.sorted().map(JSONValue.string))] })
            try await session.call(.post, "/apis/example.dev/v1/namespaces/NS/gadgets", Bodies.widget("w"))
            try await session.call(.post, Paths.configMaps + "/a", Bodies.configMap("a"))
            try await session.call(.put, Paths.configMaps, Bodies.configMap("a"))
            try await session.call(.patch, Paths.configMaps, ["data": [:]], type: "application/merge-patch+json")
            try await session.call(.post, "/apis/example.dev/v1/widgets", Bodies.widget("w"))
            try await session.call(.put, Paths.widgets, Bodies.widget("w"))
            try await session.call(.post, Paths.widgets + "/w", Bodies.widget("w"))
            try await session.call(.post, "/api/v1/configmaps", Bodies.configMap("a"))
        },
        Scenario("bodies that cannot be read") { session in
            let texts = [
                "", "{", "[]", "null", "\"text\"", "{\"a\": 1}", "{\"kind\": \"ConfigMap\"}",
                "{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {\"name\": \"a\"}}",
                "{\"apiVersion\": \"v2\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"a\"}}",
                "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"a\"}} trailing",
                "apiVersion: v1",
            ]
            for text in texts {
                // Since 1.25 there is a warning beside the refusal.
                let options = Session.Options(changedIn: text == "{\"a\": 1}" ? 25 : nil)
                try await session.call(.post, Paths.configMaps, text: text, options)
            }
            // The JSON decoder was another one before 1.23.
            let types = [
                "\"metadata\": \"text\"", "\"metadata\": {\"name\": 5}", "\"metadata\": {\"labels\": {\"a\": 1}}",
                "\"metadata\": {\"name\": \"a\"}, \"data\": {\"a\": 1}",
                "\"metadata\": {\"name\": \"a\"}, \"immutable\": \"yes\"",
            ]
            for text in types {
                try await session.call(
                    .post, Paths.configMaps, text: "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \(text)}",
                    Session.Options(changedIn: 23))
            }
            let customs = [
                "", "{", "[]", "{\"kind\": \"Widget\"}",
                "{\"apiVersion\": \"example.dev/v1\", \"kind\": \"Gadget\", \"metadata\": {\"name\": \"a\"}}",
                "{\"apiVersion\": \"example.dev/v2\", \"kind\": \"Widget\", \"metadata\": {\"name\": \"a\"}}",
            ]
            for text in customs {
                let options = Session.Options(changedIn: text == "{\"kind\": \"Widget\"}" ? 36 : nil)
                try await session.call(.post, Paths.widgets, text: text, options)
            }
            for text in ["{\"a\": 1}"]
                + types.prefix(3).map({ "{\"apiVersion\": \"example.dev/v1\", \"kind\": \"Widget\", \($0)}" })
            {
                try await session.call(.post, Paths.widgets, text: text, Session.Options(changedIn: 23))
            }
        },
        Scenario("bodies of other media types") { session in
            let json = "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"NAME\"}}"
            for (name, type) in [
                ("a", "application/json"), ("b", ""), ("c", "text/plain"), ("d", "application/json; charset=utf-8"),
                ("e", "application/xml"), ("f", "application/x-www-form-urlencoded"),
            ] {
                try await session.call(
                    .post, Paths.configMaps, text: json.replacing("NAME", with: name), Session.Options(type: type))
            }
            try await session.call(
                .post, Paths.configMaps, text: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\n",
                Session.Options(type: "application/yaml"))
            try await session.call(
                .post, Paths.configMaps, text: "a: [",
                Session.Options(type: "application/yaml", only: { ["code": $0["code"] ?? .null] }))
            try await session.call(
                .post, Paths.widgets,
                text: "apiVersion: example.dev/v1\nkind: Widget\nmetadata: {name: yaml}\nspec: {size: 1}\n",
                Session.Options(type: "application/yaml"))
        },
        Scenario("a protobuf body of a custom resource") { session in
            try await session.call(
                .post, Paths.widgets, text: "k8s nothing",
                Session.Options(
                    type: "application/vnd.kubernetes.protobuf", only: { ["code": $0["code"] ?? .null] }))
        },
        Scenario("a body that is too large") { session in
            let text = String(repeating: "x", count: 3_200_000)
            try await session.call(
                .post, Paths.configMaps,
                text:
                    "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"a\"}, \"data\": {\"a\": \"\(text)\"}}"
            )
            let large = String(repeating: "x", count: 1_100_000)
            try await session.call(
                .post, Paths.configMaps,
                text:
                    "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"a\"}, \"data\": {\"a\": \"\(large)\"}}",
                Session.Options(
                    changedIn: 32,
                    only: {
                        [
                            "code": $0["code"] ?? .null, "reason": $0["reason"] ?? .null,
                            "causes": $0.value(at: ["details", "causes"]) ?? .null,
                        ]
                    }))
        },
        Scenario("unknown fields are refused, warned of or dropped", since: 25) { session in
            for validation in ["Strict", "Warn", "Ignore", "Sometimes"] {
                try await session.call(
                    .post, Paths.widgets + "?fieldValidation=\(validation)",
                    Bodies.widget(
                        "w-" + validation.lowercased(), ["size": 1, "odd": 2, "parts": [["name": "a", "extra": 1]]]),
                    changedIn: 25)
            }
        },
        // Apart from the custom resources: these are an older server's where the custom resources are a newer one's.
        Scenario("unknown fields of built in kinds", since: 25) { session in
            for validation in ["Strict", "Warn", "Ignore", "Sometimes"] {
                var body = Bodies.configMap("c-" + validation.lowercased())
                body["odd"] = 1
                try await session.call(.post, Paths.configMaps + "?fieldValidation=\(validation)", body, changedIn: 25)
            }
            try await session.call(
                .post, Paths.configMaps + "?fieldValidation=Strict",
                text:
                    "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"d\"}, \"data\": {\"a\": \"1\", \"a\": \"2\"}}",
                Session.Options(changedIn: 25))
        },
        Scenario("discovery") { session in
            let pick: (JSONValue) -> JSONValue = { document in
                document["groups"]?.arrayValue?.first { $0["name"] == "example.dev" } ?? .null
            }
            try await session.call(.get, "/apis", only: pick)
            try await session.call(.get, "/apis/example.dev")
            try await session.call(.get, "/apis/example.dev/v1", only: withoutHashes)
            try await session.call(.get, "/apis/nowhere.dev")
            try await session.call(.get, "/apis/nowhere.dev/v1")
            let core: (JSONValue) -> JSONValue = { document in
                .array(
                    (document["resources"]?.arrayValue ?? []).filter {
                        ["configmaps", "pods", "pods/log", "events", "namespaces", "secrets"].contains(
                            $0["name"]?.stringValue ?? "")
                    }.map { resource in
                        var resource = resource
                        resource["storageVersionHash"] = nil
                        return resource
                    })
            }
            try await session.call(.get, "/api/v1", changedIn: 27, only: core)
            try await session.call(
                .get, "/api", only: { ["kind": $0["kind"] ?? .null, "versions": $0["versions"] ?? .null] })
            try await session.call(
                .get, "/version",
                only: {
                    [
                        "major": $0["major"] ?? .null,
                        "keys": .array(
                            ($0.objectValue ?? [:]).keys.sorted().filter {
                                ["gitVersion", "platform", "major", "minor"].contains($0)
                            }.map(JSONValue.string)),
                    ]
                })
            try await session.call(.get, "/healthz")
            try await session.call(.get, "/readyz")
            try await session.call(.get, "/livez")
        },
    ]

    private static func withoutHashes(_ document: JSONValue) -> JSONValue {
        var document = document
        let resources = document["resources"]?.arrayValue ?? []
        document["resources"] = .array(
            resources.map { resource in
                var resource = resource
                resource["storageVersionHash"] = nil
                return resource
            })
        return document
    }
}
