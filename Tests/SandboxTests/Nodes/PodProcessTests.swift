import Encoding
import HTTP
import Sandbox
import Testing

/// Pods as real processes.
@Suite struct PodProcessTests {
    private func shell(_ script: String, _ more: JSONValue = [:]) -> JSONValue {
        var container: JSONValue = ["args": [.string(script)]]
        for (key, value) in more.objectValue ?? [:] { container[key] = value }
        return TestWorld.podSpec(container)
    }

    private func world() async throws -> TestWorld {
        let world = try TestWorld(program: .process(argv: ["/bin/sh", "-c"]))
        try await world.makePool()
        return world
    }

    /// Ticks in real time until a pod is as wanted, at most a minute.
    private func pod(
        _ name: String, in world: TestWorld, until isReached: (JSONValue) -> Bool
    ) async throws -> JSONValue {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            await world.world.tick()
            let pod = await world.get("\(TestWorld.pods)/\(name)")
            if isReached(pod) { return pod }
            try #require(ContinuousClock.now < deadline, "\(pod.serializedText())")
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    @Test func `the exit code, the environment and the log of a process show`() async throws {
        let world = try await world()
        await world.world.setStorageEndpoint("http://127.0.0.1:1234")
        let environment: JSONValue = [
            ["name": "GREETING", "value": "hello"], ["name": "TEXT", "value": "$(GREETING) $(POD)"],
            ["name": "POD", "valueFrom": ["fieldRef": ["fieldPath": "metadata.name"]]],
            ["name": "LATER", "value": "$(POD)"],
        ]
        let script = "echo $TEXT $LATER; echo $STORAGE_EMULATOR_HOST; cd $HOME && pwd; echo oops >&2; exit 7"
        let more: JSONValue = ["env": environment, "terminationMessagePolicy": "FallbackToLogsOnError"]
        try await world.createPod("real", shell(script, more))
        let pod = try await pod("real", in: world) { $0.phase == "Failed" }
        let uid = try #require(pod.value(at: ["metadata", "uid"])?.stringValue)
        let terminated = pod.containerState?["terminated"]
        let text = """
            hello $(POD) real
            http://127.0.0.1:1234
            \(world.directory)/pods/default_real_\(uid)/home
            oops

            """
        #expect(terminated?["exitCode"] == 7)
        #expect(terminated?["reason"] == "Error")
        #expect(terminated?["message"]?.stringValue == text)
        #expect(await world.get("\(TestWorld.pods)/real/log") == .string(text))
        let tail = await world.call(.get, "\(TestWorld.pods)/real/log", query: [.init("tailLines", "1")])
        #expect(tail.body == "oops\n")
    }

    @Test func `variables come from config maps, secrets and resources; a missing one is named`() async throws {
        let world = try await world()
        try await world.create(
            "/api/v1/namespaces/default/configmaps",
            ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "c"], "data": ["a": "from-map"]])
        try await world.create(
            "/api/v1/namespaces/default/secrets",
            ["apiVersion": "v1", "kind": "Secret", "metadata": ["name": "s"], "data": ["b": "aGlkZGVu"]])
        let environment: JSONValue = [
            ["name": "A", "valueFrom": ["configMapKeyRef": ["name": "c", "key": "a"]]],
            ["name": "B", "valueFrom": ["secretKeyRef": ["name": "s", "key": "b"]]],
            ["name": "GPUS", "valueFrom": ["resourceFieldRef": ["resource": "limits.nvidia.com/gpu"]]],
            ["name": "NONE", "valueFrom": ["secretKeyRef": ["name": "x", "key": "y", "optional": true]]],
        ]
        try await world.createPod("known", shell("echo $A $B $GPUS ${NONE-unset}", ["env": environment]))
        _ = try await pod("known", in: world) { $0.phase == "Succeeded" }
        #expect(await world.get("\(TestWorld.pods)/known/log") == "from-map hidden 1 unset\n")

        let missing: JSONValue = [["name": "A", "valueFrom": ["configMapKeyRef": ["name": "c", "key": "z"]]]]
        try await world.createPod("unknown", shell("true", ["env": missing]))
        let waiting = await world.get("\(TestWorld.pods)/unknown").containerState?["waiting"]
        #expect(waiting?["reason"] == "CreateContainerConfigError")
        #expect(waiting?["message"] == "couldn't find key z in configmaps default/c")
    }

    @Test func `a deleted pod's process gets SIGTERM and may end by itself`() async throws {
        let world = try await world()
        try await world.createPod(
            "soft", shell("trap 'echo bye; exit 75' TERM; echo ready; while :; do sleep 0.01; done"))
        let running = try await pod("soft", in: world) { $0.phase == "Running" }
        let uid = try #require(running.value(at: ["metadata", "uid"])?.stringValue)
        let log = "\(world.directory)/pods/default_soft_\(uid)/trainer/0.log"
        _ = try await pod("soft", in: world) { _ in TestFile.read(log)?.contains("ready") == true }
        await world.call(.delete, "\(TestWorld.pods)/soft")
        _ = try await pod("soft", in: world) { $0["kind"]?.stringValue == "Status" }
        #expect(TestFile.read(log) == "ready\nbye\n")
    }

    @Test func `following a log ends with its container`() async throws {
        let world = try await world()
        try await world.createPod("talk", shell("echo one; sleep 0.05; echo two"))
        _ = try await pod("talk", in: world) { _ in true }
        async let followed = world.call(.get, "\(TestWorld.pods)/talk/log", query: [.init("follow", "true")])
        _ = try await pod("talk", in: world) { $0.phase == "Succeeded" }
        // The follower looks again every 200 ms of the virtual clock.
        let time = Task {
            while !Task.isCancelled {
                world.clock.advance(by: .milliseconds(200))
                await Task.yield()
            }
        }
        defer { time.cancel() }
        #expect(await followed.body == "one\ntwo\n")
    }

    @Test func `stopping the world ends its processes`() async throws {
        let world = try await world()
        try await world.createPod("long", shell("echo $$; exec sleep 300"))
        let pod = try await pod("long", in: world) { $0.phase == "Running" }
        let identifier = try #require(pod["status"]?["containerStatuses"]?[0]?["containerID"]?.stringValue)
        let number = identifier.split(separator: "-").last ?? ""
        #expect(TestFile.read("/proc/\(number)/stat") != nil)
        await world.world.stop()
        #expect(TestFile.read("/proc/\(number)/stat") == nil)
    }

    @Test func `a program that cannot be started ends the container with a sentence`() async throws {
        let world = try await world()
        try await world.createPod("none", TestWorld.podSpec(["command": ["no-such-program"]]))
        let pod = try await pod("none", in: world) { $0.phase == "Failed" }
        #expect(pod.containerState?["terminated"]?["reason"] == "StartError")
        #expect(
            pod.containerState?["terminated"]?["message"]
                == "exec: \"no-such-program\": executable file not found in $PATH")
    }
}
