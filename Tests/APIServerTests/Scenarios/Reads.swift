import Encoding
import HTTP

extension Scenario {
    private static func makeFour(_ session: Session) async throws {
        for (name, labels) in [
            ("a", ["color": "red", "size": "1"]), ("b", ["color": "blue"]), ("c", ["size": "3"]), ("d", [:]),
        ] as [(String, JSONValue)] {
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap(name, metadata: ["labels": labels]))
        }
    }

    static let reads: [Scenario] = [
        Scenario("label selectors") { session in
            try await makeFour(session)
            let selectors = [
                "color=red", "color==red", "color!=red", "color", "!color", "color in (red,blue)", "color notin (red)",
                "color=red,size=1", "color=", "size in (1,3),color", " color = red ", "color in (red", "=x",
                "color=bad value", "color>1", "size>2", "size<2", "color in ()", ",", "!",
            ]
            for selector in selectors {
                try await session.call(
                    .get, Paths.configMaps + "?labelSelector=" + HTTPURL.encoded(selector), only: Only.names)
            }
            for selector in ["a/b/c=d", "size>x", "x y", "color=x-"] {
                try await session.call(
                    .get, Paths.configMaps + "?labelSelector=" + HTTPURL.encoded(selector), changedIn: 23,
                    only: Only.names)
            }
        },
        Scenario("field selectors") { session in
            try await makeFour(session)
            for selector in [
                "metadata.name=a", "metadata.name!=a", "metadata.namespace=NS", "metadata.name=a,metadata.namespace=x",
                "data.a=1", "metadata.labels=x", "metadata.name", "=x", "metadata.name==b",
            ] {
                try await session.call(
                    .get, Paths.configMaps + "?fieldSelector=" + HTTPURL.encoded(selector).replacing("NS", with: "NS"),
                    only: Only.names)
            }
            try await session.quiet(.post, Paths.widgets, Bodies.widget("w"))
            for selector in ["metadata.name=w", "spec.size=1", "metadata.uid=x"] {
                try await session.call(
                    .get, Paths.widgets + "?fieldSelector=" + HTTPURL.encoded(selector), only: Only.names)
            }
            try await session.quiet(.post, Paths.pods, Bodies.pod("p", spec: ["nodeName": "n1"]))
            for selector in [
                "spec.nodeName=n1", "spec.nodeName=", "status.phase=Pending", "status.phase!=Pending",
                "spec.restartPolicy=Always", "spec.hostname=x",
            ] {
                try await session.call(
                    .get, Paths.pods + "?fieldSelector=" + HTTPURL.encoded(selector), only: Only.names)
            }
        },
        Scenario("lists in pages") { session in
            try await makeFour(session)
            let first = try await session.call(.get, Paths.configMaps + "?limit=2", only: Only.names, )
            let token = HTTPURL.encoded(first.continueToken)
            session.hide(token, as: "TOKEN")
            // What is made meanwhile is not in the later pages.
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("bb"))
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("e"))
            let second = try await session.call(
                .get, Paths.configMaps + "?limit=1&continue=\(token)", only: Only.names)
            let next = HTTPURL.encoded(second.continueToken)
            session.hide(next, as: "NEXT")
            try await session.call(.get, Paths.configMaps + "?continue=\(next)", only: Only.names)
            session.note(
                "the pages have one revision",
                "\(first.resourceVersion == second.resourceVersion)")
            try await session.call(.get, Paths.configMaps + "?limit=2&labelSelector=color", only: Only.names)
            try await session.call(.get, Paths.configMaps + "?limit=1&labelSelector=color", only: Only.names)
            try await session.call(.get, Paths.configMaps + "?limit=10", only: Only.names)
            try await session.call(.get, Paths.configMaps + "?limit=0", only: Only.names)
            try await session.call(.get, Paths.configMaps + "?limit=-1", only: Only.names)
            try await session.call(.get, Paths.configMaps + "?limit=word", only: Only.names)
            try await session.call(.get, Paths.configMaps + "?limit=2&continue=nonsense", only: masksNumbers)
            try await session.call(.get, Paths.configMaps + "?limit=2&resourceVersion=1&continue=\(next)")
            // The watch cache knows no pages, and in 1.20 no order.
            try await session.call(
                .get, Paths.configMaps + "?limit=2&resourceVersion=0",
                only: { list in
                    [
                        "count": .integer(Int64(list["items"]?.arrayValue?.count ?? 0)),
                        "metadata": list["metadata"] ?? .null,
                    ]
                })
        },
        Scenario("a list's continuation expires") { session in
            try await makeFour(session)
            let first = try await session.call(.get, Paths.configMaps + "?limit=2", only: Only.names)
            let token = HTTPURL.encoded(first.continueToken)
            session.hide(token, as: "TOKEN")
            session.hide(first.resourceVersion, as: "FIRST")
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("e"))
            try await session.server.compact()
            let expired = try await session.call(.get, Paths.configMaps + "?limit=2&continue=\(token)")
            let fresh = expired.continueToken
            session.note("an expired continuation brings a new token", "\(!fresh.isEmpty)")
            session.hide(fresh, as: "FRESH")
            try await session.call(
                .get, Paths.configMaps + "?limit=2&continue=\(HTTPURL.encoded(fresh))", only: Only.names)
            try await session.call(
                .get, Paths.configMaps + "?resourceVersion=\(first.resourceVersion)&resourceVersionMatch=Exact",
                only: masksNumbers)
        },
        Scenario("resource versions of lists") { session in
            let made = try await session.call(.post, Paths.configMaps, Bodies.configMap("a"))
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("b"))
            let version = made.resourceVersion
            session.hide(version, as: "VERSION")
            for query in [
                "resourceVersion=0", "resourceVersion=\(version)",
                "resourceVersion=\(version)&resourceVersionMatch=NotOlderThan",
                "resourceVersion=\(version)&resourceVersionMatch=Exact", "resourceVersionMatch=Exact",
                "resourceVersion=0&resourceVersionMatch=Exact",
                "resourceVersion=\(version)&resourceVersionMatch=Sometimes",
                "resourceVersion=word", "resourceVersion=-3", "resourceVersionMatch=NotOlderThan",
            ] {
                try await session.call(.get, Paths.configMaps + "?\(query)", only: Only.sortedNames)
            }
            try await session.call(.get, Paths.configMaps + "/a?resourceVersion=0", only: Only.member("data"))
            try await session.call(.get, Paths.configMaps + "/a?resourceVersion=\(version)", only: Only.member("data"))
        },
        Scenario("lists of what is empty and of everything") { session in
            try await session.call(.get, Paths.configMaps)
            try await session.call(.get, Paths.widgets)
            try await session.call(.get, "/api/v1/namespaces/never-was/configmaps")
            try await session.quiet(.post, Paths.widgets, Bodies.widget("w"))
            try await session.call(.get, "/apis/example.dev/v1/widgets?fieldSelector=metadata.namespace%3DNS")
            try await session.call(.get, "/apis/example.dev/v1/widgets/w")
            try await session.call(.get, Paths.configMaps + "?fieldSelector=metadata.name%3Dnone")
        },
        Scenario("tables") { session in
            let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
            try await session.quiet(
                .post, Paths.widgets, Bodies.widget("w", ["size": 3], metadata: ["labels": ["a": "b"]]))
            try await session.quiet(
                .patch, Paths.widgets + "/w/status",
                ["status": ["conditions": [["type": "Ready", "status": "False"]]]], type: "application/merge-patch+json"
            )
            try await session.call(.get, Paths.widgets, accept: table, only: Only.table)
            try await session.call(.get, Paths.widgets + "/w", accept: table, only: Only.table)
            try await session.call(.get, Paths.widgets + "/w?includeObject=Object", accept: table, only: Only.table)
            try await session.call(.get, Paths.widgets + "?includeObject=None", accept: table, only: Only.table)
            try await session.call(.get, Paths.widgets + "?includeObject=Some", accept: table, only: Only.table)
            try await session.call(.get, Paths.widgets + "?labelSelector=none", accept: table, only: Only.table)
            try await session.call(.get, Paths.widgets + "/none", accept: table, only: Only.table)
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("c"))
            try await session.call(.get, Paths.configMaps, accept: table, only: Only.table)
            let watch = try await session.watch(
                Paths.widgets + "?watch=true&timeoutSeconds=20", accept: table)
            try await session.events(watch, 1, only: Only.tableEvent)
            try await session.quiet(
                .patch, Paths.widgets + "/w", ["spec": ["size": 4]], type: "application/merge-patch+json")
            try await session.events(watch, 1, only: Only.tableEvent)
        },
        Scenario("metadata alone") { session in
            let partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
            let list = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
            try await session.quiet(.post, Paths.widgets, Bodies.widget("w"))
            try await session.call(.get, Paths.widgets + "/w", accept: partial)
            try await session.call(.get, Paths.widgets, accept: list)
            try await session.call(.get, Paths.widgets, accept: partial, )
            let watch = try await session.watch(Paths.widgets + "?watch=true&timeoutSeconds=20", accept: partial)
            try await session.events(watch, 1)
        },
        Scenario("what a client accepts") { session in
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("a"))
            for accept in [
                "", "*/*", "application/*", "application/yaml", "text/html", "application/json;as=Nothing;g=x;v=v1",
                "application/json;as=Table;v=v9;g=meta.k8s.io", "text/html, application/json;q=0.5",
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
            ] {
                try await session.call(
                    .get, Paths.configMaps + "/a", accept: accept,
                    only: {
                        [
                            "kind": $0["kind"] ?? .null, "message": $0["message"] ?? .null,
                            "reason": $0["reason"] ?? .null,
                        ]
                    })
            }
            try await session.call(.head, Paths.configMaps + "/a")
            try await session.call(.head, Paths.configMaps + "/none")
        },
    ]

    private static func masksNumbers(_ reply: JSONValue) -> JSONValue {
        ["reason": reply["reason"] ?? .null, "code": reply["code"] ?? .null]
    }
}
