import Encoding
import HTTP
import Kubernetes
import Testing

private let jobs = ResourceType(group: "batch", version: "v1", kind: "Job", plural: "jobs")
private let pods = ResourceType(group: "", version: "v1", kind: "Pod", plural: "pods")
private let nodes = ResourceType(group: "", version: "v1", kind: "Node", plural: "nodes", isNamespaced: false)

/// A request as one reads it in a log.
private func text(_ request: KubernetesRequest) -> String {
    let http = request.httpRequest(server: HTTPURL(origin: "https://api", path: "/"))
    let type = http.headers["Content-Type"].map { " [\($0)]" } ?? ""
    let body = http.body.isEmpty ? "" : " " + String(decoding: http.body, as: UTF8.self)
    return "\(http.method.rawValue) \(http.url.target)\(type)\(body)"
}

@Suite struct RequestTests {
    static let cases: [(String, KubernetesRequest, String)] = [
        ("get", .get(jobs, namespace: "ml", name: "a"), "GET /apis/batch/v1/namespaces/ml/jobs/a"),
        ("get of the core group", .get(pods, namespace: "ml", name: "a"), "GET /api/v1/namespaces/ml/pods/a"),
        ("get without a namespace", .get(nodes, namespace: "ignored", name: "n"), "GET /api/v1/nodes/n"),
        (
            "a name cannot leave its segment", .get(pods, namespace: "..", name: "a/../b?x=1"),
            "GET /api/v1/namespaces/%2E%2E/pods/a%2F..%2Fb%3Fx%3D1"
        ),
        ("list of everything", .list(jobs), "GET /apis/batch/v1/jobs?limit=500"),
        (
            "list, selected",
            .list(
                pods, ObjectSelection(namespace: "ml", labelSelector: "a=b,c", fieldSelector: "spec.nodeName=n"),
                limit: 10),
            "GET /api/v1/namespaces/ml/pods?labelSelector=a%3Db%2Cc&fieldSelector=spec.nodeName%3Dn&limit=10"
        ),
        (
            "a later page repeats no resource version", .list(jobs, continueToken: "to+ken", resourceVersion: "0"),
            "GET /apis/batch/v1/jobs?limit=500&continue=to%2Bken"
        ),
        (
            "watch", .watch(jobs, from: "42", timeoutSeconds: 250),
            "GET /apis/batch/v1/jobs?watch=true&allowWatchBookmarks=true&resourceVersion=42&timeoutSeconds=250"
        ),
        (
            "watch from the start", .watchFromStart(jobs, timeoutSeconds: 250),
            "GET /apis/batch/v1/jobs?watch=true&allowWatchBookmarks=true&sendInitialEvents=true"
                + "&resourceVersionMatch=NotOlderThan&timeoutSeconds=250"
        ),
        (
            "create", .create(jobs, ["metadata": ["name": "a", "namespace": "ml"]], fieldManager: "me"),
            "POST /apis/batch/v1/namespaces/ml/jobs?fieldManager=me [application/json] "
                + #"{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"a","namespace":"ml"}}"#
        ),
        (
            "replace status",
            .replace(
                jobs, ["metadata": ["name": "a", "namespace": "ml"]], subresource: "status", fieldManager: "me"),
            "PUT /apis/batch/v1/namespaces/ml/jobs/a/status?fieldManager=me [application/json] "
                + #"{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"a","namespace":"ml"}}"#
        ),
        (
            "apply",
            .apply(jobs, ["metadata": ["name": "a", "namespace": "ml"]], fieldManager: "me", force: true),
            "PATCH /apis/batch/v1/namespaces/ml/jobs/a?fieldManager=me&force=true "
                + #"[application/apply-patch+yaml] {"apiVersion":"batch/v1","kind":"Job","#
                + #""metadata":{"name":"a","namespace":"ml"}}"#
        ),
        (
            "merge patch",
            .mergePatch(
                ObjectReference(type: jobs, namespace: "ml", name: "a"), ["spec": ["suspend": true]],
                fieldManager: "me"),
            "PATCH /apis/batch/v1/namespaces/ml/jobs/a?fieldManager=me [application/merge-patch+json] "
                + #"{"spec":{"suspend":true}}"#
        ),
        (
            "delete with preconditions",
            .delete(
                ObjectReference(type: jobs, namespace: "ml", name: "a", uid: "u1"), resourceVersion: "7",
                propagation: .foreground, gracePeriodSeconds: 30),
            "DELETE /apis/batch/v1/namespaces/ml/jobs/a [application/json] "
                + #"{"apiVersion":"v1","gracePeriodSeconds":30,"kind":"DeleteOptions","#
                + #""preconditions":{"resourceVersion":"7","uid":"u1"},"propagationPolicy":"Foreground"}"#
        ),
        (
            "delete of whatever has the name",
            .delete(ObjectReference(type: jobs, namespace: "ml", name: "a")),
            "DELETE /apis/batch/v1/namespaces/ml/jobs/a [application/json] "
                + #"{"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Background"}"#
        ),
    ]

    @Test(arguments: cases)
    func `a request says what it means`(name: String, request: KubernetesRequest, expected: String) {
        #expect(text(request) == expected)
    }

    @Test func `a server behind a path keeps its path`() throws {
        let server = try #require(HTTPURL("https://proxy/k8s/clusters/c-1/"))
        let request = KubernetesRequest.get(pods, namespace: "ml", name: "a").httpRequest(server: server)
        #expect(request.url.description == "https://proxy/k8s/clusters/c-1/api/v1/namespaces/ml/pods/a")
    }

    @Test func `a request for metadata says so, in the form of a list or of a watch`() {
        func accept(_ request: KubernetesRequest) -> String? {
            request.forMetadata().httpRequest(server: HTTPURL(origin: "http://s", path: "/")).headers["Accept"]
        }
        let tail = ";g=meta.k8s.io;v=v1,application/json"
        #expect(accept(.list(pods)) == "application/json;as=PartialObjectMetadataList" + tail)
        #expect(accept(.watch(pods, from: "1")) == "application/json;as=PartialObjectMetadata" + tail)
        #expect(accept(.watchFromStart(pods)) == "application/json;as=PartialObjectMetadata" + tail)
    }

    @Test func `a watch waits longer for a byte than the server lets it live`() {
        let request = KubernetesRequest.watch(pods, from: "1", timeoutSeconds: 250)
        #expect(request.timeout == .seconds(265))
        #expect(request.operation == "WATCH pods")
    }
}
