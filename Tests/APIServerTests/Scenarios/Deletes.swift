import Encoding
import HTTP

extension Scenario {
    private static let mergeType = "application/merge-patch+json"

    static let deletes: [Scenario] = [
        Scenario("a delete holds its preconditions") { session in
            let made = try await session.call(.post, Paths.configMaps, Bodies.configMap("a"))
            let other: JSONValue = "11111111-1111-1111-1111-111111111111"
            let delete: (JSONValue) -> JSONValue = {
                ["kind": "DeleteOptions", "apiVersion": "v1", "preconditions": $0]
            }
            try await session.call(.delete, Paths.configMaps + "/a", delete(["uid": other]))
            try await session.call(.delete, Paths.configMaps + "/a", delete(["resourceVersion": "3"]))
            try await session.call(
                .delete, Paths.configMaps + "/a",
                delete(["uid": .string(made.uid), "resourceVersion": .string(made.resourceVersion)]))
            try await session.call(.delete, Paths.configMaps + "/a")
            try await session.quiet(.post, Paths.widgets, Bodies.widget("w"))
            try await session.call(.delete, Paths.widgets + "/w", delete(["uid": other]))
            try await session.call(.delete, Paths.widgets + "/w")
        },
        Scenario("a finalizer holds a deleted object") { session in
            let path = Paths.widgets + "/w"
            try await session.quiet(
                .post, Paths.widgets,
                Bodies.widget("w", metadata: ["finalizers": ["example.dev/one", "example.dev/two"]]))
            try await session.call(.delete, path)
            try await session.call(.delete, path)
            try await session.call(.get, path)
            try await session.call(.post, Paths.widgets, Bodies.widget("w"))
            try await session.call(.patch, path, ["spec": ["size": 2]], type: mergeType)
            try await session.call(
                .patch, path,
                ["metadata": ["finalizers": ["example.dev/one", "example.dev/two", "example.dev/three"]]],
                type: mergeType)
            try await session.call(.patch, path, ["metadata": ["deletionTimestamp": nil]], type: mergeType)
            try await session.call(.patch, path, ["metadata": ["finalizers": ["example.dev/two"]]], type: mergeType)
            try await session.call(.patch, path, ["metadata": ["finalizers": nil]], type: mergeType)
            try await session.call(.get, path)
            try await session.call(.patch, path, ["spec": ["size": 2]], type: mergeType)
        },
        Scenario("propagation policies") { session in
            let delete: (JSONValue) -> JSONValue = { ["propagationPolicy": $0] }
            for (name, policy) in [("f", "Foreground"), ("o", "Orphan"), ("b", "Background")] {
                try await session.quiet(.post, Paths.widgets, Bodies.widget(name))
                try await session.call(.delete, Paths.widgets + "/\(name)", delete(.string(policy)))
                try await session.call(.get, Paths.widgets + "/\(name)")
            }
            try await session.quiet(.post, Paths.widgets, Bodies.widget("q"))
            try await session.call(.delete, Paths.widgets + "/q", delete("Sideways"))
            try await session.call(.delete, Paths.widgets + "/q?propagationPolicy=Sideways")
            try await session.call(
                .delete, Paths.widgets + "/q", ["propagationPolicy": "Orphan", "orphanDependents": true])
            try await session.call(.delete, Paths.widgets + "/q?propagationPolicy=Foreground")
            try await session.call(.delete, Paths.widgets + "/q", delete("Orphan"))
            try await session.call(.delete, Paths.widgets + "/q", delete("Background"))
            try await session.call(.get, Paths.widgets + "/q")
        },
        Scenario("what a delete may say") { session in
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("a"))
            try await session.call(
                .delete, Paths.configMaps + "/a", ["kind": "Pod", "apiVersion": "v1"], only: reasonAndCode)
            try await session.call(
                .delete, Paths.configMaps + "/a", text: "{", Session.Options(only: reasonAndCode))
            try await session.call(.delete, Paths.configMaps + "/a", ["gracePeriodSeconds": -5])
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("b"))
            try await session.call(
                .delete, Paths.configMaps + "/b", ["kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"])
            try await session.quiet(.post, Paths.configMaps, Bodies.configMap("c"))
            try await session.call(.delete, Paths.configMaps + "/c?gracePeriodSeconds=word")
        },
        Scenario("a collection is deleted by selector") { session in
            for (name, color) in [("a", "red"), ("b", "blue"), ("c", "red")] {
                try await session.quiet(
                    .post, Paths.configMaps, Bodies.configMap(name, metadata: ["labels": ["color": .string(color)]]))
            }
            try await session.quiet(
                .post, Paths.configMaps,
                Bodies.configMap("d", metadata: ["labels": ["color": "red"], "finalizers": ["example.dev/f"]]))
            try await session.call(.delete, Paths.configMaps + "?labelSelector=color%3Dred")
            try await session.call(.get, Paths.configMaps + "?labelSelector=color", only: Only.names)
            try await session.call(.delete, Paths.configMaps + "?fieldSelector=metadata.name%3Db")
            try await session.call(.delete, Paths.configMaps + "?labelSelector=!!")
            try await session.quiet(.patch, Paths.configMaps + "/d", ["metadata": ["finalizers": nil]], type: mergeType)
            try await session.quiet(.post, Paths.widgets, Bodies.widget("w"))
            try await session.call(.delete, Paths.widgets)
            try await session.call(.get, Paths.widgets)
        },
        Scenario("pods and jobs are deleted in their way") { session in
            try await session.quiet(.post, Paths.pods, Bodies.pod("p"))
            try await session.call(.delete, Paths.pods + "/p", only: Only.member("metadata"))
            try await session.quiet(.post, Paths.pods, Bodies.pod("bound", spec: ["nodeName": "n"]))
            try await session.call(.delete, Paths.pods + "/bound", only: Only.member("metadata"))
            try await session.call(
                .delete, Paths.pods + "/bound", ["gracePeriodSeconds": 5], only: Only.member("metadata"))
            try await session.call(
                .delete, Paths.pods + "/bound?gracePeriodSeconds=0", only: Only.member("metadata"))
            try await session.call(.get, Paths.pods + "/bound")
            try await session.quiet(.post, Paths.jobs, Bodies.job("j"))
            try await session.call(.delete, Paths.jobs + "/j", changedIn: 24, only: Only.member("metadata"))
            try await session.call(
                .delete, Paths.jobs + "/j", ["propagationPolicy": "Background"], changedIn: 24,
                only: Only.member("metadata"))
        },
        Scenario("a namespace that ends") { session in
            let path = "/api/v1/namespaces/NS-x"
            try await session.quiet(
                .post, "/api/v1/namespaces", ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "NS-x"]])
            try await session.quiet(
                .post, path + "/configmaps", Bodies.configMap("a", metadata: ["finalizers": ["example.dev/f"]]))
            try await session.call(.delete, path, changedIn: 21)
            try await session.call(.get, path, changedIn: 21)
            try await session.call(.post, path + "/configmaps", Bodies.configMap("b"))
            try await session.call(
                .post, path.replacing("api/v1", with: "apis/example.dev/v1") + "/widgets", Bodies.widget("w"))
            try await session.call(
                .patch, path + "/configmaps/b?fieldManager=m", Bodies.configMap("b"),
                type: "application/apply-patch+yaml")
            try await session.call(
                .patch, path + "/configmaps/a", ["data": ["a": "2"]], type: mergeType, only: Only.member("data"))
            try await session.call(.delete, path, changedIn: 21)
            try await session.call(.delete, "/api/v1/namespaces/default")
            try await session.call(.delete, "/api/v1/namespaces/kube-system")
            try await session.call(.delete, "/api/v1/namespaces/never-was")
            try await session.call(.delete, "/api/v1/namespaces")
            try await session.call(
                .post, "/api/v1/namespaces", ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "a.b"]])
        },
    ]

    private static func reasonAndCode(_ reply: JSONValue) -> JSONValue {
        ["reason": reply["reason"] ?? .null, "code": reply["code"] ?? .null]
    }
}
