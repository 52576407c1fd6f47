import Encoding
import HTTP
import Sandbox
import Testing

/// Node pools, jobs and pods against the simulated cluster, with scripted containers on the virtual clock.
@Suite struct SimulatedNodesTests {
    @Test func `a sized pool becomes nodes as on GKE, and they go with it`() async throws {
        let world = try TestWorld()
        try await world.makePool(nodes: 2)
        let nodes = await world.list("/api/v1/nodes")
        #expect(nodes.count == 2)
        let node = try #require(nodes.first)
        let labels = node.value(at: ["metadata", "labels"])
        #expect(labels?["cloud.google.com/gke-nodepool"] == "pool-1")
        #expect(labels?["cloud.google.com/gke-accelerator"] == "nvidia-l4")
        #expect(labels?["cloud.google.com/gke-spot"] == "true")
        #expect(labels?["topology.kubernetes.io/zone"] == "us-central1-b")
        #expect(labels?["team"] == "ml")
        #expect(
            node.value(at: ["spec", "taints"])
                == [["key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"]])
        #expect(node.value(at: ["status", "capacity", "nvidia.com/gpu"]) == "1")
        #expect(node.value(at: ["status", "allocatable", "cpu"]) == "3920m")
        #expect(node.condition("Ready")?["status"] == "True")
        await world.deletePool()
        #expect(await world.list("/api/v1/nodes") == [])
    }

    @Test func `a job runs to its end`() async throws {
        let world = try TestWorld(
            program: .scripted { context in
                PodResult(after: .seconds(5), log: "index \(context.environment["JOB_COMPLETION_INDEX"] ?? "?")\n")
            })
        try await world.makePool(nodes: 2)
        try await world.createJob(spec: ["completionMode": "Indexed", "completions": 2, "parallelism": 2])
        let pods = await world.list(TestWorld.pods)
        #expect(pods.map(\.phase) == ["Running", "Running"])
        #expect(await world.job().value(at: ["status", "active"]) == 2)
        #expect(
            await world.eventReasons(kind: "Pod").sorted()
                == ["Created", "Created", "Pulled", "Pulled", "Scheduled", "Scheduled", "Started", "Started"])
        await world.advance(seconds: 5)
        let job = await world.job()
        #expect(job.condition("Complete")?["status"] == "True")
        #expect(job.value(at: ["status", "completedIndexes"]) == "0,1")
        #expect(job.value(at: ["status", "active"]) == nil)
        let ended = try #require(await world.list(TestWorld.pods).first)
        #expect(ended.containerState?["terminated"]?["reason"] == "Completed")
        let name = try #require(ended.value(at: ["metadata", "name"])?.stringValue)
        #expect(await world.get("\(TestWorld.pods)/\(name)/log") == "index 0\n")
    }

    @Test func `a pod without room waits and says so, until a machine comes`() async throws {
        let world = try TestWorld()
        try await world.createJob()
        let waiting = try #require(await world.list(TestWorld.pods).first)
        #expect(waiting.condition("PodScheduled")?["reason"] == "Unschedulable")
        #expect(waiting.condition("PodScheduled")?["message"] == "no nodes available to schedule pods")
        #expect(await world.eventReasons(kind: "Pod") == ["FailedScheduling"])
        try await world.makePool()
        #expect(await world.list(TestWorld.pods).map(\.phase) == ["Running"])
    }

    @Test func `suspending a job stops its pods softly, resuming starts new ones`() async throws {
        let world = try TestWorld(
            program: .scripted { _ in
                PodResult(after: .seconds(60), onTerminate: .init(exitCode: 75, after: .seconds(2)))
            })
        try await world.makePool()
        try await world.createJob(spec: ["backoffLimit": 0])
        await world.call(.patch, "\(TestWorld.jobs)/train", ["spec": ["suspend": true]])
        await world.world.tick()
        #expect(await world.list(TestWorld.pods).map(\.phase) == ["Running"])
        await world.advance(seconds: 3)
        #expect(await world.list(TestWorld.pods) == [])
        let suspended = await world.job()
        #expect(suspended.condition("Suspended")?["status"] == "True")
        #expect(suspended.condition("Failed") == nil)
        await world.call(.patch, "\(TestWorld.jobs)/train", ["spec": ["suspend": false]])
        await world.world.tick()
        #expect(await world.list(TestWorld.pods).map(\.phase) == ["Running"])
        #expect(await world.job().condition("Suspended")?["status"] == "False")
    }

    @Test func `a failing job ends after its backoff limit`() async throws {
        let world = try TestWorld(program: .scripted { _ in PodResult(exitCode: 3, after: .seconds(1)) })
        try await world.makePool()
        try await world.createJob(spec: ["backoffLimit": 1])
        await world.advance(seconds: 30)
        let job = await world.job()
        #expect(job.condition("Failed")?["reason"] == "BackoffLimitExceeded")
        #expect(job.value(at: ["status", "failed"]) == 2)
        #expect(await world.list(TestWorld.pods).map { $0.containerState?["terminated"]?["exitCode"] } == [3, 3])
    }

    @Test func `an image that the sandbox cannot run is named`() async throws {
        let world = try TestWorld()
        try await world.makePool()
        try await world.createJob(pod: TestWorld.podSpec(image: "pytorch/pytorch:2.9"))
        let pod = try #require(await world.list(TestWorld.pods).first)
        #expect(pod.phase == "Pending")
        #expect(pod.containerState?["waiting"]?["reason"] == "ErrImagePull")
        #expect(
            pod.containerState?["waiting"]?["message"]?.stringValue
                == "Failed to pull image \"pytorch/pytorch:2.9\": pods of the sandbox are processes of this machine,"
                + " and it can run only trainer:test")
        await world.advance(seconds: 11)
        let later = try #require(await world.list(TestWorld.pods).first)
        #expect(later.containerState?["waiting"]?["reason"] == "ImagePullBackOff")
    }

    @Test func `a preempted machine ends its pods with a reason and comes back as another`() async throws {
        let world = try TestWorld(program: .scripted { _ in PodResult(after: .seconds(600)) })
        try await world.makePool()
        try await world.createPod("alone", TestWorld.podSpec())
        let node = try #require(await world.list("/api/v1/nodes").first)
        let name = try #require(node.value(at: ["metadata", "name"])?.stringValue)
        #expect(world.world.cloud.preempt(instance: name))
        await world.advance(seconds: 1)
        let pod = await world.get("\(TestWorld.pods)/alone")
        #expect(pod.phase == "Failed")
        #expect(pod.value(at: ["status", "reason"]) == "Terminated")
        #expect(pod.condition("DisruptionTarget")?["reason"] == "TerminationByKubelet")
        #expect(await world.get("/api/v1/nodes/\(name)").condition("Ready")?["status"] == "False")
        await world.advance(seconds: 40)
        #expect(await world.call(.get, "\(TestWorld.pods)/alone").status == 404)
        let uids = await world.list("/api/v1/nodes").map { $0.value(at: ["metadata", "uid"]) }
        #expect(uids.count == 1)
        #expect(uids != [node.value(at: ["metadata", "uid"])])
    }

    @Test func `a machine that vanishes takes its pods with it`() async throws {
        let world = try TestWorld(program: .scripted { _ in PodResult(after: .seconds(600)) })
        try await world.makePool()
        try await world.createJob(spec: ["backoffLimit": 0])
        await world.deletePool()
        #expect(await world.list(TestWorld.pods) == [])
        #expect(await world.job().condition("Failed")?["reason"] == "BackoffLimitExceeded")
    }

    @Test func `init containers run before the others, one after the other`() async throws {
        let world = try TestWorld(program: .scripted { _ in PodResult(after: .seconds(2)) })
        try await world.makePool()
        var spec = TestWorld.podSpec()
        spec["initContainers"] = [["name": "one", "image": "trainer:test"], ["name": "two", "image": "trainer:test"]]
        try await world.createPod("steps", spec)
        func names(_ list: String) async -> [String] {
            let statuses = await world.get("\(TestWorld.pods)/steps")["status"]?[list]?.arrayValue ?? []
            return statuses.filter { $0["state"]?["running"] != nil }.compactMap { $0["name"]?.stringValue }
        }
        #expect(await names("initContainerStatuses") == ["one"])
        await world.advance(seconds: 2)
        #expect(await names("initContainerStatuses") == ["two"])
        #expect(await names("containerStatuses") == [])
        await world.advance(seconds: 2)
        #expect(await names("containerStatuses") == ["trainer"])
        await world.advance(seconds: 2)
        #expect(await world.get("\(TestWorld.pods)/steps").phase == "Succeeded")
    }

    @Test func `a container that does not listen is killed after its grace`() async throws {
        let world = try TestWorld(
            program: .scripted { _ in PodResult(after: .seconds(600), onTerminate: nil) })
        try await world.makePool()
        try await world.createPod("deaf", TestWorld.podSpec())
        await world.call(.delete, "\(TestWorld.pods)/deaf")
        await world.advance(seconds: 4)
        #expect(await world.get("\(TestWorld.pods)/deaf").phase == "Running")
        await world.advance(seconds: 2)
        #expect(await world.call(.get, "\(TestWorld.pods)/deaf").status == 404)
    }

    @Test func `restarts follow the pod's policy with a growing delay`() async throws {
        let world = try TestWorld(program: .scripted { _ in PodResult(exitCode: 1, after: .seconds(1)) })
        try await world.makePool()
        var spec = TestWorld.podSpec()
        spec["restartPolicy"] = "OnFailure"
        try await world.createPod("again", spec)
        await world.advance(seconds: 3)
        let pod = await world.get("\(TestWorld.pods)/again")
        #expect(pod.phase == "Running")
        #expect(pod.containerState?["waiting"]?["reason"] == "CrashLoopBackOff")
        #expect(pod["status"]?["containerStatuses"]?[0]?["restartCount"] == 2)
        await world.advance(seconds: 30)
        #expect(await world.get("\(TestWorld.pods)/again")["status"]?["containerStatuses"]?[0]?["restartCount"] == 3)
    }

    @Test func `nothing is written when nothing happens`() async throws {
        let world = try TestWorld(program: .scripted { _ in PodResult(after: .seconds(600)) })
        try await world.makePool()
        try await world.createJob()
        await world.advance(seconds: 1)
        let before = await world.get("/api/v1/pods").value(at: ["metadata", "resourceVersion"])
        await world.advance(seconds: 60)
        #expect(await world.get("/api/v1/pods").value(at: ["metadata", "resourceVersion"]) == before)
    }
}
