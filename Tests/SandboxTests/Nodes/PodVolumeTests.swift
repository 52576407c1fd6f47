import Encoding
import HTTP
import Sandbox
import Testing

/// Volumes and names of pods that are processes.
@Suite struct PodVolumeTests {
    private func world(nodes: Int = 1) async throws -> TestWorld {
        let world = try TestWorld(program: .process(argv: ["/bin/sh", "-c"]))
        try await world.makePool(nodes: nodes)
        return world
    }

    /// Ticks in real time until a pod has ended, at most a minute.
    private func ended(_ name: String, in world: TestWorld) async throws -> JSONValue {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            await world.world.tick()
            let pod = await world.get("\(TestWorld.pods)/\(name)")
            if pod.phase == "Succeeded" || pod.phase == "Failed" { return pod }
            try #require(ContinuousClock.now < deadline, "\(pod.serializedText())")
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    private func log(_ name: String, in world: TestWorld) async -> JSONValue {
        await world.get("\(TestWorld.pods)/\(name)/log")
    }

    private func spec(
        _ script: String, env: JSONValue = [], mounts: JSONValue, volumes: JSONValue, initContainers: JSONValue? = nil
    ) -> JSONValue {
        var spec = TestWorld.podSpec(["args": [.string(script)], "env": env, "volumeMounts": mounts])
        spec["volumes"] = volumes
        if let initContainers { spec["initContainers"] = initContainers }
        return spec
    }

    @Test func `what an init container leaves in an emptyDir, the next container finds`() async throws {
        let world = try await world()
        let mounts: JSONValue = [["name": "data", "mountPath": "/data/"]]
        let fetch: JSONValue = [
            "name": "fetch", "image": .string(TestWorld.image), "volumeMounts": mounts,
            "env": [["name": "TO", "value": "/data/in"]],
            "args": ["mkdir -p $TO && echo $0 > $TO/file", "--from=/data/x"],
        ]
        let pod = spec(
            "cat $PATH_OF_DATA/in/file; echo $OTHER",
            env: [
                ["name": "PATH_OF_DATA", "value": "/data"], ["name": "OTHER", "value": "/database"],
            ], mounts: mounts, volumes: [["name": "data", "emptyDir": [:]]], initContainers: [fetch])
        try await world.createPod("two", pod)
        let uid = try #require(try await ended("two", in: world).value(at: ["metadata", "uid"])?.stringValue)
        let folder = "\(world.directory)/pods/default_two_\(uid)/volumes/data"
        // The path of an argument after "=" is another's matter too; one that only begins alike is not.
        #expect(await log("two", in: world) == .string("--from=\(folder)/x\n/database\n"))
    }

    @Test func `a failed init container ends the pod before the others start`() async throws {
        let world = try await world()
        let fetch: JSONValue = ["name": "fetch", "image": .string(TestWorld.image), "args": ["exit 66"]]
        try await world.createPod("early", spec("true", mounts: [], volumes: [], initContainers: [fetch]))
        let status = try #require(try await ended("early", in: world)["status"])
        #expect(status["phase"] == "Failed")
        #expect(status["initContainerStatuses"]?[0]?.value(at: ["state", "terminated", "exitCode"]) == 66)
    }

    @Test func `annotations, config maps and secrets are files`() async throws {
        let world = try await world()
        try await world.create(
            "/api/v1/namespaces/default/configmaps",
            ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "c"], "data": ["a": "1", "b": "2"]])
        try await world.create(
            "/api/v1/namespaces/default/secrets",
            ["apiVersion": "v1", "kind": "Secret", "metadata": ["name": "s"], "data": ["b": "aGlkZGVu"]])
        let volumes: JSONValue = [
            [
                "name": "ml",
                "downwardAPI": [
                    "items": [["path": "hp.json", "fieldRef": ["fieldPath": "metadata.labels['text']"]]]
                ],
            ],
            ["name": "map", "configMap": ["name": "c", "items": [["key": "b", "path": "sub/file"]]]],
            ["name": "secret", "secret": ["secretName": "s"]],
        ]
        let mounts: JSONValue = [
            ["name": "ml", "mountPath": "/etc/ml"], ["name": "map", "mountPath": "/map"],
            ["name": "secret", "mountPath": "/secret"],
        ]
        let env: JSONValue = [
            ["name": "A", "value": "/etc/ml/hp.json"], ["name": "B", "value": "/map/sub/file"],
            ["name": "C", "value": "/secret/b"],
        ]
        let pod = spec("cat $A; echo; cat $B; echo; cat $C", env: env, mounts: mounts, volumes: volumes)
        try await world.createPod("files", pod, labels: ["text": "five"])
        _ = try await ended("files", in: world)
        #expect(await log("files", in: world) == "five\n2\nhidden")
    }

    private func fuse(_ bucket: String) -> JSONValue {
        spec(
            "cd $DATA && ls -R", env: [["name": "DATA", "value": "/gcs"]],
            mounts: [["name": "in", "mountPath": "/gcs", "readOnly": true]],
            volumes: [
                [
                    "name": "in",
                    "csi": [
                        "driver": "gcsfuse.csi.storage.gke.io", "readOnly": true,
                        "volumeAttributes": [
                            "bucketName": .string(bucket), "mountOptions": "implicit-dirs,only-dir=set/a",
                        ],
                    ],
                ]
            ])
    }

    private func createMounting(_ name: String, bucket: String, annotated: Bool, in world: TestWorld) async throws {
        var metadata: JSONValue = ["name": .string(name), "namespace": "default"]
        if annotated { metadata["annotations"] = ["gke-gcsfuse/volumes": "true"] }
        try await world.create(
            TestWorld.pods, ["apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": fuse(bucket)])
        await world.world.tick()
    }

    @Test func `a mounted bucket is seen as files, below its folder only`() async throws {
        let world = try await world(nodes: 2)
        await world.call(
            .post, "/storage/v1/b", ["name": "data", "location": "us-central1"],
            query: [.init("project", "sandbox-project")])
        for name in ["set/a/one", "set/a/deep/two", "set/ab/three", "other"] {
            try world.world.cloud.putObject(bucket: "data", name: name, bytes: [1])
        }
        try await createMounting("seen", bucket: "data", annotated: true, in: world)
        _ = try await ended("seen", in: world)
        #expect(await log("seen", in: world) == ".:\ndeep\none\n\n./deep:\ntwo\n")

        try await createMounting("plain", bucket: "data", annotated: false, in: world)
        let waiting = await world.get("\(TestWorld.pods)/plain").containerState?["waiting"]
        #expect(
            waiting?["message"]
                == "MountVolume.SetUp failed: the pod lacks the annotation gke-gcsfuse/volumes: \"true\"")
        try await createMounting("none", bucket: "nowhere", annotated: true, in: world)
        let other = await world.get("\(TestWorld.pods)/none").containerState?["waiting"]
        #expect(other?["message"] == "MountVolume.SetUp failed: bucket \"nowhere\" does not exist")
    }

    @Test func `a volume that a process cannot have is refused with a sentence`() async throws {
        let world = try await world()
        try await world.createPod(
            "claim",
            spec(
                "true", mounts: [["name": "v", "mountPath": "/v"]],
                volumes: [["name": "v", "persistentVolumeClaim": ["claimName": "c"]]]))
        let waiting = await world.get("\(TestWorld.pods)/claim").containerState?["waiting"]
        #expect(
            waiting?["message"]
                == "pods of the sandbox are processes of this machine: it has no volumes of kind persistentVolumeClaim")
    }

    @Test func `all pods of a run agree where rank 0 listens, and runs side by side do not meet`() async throws {
        let world = try await world(nodes: 4)
        var ports: Set<String> = []
        for run in ["one", "two"] {
            for pod in ["\(run)-0", "\(run)-1"] {
                var spec = TestWorld.podSpec([
                    "args": ["echo $ADDRESS $HOST $ELSEWHERE"],
                    "env": [
                        ["name": "ADDRESS", "value": .string("\(run)-0.\(run).default.svc:29500")],
                        ["name": "HOST", "value": .string("\(run)-0.\(run).default.svc.cluster.local")],
                        ["name": "ELSEWHERE", "value": "db.other.default.svc:5432"],
                    ],
                ])
                spec["hostname"] = .string(pod)
                spec["subdomain"] = .string(run)
                try await world.createPod(pod, spec)
            }
            _ = try await ended("\(run)-0", in: world)
            _ = try await ended("\(run)-1", in: world)
            let first = try #require(await log("\(run)-0", in: world).stringValue)
            #expect(await log("\(run)-1", in: world) == .string(first))
            let address = try #require(
                first.wholeMatch(of: /127\.0\.0\.1:(\d+) 127\.0\.0\.1 db\.other\.default\.svc:5432\n/))
            ports.insert(String(address.1))
        }
        #expect(ports.count == 2)
    }
}
