import Encoding
import HTTP
import Sandbox
import Testing

/// Built-in kinds: their own rules, garbage collection, access, and how they are shown.
@Suite struct BuiltInTests {
    private let fixture: ClusterFixture

    init() throws { fixture = try ClusterFixture() }

    private static let jobs = "/apis/batch/v1/namespaces/default/jobs"
    private static let pods = "/api/v1/namespaces/default/pods"

    private func pod(_ name: String, owner: JSONValue? = nil, blocks: Bool = false) -> JSONValue {
        var pod: JSONValue = [
            "apiVersion": "v1", "kind": "Pod", "metadata": ["name": .string(name)],
            "spec": ["containers": [["name": "c", "image": "busybox"]]],
        ]
        if let owner {
            pod.set(
                [
                    [
                        "apiVersion": owner["apiVersion"] ?? "", "kind": owner["kind"] ?? "",
                        "name": owner.value(at: ["metadata", "name"]) ?? "",
                        "uid": owner.value(at: ["metadata", "uid"]) ?? "", "blockOwnerDeletion": .bool(blocks),
                    ]
                ], at: ["metadata", "ownerReferences"])
        }
        return pod
    }

    private static let job: JSONValue = [
        "apiVersion": "batch/v1", "kind": "Job", "metadata": ["name": "j"],
        "spec": [
            "completions": 2, "parallelism": 2, "completionMode": "Indexed",
            "template": ["spec": ["restartPolicy": "Never", "containers": [["name": "c", "image": "busybox"]]]],
        ],
    ]

    @Test func `a job gets its selector and only suspend and parallelism change`() async throws {
        var job = try await fixture.call(.post, Self.jobs, Self.job).json
        let uid = try #require(job.value(at: ["metadata", "uid"]))
        #expect(
            job.value(at: ["spec", "selector"]) == ["matchLabels": ["batch.kubernetes.io/controller-uid": uid]])
        #expect(job.value(at: ["spec", "template", "metadata", "labels", "job-name"]) == "j")
        #expect(job.value(at: ["spec", "backoffLimit"]) == 6)
        job.set(true, at: ["spec", "suspend"])
        job = try await fixture.call(.put, Self.jobs + "/j", job).json
        #expect(job.value(at: ["metadata", "generation"]) == 2)
        job.set("other", at: ["spec", "template", "spec", "hostname"])
        let refused = try await fixture.call(.put, Self.jobs + "/j", job)
        #expect(refused.status == 422)
        #expect(refused.message.contains("spec.template: Invalid value"))
        #expect(refused.message.contains("field is immutable"))
    }

    @Test func `a job's restart policy must be said`() async throws {
        var job = Self.job
        job.set(nil, at: ["spec", "template", "spec", "restartPolicy"])
        let reply = try await fixture.call(.post, Self.jobs, job)
        #expect(
            reply.message.contains(
                "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""))
    }

    @Test func `a running pod is deleted by grace and a second delete by its kubelet`() async throws {
        try await fixture.call(.post, Self.pods, pod("p"))
        let bound = try await fixture.call(
            .post, Self.pods + "/p/binding",
            [
                "apiVersion": "v1", "kind": "Binding", "metadata": ["name": "p"],
                "target": ["kind": "Node", "name": "n"],
            ])
        #expect(bound.status == 201)
        let deleted = try await fixture.call(.delete, Self.pods + "/p").json
        #expect(deleted.value(at: ["metadata", "deletionGracePeriodSeconds"]) == 30)
        #expect(deleted.value(at: ["metadata", "deletionTimestamp"]) == "2023-11-14T22:13:50Z")
        try await fixture.call(.delete, Self.pods + "/p?gracePeriodSeconds=0")
        #expect(try await fixture.call(.get, Self.pods + "/p").status == 404)
    }

    @Test func `a pod without a node is deleted at once and a bound one is not bound again`() async throws {
        try await fixture.call(.post, Self.pods, pod("p"))
        try await fixture.call(.delete, Self.pods + "/p")
        #expect(try await fixture.call(.get, Self.pods + "/p").status == 404)
        try await fixture.call(.post, Self.pods, pod("q"))
        for (node, status) in [("n", 201), ("m", 409)] {
            let body: JSONValue = ["apiVersion": "v1", "kind": "Binding", "target": ["name": .string(node)]]
            #expect(try await fixture.call(.post, Self.pods + "/q/binding", body).status == status)
        }
    }

    @Test func `children go when their owner is gone`() async throws {
        let owner = try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a")).json
        try await fixture.call(.post, Self.pods, pod("child", owner: owner))
        try await fixture.call(.post, Self.pods, pod("stranger"))
        await fixture.cluster.tick()
        #expect(try await fixture.call(.get, Self.pods + "/child").status == 200)
        try await fixture.call(.delete, ClusterFixture.path + "/a")
        await fixture.cluster.tick()
        #expect(try await fixture.call(.get, Self.pods + "/child").status == 404)
        #expect(try await fixture.call(.get, Self.pods + "/stranger").status == 200)
    }

    @Test func `a child of an owner that never was is collected`() async throws {
        var owner = ClusterFixture.widget("a")
        owner.set("no-such-uid", at: ["metadata", "uid"])
        try await fixture.call(.post, Self.pods, pod("child", owner: owner))
        await fixture.cluster.tick()
        #expect(try await fixture.call(.get, Self.pods + "/child").status == 404)
    }

    @Test func `a foreground delete waits for the children that block it`() async throws {
        let owner = try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a")).json
        var child = pod("child", owner: owner, blocks: true)
        child.set(["example.dev/hold"], at: ["metadata", "finalizers"])
        try await fixture.call(.post, Self.pods, child)
        try await fixture.call(.delete, ClusterFixture.path + "/a?propagationPolicy=Foreground")
        await fixture.cluster.tick()
        #expect(try await fixture.call(.get, ClusterFixture.path + "/a").status == 200)
        try await fixture.call(
            .patch, Self.pods + "/child", ["metadata": ["finalizers": nil]], type: "application/merge-patch+json")
        await fixture.cluster.tick()
        #expect(try await fixture.call(.get, ClusterFixture.path + "/a").status == 404)
    }

    @Test func `a job deleted without a policy orphans its pods`() async throws {
        let job = try await fixture.call(.post, Self.jobs, Self.job).json
        try await fixture.call(.post, Self.pods, pod("child", owner: job))
        let reply = try await fixture.call(.delete, Self.jobs + "/j")
        #expect(reply.headers["Warning"]?.contains("child pods are preserved by default") == true)
        await fixture.cluster.tick()
        #expect(try await fixture.call(.get, Self.jobs + "/j").status == 404)
        let orphan = try await fixture.call(.get, Self.pods + "/child")
        #expect(orphan.status == 200)
        #expect(orphan.json.value(at: ["metadata", "ownerReferences"]) == nil)
    }

    @Test func `a namespace ends with everything in it and takes nothing new meanwhile`() async throws {
        try await fixture.call(
            .post, "/api/v1/namespaces", ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "x"]])
        let path = "/apis/example.dev/v1/namespaces/x/widgets"
        try await fixture.call(.post, path, ClusterFixture.widget("a"))
        #expect(
            try await fixture.call(.delete, "/api/v1/namespaces/x").json.value(at: ["status", "phase"]) == "Terminating"
        )
        let refused = try await fixture.call(.post, path, ClusterFixture.widget("b"))
        #expect(refused.status == 403)
        await fixture.cluster.tick()
        #expect(try await fixture.call(.get, "/api/v1/namespaces/x").status == 404)
    }

    @Test func `events are one resource in two groups`() async throws {
        try await fixture.call(
            .post, "/apis/events.k8s.io/v1/namespaces/default/events",
            [
                "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": ["name": "e"], "note": "hello",
                "reason": "Tested", "type": "Normal",
                "regarding": ["kind": "Widget", "name": "a", "namespace": "default"],
                "reportingController": "test", "reportingInstance": "t", "action": "Test",
                "eventTime": "2023-11-14T22:13:20.000000Z",
            ])
        let core = try await fixture.call(
            .get, "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Da,involvedObject.kind%3DWidget"
        )
        let event = try #require(core.json["items"]?[0])
        #expect(event["message"] == "hello")
        #expect(event["involvedObject"] == ["kind": "Widget", "name": "a", "namespace": "default"])
        #expect(event["reportingComponent"] == "test")
        #expect(core.json["apiVersion"] == "v1")
        #expect(event["apiVersion"] == nil, "the items of built-in lists do not repeat their kind")
    }

    @Test func `events expire after an hour`() async throws {
        let path = "/api/v1/namespaces/default/events"
        try await fixture.call(
            .post, path,
            [
                "apiVersion": "v1", "kind": "Event", "metadata": ["name": "e"], "message": "x",
                "involvedObject": ["kind": "Widget", "name": "a", "namespace": "default"],
            ])
        fixture.clock.advance(by: .seconds(3599))
        await fixture.cluster.tick()
        #expect(try await fixture.call(.get, path + "/e").status == 200)
        fixture.clock.advance(by: .seconds(61))
        await fixture.cluster.tick()
        #expect(try await fixture.call(.get, path + "/e").status == 404)
    }

    @Test func `protobuf bodies of small kinds are read`() async throws {
        func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
            [number << 3 | 2, UInt8(content.count)] + content
        }
        func text(_ number: UInt8, _ content: String) -> [UInt8] { field(number, Array(content.utf8)) }
        var request = fixture.request(
            .post, "/api/v1/namespaces/default/configmaps", type: "application/vnd.kubernetes.protobuf")
        let object = field(1, text(1, "c")) + field(2, text(1, "key") + text(2, "value"))
        request.body =
            Array("k8s\0".utf8) + field(1, text(1, "v1") + text(2, "ConfigMap")) + field(2, object) + text(3, "")
        let reply = try await fixture.send(request)
        #expect(reply.status == 201)
        #expect(reply.json["data"] == ["key": "value"])
        request.body.removeLast(12)
        #expect(try await fixture.send(request).status == 400)
    }

    @Test func `the namespaces that every cluster has cannot be deleted`() async throws {
        #expect(try await fixture.call(.delete, "/api/v1/namespaces/default").status == 403)
    }

    @Test func `a user may do what the rules grant and no more`() async throws {
        let rules: [JSONValue] = [
            ["apiGroups": ["example.dev"], "resources": ["widgets"], "verbs": ["get", "list"]],
            ["apiGroups": ["example.dev"], "resources": ["widgets/status"], "verbs": ["update"]],
        ]
        let fixture = try ClusterFixture(users: ["limited": SimulatedUser(name: "bob", rules: rules)])
        var object = try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a")).json
        #expect(try await fixture.call(.get, ClusterFixture.path + "/a", token: "limited").status == 200)
        object["status"] = ["message": "x"]
        #expect(try await fixture.call(.put, ClusterFixture.path + "/a/status", object, token: "limited").status == 200)
        let refused = try await fixture.call(.delete, ClusterFixture.path + "/a", token: "limited")
        #expect(refused.status == 403)
        #expect(
            refused.message
                == "widgets.example.dev \"a\" is forbidden: User \"bob\" cannot delete resource \"widgets\" in API "
                + "group \"example.dev\" in the namespace \"default\"")
        let status = try await fixture.call(.get, ClusterFixture.path + "/a/status", token: "limited")
        #expect(status.message.contains("cannot get resource \"widgets/status\""))
        let review = try await fixture.call(
            .post, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            ["spec": ["resourceAttributes": ["verb": "list", "group": "example.dev", "resource": "widgets"]]],
            token: "limited")
        #expect(review.json.value(at: ["status", "allowed"]) == true)
    }

    @Test func `tables show the printer columns`() async throws {
        try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a", ["size": 4]))
        try await fixture.call(
            .patch, ClusterFixture.path + "/a/status",
            ["status": ["conditions": [["type": "Ready", "status": "False"]]]], type: "application/merge-patch+json")
        fixture.clock.advance(by: .seconds(125))
        let table = try await fixture.call(
            .get, ClusterFixture.path, accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
        ).json
        #expect(table["kind"] == "Table")
        #expect(table["columnDefinitions"]?.arrayValue?.map { $0["name"] } == ["Name", "Size", "Ready", "Age"])
        #expect(table["rows"]?[0]?["cells"] == ["a", 4, "False", "2m5s"])
        #expect(table["rows"]?[0]?["object"]?["kind"] == "PartialObjectMetadata")
        let partial = try await fixture.call(
            .get, ClusterFixture.path,
            accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
        ).json
        #expect(partial["kind"] == "PartialObjectMetadataList")
        #expect(partial["items"]?[0]?["spec"] == nil)
    }

    @Test func `discovery lists the resources both ways`() async throws {
        let aggregated = try await fixture.call(
            .get, "/apis", accept: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
        #expect(
            aggregated.headers["Content-Type"]
                == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
        let group = aggregated.json["items"]?.arrayValue?.first { $0.value(at: ["metadata", "name"]) == "example.dev" }
        let resource = group?["versions"]?[0]?["resources"]?[0]
        #expect(resource?["resource"] == "widgets")
        #expect(resource?["shortNames"] == ["wg"])
        let legacy = try await fixture.call(.get, "/apis/example.dev/v1").json
        #expect(
            legacy["resources"]?.arrayValue?.map { $0["name"] } == ["widgets", "widgets/status", "widgets/scale"])
        let groups = try await fixture.call(.get, "/apis").json
        #expect(groups["kind"] == "APIGroupList")
    }

    @Test func `the OpenAPI document describes patches and fields`() async throws {
        let index = try await fixture.call(.get, "/openapi/v3").json
        let url = try #require(index["paths"]?["apis/example.dev/v1"]?["serverRelativeURL"]?.stringValue)
        let document = try await fixture.call(.get, url).json
        let patch = document["paths"]?["/apis/example.dev/v1/namespaces/{namespace}/widgets/{name}"]?["patch"]
        #expect(
            patch?["x-kubernetes-group-version-kind"] == ["group": "example.dev", "version": "v1", "kind": "Widget"])
        #expect(patch?["parameters"]?.arrayValue?.contains { $0["name"] == "fieldValidation" } == true)
        let schema = document.value(at: ["components", "schemas", "dev.example.v1.Widget"])
        #expect(schema?.value(at: ["properties", "spec", "description"]) == "What the widget should be.")
        #expect(try await fixture.call(.get, "/openapi/v2").status == 404)
    }

    @Test func `the scale subresource reads and writes the replicas`() async throws {
        try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a"))
        let scaled = try await fixture.call(
            .patch, ClusterFixture.path + "/a/scale", ["spec": ["replicas": 4]], type: "application/merge-patch+json")
        #expect(scaled.json["spec"] == ["replicas": 4])
        #expect(try await fixture.call(.get, ClusterFixture.path + "/a").json.value(at: ["spec", "replicas"]) == 4)
    }

    @Test func `a definition can be installed, used and removed while the server runs`() async throws {
        let fixture = try ClusterFixture(crds: [])
        #expect(try await fixture.call(.get, ClusterFixture.path).status == 404)
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        let created = try await fixture.call(.post, path, ClusterFixture.widgets).json
        #expect(created.value(at: ["status", "conditions"])?[1]?["type"] == "Established")
        #expect(try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a")).status == 201)
        try await fixture.call(.delete, path + "/widgets.example.dev")
        await fixture.cluster.tick()
        #expect(try await fixture.call(.get, ClusterFixture.path).status == 404)
    }

    @Test func `a definition that is removed waits for the finalizers of its objects, and takes no new ones`()
        async throws
    {
        let fixture = try ClusterFixture(crds: [])
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        try await fixture.call(.post, path, ClusterFixture.widgets)
        var widget = ClusterFixture.widget("a")
        widget.set(["example.dev/hold"], at: ["metadata", "finalizers"])
        try await fixture.call(.post, ClusterFixture.path, widget)
        try await fixture.call(.delete, path + "/widgets.example.dev")
        await fixture.cluster.tick()
        let held = try await fixture.call(.get, ClusterFixture.path + "/a")
        #expect(held.json.value(at: ["metadata", "deletionTimestamp"]) != nil)
        #expect(try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("b")).status == 405)
        try await fixture.call(
            .patch, ClusterFixture.path + "/a", ["metadata": ["finalizers": nil]], type: "application/merge-patch+json")
        await fixture.cluster.tick()
        #expect(try await fixture.call(.get, path + "/widgets.example.dev").status == 404)
    }

    @Test func `a snapshot brings everything back`() async throws {
        let object = try await fixture.call(.post, ClusterFixture.path, ClusterFixture.widget("a")).json
        let snapshot = try JSONValue(parsing: fixture.cluster.snapshot().serialized())
        let restored = try ClusterFixture(crds: []) { $0.snapshot = snapshot }
        #expect(try await restored.call(.get, ClusterFixture.path + "/a").json == object)
    }
}
