import Encoding
import HTTP

extension Scenario {
    private static let mergeType = "application/merge-patch+json"

    static let watches: [Scenario] = [
        Scenario("a watch tells what is there and what changes") { session in
            try await session.quiet(.post, Paths.widgets, Bodies.widget("a"))
            let watch = try await session.watch(Paths.widgets + "?watch=true&timeoutSeconds=30")
            try await session.events(watch, 1)
            try await session.quiet(.post, Paths.widgets, Bodies.widget("b"))
            try await session.quiet(.patch, Paths.widgets + "/b", ["spec": ["size": 5]], type: mergeType)
            try await session.quiet(
                .patch, Paths.widgets + "/b/status", ["status": ["message": "m"]], type: mergeType)
            // Changes nothing, tells nothing.
            try await session.quiet(.patch, Paths.widgets + "/b", ["spec": ["size": 5]], type: mergeType)
            try await session.quiet(.delete, Paths.widgets + "/a")
            try await session.events(watch, 4)
        },
        Scenario("a watch resumes after a resource version") { session in
            let first = try await session.quiet(.post, Paths.configMaps, Bodies.configMap("a"))
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("b"))
            try await session.quiet(.patch, Paths.configMaps + "/a", ["data": ["a": "2"]], type: mergeType)
            session.hide(first.resourceVersion, as: "FIRST")
            let watch = try await session.watch(
                Paths.configMaps + "?watch=true&timeoutSeconds=30&resourceVersion=\(first.resourceVersion)")
            try await session.events(watch, 2)
            try await session.quiet(.delete, Paths.configMaps + "/b")
            try await session.events(watch, 1)
            let list = try await session.quiet(.get, Paths.configMaps)
            session.hide(list.resourceVersion, as: "LIST")
            let fromList = try await session.watch(
                Paths.configMaps + "?watch=true&timeoutSeconds=30&resourceVersion=\(list.resourceVersion)")
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("c"))
            try await session.events(fromList, 1)
            let fromZero = try await session.watch(
                Paths.configMaps + "?watch=true&timeoutSeconds=30&resourceVersion=0", name: "from zero")
            // What is there comes in no order.
            var names: Set<String> = []
            for _ in 0..<2 {
                let event = try await fromZero.next()
                names.insert(event?.value(at: ["object", "metadata", "name"])?.stringValue ?? "")
            }
            session.note("from zero", names.sorted().joined(separator: " "))
        },
        Scenario("a selector turns changes into adds and deletes") { session in
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("a"))
            let byLabel = try await session.watch(
                Paths.configMaps + "?watch=true&timeoutSeconds=30&labelSelector=on%3Dyes", name: "by label")
            let byName = try await session.watch(
                Paths.configMaps + "?watch=true&timeoutSeconds=30&fieldSelector=metadata.name%3Da", name: "by name")
            for labels: JSONValue in [["on": "yes"], ["on": "yes", "more": "x"], ["on": "no"], ["on": "yes"]] {
                try await session.quiet(
                    .patch, Paths.configMaps + "/a", ["metadata": ["labels": labels]], type: mergeType)
            }
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("b", metadata: ["labels": ["on": "yes"]]))
            try await session.quiet(.delete, Paths.configMaps + "/a")
            try await session.events(byLabel, 6)
            try await session.events(byName, 6, only: Only.event)
        },
        Scenario("a watch of pods by phase and node") { session in
            let watch = try await session.watch(
                Paths.pods + "?watch=true&timeoutSeconds=30&fieldSelector=spec.nodeName%3Dn1,status.phase!%3DFailed")
            try await session.quiet(.post, Paths.pods, Bodies.pod("p"))
            try await session.quiet(
                .post, Paths.pods + "/p/binding",
                [
                    "apiVersion": "v1", "kind": "Binding", "metadata": ["name": "p"],
                    "target": ["apiVersion": "v1", "kind": "Node", "name": "n1"],
                ])
            try await session.quiet(.patch, Paths.pods + "/p/status", ["status": ["phase": "Running"]], type: mergeType)
            try await session.quiet(.patch, Paths.pods + "/p/status", ["status": ["phase": "Failed"]], type: mergeType)
            try await session.events(watch, 3, only: Only.event)
        },
        Scenario("a resource version that is too old") { session in
            let first = try await session.quiet(.post, Paths.configMaps, Bodies.configMap("a"))
            session.hide(first.resourceVersion, as: "FIRST")
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("b"))
            let watch = try await session.watch(Paths.configMaps + "?watch=true&timeoutSeconds=30&resourceVersion=1")
            try await session.events(watch, 2, only: withoutNumbers)
        },
        Scenario("a watch ends in time") { session in
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("a"))
            let watch = try await session.watch(
                Paths.configMaps + "?watch=true&timeoutSeconds=4&allowWatchBookmarks=true")
            try await session.events(watch, 1, only: Only.event)
            // The simulated one sends a bookmark two seconds before the end; a real one may be too late for it.
            await session.server.advance(.seconds(2))
            await session.server.advance(.seconds(3))
            var rest: Set<String> = []
            while let event = try await watch.next() { rest.insert(event["type"]?.stringValue ?? "") }
            session.note("until the end there is nothing but bookmarks", "\(rest.isSubset(of: ["BOOKMARK"]))")
        },
        Scenario("watches that are refused") { session in
            for query in [
                "watch=true&resourceVersion=word", "watch=true&labelSelector=!!", "watch=true&fieldSelector=data%3Dx",
                "watch=true&timeoutSeconds=word",
            ] {
                try await session.call(.get, Paths.configMaps + "?\(query)")
            }
            try await session.call(.get, "/apis/example.dev/v1/namespaces/NS/gadgets?watch=true")
        },
        Scenario("one object is watched by its name") { session in
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("a"))
            let watch = try await session.watch("/api/v1/watch/namespaces/NS/configmaps/a?timeoutSeconds=30")
            try await session.events(watch, 1)
        },
        Scenario("a watch begins with a streamed list", since: 34) { session in
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("a"))
            let watch = try await session.watch(
                Paths.configMaps
                    + "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true")
            try await session.events(watch, 2)
        },
    ]

    private static func withoutNumbers(_ event: JSONValue) -> JSONValue {
        var event = event
        let message = event.value(at: ["object", "message"])?.stringValue ?? ""
        event.set(.string(message.filter { !$0.isNumber }), at: ["object", "message"])
        return event
    }
}
