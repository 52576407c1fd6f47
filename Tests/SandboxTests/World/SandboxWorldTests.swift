import Encoding
import HTTP
import Sandbox
import Testing
import YAML

@Suite struct SandboxWorldTests {
    private static func customResources() throws -> [JSONValue] {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(4).joined(separator: "/")
        return try ["trainingjobs", "gcsartifacts"].flatMap { name in
            let text = try #require(TestFile.read("\(root)/crds/\(name).yaml"))
            return try YAML.documents(text).map(\.json)
        }
    }

    private static func object(
        _ kind: String, _ name: String, annotations: JSONValue, spec: JSONValue
    ) -> JSONValue {
        [
            "apiVersion": "trainyard.dev/v1alpha1", "kind": .string(kind),
            "metadata": ["name": .string(name), "namespace": "default", "annotations": annotations], "spec": spec,
        ]
    }

    private static let group = "/apis/trainyard.dev/v1alpha1/namespaces/default"

    @Test(
        arguments: [
            ("https://storage.googleapis.com", "/storage/v1/b", .cloud),
            ("https://container.googleapis.com", "/v1/projects/p", .cloud),
            ("http://127.0.0.1:8080", "/upload/storage/v1/b/x/o", .cloud),
            ("http://127.0.0.1:8080", "/download/storage/v1/b/x/o/y", .cloud),
            ("http://127.0.0.1:8080", "/api/v1/pods", .cluster),
            ("http://127.0.0.1:8080", "/apis/storage.k8s.io/v1", .cluster),
            ("http://googleapis.com.evil.example", "/api", .cluster),
        ] as [(String, String, SandboxSide)])
    func `requests are routed by host, and Google's paths by path`(host: String, path: String, side: SandboxSide) {
        #expect(SandboxWorld.side(of: HTTPRequest(.get, HTTPURL(origin: host, path: path))) == side)
    }

    @Test func `a seed fills the artifact's bucket once it is there`() async throws {
        let world = try TestWorld(crds: Self.customResources())
        try TestFile.write("data", to: world.directory + "/seed.txt")
        try await world.create(
            Self.group + "/gcsartifacts",
            Self.object(
                "GCSArtifact", "data", annotations: ["sandbox.trainyard.dev/seed": .string(world.directory)],
                spec: ["artifactType": "Dataset", "bucket": ["name": "seeded", "location": "us-central1"]]))
        await world.world.tick()
        #expect(world.world.cloud.objectNames(bucket: "seeded") == [])
        await world.call(
            .patch, Self.group + "/gcsartifacts/data/status", ["status": ["uri": "gs://seeded/in/"]])
        await world.world.tick()
        #expect(world.world.cloud.objectNames(bucket: "seeded") == [])
        await world.call(
            .post, "/storage/v1/b", ["name": "seeded"], query: [.init("project", "sandbox-project")])
        await world.world.tick()
        #expect(try world.world.cloud.readObject(bucket: "seeded", name: "in/seed.txt") == Array("data".utf8))
        #expect(await world.eventReasons(kind: "GCSArtifact") == ["Seeded"])
    }

    @Test func `a seed folder that is not there is told once`() async throws {
        let world = try TestWorld(crds: Self.customResources())
        await world.call(
            .post, "/storage/v1/b", ["name": "seeded"], query: [.init("project", "sandbox-project")])
        try await world.create(
            Self.group + "/gcsartifacts",
            Self.object(
                "GCSArtifact", "data", annotations: ["sandbox.trainyard.dev/seed": "/no/such/folder"],
                spec: ["artifactType": "Dataset", "bucket": ["name": "seeded", "location": "us-central1"]]))
        await world.call(.patch, Self.group + "/gcsartifacts/data/status", ["status": ["uri": "gs://seeded/"]])
        await world.advance(seconds: 3)
        #expect(await world.eventReasons(kind: "GCSArtifact") == ["SeedFailed"])
    }

    @Test func `a job's stockouts hold while the job exists`() async throws {
        let world = try TestWorld(crds: Self.customResources())
        try await world.create(
            Self.group + "/trainingjobs",
            Self.object(
                "TrainingJob", "train",
                annotations: ["sandbox.trainyard.dev/stockout": "spot/us-central1-b, spot/us-central1-c"],
                spec: [
                    "backend": ["type": "GKE"], "accelerator": ["gpu": ["type": "nvidia-l4", "count": 1]],
                ]))
        await world.world.tick()
        try await world.requestPool()
        #expect(await world.list("/api/v1/nodes") == [])
        await world.deletePool()
        await world.call(.delete, Self.group + "/trainingjobs/train")
        await world.world.tick()
        try await world.makePool()
    }

    @Test func `the nth pod of a job loses its machine after the nth time`() async throws {
        let world = try TestWorld(
            crds: Self.customResources(), program: .scripted { _ in PodResult(after: .seconds(600)) })
        try await world.create(
            Self.group + "/trainingjobs",
            Self.object(
                "TrainingJob", "train", annotations: ["sandbox.trainyard.dev/preempt-after": "5,10"],
                spec: ["backend": ["type": "GKE"], "accelerator": ["gpu": ["type": "nvidia-l4", "count": 1]]]))
        try await world.makePool()
        let labels: JSONValue = ["trainyard.dev/job": "train"]
        try await world.createPod("first", TestWorld.podSpec(), labels: labels)
        await world.advance(seconds: 4)
        #expect(await world.get("\(TestWorld.pods)/first").phase == "Running")
        await world.advance(seconds: 2)
        #expect(await world.get("\(TestWorld.pods)/first").phase == "Failed")
        await world.advance(seconds: 40)
        try await world.createPod("second", TestWorld.podSpec(), labels: labels)
        await world.advance(seconds: 9)
        #expect(await world.get("\(TestWorld.pods)/second").phase == "Running")
        await world.advance(seconds: 2)
        #expect(await world.get("\(TestWorld.pods)/second").phase == "Failed")
    }

    @Test func `a run that has reached the nth step loses a machine`() async throws {
        let world = try TestWorld(
            crds: Self.customResources(), program: .scripted { _ in PodResult(after: .seconds(600)) })
        try await world.create(
            Self.group + "/trainingjobs",
            Self.object(
                "TrainingJob", "train", annotations: ["sandbox.trainyard.dev/preempt-at-step": "30, 50"],
                spec: ["backend": ["type": "GKE"], "accelerator": ["gpu": ["type": "nvidia-l4", "count": 1]]]))
        func reach(_ step: Int64) async {
            await world.call(
                .patch, Self.group + "/trainingjobs/train/status",
                ["status": ["trainerStatus": ["step": .integer(step)]]])
            await world.advance(seconds: 2)
        }
        try await world.makePool()
        let labels: JSONValue = ["trainyard.dev/job": "train"]
        try await world.createPod("first", TestWorld.podSpec(), labels: labels)
        await reach(29)
        #expect(await world.get("\(TestWorld.pods)/first").phase == "Running")
        await reach(33)
        #expect(await world.get("\(TestWorld.pods)/first").phase == "Failed")
        await world.advance(seconds: 40)
        try await world.createPod("second", TestWorld.podSpec(), labels: labels)
        await reach(49)
        #expect(await world.get("\(TestWorld.pods)/second").phase == "Running")
        await reach(50)
        #expect(await world.get("\(TestWorld.pods)/second").phase == "Failed")
        await world.advance(seconds: 40)
        try await world.createPod("third", TestWorld.podSpec(), labels: labels)
        await reach(99)
        #expect(await world.get("\(TestWorld.pods)/third").phase == "Running")
    }

    @Test func `a hook sees requests and replies and may change both`() async throws {
        let world = try TestWorld()
        world.world.setHook(
            RequestHook(
                before: { side, request in
                    request.url.path == "/version" ? .respond(HTTPReply(status: 503)) : .pass
                },
                after: { side, request, reply in
                    side == .cloud ? .replace(.disconnect) : .pass
                }))
        #expect(await world.call(.get, "/version").status == 503)
        let bucket: JSONValue = ["name": "lost-reply"]
        let created = await world.call(.post, "/storage/v1/b", bucket, query: [.init("project", "sandbox-project")])
        #expect(created.status == 0)
        #expect(world.world.cloud.bucketExists("lost-reply"))
        world.world.setHook(nil)
        #expect(await world.call(.get, "/version").status == 200)
    }

    @Test func `running ticks until it is cancelled`() async throws {
        let world = try TestWorld()
        let task = Task { await world.world.run() }
        while world.clock.sleeperCount == 0 { await Task.yield() }
        task.cancel()
        await task.value
        #expect(world.clock.sleeperCount == 0)
    }
}
