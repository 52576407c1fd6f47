import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Sandbox
import Synchronization
import Testing

@testable import ControllerRuntime
@testable import Operator

/// What is known to go wrong is said before it costs money.
@Suite struct PreflightTests {
    typealias Quota = PreflightObservation.Quota

    /// Everything is as it should be.
    func fine() -> PreflightObservation {
        var seen = PreflightObservation()
        for name in ["data-bucket", "runs-bucket"] {
            var read = PreflightObservation.BucketRead()
            read.location = "US-CENTRAL1"
            seen.buckets[name] = read
        }
        seen.buckets["runs-bucket"]?.granted = Set(TrainingJobPreflight.outputPermissions)
        seen.regions["us-central1"] = .quotas([
            "NVIDIA_L4_GPUS": Quota(limit: 8, free: 8), "PREEMPTIBLE_NVIDIA_L4_GPUS": Quota(limit: 8, free: 8),
        ])
        seen.probe = .passed
        return seen
    }

    func plan(
        at seconds: Int = 10, _ spec: (inout TrainingJob.Spec) -> Void = { _ in },
        _ change: (inout PreflightObservation) -> Void = { _ in }
    ) -> Plan<TrainingJob.Status, TrainingJobAction> {
        var job = trainingJob(spec)
        job.status = status(run: run(job))
        var observation = observation(job, now: moment(seconds))
        var seen = fine()
        change(&seen)
        observation.preflight = seen
        return TrainingJobPlan.plan(observation)
    }

    func lines(_ plan: Plan<TrainingJob.Status, TrainingJobAction>) -> [String] {
        plan.status.preflight.map { "\($0.name) \($0.result)" }
    }

    private func detail(_ name: String, _ plan: Plan<TrainingJob.Status, TrainingJobAction>) -> String {
        plan.status.preflight.first { $0.name == name }?.detail ?? ""
    }

    func stop(_ plan: Plan<TrainingJob.Status, TrainingJobAction>) -> String {
        let ready = plan.status.conditions.first { $0.type == "Ready" }
        return "\(plan.status.state ?? "") \(ready?.reason ?? ""): \(ready?.message ?? "")"
    }

    @Test func `what was found is written once, and then machines are looked for`() {
        let plan = plan()
        #expect(
            lines(plan) == [
                "Kernels NotChecked", "Buckets Passed", "IAM Passed", "Quota Passed", "Locality Passed",
                "Image NotChecked", "SelfTest NotChecked",
            ])
        #expect(plan.steps == [] && plan.next == .after(.zero) && plan.events == [])
        var job = trainingJob(status: plan.status)
        job.metadata.generation = 1
        var after = observation(job, now: moment(11))
        after.preflight = fine()
        #expect(TrainingJobPlan.plan(after).status.capacity?.current == "spot")
    }

    @Test func `what is skipped is said to be`() {
        let all = TrainingJob.Preflight.Check.allCases
        let plan = plan {
            $0.preflight = .init(skip: all)
        } _: { seen in
            seen.probe = nil
            seen.buckets["runs-bucket"]?.granted = []
        }
        #expect(lines(plan) == all.map { "\($0.rawValue) Skipped" })
    }

    // MARK: Buckets and permissions

    private static let denied = APIError(.forbidden, operation: "storage.objects.insert", message: "no create")

    @Test func `a probe is asked for, and waited for`() throws {
        let plan = plan { _ in
        } _: {
            $0.probe = .untried
        }
        guard case .cloud(.probe(let write)) = try #require(plan.steps.first) else {
            Issue.record("\(plan.steps)")
            return
        }
        #expect(write.place.description == "gs://runs-bucket/.trainyard/probe/ml/mnist/\(run().id)")
        #expect(write.text == run().id)
        #expect(stop(plan) == "Pending AwaitingPreflight: writing a probe to bucket runs-bucket")
    }

    @Test(arguments: [
        ("no right to write", "Stalled PermissionDenied: bucket runs-bucket cannot be written by the operator"),
        ("no right to read", "Stalled PermissionDenied: bucket runs-bucket cannot be read by the operator"),
        ("gone", "Stalled StorageUnavailable: bucket data-bucket does not exist"),
        ("no list", "Stalled PermissionDenied: the operator lacks storage.objects.list on bucket runs-bucket"),
    ])
    func `a bucket that cannot be used stops the run before anything is bought`(why: String, wanted: String) {
        let plan = plan { _ in
        } _: { seen in
            switch why {
            case "no right to write":
                seen.probe = .untried
                seen.probeRefusal = Self.denied
            case "no right to read": seen.probe = .unreadable(Self.denied)
            case "gone":
                seen.buckets["data-bucket"]?.locationError = APIError(
                    .notFound, operation: "storage.buckets.get", message: "404")
            default: seen.buckets["runs-bucket"]?.granted?.remove("storage.objects.list")
            }
        }
        #expect(stop(plan).hasPrefix(wanted), "\(stop(plan))")
        #expect(plan.status.preflight == [] && plan.status.resources == [])
        #expect(plan.next == .after(TrainingJobPlan.slowRecheck))
        // Tried again, so that it goes on by itself when somebody has acted.
        #expect(plan.steps.count == (why.hasPrefix("no right") ? 1 : 0))
    }

    @Test func `without the right to write there is a warning, because a marker is no output`() {
        let plan = plan { _ in
        } _: {
            $0.buckets["runs-bucket"]?.granted?.remove("storage.objects.delete")
        }
        #expect(detail("IAM", plan).contains("storage.objects.delete"))
        #expect(plan.events.map(\.reason) == ["PreflightWarning"])
    }

    @Test func `no answer is waited for, and not for ever`() {
        let error = APIError(.unavailable, operation: "storage.buckets.testIamPermissions", message: "503")
        func at(_ seconds: Int) -> Plan<TrainingJob.Status, TrainingJobAction> {
            plan(at: seconds) { _ in
            } _: {
                $0.buckets["runs-bucket"]?.grantedError = error
            }
        }
        #expect(stop(at(10)) == "Pending AwaitingPreflight: 503")
        #expect(detail("IAM", at(301)) == "no answer in time: 503")
    }

    @Test func `who may not ask does without`() {
        let forbidden = APIError(.forbidden, operation: "regions.get", message: "no compute.regions.get")
        let plan = plan { _ in
        } _: { seen in
            seen.regions["us-central1"] = .unreadable(forbidden)
            seen.buckets["runs-bucket"]?.grantedError = forbidden
            for name in seen.buckets.keys {
                seen.buckets[name]?.location = nil
                seen.buckets[name]?.locationError = forbidden
            }
        }
        for name in ["IAM", "Quota", "Locality"] {
            #expect(lines(plan).contains("\(name) NotChecked") && detail(name, plan) == forbidden.message)
        }
    }

    // MARK: Quota

    @Test(arguments: [
        ("enough", 8.0, 8.0, 8.0, "Quota Passed"), ("used by others", 8.0, 0.0, 8.0, "Quota Warning"),
        ("no spot quota, but a common one", 8.0, 8.0, 0.0, "Quota Passed"),
        ("spot alone", 0.0, 0.0, 8.0, "Quota Warning"),
        ("none", 0.0, 0.0, 0.0, ""),
    ])
    func `quotas are compared with what each candidate needs`(
        name: String, limit: Double, free: Double, spot: Double, wanted: String
    ) {
        let plan = plan { _ in
        } _: { seen in
            seen.regions["us-central1"] = .quotas([
                "NVIDIA_L4_GPUS": Quota(limit: limit, free: free),
                "PREEMPTIBLE_NVIDIA_L4_GPUS": Quota(limit: spot, free: spot),
            ])
        }
        #expect((lines(plan).first { $0.hasPrefix("Quota") } ?? "") == wanted)
        if wanted.isEmpty {
            #expect(
                stop(plan).hasPrefix("Stalled QuotaExceeded: no candidate fits into its quota: spot in us-central1"))
            #expect(stop(plan).contains("needs 1 NVIDIA_L4_GPUS, the quota is 0"))
        }
    }

    @Test func `machines without a quota in the regions are not judged`() {
        let plan = plan { spec in
            spec.accelerator = nil
            spec.capacity = nil
        }
        #expect(lines(plan).contains("Quota NotChecked"))
    }

    // MARK: Locality

    @Test(arguments: [
        ("us-central1", "us-central1", false), ("europe-west4", "us-central1", true), ("us", "us-central1", false),
        ("eu", "us-central1", true), ("eu", "europe-west4", false), ("asia", "asia-east1", false),
        ("nam4", "europe-west4", false),
    ])
    func `data far from the machines is told`(location: String, region: String, isFar: Bool) {
        #expect(TrainingJobPreflight.isFar(region, from: location) == isFar)
    }

    @Test func `data in another region is a warning, not a failure`() {
        let plan = plan { _ in
        } _: {
            $0.buckets["data-bucket"]?.location = "EUROPE-WEST4"
        }
        #expect(
            detail("Locality", plan)
                == "bucket data-bucket is in europe-west4, machines may be in us-central1: slower, and traffic between "
                + "regions is billed")
        #expect(plan.events.map(\.reason) == ["PreflightWarning"] && plan.status.run?.result == nil)
    }

    // MARK: Kernels

    @Test func `a candidate that the image cannot use is told, unless nobody wants to know`() {
        func kernels(_ spec: inout TrainingJob.Spec) {
            spec.trainer?.kernels = .init(cuda: .init(computeCapabilities: ["9.0"]), allowCPUFallback: false)
            spec.capacity?.candidates.append(
                .init(
                    name: "h100", provisioningModel: .spot,
                    accelerator: .init(gpu: .init(type: "nvidia-h100-80gb", count: 8, driverVersion: "Default")),
                    zones: ["us-central1-a"]))
        }
        let told = plan { kernels(&$0) }
        #expect(detail("Kernels", told).contains("nvidia-l4 has compute capability 8.9"))
        let skipped = plan { spec in
            kernels(&spec)
            spec.preflight = .init(skip: [.kernels])
        }
        #expect(lines(skipped).contains("Kernels Skipped"))
    }

    @Test func `a bucket that keeps what it was given stops neither this run nor the next of that name`() async throws {
        let world = try await OperatorWorld(program: Trainers.succeeding())
        let google = StorageClient(
            GoogleCloudClient(transport: HandlerTransport(world.world), tokens: NoTokens(), clock: world.clock))
        let bucket = try await google.bucket("runs-bucket")
        _ = try await google.patchBucket(
            "runs-bucket", BucketPatch(retentionPolicy: RetentionPolicy(retentionPeriod: 86400)),
            ifMetagenerationMatch: bucket.metageneration)
        var ids: [String] = []
        for _ in 0..<2 {
            try await world.create()
            try await world.run { $0?.status?.preflight.isEmpty == false }
            let status = try #require(try await world.job()?.status)
            #expect(status.preflight.first { $0.name == "Buckets" }?.result == "Passed")
            ids.append(try #require(status.run?.id))
            try await world.delete()
            try await world.run { $0 == nil }
        }
        #expect(
            world.world.cloud.objectNames(bucket: "runs-bucket", prefix: ".trainyard/probe/")
                == ids.map { ".trainyard/probe/ml/mnist/\($0)" }.sorted())
    }

    @Test func `a probe that an earlier process stored counts as this run's`() async throws {
        let world = try await OperatorWorld(program: Trainers.succeeding())
        let google = StorageClient(
            GoogleCloudClient(transport: HandlerTransport(world.world), tokens: NoTokens(), clock: world.clock))
        let path = ".trainyard/probe/ml/mnist/r1"
        _ = try await google.upload(Array("another process".utf8), to: path, in: "runs-bucket")
        let place = try #require(StorageURI("gs://runs-bucket/\(path)"))
        let cloud = GoogleCloudClient(transport: HandlerTransport(world.world), tokens: NoTokens(), clock: world.clock)
        let controller = TrainingJobController(
            configuration: configuration(), kubernetes: world.admin, container: ContainerClient(cloud),
            storage: google, cache: ObjectCache(), clock: .virtual(world.clock))
        let owner = ObjectReference(type: TrainingJob.resourceType, namespace: "ml", name: "mnist")
        try await controller.probe(
            ObjectWrite(place: place, text: "r1", contentType: "text/plain", generation: 0, owner: owner))
        let memory = try #require(controller.probes.withLock { $0[place.description] })
        #expect(memory.runID == "r1" && memory.readError == nil)
        #expect(controller.refusals.withLock { $0.isEmpty })
        #expect(world.world.cloud.objectNames(bucket: "runs-bucket", prefix: ".trainyard/probe/") == [])
    }

    // MARK: Self-test

    @Test func `the image tests itself on each node before the trainer`() throws {
        let job = trainingJob { $0.preflight = .init(selfTestArgs: ["selftest"]) }
        var attempt = TrainingJob.Attempt(number: 1)
        attempt.candidate = "spot"
        attempt.zone = "us-central1-b"
        let slice = try #require(
            TrainingJobSlice.all(run(job), attempt, RunSpec(job.spec), observation(job)).first)
        let pod = try #require(TrainingJobPods.job(slice).body.value(at: ["spec", "template", "spec"]))
        let test = try #require(pod["initContainers"]?[0])
        let trainer = try #require(pod["containers"]?[0])
        #expect(test["name"] == "self-test" && test["args"] == ["selftest"])
        for key in ["image", "env", "resources", "volumeMounts"] { #expect(test[key] == trainer[key]) }
    }

    @Test func `a node on which it fails is no training`() async throws {
        let succeeding = Trainers.succeeding()
        let world = try await OperatorWorld { context in
            guard context.containerName == "self-test" else { return await succeeding(context) }
            let isFirst = context.environment["ML_ATTEMPT"] == "1"
            return PodResult(exitCode: isFirst ? 79 : 0, after: .seconds(1), log: "gemm differs")
        }
        try await world.create { $0.preflight = .init(selfTestArgs: ["selftest"]) }
        try await world.run { $0?.isOver == true }
        let status = try #require(try await world.job()?.status)
        #expect(status.attempts.map(\.cause) == ["SelfTestFailed", "Succeeded"])
        #expect(status.lastFailure?.component == "SelfTest")
        #expect(status.lastFailure?.message?.contains("gemm differs") == true)
    }

    @Test func `the simulated cloud answers every check`() async throws {
        let world = try await OperatorWorld(program: Trainers.succeeding())
        try await world.create()
        try await world.run { $0?.isOver == true }
        let status = try #require(try await world.job()?.status)
        #expect(
            status.preflight.filter { $0.result == "Passed" }.map(\.name) == ["Buckets", "IAM", "Quota", "Locality"])
        #expect(world.world.cloud.objectNames(bucket: "runs-bucket", prefix: ".trainyard/probe") == [])
    }
}
