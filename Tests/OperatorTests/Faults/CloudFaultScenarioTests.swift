import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Sandbox
import Testing

@testable import ControllerRuntime
@testable import Operator

/// What Google's APIs do on bad days: every story ends as it does undisturbed.
@Suite(.serialized, .timeLimit(.minutes(10))) struct CloudFaultScenarioTests {
    typealias Scenario = FaultScenarioTests.Scenario

    /// What a script does to requests for the cloud.
    private static func script(_ faults: (inout FaultScript) -> Void) -> @Sendable (FaultWorld) -> Void {
        var script = FaultScript()
        faults(&script)
        let result = script
        return { world in world.faults.setScript(result) }
    }

    private static let changes = RequestMatch(side: .cloud, verb: "change")
    private static let pools = RequestMatch(side: .cloud, verb: "change", resource: "nodePools")
    private static let all = RequestMatch(side: .cloud)

    static let scenarios: [Scenario] = [
        Scenario(
            testDescription: "every call takes ten seconds for five minutes",
            arm: FaultScenarioTests.until(300) { request, _ in request.side == .cloud ? .delay(seconds: 10) : nil }),
        Scenario(
            testDescription: "changes are too many for a while (403 rateLimitExceeded)",
            arm: script {
                $0.add(
                    .fail(status: 403, reason: "rateLimitExceeded", message: "Rate Limit Exceeded"), on: changes,
                    calls: 1...5)
            }),
        Scenario(
            testDescription: "changes are too many for a while (429)",
            arm: script { $0.add(.fail(status: 429, retryAfter: .seconds(3)), on: changes, calls: 1...5) }),
        Scenario(
            testDescription: "the cluster has another operation (FAILED_PRECONDITION)",
            arm: script {
                let message =
                    "Operation operation-1 is currently upgrading cluster sandbox. Please wait and try again once it is "
                    + "done: CLUSTER_ALREADY_HAS_OPERATION"
                $0.add(
                    .fail(
                        status: 400, reason: "FAILED_PRECONDITION",
                        message: "Cluster is running incompatible operation. \(message)"),
                    on: pools, calls: 1...4)
            }),
        Scenario(
            testDescription: "what is made is seen half a minute later",
            arm: script {
                $0.add(.appearLate(after: .seconds(30)), on: RequestMatch(side: .cloud, verb: "create"))
                $0.add(
                    .appearLate(after: .seconds(30)),
                    on: RequestMatch(side: .cloud, verb: "insert", resource: "buckets"))
            }),
        Scenario(
            testDescription: "a location does not answer lists of buckets",
            arm: script {
                $0.add(
                    .change(.incompleteList(unreachable: ["projects/_/locations/us-central1"])),
                    on: RequestMatch(side: .cloud, verb: "list", resource: "buckets"), calls: 1...5)
            }),
        Scenario(
            testDescription: "replies have members that nobody knows",
            arm: script { $0.add(.change(.newFields), on: all) }),
        Scenario(
            testDescription: "replies leave defaults out",
            arm: script { $0.add(.change(.defaultsOmitted), on: all) }),
        Scenario(
            testDescription: "numbers come as strings",
            arm: script {
                let fields: Set<String> = ["acceleratorCount", "metageneration", "generation", "size", "projectNumber"]
                $0.add(.change(.integersAsStrings(fields: fields)), on: all)
            }),
        Scenario(
            testDescription: "pools are in a state that nobody knows",
            arm: script {
                $0.add(
                    .change(.unknownWord(field: "status")),
                    on: RequestMatch(side: .cloud, verb: "list", resource: "nodePools"), calls: 1...4)
            }),
        Scenario(
            testDescription: "replies break off in the middle",
            arm: script {
                // Of reads: a change whose reply breaks off is a lost reply.
                for verb in ["get", "list"] {
                    $0.add(.cutReply(afterBytes: 10), on: RequestMatch(side: .cloud, verb: verb), calls: 2...6)
                }
            }),
    ]

    @Test(arguments: scenarios) func `a TrainingJob ends as ever`(_ scenario: Scenario) async throws {
        try await FaultScenarioTests.check(
            Workflow.trainingJobs.filter { ["train", "retry", "delete"].contains($0.name) }, scenario)
    }

    @Test(arguments: scenarios) func `a GCSArtifact ends as ever`(_ scenario: Scenario) async throws {
        try await FaultScenarioTests.check(Workflow.artifacts, scenario)
    }

    @Test(arguments: scenarios) func `a ModelEndpoint ends as ever`(_ scenario: Scenario) async throws {
        try await FaultScenarioTests.check(FaultScenarioTests.endpoints, scenario)
    }

    // MARK: What a user must see

    private static func artifactWorld() async throws -> FaultWorld {
        let world = try await FaultWorld()
        world.runsJobs = false
        return world
    }

    @Test(arguments: [
        "storage.buckets.create", "storage.buckets.get",
    ]) func `a missing permission is named, and the artifact heals when it is granted`(
        permission: String
    ) async throws {
        let world = try await Self.artifactWorld()
        world.world.cloud.updateScript { $0.deniedPermissions[permission] = CloudScript.forever }
        try await world.createArtifact()
        try await world.expectArtifact("says what is missing") {
            $0?.status?.conditions.first(ofType: "Stalled")?.message.contains(permission) == true
        }
        let count = world.world.cloud.callCount("storage.buckets.insert")
        _ = try await world.run(atMost: 1800, until: { false })
        #expect(world.world.cloud.callCount("storage.buckets.insert") - count <= 30)
        world.world.cloud.updateScript { $0.deniedPermissions = [:] }
        try await world.expectArtifact("ready") { $0?.status?.conditions.isTrue("Ready") == true }
        #expect(world.oracle.violations == [])
    }

    @Test(arguments: [
        "run.services.create", "run.services.get", "run.revisions.list",
    ]) func `a missing permission is named, and the endpoint heals when it is granted`(
        permission: String
    ) async throws {
        let world = try await Workflow.endpointWorld()()
        try await world.createModel()
        try await world.publish("v1")
        world.world.cloud.updateScript { $0.deniedPermissions[permission] = CloudScript.forever }
        try await world.createEndpoint()
        try await world.expectEndpoint("says what is missing") {
            $0?.status?.conditions.first(ofType: "Stalled")?.message.contains(permission) == true
        }
        // The artifact beside it looks at its bucket all the time.
        func requestCount() -> Int { world.transport.trace.count { $0.path.contains("/services") } }
        let count = requestCount()
        _ = try await world.run(atMost: 1800, until: { false })
        #expect(requestCount() - count <= 120)
        world.world.cloud.updateScript { $0.deniedPermissions = [:] }
        try await world.expectEndpoint("v1 serves") { $0?.serves("v1") == true }
        #expect(world.oracle.violations == [])
    }

    @Test func `an API that is disabled is named, and the artifact heals when it is enabled`() async throws {
        let world = try await Self.artifactWorld()
        world.world.cloud.updateScript { $0.disabledServices["storage.googleapis.com"] = CloudScript.forever }
        try await world.createArtifact()
        try await world.expectArtifact("says what is missing") {
            $0?.status?.conditions.first(ofType: "Stalled")?.message.contains("storage.googleapis.com") == true
        }
        world.world.cloud.updateScript { $0.disabledServices = [:] }
        try await world.expectArtifact("ready") { $0?.status?.conditions.isTrue("Ready") == true }
        #expect(world.oracle.violations == [])
    }

    @Test func `a bucket that Google refuses for good is not asked for without end`() async throws {
        let world = try await Self.artifactWorld()
        var script = FaultScript()
        script.add(
            .fail(status: 400, reason: "invalid", message: "Invalid location constraint"),
            on: RequestMatch(side: .cloud, verb: "insert", resource: "buckets"))
        world.faults.setScript(script)
        try await world.createArtifact()
        try await world.expectArtifact("says why") {
            $0?.status?.conditions.first(ofType: "Stalled")?.message.contains("Invalid location constraint") == true
        }
        _ = try await world.run(atMost: 3600, until: { false })
        #expect(world.faults.firedCount <= 10, "\(world.faults.firedCount) requests in an hour")
        world.faults.setScript(FaultScript())
        try await world.admin.mergePatch(
            world.reference(GCSArtifact.resourceType, "runs"), ["spec": ["bucket": ["labels": ["team": "b"]]]])
        try await world.expectArtifact("ready") { $0?.status?.conditions.isTrue("Ready") == true }
        #expect(world.oracle.violations == [])
    }

    @Test func `data under a retention policy stays, and so does its object`() async throws {
        let world = try await Self.artifactWorld()
        try await world.createArtifact(policy: "DeleteBucket", isConfirmed: true)
        try await world.expectArtifact("ready") { $0?.status?.conditions.isTrue("Ready") == true }
        try world.world.cloud.putObject(bucket: "runs-bucket", name: "kept", bytes: [1])
        var script = FaultScript()
        script.add(
            .fail(
                status: 403, reason: "retentionPolicyNotMet",
                message: "Object 'runs-bucket/kept' is subject to bucket's retention policy"),
            on: RequestMatch(side: .cloud, verb: "delete", resource: "objects"))
        world.faults.setScript(script)
        try await world.deleteArtifact()
        try await world.expectArtifact("says why") {
            $0?.status?.conditions.first(ofType: "Stalled")?.message.contains("retention policy") == true
        }
        #expect(world.world.cloud.objectNames(bucket: "runs-bucket") == ["kept"])
        world.faults.setScript(FaultScript())
        try await world.expectArtifact("nothing") { $0 == nil }
        #expect(!world.world.cloud.bucketExists("runs-bucket"))
        #expect(world.oracle.violations == [])
    }

    @Test func `a bucket whose labels somebody takes away is left alone until they are given back`() async throws {
        let world = try await Self.artifactWorld()
        try await world.createArtifact(policy: "DeleteBucket", isConfirmed: true)
        try await world.expectArtifact("ready") { $0?.status?.conditions.isTrue("Ready") == true }
        let bucket = try await world.storage.bucket("runs-bucket")
        let labels = (bucket.labels ?? [:]).filter { $0.key.hasPrefix("trainyard-") }
        #expect(labels.count == 3)
        let taken = try await world.storage.patchBucket(
            "runs-bucket", BucketPatch(labels: labels.mapValues { _ in nil }),
            ifMetagenerationMatch: bucket.metageneration)
        try await world.expectArtifact("says that it is not ours") {
            $0?.status?.conditions.first(ofType: "Stalled")?.reason == "BucketNotOurs"
        }
        #expect(try await world.storage.bucket("runs-bucket") == taken)
        _ = try await world.storage.patchBucket(
            "runs-bucket", BucketPatch(labels: labels.mapValues { $0 }), ifMetagenerationMatch: taken.metageneration)
        try await world.expectArtifact("ready again") { $0?.status?.conditions.isTrue("Ready") == true }
        #expect(world.oracle.violations == [])
    }

    @Test func `a prefix is not ready in a bucket that is gone, and waits until it is back`() async throws {
        let world = try await Self.artifactWorld()
        try await world.createArtifact(prefix: "home/")
        try await world.expectArtifact("ready") { $0?.status?.conditions.isTrue("Ready") == true }
        let bucket = try await world.storage.bucket("runs-bucket")
        try await world.storage.deleteBucket("runs-bucket", ifMetagenerationMatch: bucket.metageneration)
        // Its own artifact looks again within ten minutes only.
        try await world.createTenant()
        try await world.expectArtifact("waits", named: "tenant") {
            $0?.status?.conditions.first(ofType: "Ready")?.message.contains("runs-bucket is gone") == true
        }
        try await world.expectArtifact("ready", named: "tenant") {
            $0?.status?.conditions.isTrue("Ready") == true
        }
        #expect(world.world.cloud.bucketExists("runs-bucket"))
        #expect(world.oracle.violations == [])
    }
}
