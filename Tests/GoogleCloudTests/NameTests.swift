import Encoding
import GoogleCloud
import HTTP
import Testing

/// A call with one name left open.
struct NamedCall: Sendable, CustomTestStringConvertible {
    typealias Call = @Sendable (_ google: GoogleCloudClient, _ name: String) async throws -> Void

    /// What an error calls the name.
    var kind: String
    /// One that is accepted.
    var good: String
    var method: String
    var call: Call
    var testDescription: String { "\(kind) in \(method)" }

    init(_ kind: String, _ good: String, _ method: String, _ call: @escaping Call) {
        self.kind = kind
        self.good = good
        self.method = method
        self.call = call
    }
}

@Suite struct NameTests {
    static let here = LocationName(project: "p1", location: "us-central1")
    static let group = InstanceGroupName(zone: here, name: "g")
    static let account = "ml@p1.iam.gserviceaccount.com"
    static let requestID = "6f1c1c1e-0d1c-4b6e-9a52-0d6f0a8f0b11"

    static let storage: [NamedCall] = [
        NamedCall("project", "p1", "buckets.list") { _ = try await StorageClient($0).buckets(project: $1) },
        NamedCall("project", "p1", "buckets.insert") {
            _ = try await StorageClient($0).insertBucket(.init(name: "bucket", location: "EU"), project: $1)
        },
        NamedCall("bucket", "bucket", "buckets.get") { _ = try await StorageClient($0).bucket($1) },
        NamedCall("bucket", "bucket", "buckets.patch") {
            _ = try await StorageClient($0).patchBucket($1, BucketPatch(), ifMetagenerationMatch: 1)
        },
        NamedCall("bucket", "bucket", "buckets.delete") {
            try await StorageClient($0).deleteBucket($1, ifMetagenerationMatch: 1)
        },
        NamedCall("bucket", "bucket", "buckets.restore") {
            _ = try await StorageClient($0).restoreBucket($1, generation: 1)
        },
        NamedCall("bucket", "bucket", "buckets.getIamPolicy") { _ = try await StorageClient($0).policy(ofBucket: $1) },
        NamedCall("bucket", "bucket", "objects.list") { _ = try await StorageClient($0).objects(in: $1) },
        NamedCall("bucket", "bucket", "objects.insert") {
            _ = try await StorageClient($0).upload([1], to: "o", in: $1)
        },
        NamedCall("bucket", "bucket", "notifications.list") { _ = try await StorageClient($0).notifications(in: $1) },
        NamedCall("notification", "7", "notifications.delete") {
            try await StorageClient($0).deleteNotification($1, in: "bucket")
        },
        NamedCall("object", "o", "objects.get") { _ = try await StorageClient($0).object($1, in: "bucket") },
        NamedCall("object", "o", "objects.delete") { try await StorageClient($0).deleteObject($1, in: "bucket") },
        NamedCall("object", "o", "objects.patch") {
            _ = try await StorageClient($0).patchObject($1, in: "bucket", ObjectPatch())
        },
        NamedCall("object", "o", "objects.restore") {
            _ = try await StorageClient($0).restoreObject($1, in: "bucket", generation: 1)
        },
        NamedCall("object", "o", "objects.compose") {
            _ = try await StorageClient($0).compose([ComposeSource(name: "a")], to: $1, in: "bucket")
        },
        NamedCall("object", "o", "objects.rewrite from") {
            _ = try await StorageClient($0).rewriteObject(
                ObjectLocation(bucket: "bucket", name: $1), to: ObjectLocation(bucket: "bucket", name: "x"))
        },
        NamedCall("object", "o", "objects.copy to") {
            _ = try await StorageClient($0).copyObject(
                ObjectLocation(bucket: "bucket", name: "x"), to: ObjectLocation(bucket: "bucket", name: $1))
        },
        NamedCall("bucket", "bucket", "objects.rewrite to") {
            _ = try await StorageClient($0).rewriteObject(
                ObjectLocation(bucket: "bucket", name: "x"), to: ObjectLocation(bucket: $1, name: "y"))
        },
    ]

    static let machines: [NamedCall] = [
        NamedCall("node pool", "a", "nodePools.get") { _ = try await ContainerClient($0).nodePool($1, in: cluster) },
        NamedCall("node pool", "a", "nodePools.setSize") {
            _ = try await ContainerClient($0).setNodePoolSize($1, nodeCount: 1, in: cluster)
        },
        NamedCall("node pool", "a", "nodePools.update") {
            _ = try await ContainerClient($0).updateNodePool($1, NodePoolUpdate(), in: cluster)
        },
        NamedCall("operation", "operation-1", "container operations.cancel") {
            try await ContainerClient($0).cancelOperation($1, in: cluster)
        },
        NamedCall("project", "p1", "zones.list") { _ = try await ComputeClient($0).zones(project: $1) },
        NamedCall("region", "us-central1", "regions.get") { _ = try await ComputeClient($0).region($1, project: "p1") },
        NamedCall("zone", "us-central1-a", "machineTypes.list") {
            _ = try await ComputeClient($0).machineTypes(in: LocationName(project: "p1", location: $1))
        },
        NamedCall("machine type", "g2-standard-8", "machineTypes.get") {
            _ = try await ComputeClient($0).machineType($1, in: here)
        },
        NamedCall("reservation", "r1", "reservations.get") {
            _ = try await ComputeClient($0).reservation($1, in: here)
        },
        NamedCall("instance group", "g", "instanceGroupManagers.get") {
            _ = try await ComputeClient($0).instanceGroup(InstanceGroupName(zone: here, name: $1))
        },
        NamedCall("TPU node", "n1", "nodes.create") {
            _ = try await TPUClient($0).createNode($1, .init(acceleratorType: "v6e-8", runtimeVersion: "v"), in: here)
        },
        NamedCall("TPU node", "n1", "nodes.stop") { _ = try await TPUClient($0).stopNode($1, in: here) },
        NamedCall("queued resource", "q1", "queuedResources.create") {
            _ = try await TPUClient($0).createQueuedResource(
                $1, .init(tpu: .init(nodeSpec: [])), requestID: requestID, in: here)
        },
        NamedCall("queued resource", "q1", "queuedResources.get") {
            _ = try await TPUClient($0).queuedResource($1, in: here)
        },
        NamedCall("request id", requestID, "queuedResources.delete") {
            _ = try await TPUClient($0).deleteQueuedResource("q1", force: true, requestID: $1, in: here)
        },
        NamedCall("location", "us-central1-a", "acceleratorTypes.list") {
            _ = try await TPUClient($0).acceleratorTypes(in: LocationName(project: "p1", location: $1))
        },
        NamedCall("operation", "operation-1", "tpu operations.get") {
            _ = try await TPUClient($0).operation("projects/p1/locations/us-central1-a/operations/\($1)")
        },
    ]

    static let others: [NamedCall] = [
        NamedCall("service", "s1", "services.create") {
            _ = try await RunClient($0).createService($1, .init(), in: here)
        },
        NamedCall("service", "s1", "services.delete") {
            _ = try await RunClient($0).deleteService($1, etag: nil, in: here)
        },
        NamedCall("service", "s1", "services.setIamPolicy") {
            _ = try await RunClient($0).setPolicy(IAMPolicy(etag: "BwX="), ofService: $1, in: here)
        },
        NamedCall("revision", "s1-00001-abc", "revisions.get") {
            _ = try await RunClient($0).revision($1, of: "s1", in: here)
        },
        NamedCall("project", "p1", "services.list") {
            _ = try await RunClient($0).services(in: LocationName(project: $1, location: "us-central1"))
        },
        NamedCall("operation", "0f3c", "run operations.wait") {
            _ = try await RunClient($0).waitForOperation(
                "projects/p1/locations/us-central1/operations/\($1)", seconds: 1)
        },
        NamedCall("service account", account, "signBlob") {
            _ = try await IAMCredentialsClient($0).signBlob([1], as: $1)
        },
        NamedCall("service account", account, "signBlob's delegate") {
            _ = try await IAMCredentialsClient($0).signBlob([1], as: account, delegates: [$1])
        },
        NamedCall("service account", account, "iam getIamPolicy") {
            _ = try await IAMClient($0).policy(ofServiceAccount: $1, project: "p1")
        },
        NamedCall("project", "p1", "projects.testIamPermissions") {
            _ = try await ResourceManagerClient($0).grantedPermissions([], onProject: $1)
        },
        NamedCall("API", "run.googleapis.com", "services.get") {
            _ = try await ServiceUsageClient($0).service($1, project: "p1")
        },
        NamedCall("API", "run.googleapis.com", "services.batchGet") {
            _ = try await ServiceUsageClient($0).services([$1], project: "p1")
        },
        NamedCall("project", "p1", "services.batchGet") {
            _ = try await ServiceUsageClient($0).services(["run.googleapis.com"], project: $1)
        },
        NamedCall("project", "p1", "timeSeries.query") { _ = try await MonitoringClient($0).query("q", project: $1) },
        NamedCall("catalogue service", "6F81-5844-456A", "skus.list") { _ = try await BillingClient($0).skus(of: $1) },
    ]

    /// None of them is a name of anything, but for an object most are.
    static let hostile = [
        "", ".", "..", "../x", "a/../b", "a/b", "a%2Fb", "%2e%2e", "a?b=c", "a#b", "a b", "a\nb", "a\r\nHost: x",
        "a\0b", "a:setSize", "a;b", "a\\b", "ünï", "名前", "a\u{202E}b", "-a", "a-", "@", "a@", "@b.c", "a@b@c.d",
        "a@b", "x@y..z", "*", "{name}", "$(id)", "<script>", "a:b:c", ":", "a..b:c",
        String(repeating: "a", count: 10_240), String(repeating: "a/", count: 600),
    ]

    /// What a call did.
    enum Outcome {
        case refused(APIError)
        case sent(HTTPRequest)
    }

    static func outcome(_ named: NamedCall, _ name: String) async throws -> Outcome {
        let transport = ScriptedTransport { _, _ in .reply(HTTPResponse(status: 404)) }
        let google = GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock())
        do {
            try await named.call(google, name)
            Issue.record("a 404 is not an error")
        } catch {
            let error = try #require(error as? APIError)
            if let request = transport.requests.first { return .sent(request) }
            #expect(error.code == .invalid)
            return .refused(error)
        }
        return .sent(try #require(transport.requests.first))
    }

    /// The error says which name is wrong, shows it on one line, and gives the rule.
    static func checkRefusal(_ error: APIError, _ named: NamedCall) {
        #expect(error.message.hasPrefix("the \(named.kind)") && error.message.contains(" is not valid: "))
        #expect(error.message.utf8.count < 900)
        #expect(error.message.utf8.allSatisfy { (0x20..<0x7F).contains($0) })
    }

    /// A name that went out is one segment, or one query value; the rest of the URL is as with a good one.
    static func checkRequest(_ request: HTTPRequest, _ named: NamedCall, _ name: String, good: HTTPRequest) {
        #expect(request.url.origin == good.url.origin)
        #expect(request.url.path.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x3F && $0 != 0x23 })
        #expect(HTTPURL(request.url.description) == request.url)
        let segments = request.url.path.split(separator: "/", omittingEmptySubsequences: false)
        #expect(segments.count == good.url.path.split(separator: "/", omittingEmptySubsequences: false).count)
        #expect(!segments.contains(".") && !segments.contains(".."))
        #expect(request.url.query.map(\.name) == good.url.query.map(\.name))
        let decoded = (request.url.decodedSegments ?? []) + request.url.query.map(\.value)
        let body = String(decoding: request.body, as: UTF8.self)
        let isThere = decoded.contains { $0 == name || $0.hasPrefix(name + ":") || $0.hasSuffix("/" + name) }
        #expect(isThere || body.contains(name))
    }

    @Test(arguments: storage + machines + others)
    func `a name that is none sends nothing and says which and why`(named: NamedCall) async throws {
        guard case .sent(let good) = try await Self.outcome(named, named.good) else {
            Issue.record("\(named.good) was refused")
            return
        }
        for name in Self.hostile {
            switch try await Self.outcome(named, name) {
            case .refused(let error):
                Self.checkRefusal(error, named)
                #expect(named.kind != "object" || !GoogleNames.isObject(name))
            case .sent(let request):
                #expect(named.kind == "object" && GoogleNames.isObject(name), "\(name) was sent")
                Self.checkRequest(request, named, name, good: good)
            }
        }
    }

    @Test(arguments: storage + machines + others)
    func `whatever a name is, it stays in its place`(named: NamedCall) async throws {
        guard case .sent(let good) = try await Self.outcome(named, named.good) else { return }
        let pieces = [
            "a", "z", "0", "9", "-", "_", ".", "/", "%", "%2F", "?", "#", ":", "@", "&", "=", "+", " ", "\n", "\u{0}",
            "é",
            "🚂", "..", "A", "~", "\\", "\"", named.good,
        ]
        var seed = UInt64(2026)
        for _ in 0..<60 {
            var name = ""
            for _ in 0..<(1 + Int(next(&seed) % 6)) { name += pieces[Int(next(&seed) % UInt64(pieces.count))] }
            switch try await Self.outcome(named, name) {
            case .refused(let error): Self.checkRefusal(error, named)
            case .sent(let request): Self.checkRequest(request, named, name, good: good)
            }
        }
    }

    /// SplitMix64.
    private func next(_ seed: inout UInt64) -> UInt64 {
        seed &+= 0x9E37_79B9_7F4A_7C15
        var z = seed
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    @Test(arguments: [
        "", "operations/1", "projects/p1/locations/us-central1/operations", "projects/p1/zones/z/operations/1",
        "projects/p1/locations/us-central1/operations/1/2", "/projects/p1/locations/us-central1/operations/1",
        "projects/p1/locations/us-central1/operations/..", "projects/../locations/us-central1/operations/1",
        "https://evil.example/projects/p1/locations/us-central1/operations/1",
    ])
    func `the name of an operation is read in full or not at all`(name: String) async {
        let google = GoogleCloudClient(transport: NoTransport(), tokens: NoTokens(), clock: ImpatientClock())
        let errors = [
            await failure { () async throws(APIError) in try await RunClient(google).operation(name) },
            await failure { () async throws(APIError) in try await TPUClient(google).cancelOperation(name) },
        ]
        for error in errors {
            #expect(error?.code == .invalid)
            #expect(error?.message.contains("unexpected request") == false)
        }
    }

    @Test(arguments: storage + machines + others)
    func `letters are lower case where Google's are, and a request id is a uuid with a digit`(
        named: NamedCall
    ) async throws {
        let wrong: [String]
        switch named.kind {
        case "object", "operation": wrong = []
        case "request id": wrong = ["00000000-0000-0000-0000-000000000000", "6f1c1c1e-0d1c-4b6e-9a52-0d6f0a8f0b1g"]
        case "catalogue service": wrong = ["6f81-5844-456a"]
        default: wrong = ["Aaa"]
        }
        for name in wrong {
            guard case .refused(let error) = try await Self.outcome(named, name) else {
                Issue.record("\(name) was sent")
                continue
            }
            Self.checkRefusal(error, named)
        }
    }

    @Test func `names that Google gives are accepted`() {
        for name in ["p1", "my-project-123", "123456789012", "example.com:my-project"] {
            #expect(GoogleNames.isProject(name))
        }
        for name in [
            "ml@p1.iam.gserviceaccount.com", "123-compute@developer.gserviceaccount.com",
            "p1@appspot.gserviceaccount.com",
            "project.example.com@appspot.gserviceaccount.com", "a@p.example.com.iam.gserviceaccount.com",
        ] {
            #expect(GoogleNames.isServiceAccount(name))
        }
        for name in ["abc", "a_b-c.d", "1.2.3", String(repeating: "a", count: 63)] {
            #expect(GoogleNames.isBucket(name))
        }
        #expect(!GoogleNames.isBucket(String(repeating: "a", count: 64)))
        #expect(GoogleNames.isBucket("\(String(repeating: "a", count: 63)).\(String(repeating: "b", count: 63))"))
        #expect(LocationName("projects/example.com:p/locations/us-central1-ai1a")?.location == "us-central1-ai1a")
        #expect(LocationName("projects/p1/locations/US") == nil)
    }
}
