import Encoding
import HTTP

extension Scenario {
    private static let mergeType = "application/merge-patch+json"
    private static let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

    static let builtIns: [Scenario] = [
        Scenario("leases") { session in
            let body: JSONValue = [
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": ["name": "l"],
                "spec": [
                    "holderIdentity": "me", "leaseDurationSeconds": 15, "leaseTransitions": 0,
                    "acquireTime": "2024-01-01T00:00:00.123456Z", "renewTime": "2024-01-01T00:00:00.000000Z",
                ],
            ]
            let made = try await session.call(.post, Paths.leases, body)
            var changed = made.json
            changed.set("you", at: ["spec", "holderIdentity"])
            try await session.call(.put, Paths.leases + "/l", changed)
            try await session.call(.put, Paths.leases + "/l", changed)
            try await session.call(.put, Paths.leases + "/l", body)
            changed.set(0, at: ["spec", "leaseDurationSeconds"])
            changed.set(nil, at: ["metadata", "resourceVersion"])
            try await session.call(.patch, Paths.leases + "/l", ["spec": ["leaseDurationSeconds": 0]], type: mergeType)
            try await session.call(
                .patch, Paths.leases + "/l", ["spec": ["renewTime": "now"]], type: mergeType, only: reasonAndFields)
            try await session.call(.patch, Paths.leases + "/l", ["spec": ["leaseTransitions": -1]], type: mergeType)
            var wrong = body
            wrong.set("2024-01-01T00:00:00Z", at: ["spec", "renewTime"])
            try await session.call(.post, Paths.leases, wrong, changedIn: 23)
            try await session.call(.get, Paths.leases, accept: table, only: columnsAndCells)
        },
        Scenario("events are one resource in two groups") { session in
            let made = try await session.call(
                .post, Paths.newEvents,
                [
                    "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": ["name": "e.1"],
                    "regarding": ["apiVersion": "example.dev/v1", "kind": "Widget", "name": "w", "namespace": "NS"],
                    "reason": "Made", "action": "Make", "note": "made it", "type": "Normal",
                    "reportingController": "example.dev/suite", "reportingInstance": "suite-1",
                    "eventTime": "2024-01-01T00:00:00.000000Z",
                ])
            try await session.call(.get, Paths.coreEvents + "/e.1")
            try await session.call(
                .patch, Paths.newEvents + "/e.1",
                ["series": ["count": 2, "lastObservedTime": "2024-01-01T00:01:00.000000Z"]], type: mergeType)
            try await session.call(.get, Paths.coreEvents + "/e.1")
            _ = made
            try await session.call(
                .post, Paths.coreEvents,
                [
                    "apiVersion": "v1", "kind": "Event", "metadata": ["name": "old.1"],
                    "involvedObject": ["kind": "Pod", "name": "p", "namespace": "NS"], "reason": "Old",
                    "message": "as before", "type": "Warning", "source": ["component": "c", "host": "h"],
                    "firstTimestamp": "2024-01-01T00:00:00Z", "lastTimestamp": "2024-01-01T00:00:30Z", "count": 3,
                ])
            try await session.call(.get, Paths.newEvents + "/old.1")
            for selector in [
                "involvedObject.name=w", "involvedObject.kind=Pod,type=Warning", "reason=Made", "source=c",
                "reportingComponent=example.dev/suite",
            ] {
                try await session.call(
                    .get, Paths.coreEvents + "?fieldSelector=" + selector.replacing("=", with: "%3D"), only: Only.names,
                )
            }
            try await session.call(
                .get, Paths.newEvents + "?fieldSelector=regarding.name%3Dw", only: Only.names, )
            try await session.call(.get, Paths.coreEvents, accept: table, only: columnsAndCells)
            try await session.call(.get, Paths.newEvents, accept: table, only: columnsAndCells)
        },
        Scenario("events that are refused") { session in
            let good: JSONValue = [
                "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": ["name": "e"],
                "regarding": ["kind": "Widget", "name": "w", "namespace": "NS"],
                "reason": "Made", "action": "Make", "type": "Normal", "reportingController": "example.dev/suite",
                "reportingInstance": "suite-1", "eventTime": "2024-01-01T00:00:00.000000Z",
            ]
            for key in ["reason", "action", "type", "reportingController", "reportingInstance", "eventTime"] {
                var event = good
                event[key] = nil
                try await session.call(.post, Paths.newEvents, event)
            }
            var event = good
            event["type"] = "Odd"
            try await session.call(.post, Paths.newEvents, event)
            event = good
            event.set("other", at: ["regarding", "namespace"])
            try await session.call(.post, Paths.newEvents, event)
            event = good
            event["note"] = .string(String(repeating: "n", count: 1025))
            try await session.call(.post, Paths.newEvents, event, only: Only.member("details"))
        },
        Scenario("secrets") { session in
            try await session.call(
                .post, Paths.secrets,
                [
                    "apiVersion": "v1", "kind": "Secret", "metadata": ["name": "s"], "stringData": ["a": "text"],
                    "data": ["b": "Yg=="],
                ])
            try await session.call(
                .post, Paths.secrets,
                ["apiVersion": "v1", "kind": "Secret", "metadata": ["name": "t"], "data": ["b": "not base64!"]],
                changedIn: 23)
            try await session.call(.patch, Paths.secrets + "/s", ["type": "other"], type: mergeType)
            try await session.call(.patch, Paths.secrets + "/s", ["immutable": true], type: mergeType)
            try await session.call(.patch, Paths.secrets + "/s", ["data": ["b": "Yw=="]], type: mergeType)
            try await session.call(.get, Paths.secrets, accept: table, only: columnsAndCells)
        },
        Scenario("pods") { session in
            try await session.call(.post, Paths.pods, Bodies.pod("p"), only: withoutAdmitted)
            try await session.call(.post, Paths.pods, Bodies.pod("none", spec: ["containers": []]))
            try await session.call(
                .post, Paths.pods, Bodies.pod("odd", spec: ["containers": [["name": "Bad_Name"]]]))
            try await session.call(.post, Paths.pods, Bodies.pod("odd", spec: ["restartPolicy": "Sometimes"]))
            try await session.call(
                .patch, Paths.pods + "/p", ["spec": ["restartPolicy": "Never"]], type: mergeType, only: reasonAndFields)
            try await session.call(
                .patch, Paths.pods + "/p", ["spec": ["containers": [["name": "c", "image": "example.com/i:2"]]]],
                type: "application/strategic-merge-patch+json", only: Only.member("spec", "containers"))
            let binding: JSONValue = [
                "apiVersion": "v1", "kind": "Binding", "metadata": ["name": "p"],
                "target": ["apiVersion": "v1", "kind": "Node", "name": "n1"],
            ]
            try await session.call(.post, Paths.pods + "/p/binding", binding)
            try await session.call(.post, Paths.pods + "/p/binding", binding)
            try await session.call(
                .patch, Paths.pods + "/p/status",
                ["status": ["phase": "Running", "podIP": "10.0.0.1", "podIPs": [["ip": "10.0.0.1"]]]],
                type: "application/strategic-merge-patch+json", only: Only.member("status"))
            try await session.call(.get, Paths.pods, accept: table, changedIn: 22, only: columnsAndCells)
        },
        Scenario("jobs") { session in
            try await session.call(.post, Paths.jobs, Bodies.job("j"), changedIn: 27)
            try await session.call(
                .post, Paths.jobs,
                Bodies.job("odd", spec: ["template": ["spec": ["containers": [["name": "c", "image": "i"]]]]]))
            try await session.call(.post, Paths.jobs, Bodies.job("odd", spec: ["parallelism": -1]))
            try await session.call(
                .patch, Paths.jobs + "/j", ["spec": ["completions": 5]], type: mergeType)
            try await session.call(
                .patch, Paths.jobs + "/j", ["spec": ["parallelism": 0]], type: mergeType,
                changedIn: 24,
                only: {
                    [
                        "generation": $0.value(at: ["metadata", "generation"]) ?? .null,
                        "message": $0["message"] ?? .null,
                    ]
                }, )
            try await session.call(
                .patch, Paths.jobs + "/j/status", ["status": ["active": 1]], type: mergeType,
                only: Only.member("status"))
            try await session.call(.get, Paths.jobs, accept: table, changedIn: 31, only: columnsAndCells)
        },
        Scenario("services") { session in
            let service: (JSONValue) -> JSONValue = {
                ["apiVersion": "v1", "kind": "Service", "metadata": ["name": "s"], "spec": $0]
            }
            try await session.call(
                .post, Paths.services, service(["clusterIP": "None", "selector": ["a": "b"], "ports": [["port": 80]]]),
                changedIn: 21)
            try await session.call(.get, Paths.services, accept: table, only: columnsAndCells)
            try await session.quiet(.delete, Paths.services + "/s")
            try await session.call(.post, Paths.services, service(["ports": [["port": 80]]]), changedIn: 21)
            try await session.call(.post, Paths.services, service(["ports": []]))
            try await session.quiet(.delete, Paths.services + "/s")
            try await session.call(.post, Paths.services, service(["ports": []]))
            try await session.call(.post, Paths.services, service(["ports": [["port": 0]]]))
            try await session.call(
                .post, Paths.services,
                [
                    "apiVersion": "v1", "kind": "Service", "metadata": ["name": "1bad"],
                    "spec": ["ports": [["port": 80]]],
                ])
        },
        Scenario("namespaces and service accounts") { session in
            try await session.call(.get, "/api/v1/namespaces/NS", changedIn: 21)
            try await session.call(
                .get, "/api/v1/namespaces/NS", accept: table, only: columnsAndCells)
            try await session.call(
                .post, "/api/v1/namespaces/NS/serviceaccounts",
                ["apiVersion": "v1", "kind": "ServiceAccount", "metadata": ["name": "robot"]])
            try await session.call(
                .patch, Paths.configMaps + "/a", ["immutable": true], type: mergeType)
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("a"))
            try await session.call(.patch, Paths.configMaps + "/a", ["immutable": true], type: mergeType)
            try await session.call(.patch, Paths.configMaps + "/a", ["data": ["a": "2"]], type: mergeType)
            try await session.call(.patch, Paths.configMaps + "/a", ["immutable": false], type: mergeType)
            try await session.call(
                .patch, Paths.configMaps + "/a", ["metadata": ["labels": ["x": "y"]]], type: mergeType)
        },
    ]

    private static func columnsAndCells(_ table: JSONValue) -> JSONValue {
        guard table["kind"] == "Table" else { return table }
        let columns = (table["columnDefinitions"]?.arrayValue ?? []).map { column in
            "\(column["name"]?.stringValue ?? "") \(column["type"]?.stringValue ?? "") \(column["priority"]?.integerValue ?? 0)"
        }
        return [
            "columns": .array(columns.map(JSONValue.string)),
            "rows": .array((table["rows"]?.arrayValue ?? []).map { $0["cells"] ?? .null }),
        ]
    }

    /// A pod without the defaults and additions that the simulated cluster leaves out: nothing here schedules by them.
    private static func withoutAdmitted(_ pod: JSONValue) -> JSONValue {
        var pod = pod
        for key in ["enableServiceLinks", "preemptionPolicy", "priority", "tolerations", "serviceAccount"] {
            pod.set(nil, at: ["spec", key])
        }
        return pod
    }

    /// Which fields are refused; the message prints Go structures.
    private static func reasonAndFields(_ reply: JSONValue) -> JSONValue {
        let causes = reply.value(at: ["details", "causes"])?.arrayValue ?? []
        return [
            "reason": reply["reason"] ?? .null,
            "causes": .array(causes.map { ["field": $0["field"] ?? .null, "reason": $0["reason"] ?? .null] }),
        ]
    }
}
