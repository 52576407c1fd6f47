import Encoding
import HTTP

extension Scenario {
    private static let applyType = "application/apply-patch+yaml"

    private static func widget(_ spec: JSONValue, metadata: JSONValue = [:]) -> JSONValue {
        var metadata = metadata
        metadata["name"] = "w"
        return ["apiVersion": "example.dev/v1", "kind": "Widget", "metadata": metadata, "spec": spec]
    }

    static let applies: [Scenario] = [
        Scenario("an apply owns what it says") { session in
            session.showManagedFields()
            let path = Paths.widgets + "/w?fieldManager="
            try await session.call(
                .patch, path + "one", widget(["size": 1, "parts": [["name": "a", "weight": 1]]]), type: applyType)
            // The same again: nothing is written.
            try await session.call(
                .patch, path + "one", widget(["size": 1, "parts": [["name": "a", "weight": 1]]]), type: applyType)
            try await session.call(.patch, path + "two", widget(["size": 1, "color": "Blue"]), type: applyType)
            try await session.call(.patch, path + "two", widget(["size": 2]), type: applyType)
            try await session.call(.patch, path + "two&force=true", widget(["size": 2]), type: applyType)
            try await session.call(
                .patch, path + "one", widget(["size": 2, "parts": [["name": "b"]]]), type: applyType)
            // 1.20 leaves null where the list was, and then refuses it.
            try await session.call(
                .patch, path + "one", widget(["size": 2], metadata: ["labels": ["a": "b"]]), type: applyType,
                changedIn: 21)
            try await session.call(.patch, path + "one", widget(["size": 2]), type: applyType, changedIn: 21)
        },
        Scenario("updates and applies share an object") { session in
            session.showManagedFields()
            let path = Paths.widgets + "/w"
            try await session.call(
                .post, Paths.widgets + "?fieldManager=maker",
                Bodies.widget("w", ["size": 1, "tags": ["x"]], metadata: ["labels": ["l": "1"]]))
            try await session.call(
                .patch, path, ["spec": ["color": "Blue", "tags": ["x", "y"]]], type: "application/merge-patch+json",
                userAgent: "tool/1.2 (linux)")
            try await session.call(
                .patch, path + "?fieldManager=applier", widget(["size": 1, "color": "Red"]), type: applyType)
            try await session.call(
                .patch, path + "?fieldManager=applier&force=true", widget(["size": 1, "color": "Red"]), type: applyType)
            try await session.call(
                .patch, path + "?fieldManager=applier", widget(["size": 1, "tags": ["z"]]), type: applyType)
            try await session.call(
                .patch, path + "?fieldManager=maker", ["spec": ["size": 3, "tags": nil]],
                type: "application/merge-patch+json")
            try await session.call(
                .patch, path + "?fieldManager=forgetter", ["metadata": ["managedFields": [[:]]]],
                type: "application/merge-patch+json")
        },
        Scenario("the status is applied apart", since: 22) { session in
            session.showManagedFields()
            let path = Paths.widgets + "/w"
            try await session.call(.patch, path + "?fieldManager=one", widget(["size": 1]), type: applyType)
            let status: JSONValue = [
                "apiVersion": "example.dev/v1", "kind": "Widget", "metadata": ["name": "w"],
                "spec": ["size": 7],
                "status": ["message": "m", "conditions": [["type": "Ready", "status": "True"]]],
            ]
            try await session.call(.patch, path + "/status?fieldManager=one", status, type: applyType, changedIn: 22)
            var other = status
            other["status"] = ["message": "other"]
            try await session.call(.patch, path + "/status?fieldManager=two", other, type: applyType, changedIn: 22)
            try await session.call(
                .patch, Paths.widgets + "/none/status?fieldManager=one", status, type: applyType, changedIn: 22)
        },
        Scenario("applies that are refused") { session in
            let path = Paths.widgets + "/w"
            try await session.call(.patch, path, widget(["size": 1]), type: applyType)
            try await session.call(.patch, path + "?fieldManager=one", widget(["size": 0]), type: applyType)
            try await session.call(
                .patch, path + "?fieldManager=one", widget(["size": "x"]), type: applyType, changedIn: 25)
            try await session.quiet(.patch, path + "?fieldManager=one", widget(["size": 1]), type: applyType)
            let gadget: JSONValue = ["apiVersion": "example.dev/v1", "kind": "Gadget", "metadata": ["name": "w"]]
            try await session.call(.patch, path + "?fieldManager=one", gadget, type: applyType, changedIn: 22)
            try await session.call(
                .patch, path + "?fieldManager=one", ["metadata": ["name": "w"], "spec": ["size": 1]], type: applyType,
                changedIn: 36)
            try await session.call(
                .patch, Paths.widgets + "/x?fieldManager=one", widget(["size": 1]), type: applyType)
            try await session.call(
                .patch, path + "?fieldManager=one", widget(["size": 1], metadata: ["managedFields": []]),
                type: applyType)
            try await session.call(
                .patch, path + "?fieldManager=one",
                widget(["size": 1], metadata: ["managedFields": [["manager": "x", "operation": "Apply"]]]),
                type: applyType)
            try await session.call(
                .patch, path + "?fieldManager=one", widget(["size": 1], metadata: ["resourceVersion": "1"]),
                type: applyType)
            try await session.call(
                .patch, path + "?fieldManager=one",
                widget(["size": 1], metadata: ["uid": "11111111-1111-1111-1111-111111111111"]), type: applyType)
            try await session.call(
                .patch, path + "?fieldManager=one",
                widget(["size": 1, "parts": [["name": "a"], ["name": "a"]]]), type: applyType, changedIn: 25)
            try await session.call(
                .patch, path + "?fieldManager=one", widget(["size": 1, "parts": [["weight": 3]]]), type: applyType,
                changedIn: 25)
            try await session.call(
                .patch, path + "?fieldManager=one", widget(["size": 1, "tags": ["t", "t"]]), type: applyType,
                changedIn: 25)
            try await session.call(
                .patch, path + "?fieldManager=" + String(repeating: "m", count: 129), widget(["size": 1]),
                type: applyType, changedIn: 32)
            try await session.call(
                .patch, path + "?fieldManager=one", text: "a: [", Session.Options(type: applyType, only: withoutMessage)
            )
            try await session.call(.patch, path + "?fieldManager=one&dryRun=All", widget(["size": 5]), type: applyType)
        },
        Scenario("applies of built in kinds") { session in
            session.showManagedFields()
            let path = Paths.configMaps + "/c?fieldManager="
            try await session.call(.patch, path + "one", Bodies.configMap("c", ["a": "1"]), type: applyType)
            try await session.call(.patch, path + "two", Bodies.configMap("c", ["a": "2", "b": "1"]), type: applyType)
            try await session.call(.patch, path + "two", Bodies.configMap("c", ["b": "1"]), type: applyType)
            try await session.call(.patch, path + "one", Bodies.configMap("c", [:]), type: applyType)
            try await session.call(
                .patch, path + "one",
                text: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {y: \"yes\"}\n",
                Session.Options(type: applyType))
            var odd = Bodies.configMap("c")
            odd["unknown"] = 1
            try await session.call(.patch, path + "one", odd, type: applyType, changedIn: 27)
            try await session.call(
                .patch, path + "one", Bodies.configMap("c", ["a": 1]), type: applyType, changedIn: 27,
                only: { ["code": $0["code"] ?? .null, "reason": $0["reason"] ?? .null] })  // Its text holds times.
        },
        Scenario("an apply keeps owners of list elements apart") { session in
            session.showManagedFields()
            let path = Paths.widgets + "/w?fieldManager="
            let parts: (JSONValue) -> JSONValue = { parts in widget(["size": 1, "parts": parts]) }
            try await session.quiet(
                .patch, path + "one", parts([["name": "a", "weight": 1], ["name": "b", "weight": 2]]), type: applyType)
            try await session.call(.patch, path + "two", parts([["name": "c", "weight": 3]]), type: applyType)
            try await session.call(.patch, path + "two", parts([["name": "a", "weight": 9]]), type: applyType)
            try await session.call(.patch, path + "two", parts([["name": "a"], ["name": "d"]]), type: applyType)
            try await session.call(.patch, path + "one", parts([["name": "b", "weight": 2]]), type: applyType)
            try await session.call(.patch, path + "two", widget(["size": 1]), type: applyType)
        },
    ]

    private static func withoutMessage(_ reply: JSONValue) -> JSONValue {
        var reply = reply
        reply["message"] = nil
        return reply
    }
}
