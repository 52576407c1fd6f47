import Encoding
import HTTP

extension Scenario {
    static let writes: [Scenario] = [
        Scenario("create read replace a config map") { session in
            let created = try await session.call(.post, Paths.configMaps, Bodies.configMap("a"))
            try await session.call(.post, Paths.configMaps, Bodies.configMap("a"))
            try await session.call(.get, Paths.configMaps + "/a")
            try await session.call(.get, Paths.configMaps + "/none")
            var body = created.json
            body["data"] = ["a": "2"]
            try await session.call(.put, Paths.configMaps + "/a", body)
            try await session.call(.put, Paths.configMaps + "/a", body)
            try await session.call(.put, Paths.configMaps + "/a", Bodies.configMap("a", ["a": "3"]))
            // The same again: nothing is written.
            try await session.call(.put, Paths.configMaps + "/a", Bodies.configMap("a", ["a": "3"]))
            try await session.call(.put, Paths.configMaps + "/b", Bodies.configMap("a"))
            try await session.call(.put, Paths.configMaps + "/none", Bodies.configMap("none"))
            body = Bodies.configMap("a", metadata: ["uid": "11111111-1111-1111-1111-111111111111"])
            try await session.call(.put, Paths.configMaps + "/a", body)
            try await session.call(
                .put, Paths.configMaps + "/a", Bodies.configMap("a", metadata: ["namespace": "other"]))
            try await session.call(
                .put, Paths.configMaps + "/a", Bodies.configMap("a", metadata: ["resourceVersion": "word"]))
        },
        Scenario("a custom resource gets defaults and loses unknown fields") { session in
            let spec: JSONValue = [
                "size": 3, "unknown": 1, "free": ["kept": ["deep": true]], "note": nil,
                "parts": [["name": "p", "odd": 2]], "tags": ["x", "y"],
            ]
            var body = Bodies.widget("w", spec)
            body["extra"] = "gone"
            body["status"] = ["message": "ignored"]
            let created = try await session.call(.post, Paths.widgets + "?fieldValidation=Ignore", body)
            var changed = created.json
            changed.set(4, at: ["spec", "size"])
            let updated = try await session.call(.put, Paths.widgets + "/w", changed)
            changed = updated.json
            changed.set(["team": "a"], at: ["metadata", "labels"])
            changed["status"] = ["message": "ignored"]
            try await session.call(.put, Paths.widgets + "/w", changed)
            // Without a resourceVersion a custom resource is not replaced.
            try await session.call(.put, Paths.widgets + "/w", Bodies.widget("w"), changedIn: 36)
        },
        Scenario("the status is written by its subresource") { session in
            let created = try await session.call(.post, Paths.widgets, Bodies.widget("w"))
            var body = created.json
            body["status"] = ["message": "fine", "observedGeneration": 1, "unknown": 3]
            body.set(9, at: ["spec", "size"])
            body.set(["ignored": "yes"], at: ["metadata", "labels"])
            let updated = try await session.call(.put, Paths.widgets + "/w/status?fieldValidation=Ignore", body)
            // Newer servers warn of the unknown field beside the conflict.
            try await session.call(.put, Paths.widgets + "/w/status", body, changedIn: 25)
            try await session.call(
                .patch, Paths.widgets + "/w/status", ["status": ["message": "patched"], "spec": ["size": 2]],
                type: "application/merge-patch+json")
            try await session.call(.get, Paths.widgets + "/w/status")
            body = updated.json
            body.set(.string(""), at: ["metadata", "resourceVersion"])
            try await session.call(.put, Paths.widgets + "/w/status", body, changedIn: 36)
            try await session.call(
                .patch, Paths.widgets + "/w/status", ["status": ["message": 5]], type: "application/merge-patch+json",
                changedIn: 25)
            try await session.call(
                .patch, Paths.widgets + "/none/status", ["status": ["message": "x"]],
                type: "application/merge-patch+json")
            try await session.call(.post, Paths.widgets + "/w/status", body)
            try await session.call(.delete, Paths.widgets + "/w/status")
        },
        Scenario("the scale subresource") { session in
            try await session.quiet(.post, Paths.widgets, Bodies.widget("w"))
            let scale = try await session.call(.get, Paths.widgets + "/w/scale")
            var body = scale.json
            body.set(4, at: ["spec", "replicas"])
            try await session.call(.put, Paths.widgets + "/w/scale", body)
            try await session.call(
                .patch, Paths.widgets + "/w/scale", ["spec": ["replicas": 2]], type: "application/merge-patch+json")
            try await session.call(.get, Paths.widgets + "/w", only: Only.member("spec"))
        },
        Scenario("names are generated") { session in
            let body: JSONValue = [
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["generateName": "gen-"],
            ]
            let made = try await session.quiet(.post, Paths.configMaps, body)
            session.note("length of a generated name", "\(made.name.count) \(made.name.prefix(4))")
            let long = String(repeating: "x", count: 100)
            let cut = try await session.quiet(
                .post, Paths.configMaps,
                ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["generateName": .string(long)]])
            session.note("length of a generated name with a long prefix", "\(cut.name.count)")
            // A name wins over generateName.
            try await session.call(
                .post, Paths.configMaps,
                ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["generateName": "gen-", "name": "own"]])
            try await session.call(.post, Paths.configMaps, ["apiVersion": "v1", "kind": "ConfigMap"])
            try await session.call(
                .post, Paths.configMaps,
                ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["generateName": "Not_A_Name-"]],
                only: { reply in ["reason": reply["reason"] ?? .null, "code": reply["code"] ?? .null] })
        },
        Scenario("a dry run changes nothing") { session in
            try await session.call(.post, Paths.configMaps + "?dryRun=All", Bodies.configMap("a"), only: withoutUID)
            try await session.call(.get, Paths.configMaps + "/a")
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("a"))
            try await session.call(.put, Paths.configMaps + "/a?dryRun=All", Bodies.configMap("a", ["a": "9"]))
            try await session.call(
                .patch, Paths.configMaps + "/a?dryRun=All", ["data": ["a": "9"]], type: "application/merge-patch+json")
            try await session.call(.delete, Paths.configMaps + "/a?dryRun=All")
            try await session.call(.delete, Paths.configMaps + "/a", ["dryRun": ["All"]])
            try await session.call(.delete, Paths.configMaps + "?dryRun=All")
            try await session.call(.get, Paths.configMaps + "/a")
            try await session.call(.post, Paths.configMaps + "?dryRun=Some", Bodies.configMap("b"))
            try await session.call(.post, Paths.configMaps + "?dryRun=All", Bodies.configMap("a"))
        },
        Scenario("metadata that is wrong") { session in
            for name in ["Upper", "under_score", "-dash", "dot.", String(repeating: "n", count: 254)] {
                try await session.call(.post, Paths.configMaps, Bodies.configMap(name))
            }
            let labels: [JSONValue] = [
                ["bad key": "x"], ["a/b/c": "x"], ["ok": "bad value!"], ["": "x"],
                ["long": .string(String(repeating: "v", count: 64))],
            ]
            for label in labels {
                try await session.call(.post, Paths.configMaps, Bodies.configMap("l", metadata: ["labels": label]))
            }
            try await session.call(
                .post, Paths.configMaps, Bodies.configMap("l", metadata: ["annotations": ["bad key": "x"]]))
            try await session.call(
                .post, Paths.configMaps, Bodies.configMap("l", metadata: ["finalizers": ["notqualified"]]))
            try await session.call(
                .post, Paths.configMaps, Bodies.configMap("l", metadata: ["finalizers": ["bad one/x"]]))
            try await session.call(
                .post, Paths.configMaps, Bodies.configMap("l", metadata: ["namespace": "other"]))
            try await session.call(
                .post, Paths.configMaps, Bodies.configMap("l", metadata: ["resourceVersion": "5"]))
            try await session.call(
                .post, Paths.configMaps,
                Bodies.configMap("l", metadata: ["ownerReferences": [["apiVersion": "v1", "kind": "Pod"]]]))
            let owners: JSONValue = .array(
                ["a", "b"].map {
                    [
                        "apiVersion": "v1", "kind": "Pod", "name": .string($0), "controller": true,
                        "uid": "11111111-1111-1111-1111-111111111111",
                    ]
                })
            try await session.call(
                .post, Paths.configMaps, Bodies.configMap("l", metadata: ["ownerReferences": owners]),
                only: reasonAndFields)
            try await session.call(
                .post, "/api/v1/namespaces/none-of-that/configmaps", Bodies.configMap("l"))
        },
        Scenario("a custom resource that its schema refuses") { session in
            let specs: [JSONValue] = [
                [:], ["size": 0], ["size": 11], ["size": 1, "color": "Green"], ["size": 1, "code": "A1"],
                ["size": 1, "code": "a"], ["size": 1, "tags": ["x", "x"]],
            ]
            for spec in specs { try await session.call(.post, Paths.widgets, Bodies.widget("w", spec)) }
            // Since 1.25 a wrong type has a reason of its own, and elements are named by their index.
            let changed: [JSONValue] = [
                ["size": "three"], ["size": 1.5], ["size": nil], ["size": 1, "code": "toolong"],
                ["size": 1, "enabled": "yes"], ["size": 1, "weight": "heavy"], ["size": 1, "options": ["a": 1]],
                ["size": 1, "options": ["a": "1", "b": "2", "c": "3"]], ["size": 1, "tags": "x"],
                ["size": 1, "steps": [1, 2, 3, 4]], ["size": 1, "parts": [["name": "p"], ["name": "p"]]],
                ["size": 1, "parts": [["weight": 1]]], ["size": 1, "parts": [["name": "p", "when": "yesterday"]]],
                ["size": 1, "free": "text"], ["size": 3_000_000_000],
            ]
            for spec in changed {
                try await session.call(.post, Paths.widgets, Bodies.widget("w", spec), changedIn: 25)
            }
            try await session.call(
                .post, Paths.widgets, ["apiVersion": "example.dev/v1", "kind": "Widget", "metadata": ["name": "w"]])
            try await session.call(.post, Paths.widgets, Bodies.widget("Bad_Name"))
        },
    ]

    /// Which fields are refused; the message prints Go structures.
    private static func reasonAndFields(_ reply: JSONValue) -> JSONValue {
        let causes = reply.value(at: ["details", "causes"])?.arrayValue ?? []
        return [
            "reason": reply["reason"] ?? .null,
            "causes": .array(causes.map { ["field": $0["field"] ?? .null, "reason": $0["reason"] ?? .null] }),
        ]
    }

    /// A dry run's uid is drawn and kept nowhere.
    private static func withoutUID(_ object: JSONValue) -> JSONValue {
        var object = object
        object.set(nil, at: ["metadata", "uid"])
        return object
    }
}
