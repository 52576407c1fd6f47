import Encoding
import HTTP

extension Scenario {
    private static let jsonType = "application/json-patch+json"
    private static let mergeType = "application/merge-patch+json"
    private static let strategicType = "application/strategic-merge-patch+json"

    static let patches: [Scenario] = [
        Scenario("json patches") { session in
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("a", ["a": "1", "b.c": "2"]))
            let patches: [JSONValue] = [
                [
                    ["op": "add", "path": "/data/new", "value": "x"],
                    ["op": "replace", "path": "/data/a", "value": "2"],
                ],
                [["op": "test", "path": "/data/a", "value": "2"], ["op": "remove", "path": "/data/b.c"]],
                [
                    ["op": "copy", "from": "/data/a", "path": "/data/d"],
                    ["op": "move", "from": "/data/d", "path": "/data/e"],
                ],
                [["op": "test", "path": "/data/a", "value": "wrong"]],
                [["op": "remove", "path": "/data/none"]],
                [["op": "add", "path": "/none/deep", "value": "x"]],
                [["op": "jump", "path": "/data/a"]],
                ["op": "add", "path": "/data/x", "value": "y"],
                [["op": "replace", "path": "/metadata/name", "value": "other"]],
                [["op": "replace", "path": "/metadata/resourceVersion", "value": "1"]],
                [],
            ]
            for patch in patches {
                try await session.call(.patch, Paths.configMaps + "/a", patch, type: jsonType)
            }
            try await session.call(
                .patch, Paths.configMaps + "/a", [["op": "replace", "path": "/data/a", "value": 5]], type: jsonType,
                only: reasonAndFields)
            try await session.call(.patch, Paths.configMaps + "/none", patches[0], type: jsonType)
            try await session.quiet(.post, Paths.widgets, Bodies.widget("w"))
            try await session.call(
                .patch, Paths.widgets + "/w", [["op": "replace", "path": "/spec/size", "value": 4]], type: jsonType)
            try await session.call(
                .patch, Paths.widgets + "/w", [["op": "replace", "path": "/spec/size", "value": "four"]],
                type: jsonType, changedIn: 25)
            try await session.call(
                .patch, Paths.widgets + "/w", [["op": "add", "path": "/spec/tags/-", "value": "x"]], type: jsonType)
            // An older library adds what it should replace.
            try await session.call(
                .patch, Paths.configMaps + "/a", [["op": "replace", "path": "/data/none", "value": "x"]],
                type: jsonType, changedIn: 22)
        },
        Scenario("merge patches") { session in
            let made = try await session.quiet(.post, Paths.widgets, Bodies.widget("w", ["size": 1, "steps": [1, 2]]))
            let patches: [JSONValue] = [
                ["spec": ["size": 2, "color": nil, "steps": [3]]], ["metadata": ["labels": ["a": "b"]]],
                ["metadata": ["labels": ["a": nil]]], [:],
                ["metadata": ["resourceVersion": .string(made.resourceVersion)]],
                ["spec": ["size": 0]], ["metadata": ["name": "x"]], ["metadata": ["uid": "other"]],
                ["kind": "Gadget"], ["apiVersion": "example.dev/v2"], ["metadata": ["finalizers": ["example.dev/f"]]],
                ["metadata": ["finalizers": nil]], ["metadata": ["creationTimestamp": nil]],
                ["metadata": ["generation": 77]],
            ]
            for patch in patches {
                try await session.call(
                    .patch, Paths.widgets + "/w", patch, type: mergeType,
                    changedIn: patch["apiVersion"] == nil ? nil : 36)
            }
            // Since 1.25 a patch is read strictly before it is applied.
            try await session.call(
                .patch, Paths.widgets + "/w", text: "[1]", Session.Options(type: mergeType, changedIn: 25))
            try await session.call(
                .patch, Paths.widgets + "/w", text: "{",
                Session.Options(type: mergeType, changedIn: 25, only: reasonAndCode))
            try await session.call(.patch, Paths.widgets + "/none", ["spec": ["size": 2]], type: mergeType)
        },
        Scenario("strategic merge patches") { session in
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("a", ["a": "1", "b": "2"]))
            try await session.call(
                .patch, Paths.configMaps + "/a", ["data": ["a": "9", "b": nil]], type: strategicType)
            try await session.quiet(.post, Paths.widgets, Bodies.widget("w"))
            try await session.call(.patch, Paths.widgets + "/w", ["spec": ["size": 2]], type: strategicType)
            let ports: JSONValue = [["name": "a", "port": 80], ["name": "b", "port": 81]]
            try await session.quiet(
                .post, Paths.services,
                [
                    "apiVersion": "v1", "kind": "Service", "metadata": ["name": "s"],
                    "spec": ["clusterIP": "None", "selector": ["a": "b"], "ports": ports],
                ])
            let patches: [JSONValue] = [
                ["spec": ["ports": [["port": 80, "targetPort": 8080]]]],
                ["spec": ["ports": [["port": 81, "$patch": "delete"]]]],
                [
                    "spec": [
                        "ports": [["name": "c", "port": 82]], "$setElementOrder/ports": [["port": 82], ["port": 80]],
                    ]
                ],
                ["spec": ["ports": [["$patch": "replace"], ["name": "d", "port": 83]]]],
                ["spec": ["selector": ["$patch": "replace", "x": "y"]]],
                ["metadata": ["finalizers": ["example.dev/one"]]],
                ["metadata": ["finalizers": ["example.dev/two"]]],
                ["metadata": ["$deleteFromPrimitiveList/finalizers": ["example.dev/one"]]],
                ["metadata": ["$deleteFromPrimitiveList/finalizers": ["example.dev/two"]]],
                ["spec": ["ports": [["name": "no-key"]]]],
            ]
            for patch in patches {
                try await session.call(
                    .patch, Paths.services + "/s", patch, type: strategicType, only: metadataAndPorts)
            }
        },
        Scenario("patches of other media types") { session in
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("a"))
            try await session.call(.patch, Paths.configMaps + "/a", ["data": [:]], type: "application/json")
            try await session.call(.patch, Paths.configMaps + "/a", ["data": [:]], type: "text/plain")
            try await session.quiet(.post, Paths.widgets, Bodies.widget("w"))
            try await session.call(.patch, Paths.widgets + "/w", ["spec": [:]], type: "application/json")
            try await session.call(
                .patch, Paths.configMaps + "/a", ["data": ["x": "y"]],
                type: "application/merge-patch+json; charset=utf-8")
        },
    ]

    /// Which fields are refused; the message shows the whole object and what Go's decoder says.
    private static func reasonAndFields(_ reply: JSONValue) -> JSONValue {
        let causes = reply.value(at: ["details", "causes"])?.arrayValue ?? []
        return [
            "reason": reply["reason"] ?? .null,
            "causes": .array(causes.map { ["field": $0["field"] ?? .null, "reason": $0["reason"] ?? .null] }),
        ]
    }

    private static func reasonAndCode(_ reply: JSONValue) -> JSONValue {
        ["reason": reply["reason"] ?? .null, "code": reply["code"] ?? .null]
    }

    private static func metadataAndPorts(_ reply: JSONValue) -> JSONValue {
        guard reply["kind"] == "Service" else { return reply }
        return [
            "finalizers": reply.value(at: ["metadata", "finalizers"]) ?? .null,
            "ports": reply.value(at: ["spec", "ports"]) ?? .null,
            "selector": reply.value(at: ["spec", "selector"]) ?? .null,
        ]
    }
}
