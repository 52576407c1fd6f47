import CloudChecks
import Encoding
import HTTP
import Sandbox
import Synchronization
import Testing

/// Google's own descriptions of its APIs, as the checker reads them.
@Suite(
    "Google's discovery documents",
    .enabled(if: RequestInspection.ofTests != nil, "TRAINYARD_DISCOVERY names no folder of discovery documents"))
struct DiscoveryTests {
    private static let pools =
        "https://container.googleapis.com/v1/projects/p1/locations/us-central1/clusters/c1/nodePools"
    private static let buckets = "https://storage.googleapis.com/storage/v1/b"
    private static let run = "https://run.googleapis.com/v2/projects/p1/locations/us-central1/services"
    private static let tpu = "https://tpu.googleapis.com/v2/projects/p1/locations/us-central1-a"

    private func check(
        _ method: HTTPMethod, _ url: String, _ body: JSONValue? = nil, headers: HTTPHeaders = [:]
    ) throws -> DiscoveryChecker.Verdict? {
        let checker = try #require(RequestInspection.ofTests?.checker)
        let url = try #require(HTTPURL(url))
        return checker.check(HTTPRequest(method, url, headers: headers, body: body?.serialized() ?? []))
    }

    @Test(
        arguments: [
            (.post, pools, ["nodePool": ["name": "a", "initialNodeCount": 0]], "container.v1", "nodePools.create"),
            (.get, pools + "/a", nil, "container.v1", "nodePools.get"),
            (.delete, pools + "/a", nil, "container.v1", "nodePools.delete"),
            (.post, pools + "/a:setSize", ["nodeCount": 0], "container.v1", "nodePools.setSize"),
            (
                .put, pools + "/a", ["labels": ["labels": ["team": "ml"]], "etag": "x"], "container.v1",
                "nodePools.update"
            ),
            (.post, buckets + "?project=p1", ["name": "abc", "labels": ["a": "b"]], "storage.v1", "buckets.insert"),
            (.patch, buckets + "/abc?ifMetagenerationMatch=4", ["labels": ["old": nil]], "storage.v1", "buckets.patch"),
            (.get, buckets + "/abc/o/a%2Fb%3Ac?alt=media&generation=5", nil, "storage.v1", "objects.get"),
            (
                .post, run + "?serviceId=s",
                [
                    "template": [
                        "timeout": "300s", "containers": [["image": "i", "resources": ["limits": ["cpu": "4"]]]],
                    ]
                ],
                "run.v2", "services.create"
            ),
            (.patch, run + "/s?updateMask=labels", ["labels": ["a": "b"]], "run.v2", "services.patch"),
            (
                .post, tpu + "/queuedResources?queuedResourceId=q",
                [
                    "tpu": [
                        "nodeSpec": [
                            [
                                "parent": "projects/p1/locations/us-central1-a", "nodeId": "n",
                                "node": ["acceleratorType": "v6e-8", "runtimeVersion": "v2-alpha-tpuv6e"],
                            ]
                        ]
                    ], "spot": [:],
                ], "tpu.v2", "queuedResources.create"
            ),
        ] as [(HTTPMethod, String, JSONValue?, String, String)])
    func `a right call has a method and no finding`(
        verb: HTTPMethod, url: String, body: JSONValue?, document: String, method: String
    ) throws {
        let verdict = try #require(try check(verb, url, body))
        #expect(verdict.document == document)
        #expect(verdict.method?.hasSuffix(".\(method)") == true, "\(verdict.method ?? "none")")
        #expect(verdict.findings == [])
    }

    @Test(
        arguments: [
            (.post, pools, ["nodePool": ["name": "a", "size": 1]], "unknown field nodePool.size"),
            (.post, pools, ["node_pool": ["name": "a"]], "unknown field node_pool (it is nodePool)"),
            (.post, pools, ["nodePool": ["name": "a", "status": "RUNNING"]], "output-only field nodePool.status"),
            (.post, pools, ["nodePool": ["name": 1]], "nodePool.name is no string"),
            (.post, pools, ["nodePool": ["initialNodeCount": 4_000_000_000]], "nodePool.initialNodeCount is no int32"),
            (.post, pools, ["nodePool": ["locations": "a"]], "nodePool.locations is no list"),
            (.post, pools, ["nodePool": ["config": ["spot": "yes"]]], "nodePool.config.spot is no boolean"),
            (.post, pools, ["nodePool": ["config": ["labels": ["a": 1]]]], "nodePool.config.labels.a is no string"),
            (
                .post, pools, ["nodePool": ["config": ["maxRunDuration": "1h"]]],
                "nodePool.config.maxRunDuration is \"1h\", which is not a duration (\"3.5s\")"
            ),
            (
                .post, pools, ["nodePool": ["placementPolicy": ["type": "SPREAD"]]],
                "nodePool.placementPolicy.type is \"SPREAD\", which is none of COMPACT, TYPE_UNSPECIFIED"
            ),
            (
                .post, pools,
                ["nodePool": ["config": ["accelerators": [["acceleratorCount": "one"]]]]],
                "nodePool.config.accelerators[0].acceleratorCount is \"one\", which is not a 64-bit integer"
            ),
            (.post, pools + "?pageSize=3", [:], "unknown query parameter pageSize"),
            (.get, pools + "/a:setSize", nil, "container.v1 has no method GET"),
            (
                .post, "https://container.googleapis.com/v1/projects/p1/zones/us-central1-a/clusters/c1/nodePools", [:],
                "container.v1 has no method POST"
            ),
            (.delete, pools + "/a", ["name": "a"], "a body is sent, and the method takes none"),
            (.post, buckets, ["name": "abc"], "missing query parameter project"),
            (.post, buckets + "?project=p1", [:], "missing field name"),
            (.post, buckets + "?project=p1", ["name": "abc", "projectNumber": "1"], "output-only field projectNumber"),
            (
                .post, buckets + "?project=p1",
                ["name": "abc", "lifecycle": ["rule": [["condition": ["age": "week"]]]]],
                "lifecycle.rule[0].condition.age is no int32"
            ),
            (.get, buckets + "/abc/o?maxResults=many", nil, "query parameter maxResults is no integer: \"many\""),
            (
                .get, buckets + "/abc/o?prefix=a&prefix=b", nil, "query parameter prefix comes twice"
            ),
            (
                .get, buckets + "/abc?projection=all", nil,
                "query parameter projection is \"all\", which is none of full, noAcl"
            ),
            (
                .post, "https://workflows.googleapis.com/v1/projects/p1/locations/us-central1/workflows", [:],
                "missing query parameter workflowId"
            ),
            (.post, tpu + "/nodes?nodeId=n", [:], "missing field runtimeVersion"),
            (
                .post, tpu + "/queuedResources?queuedResourceId=q", ["spot": ["enabled": true]],
                "unknown field spot.enabled"
            ),
            (
                .get, "https://nothing.googleapis.com/v1/a", nil,
                "no discovery document describes nothing.googleapis.com"
            ),
        ] as [(HTTPMethod, String, JSONValue?, String)])
    func `a wrong call has its finding`(verb: HTTPMethod, url: String, body: JSONValue?, finding: String) throws {
        let findings = try #require(try check(verb, url, body)).findings
        #expect(findings.contains { $0.hasPrefix(finding) }, "\(findings)")
    }

    @Test func `versions and regions share a host`() throws {
        let path = "/projects/p1/locations/us-central1-a/queuedResources"
        #expect(try check(.get, "https://tpu.googleapis.com/v2alpha1\(path)")?.document == "tpu.v2alpha1")
        #expect(try check(.get, "https://tpu.googleapis.com/v2\(path)")?.document == "tpu.v2")
        let jobs = "/v1/projects/p1/locations/us-central1/customJobs"
        #expect(try check(.get, "https://us-central1-aiplatform.googleapis.com\(jobs)")?.document == "aiplatform.v1")
        let local = "http://127.0.0.1:8080"
        #expect(try check(.get, "\(local)/storage/v1/b/abc")?.document == "storage.v1")
        #expect(
            try check(.get, "\(local)/v1/projects/p1/locations/l/operations/o")?.method
                == "container.projects.locations.operations.get")
    }

    @Test func `uploads are checked by their metadata`() throws {
        let uploads = "https://storage.googleapis.com/upload/storage/v1/b/abc/o"
        #expect(
            try check(
                .post, "\(uploads)?uploadType=resumable&name=a", ["metadata": ["run": "r"], "crc32c": "AAAAAA=="])?
                .findings == [])
        #expect(
            try check(.post, "\(uploads)?uploadType=resumable&name=a", ["size": "3"])?.findings
                == ["output-only field size"])
        // Further requests of a session go where the service said.
        #expect(try check(.put, "\(uploads)?uploadType=resumable&upload_id=1") == nil)
        let checker = try #require(RequestInspection.ofTests?.checker)
        func upload(_ query: String, _ type: String, _ text: String) throws -> [String]? {
            let url = try #require(HTTPURL(uploads + query))
            return checker.check(
                HTTPRequest(.post, url, headers: ["Content-Type": type], body: Array(text.utf8)))?.findings
        }
        #expect(try upload("?uploadType=media&name=a", "text/plain", "no JSON") == [])
        let body =
            "--x\r\nContent-Type: application/json\r\n\r\n{\"nam\":\"a\"}\r\n--x\r\nContent-Type: a/b\r\n\r\nZ\r\n--x--"
        let multipart = "multipart/related; boundary=x"
        #expect(try upload("?uploadType=multipart", multipart, body) == ["unknown field nam"])
        #expect(try upload("?uploadType=multipart", "text/plain", body) == ["the body is not multipart/related"])
    }

    @Test func `token exchanges are forms, and tokens themselves are not described`() throws {
        let checker = try #require(RequestInspection.ofTests?.checker)
        func form(_ url: String, _ text: String) throws -> DiscoveryChecker.Verdict? {
            let url = try #require(HTTPURL(url))
            let headers: HTTPHeaders = ["Content-Type": "application/x-www-form-urlencoded"]
            return checker.check(HTTPRequest(.post, url, headers: headers, body: Array(text.utf8)))
        }
        let exchange = "grant_type=urn%3Aietf&subject_token=a&subject_token_type=b&requested_token_type=c"
        #expect(try form("https://sts.googleapis.com/v1/token", exchange)?.findings == [])
        #expect(
            try form("https://sts.googleapis.com/v1/token", exchange + "&audiense=d")?.findings
                == ["unknown field audiense"])
        #expect(try form("https://oauth2.googleapis.com/token", "grant_type=refresh_token") == nil)
        #expect(try check(.get, "http://metadata.google.internal/computeMetadata/v1/project/project-id") == nil)
    }

    @Test func `a cloud refuses what has a finding, tells it, and counts`() async throws {
        let checker = try #require(RequestInspection.ofTests?.checker)
        let told = Told()
        let directory = try TemporaryDirectory()
        let log = try RequestLog(path: directory.path + "/requests")
        let cloud = SimulatedCloud(
            CloudConfiguration(
                project: "p1", clock: VirtualClock(),
                inspection: RequestInspection(checker: checker, log: log) { told.add($0) }))
        let transport = HandlerTransport(cloud)
        let url = try #require(HTTPURL(Self.buckets + "?project=p1"))
        func create(_ body: JSONValue) async throws -> HTTPResponse {
            try await transport.send(HTTPRequest(.post, url, body: body.serialized()))
        }
        #expect(try await create(["name": "abc"]).status == 200)
        let refused = try await create(["name": "abd", "lables": ["a": "b"]])
        #expect(refused.status == 400)
        #expect(String(decoding: refused.body, as: UTF8.self).contains("unknown field lables"))
        #expect(!cloud.bucketExists("abd"))
        #expect(told.sentences == ["POST \(url): unknown field lables"])
        _ = try await create(["name": "abc"])
        #expect((cloud.inspectedRequestCount, cloud.refusedRequestCount) == (3, 1))
        #expect(
            TestFile.read(directory.path + "/requests") == """
                storage.v1 POST /storage/v1/b?project=p1 {"name":"abc"}
                storage.v1 POST /storage/v1/b?project=p1 {"lables":{"a":"b"},"name":"abd"}

                """)
    }

    @Test func `a folder without documents is refused`() throws {
        let directory = try TemporaryDirectory()
        #expect(throws: SandboxError.self) { try DiscoveryChecker(folder: directory.path) }
        #expect(throws: SandboxError.self) { try DiscoveryChecker(folder: directory.path + "/none") }
    }
}

/// Sentences from a closure.
private final class Told: Sendable {
    private let list = Mutex<[String]>([])
    var sentences: [String] { list.withLock { $0 } }
    func add(_ sentence: String) { list.withLock { $0.append(sentence) } }
}
