import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Sandbox
import Telemetry

@testable import ControllerRuntime
@testable import Operator

/// A story that ends the same whatever goes wrong on the way.
struct Workflow: Sendable, CustomStringConvertible {
    var name: String
    /// What there is before the user comes; stories with the same begin alike.
    var setting: String
    /// The buckets whose contents belong to the end.
    var buckets: [String] = ["data-bucket", "runs-bucket"]
    var make: @Sendable () async throws -> FaultWorld
    /// The user's part. Throws when something that must come does not.
    var story: @Sendable (FaultWorld) async throws -> Void
    var description: String { name }
}

/// Something that must come did not.
struct Stuck: Error, CustomStringConvertible {
    var description: String
}

extension Workflow {
    static func world(
        stockouts: Set<String> = [], timings: CloudTimings = CloudTimings(),
        program: @escaping @Sendable (PodContext) async -> PodResult = Trainers.succeeding()
    ) -> @Sendable () async throws -> FaultWorld {
        {
            let world = try await FaultWorld(stockouts: stockouts, timings: timings, program: program)
            world.runsArtifacts = false
            try await world.prepareArtifacts()
            return world
        }
    }

    /// Attempt 1 goes on until it is told to stop.
    static let unending = Trainers.interrupted()

    /// What a TrainingJob lives through.
    static let trainingJobs: [Workflow] =
        [
            Workflow(
                name: "train", setting: "stockout", make: world(stockouts: ["spot/us-central1-a"]),
                story: { world in
                    try await world.createJob()
                    try await world.expectJob("the end") { $0?.isOver == true }
                }),
            Workflow(
                name: "retry", setting: "retry", make: world(program: Trainers.scripted([1, 0])),
                story: { world in
                    try await world.createJob()
                    try await world.expectJob("the end") { $0?.isOver == true }
                }),
            Workflow(
                name: "output missing", setting: "no outputs",
                make: world(program: { _ in PodResult(exitCode: 0, after: .seconds(3)) }),
                story: { world in
                    try await world.createJob()
                    try await world.expectJob("the end") { $0?.isOver == true }
                }),
            Workflow(
                name: "suspend and resume", setting: "unending", make: world(program: unending),
                story: { world in
                    try await world.createJob()
                    try await world.expectJob("training") { $0?.status?.state == "Training" }
                    try await world.expectRunningPod()
                    try await world.patchJob(["spec": ["suspend": true]])
                    try await world.expectJob("suspended") { $0?.isTrue("Suspended") == true }
                    try await world.patchJob(["spec": ["suspend": false]])
                    try await world.expectJob("the end") { $0?.isOver == true }
                }),
            Workflow(
                name: "delete", setting: "unending", make: world(program: unending),
                story: { world in
                    try await world.createJob()
                    try await world.expectJob("training") { $0?.status?.state == "Training" }
                    try await world.expectRunningPod()
                    try await world.deleteJob()
                    try await world.expectJob("nothing") { $0 == nil }
                }),
            Workflow(
                name: "delete while creating", setting: "slow", make: world(timings: slowCreates, program: unending),
                story: { world in
                    try await world.createJob()
                    try await world.expectJob("a pool") { _ in !world.ownPools.isEmpty }
                    try await world.deleteJob()
                    try await world.expectJob("nothing") { $0 == nil }
                }),
            Workflow(
                name: "reclaimed machine", setting: "unending", make: world(program: unending),
                story: { world in
                    try await world.createJob()
                    try await world.expectJob("training") { $0?.status?.state == "Training" }
                    try await world.expectRunningPod()
                    for instance in world.ownPools.flatMap(\.instances) {
                        world.world.cloud.preempt(instance: instance.name)
                    }
                    try await world.expectJob("the end") { $0?.isOver == true }
                }),
            Workflow(
                name: "lost status", setting: "unending", make: world(program: unending),
                story: { world in
                    try await world.createJob()
                    try await world.expectJob("training") { $0?.status?.state == "Training" }
                    try await world.expectRunningPod()
                    try await world.loseStatus()
                    try await world.expectJob("training again") { $0?.status?.state == "Training" }
                    try await world.expectRunningPod()
                    try await world.deleteJob()
                    try await world.expectJob("nothing") { $0 == nil }
                }),
            Workflow(
                name: "made again", setting: "unending", make: world(program: unending),
                story: { world in
                    try await world.createJob()
                    try await world.expectJob("training") { $0?.status?.state == "Training" }
                    try await world.expectRunningPod()
                    try await world.deleteJob()
                    try await world.expectJob("nothing") { $0 == nil }
                    try await world.createJob()
                    try await world.expectJob("training again") { $0?.status?.state == "Training" }
                    try await world.expectRunningPod()
                    try await world.patchJob(["spec": ["suspend": true]])
                    try await world.expectJob("suspended") { $0?.isTrue("Suspended") == true }
                }),
        ] + running

    private static let slowCreates = {
        var timings = CloudTimings()
        timings.createNodePool = .seconds(8)
        return timings
    }()

    static let artifactWorld: @Sendable () async throws -> FaultWorld = {
        let world = try await FaultWorld()
        world.runsJobs = false
        try await world.admin.create(TrainingJob.resourceType, OperatorWorld.manifest())
        return world
    }

    /// What a GCSArtifact lives through.
    static let artifacts: [Workflow] = [
        Workflow(
            name: "publish and retain", setting: "artifact", make: artifactWorld,
            story: { world in
                try await world.createArtifact()
                try await world.expectArtifact("ready") { $0?.status?.conditions.isTrue("Ready") == true }
                try await world.finishRun()
                try await world.expectArtifact("a version") { $0?.status?.versionCount == 1 }
                try await world.deleteArtifact()
                try await world.expectArtifact("nothing") { $0 == nil }
            }),
        Workflow(
            name: "publish and delete everything", setting: "artifact, confirmed", make: artifactWorld,
            story: { world in
                try await world.createArtifact(policy: "DeleteBucket", isConfirmed: true)
                try await world.expectArtifact("ready") { $0?.status?.conditions.isTrue("Ready") == true }
                try await world.finishRun()
                try await world.expectArtifact("a version") { $0?.status?.versionCount == 1 }
                try await world.deleteArtifact()
                try await world.expectArtifact("nothing") { $0 == nil }
            }),
        Workflow(
            name: "delete while creating a bucket", setting: "artifact, confirmed", make: artifactWorld,
            story: { world in
                try await world.createArtifact(policy: "DeleteBucket", isConfirmed: true)
                try await world.expectArtifact("a bucket") { _ in world.world.cloud.bucketExists("runs-bucket") }
                try await world.deleteArtifact()
                try await world.expectArtifact("nothing") { $0 == nil }
            }),
        Workflow(
            name: "retain and take back", setting: "artifact", make: artifactWorld,
            story: { world in
                try await world.createArtifact()
                try await world.expectArtifact("ready") { $0?.status?.conditions.isTrue("Ready") == true }
                try await world.deleteArtifact()
                try await world.expectArtifact("nothing") { $0 == nil }
                try await world.createArtifact()
                try await world.expectArtifact("ready again") { $0?.status?.conditions.isTrue("Ready") == true }
            }),
        Workflow(
            name: "a prefix in another's bucket", setting: "prefix", make: artifactWorld,
            story: { world in
                try await world.createArtifact(prefix: "home/")
                try await world.createTenant()
                try await world.expectArtifact("ready", named: "tenant") {
                    $0?.status?.conditions.isTrue("Ready") == true
                }
                for name in ["team/a/1", "team/a/2", "team/ab", "x"] {
                    try world.world.cloud.putObject(bucket: "runs-bucket", name: name, bytes: [1])
                }
                try await world.deleteArtifact("tenant")
                try await world.expectArtifact("nothing", named: "tenant") { $0 == nil }
            }),
    ]

    /// Both together, from nothing to a published version.
    static let whole: [Workflow] = [
        Workflow(
            name: "data, training, version", setting: "whole",
            make: { try await FaultWorld() },
            story: { world in
                try await world.createArtifact("dataset", bucket: "data-bucket", layout: "Flat")
                try await world.createArtifact()
                try await world.createJob()
                try await world.expectArtifact("the data's place", named: "dataset") {
                    $0?.status?.conditions.isTrue("Ready") == true
                }
                try world.world.cloud.putObject(bucket: "data-bucket", name: "train.gz", bytes: [1, 2, 3])
                try await world.expectJob("the end") { $0?.isOver == true }
                try await world.expectArtifact("a version") { $0?.status?.versionCount == 1 }
            })
    ]
}

// MARK: The user's hands

extension FaultWorld {
    /// Buckets and the artifacts that name them, ready: for stories of TrainingJobs alone.
    func prepareArtifacts() async throws {
        for (name, bucket) in [("dataset", "data-bucket"), ("runs", "runs-bucket")] {
            _ = try await storage.insertBucket(
                BucketConfiguration(name: bucket, location: "us-central1"), project: "sandbox-project")
            let spec: JSONValue = ["bucket": ["name": .string(bucket), "location": "us-central1"], "layout": "Flat"]
            let object = try await admin.create(
                GCSArtifact.resourceType,
                ["metadata": ["name": .string(name), "namespace": .string(namespace)], "spec": spec])
            var status = GCSArtifact.Status()
            status.observedGeneration = 1
            status.uri = "gs://\(bucket)/"
            status.conditions = [
                Condition(type: "Ready", status: .true, reason: "Ready", message: "", lastTransitionTime: clock.now)
            ]
            _ = try await admin.updateStatus(of: try object.decode(GCSArtifact.self), to: status)
        }
        try world.cloud.putObject(bucket: "data-bucket", name: "train.gz", bytes: [1, 2, 3])
    }

    /// The test's own client of the cloud.
    var storage: StorageClient {
        StorageClient(GoogleCloudClient(transport: HandlerTransport(world), tokens: NoTokens(), clock: clock))
    }

    func createJob(
        named name: String = "mnist", queue: String? = nil, labels: [String: JSONValue] = [:],
        _ change: @Sendable (inout TrainingJob.Spec) -> Void = { _ in }
    ) async throws {
        var manifest = try OperatorWorld.manifest(change)
        manifest.set(Kueue.labels(queue, labels), at: ["metadata", "labels"])
        manifest.set(.string(namespace), at: ["metadata", "namespace"])
        manifest.set(.string(name), at: ["metadata", "name"])
        let object = try await admin.create(TrainingJob.resourceType, manifest)
        know(object, "job")
        if !hasDecoys, name == "mnist" {
            try await Decoys.plant(self, uid: object.value(at: ["metadata", "uid"])?.stringValue ?? "")
        }
    }

    func know(_ object: JSONValue, _ name: String) {
        madeCount += 1
        oracle.know(object.value(at: ["metadata", "uid"])?.stringValue ?? "", as: "\(name)\(madeCount)")
    }

    func job() async throws -> TrainingJob? {
        try await admin.find(TrainingJob.self, namespace: namespace, name: "mnist")
    }

    func patchJob(_ patch: JSONValue) async throws {
        try await admin.mergePatch(reference(TrainingJob.resourceType, "mnist"), patch)
    }

    func deleteJob() async throws { try await admin.delete(reference(TrainingJob.resourceType, "mnist")) }

    func reference(_ type: ResourceType, _ name: String) -> ObjectReference {
        ObjectReference(type: type, namespace: namespace, name: name)
    }

    /// Somebody empties the status by hand (or a backup without it comes back).
    func loseStatus() async throws {
        for _ in 0..<10 {
            guard let job = try await job() else { return }
            do throws(APIError) {
                _ = try await admin.updateStatus(of: job, to: TrainingJob.Status())
                return
            } catch {
                guard error.code == .conflict else { throw error }
            }
        }
    }

    func expectJob(_ what: String, _ isReached: (TrainingJob?) -> Bool) async throws {
        if try await run(until: { isReached(try await job()) }) { return }
        let conditions = try await job()?.status?.conditions ?? []
        throw Stuck(description: "\(what) does not come: \(Self.text(conditions))")
    }

    static func text(_ conditions: [Condition]) -> String {
        conditions.map { "\($0.type)=\($0.status.rawValue)/\($0.reason): \($0.message)" }.joined(separator: "; ")
    }

    var ownPools: [SimulatedNodePool] {
        world.cloud.nodePools().filter { oracle.isOurs($0.config["resourceLabels"]) }
    }

    func expectRunningPod(count: Int = 1) async throws {
        let isRunning = try await run(until: {
            try await admin.list(Pod.self).items.count { $0.status?.phase == "Running" } >= count
        })
        if !isRunning { throw Stuck(description: "not \(count) pods run") }
    }

    func createArtifact(
        _ name: String = "runs", bucket: String = "runs-bucket", layout: String = "ByRun", policy: String = "Retain",
        isConfirmed: Bool = false, prefix: String? = nil
    ) async throws {
        var metadata: JSONValue = ["name": .string(name), "namespace": .string(namespace)]
        if isConfirmed { metadata["annotations"] = [Ownership.confirmDeletionAnnotation: .string(name)] }
        var spec: JSONValue = [
            "artifactType": "RunOutput", "layout": .string(layout), "deletionPolicy": .string(policy),
            "bucket": [
                "name": .string(bucket), "location": "us-central1", "versioning": ["enabled": true],
                "labels": ["team": "a"],
            ],
        ]
        if let prefix { spec["prefix"] = .string(prefix) }
        let object = try await admin.create(GCSArtifact.resourceType, ["metadata": metadata, "spec": spec])
        know(object, name)
    }

    func createTenant() async throws {
        let object = try await admin.create(
            GCSArtifact.resourceType,
            [
                "metadata": [
                    "name": "tenant", "namespace": .string(namespace),
                    "annotations": [Ownership.confirmDeletionAnnotation: "tenant"],
                ],
                "spec": [
                    "artifactType": "Generic", "bucketRef": ["name": "runs"], "prefix": "team/a/", "layout": "Flat",
                    "deletionPolicy": "DeleteObjects",
                ],
            ])
        know(object, "tenant")
    }

    func artifact(_ name: String = "runs") async throws -> GCSArtifact? {
        try await admin.find(GCSArtifact.self, namespace: namespace, name: name)
    }

    func deleteArtifact(_ name: String = "runs") async throws {
        try await admin.delete(reference(GCSArtifact.resourceType, name))
    }

    func expectArtifact(
        _ what: String, named name: String = "runs", _ isReached: (GCSArtifact?) -> Bool
    ) async throws {
        if try await run(until: { isReached(try await artifact(name)) }) { return }
        let conditions = try await artifact(name)?.status?.conditions ?? []
        throw Stuck(description: "\(what) (\(name)) does not come: \(Self.text(conditions))")
    }

    /// A run's files in the bucket and, in the job's status, that they are verified: for stories of artifacts alone.
    func finishRun(_ id: String = "mnist-1-r1") async throws {
        var outputs = TrainingJob.OutputsStatus()
        for (path, text) in [("metrics.json", #"{"test_accuracy":[91.2]}"#), ("model.safetensors", "weights of \(id)")]
        {
            let name = "runs/\(id)/\(path)"
            try world.cloud.putObject(bucket: "runs-bucket", name: name, bytes: Array(text.utf8))
            let object = try await storage.object(name, in: "runs-bucket")
            var file = TrainingJob.OutputsStatus.File(path: path)
            file.generation = String(object.generation)
            file.crc32c = object.crc32c
            file.sizeBytes = object.size
            file.verified = true
            outputs.files.append(file)
        }
        outputs.count = 2
        outputs.verifiedCount = 2
        guard let job = try await job() else { throw Stuck(description: "there is no job") }
        var status = TrainingJob.Status()
        status.observedGeneration = 1
        status.run = TrainingJob.Run(number: 1, id: id)
        status.run?.result = "Succeeded"
        status.run?.prefix = "gs://runs-bucket/runs/\(id)/"
        status.run?.completionTime = Timestamp(seconds: 1_795_255_000)
        status.outputs = outputs
        status.conditions = [
            Condition(
                type: "OutputsVerified", status: .true, reason: "Succeeded", message: "2 of 2 files verified",
                lastTransitionTime: Timestamp(seconds: 1_795_255_000))
        ]
        _ = try await admin.updateStatus(of: job, to: status)
    }
}
