import Encoding
import HTTP

/// What custom resources have since 1.30: rules in CEL, ratcheting, fields to select by, streamed lists.
extension Scenario {
    private static let mergeType = "application/merge-patch+json"
    private static let gauges = "/apis/rules.example.dev/v1/namespaces/NS/gauges"
    private static let meters = "/apis/rules.example.dev/v1/namespaces/NS/meters"

    private static func gauge(_ name: String, _ spec: JSONValue = [:]) -> JSONValue {
        var merged: JSONValue = ["low": 1, "high": 5]
        for (key, value) in spec.objectValue ?? [:] { merged[key] = value }
        return [
            "apiVersion": "rules.example.dev/v1", "kind": "Gauge", "metadata": ["name": .string(name)], "spec": merged,
        ]
    }

    static let rules: [Scenario] = [
        Scenario("rules of a new object", since: 30) { session in
            let specs: [JSONValue] = [
                [:], ["low": 7], ["mode": "B"], ["mode": "B", "port": "http"], ["mode": "B", "port": 80],
                ["low": 7, "mode": "B"], ["tags": ["t1", "x"]], ["limits": ["cpu": "1", "memory": "2"]],
                ["parts": [["name": "main", "weight": 1]]], ["parts": [["name": "other", "weight": 1]]],
                ["parts": [["name": "main", "weight": 10], ["name": "bad", "weight": 11]]],
                ["divisor": 0], ["divisor": 11], ["port": true], ["low": "1"], ["low": 7, "color": "Green"],
                ["word": "anything"],
            ]
            for (index, spec) in specs.enumerated() {
                try await session.call(.post, gauges, gauge("g\(index)", spec))
            }
            try await session.call(.post, gauges, gauge("x"))
            try await session.call(.post, gauges + "?dryRun=All", gauge("g-dry", ["low": 7]))
        },
        Scenario("rules of a change", since: 30) { session in
            let parts: JSONValue = [["name": "main", "weight": 5], ["name": "more", "weight": 3]]
            try await session.quiet(.post, gauges, gauge("g", ["word": "one", "parts": parts]))
            let patches: [JSONValue] = [
                ["low": 2], ["low": 9], ["word": "two"], ["word": .null], ["word": "one"],
                ["parts": [["name": "more", "weight": 3], ["name": "main", "weight": 6]]],
                ["parts": [["name": "more", "weight": 1], ["name": "main", "weight": 6]]],
                ["parts": [["name": "main", "weight": 1], ["name": "new", "weight": 1]]],
                ["parts": .null], ["parts": [["name": "main", "weight": 1]]],
            ]
            for patch in patches {
                try await session.call(.patch, gauges + "/g", ["spec": patch], type: mergeType)
            }
            try await session.call(
                .patch, gauges + "/g?fieldManager=me&force=true", gauge("g", ["word": "three"]),
                type: "application/apply-patch+yaml")
            try await session.call(
                .patch, gauges + "/g", [["op": "replace", "path": "/spec/low", "value": 8]],
                type: "application/json-patch+json")
        },
        Scenario("rules of a status", since: 30) { session in
            try await session.quiet(.post, gauges, gauge("g"))
            for level: JSONValue in [3, -1, "x"] {
                try await session.call(
                    .patch, gauges + "/g/status", ["status": ["level": level]], type: mergeType)
            }
            // A rule of the spec is no matter of the status.
            try await session.call(
                .patch, gauges + "/g/status", ["spec": ["low": 9], "status": ["level": 4]], type: mergeType)
        },
        Scenario("what was valid once may stay", since: 30) { session in
            try await session.define(GaugeDefinition.meter(word: "{type: string}", high: "{type: integer}"))
            try await session.waitUntil(.get, meters, is: 200)
            try await session.quiet(
                .post, meters,
                [
                    "apiVersion": "rules.example.dev/v1", "kind": "Meter", "metadata": ["name": "m"],
                    "spec": [
                        "word": "UPPER", "high": 500,
                        "parts": [["name": "a", "word": "ALSO"], ["name": "b", "word": "fine"]],
                    ],
                ])
            try await session.define(
                GaugeDefinition.meter(
                    word: "{type: string, maxLength: 4, pattern: '^[a-z]+$'}",
                    high: "{type: integer, x-kubernetes-validations: [{rule: self < 100, message: too high}]}"))
            try await session.waitUntil(
                .post, meters + "?dryRun=All",
                [
                    "apiVersion": "rules.example.dev/v1", "kind": "Meter", "metadata": ["name": "probe"],
                    "spec": ["word": "UPPER"],
                ], is: 422)
            let patches: [JSONValue] = [
                ["color": "Red"], ["word": "OTHER"], ["high": 600], ["high": 500],
                ["parts": [["name": "b", "word": "fine"], ["name": "a", "word": "ALSO"]]],
                ["parts": [["name": "b", "word": "MORE"], ["name": "a", "word": "ALSO"]]],
                ["parts": [["name": "a", "word": "ALSO"], ["name": "c", "word": "ALSO"]]],
                ["word": "fine", "high": 50], ["word": "UPPER"], ["high": 500],
            ]
            for patch in patches {
                try await session.call(.patch, meters + "/m", ["spec": patch], type: mergeType)
            }
            try await session.call(.patch, meters + "/m/status", ["status": ["level": 1]], type: mergeType)
            try await session.quiet(.delete, "\(Paths.definitions)/meters.rules.example.dev")
        },
        Scenario("fields to select by", since: 31) { session in
            for (name, color, low) in [("ga", "Red", 1), ("gb", "Blue", 2), ("gc", "Red", 3)] {
                try await session.quiet(
                    .post, gauges, gauge(name, ["color": .string(color), "low": .integer(Int64(low))]))
            }
            for selector in [
                "spec.color%3DRed", "spec.color!%3DRed", "spec.color%3DRed,spec.low%3D3", "spec.low%3D2",
                "spec.color%3D", "metadata.name%3Dgb,spec.color%3DBlue", "spec.high%3D5", "status.level%3D1",
            ] {
                try await session.call(.get, gauges + "?fieldSelector=\(selector)", only: Only.names)
            }
            let watch = try await session.watch(
                gauges + "?watch=true&timeoutSeconds=30&fieldSelector=spec.color%3DBlue", name: "blue")
            try await session.events(watch, 1, only: Only.event)
            try await session.quiet(.patch, gauges + "/ga", ["spec": ["color": "Blue"]], type: mergeType)
            try await session.quiet(.patch, gauges + "/gb", ["spec": ["color": "Red"]], type: mergeType)
            try await session.quiet(.delete, gauges + "/ga")
            try await session.events(watch, 3, only: Only.event)
            try await session.call(.delete, gauges + "?fieldSelector=spec.color%3DRed", only: Only.names)
            try await session.call(.get, gauges, only: Only.names)
        },
        Scenario("a watch of custom resources begins with a streamed list", since: 34) { session in
            try await session.quiet(.post, gauges, gauge("ga"))
            let query = "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=30"
            let watch = try await session.watch(gauges + query + "&allowWatchBookmarks=true")
            try await session.events(watch, 2)
            try await session.quiet(.post, gauges, gauge("gb"))
            try await session.events(watch, 1, only: Only.event)
            // Without bookmarks its end is not told.
            let plain = try await session.watch(gauges + query, name: "plain")
            try await session.events(plain, 2, only: Only.event)
            let some = try await session.watch(
                gauges + query + "&allowWatchBookmarks=true&labelSelector=none%3Dyes", name: "nothing")
            try await session.events(some, 1)
            for wrong in [
                "?watch=true&sendInitialEvents=true",
                "?watch=true&sendInitialEvents=true&resourceVersionMatch=Exact",
                "?sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
                "?watch=true&resourceVersionMatch=NotOlderThan",
            ] {
                try await session.call(.get, gauges + wrong)
            }
        },
        Scenario("groups are told at once", since: 30) { session in
            try await session.call(
                .get, "/apis", accept: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
                only: { document in
                    let groups = document["items"]?.arrayValue ?? []
                    return groups.first { $0.value(at: ["metadata", "name"]) == "rules.example.dev" } ?? .null
                })
            try await session.call(.get, "/apis/rules.example.dev")
        },
        Scenario("strict reading of custom resources", since: 25) { session in
            let text =
                #"{"apiVersion":"example.dev/v1","kind":"Widget","metadata":{"name":"w"},"#
                + #""spec":{"size":1,"size":2,"odd":3}}"#
            for validation in ["Strict", "Warn", "Ignore"] {
                try await session.call(
                    .post, Paths.widgets + "?dryRun=All&fieldValidation=\(validation)", text: text)
            }
            try await session.call(.post, Paths.widgets + "?fieldValidation=Sometimes", text: text)
            try await session.quiet(.post, Paths.widgets, Bodies.widget("w"))
            let patches = [
                (mergeType, #"{"spec":{"size":3,"size":4,"odd":3}}"#),
                ("application/json-patch+json", #"[{"op":"add","path":"/spec/odd","value":3}]"#),
                ("application/json-patch+json", #"[{"op":"add","path":"/spec/size","path":"/spec/size","value":5}]"#),
            ]
            for (type, text) in patches {
                for validation in ["Strict", "Warn", "Ignore"] {
                    try await session.call(
                        .patch, Paths.widgets + "/w?dryRun=All&fieldValidation=\(validation)", text: text,
                        Session.Options(type: type, only: withoutValue))
                }
            }
        },
        Scenario("definitions whose rules are refused", since: 30) { session in
            for rule: JSONValue in [
                ["rule": "self.nothing > 1"], ["rule": "self.low +"], ["rule": "self.low"],
                ["rule": "self.low > 1", "fieldPath": ".nothing"], ["rule": "nothing(self.low)"],
                ["rule": "self.low > 1", "messageExpression": "self.low"], ["rule": ""],
                ["rule": "self.low > 1", "messageExpression": "'low is ' + string(self.low)"],
                ["rule": "self.low > 1", "optionalOldSelf": true],
            ] {
                var definition = GaugeDefinition.json
                definition.set("others.rules.example.dev", at: ["metadata", "name"])
                definition.set(["kind": "Other", "plural": "others"], at: ["spec", "names"])
                let spec: JSONValue = ["type": "object", "properties": ["low": ["type": "integer"]]]
                var ruled = spec
                ruled["x-kubernetes-validations"] = [rule]
                let schema: JSONValue = ["type": "object", "properties": ["spec": ruled]]
                let version: JSONValue = [
                    "name": "v1", "served": true, "storage": true, "schema": ["openAPIV3Schema": schema],
                ]
                definition.set([version], at: ["spec", "versions"])
                try await session.call(.post, Paths.definitions + "?dryRun=All", definition, only: causes)
            }
        },
    ]

    /// A refusal of a patch shows the whole object, in an order that only the server knows: what follows it is compared.
    private static func withoutValue(_ reply: JSONValue) -> JSONValue {
        guard reply["kind"] == "Status" else { return reply }
        let message = reply["message"]?.stringValue ?? ""
        let end = message.firstRange(of: "strict decoding error").map { String(message[$0.lowerBound...]) } ?? message
        return [
            "code": reply["code"] ?? .null, "reason": reply["reason"] ?? .null, "message": .string(end),
            "field": reply.value(at: ["details", "causes"])?[0]?["field"] ?? .null,
        ]
    }

    /// Where a definition is wrong: the texts of a compiler are its own.
    private static func causes(_ document: JSONValue) -> JSONValue {
        guard document["kind"] == "Status" else { return document["kind"] ?? .null }
        let causes = document.value(at: ["details", "causes"])?.arrayValue ?? []
        return [
            "code": document["code"] ?? .null, "reason": document["reason"] ?? .null,
            "causes": .array(causes.map { ["field": $0["field"] ?? .null, "reason": $0["reason"] ?? .null] }),
        ]
    }
}
