import Encoding
import HTTP
import Kubernetes
import Sandbox
import Synchronization
import Testing

@testable import ControllerRuntime
@testable import Operator

/// Secrets, ConfigMaps and volumes of the namespace in the trainer's pod.
@Suite struct PodSourceTests {
    private typealias Trainer = TrainingJob.Trainer

    private func use(_ trainer: inout Trainer) {
        trainer.workingDir = "/code"
        trainer.env = [
            .init(name: "TOKEN", valueFrom: .init(secretKeyRef: .init(name: "keys", key: "token"))),
            .init(name: "NODE", valueFrom: .init(fieldRef: .init(fieldPath: .nodeName))),
            .init(name: "PLAIN", value: "1"),
        ]
        trainer.envFrom = [.init(prefix: "CFG_", configMapRef: .init(name: "settings", optional: true))]
        trainer.volumes = [
            .init(name: "input-0", emptyDir: .init(sizeLimit: "1Gi")),
            .init(name: "keys", secret: .init(secretName: "keys")),
        ]
        trainer.volumeMounts = [
            .init(name: "keys", mountPath: "/keys", readOnly: true),
            .init(name: "input-0", mountPath: "/scratch", subPath: "a"),
        ]
        trainer.imagePullSecrets = [.init(name: "registry")]
    }

    private func pod(_ change: (inout Trainer) -> Void) throws -> JSONValue {
        let job = trainingJob { spec in
            guard var trainer = spec.trainer else { return }
            change(&trainer)
            spec.trainer = trainer
        }
        var attempt = TrainingJob.Attempt(number: 1)
        attempt.candidate = "spot"
        attempt.zone = "us-central1-b"
        let slices = TrainingJobSlice.all(run(job), attempt, RunSpec(job.spec), observation(job))
        let body = TrainingJobPods.job(try #require(slices.first)).body
        return try #require(body.value(at: ["spec", "template", "spec"]))
    }

    @Test func `what the user names is in the pod, under names that are not ours`() throws {
        let pod = try pod(use)
        #expect(pod["imagePullSecrets"] == [["name": "registry"]])
        let volumes = pod["volumes"]?.arrayValue ?? []
        #expect(volumes.contains(["name": "volume-0", "emptyDir": ["sizeLimit": "1Gi"]]))
        #expect(volumes.contains(["name": "volume-1", "secret": ["secretName": "keys"]]))
        let container = try #require(pod["containers"]?[0])
        #expect(container["workingDir"] == "/code")
        #expect(
            container["envFrom"] == [["prefix": "CFG_", "configMapRef": ["name": "settings", "optional": true]]])
        let mounts = container["volumeMounts"]?.arrayValue ?? []
        #expect(mounts.contains(["name": "volume-1", "mountPath": "/keys", "readOnly": true]))
        #expect(mounts.contains(["name": "volume-0", "mountPath": "/scratch", "subPath": "a"]))
        let variables = (container["env"]?.arrayValue ?? []).suffix(3)
        #expect(
            Array(variables) == [
                ["name": "TOKEN", "valueFrom": ["secretKeyRef": ["name": "keys", "key": "token"]]],
                ["name": "NODE", "valueFrom": ["fieldRef": ["fieldPath": "spec.nodeName"]]],
                ["name": "PLAIN", "value": "1"],
            ])
    }

    @Test func `a pod without them is as it was`() throws {
        let pod = try pod { _ in }
        #expect(pod["imagePullSecrets"] == nil && pod["containers"]?[0]?["envFrom"] == nil)
        #expect(pod["containers"]?[0]?["workingDir"] == nil)
    }

    @Test(arguments: [
        ("/etc/ml", "trainer.volumeMounts[a].mountPath /etc/ml: /etc/ml is taken"),
        ("/dev", "trainer.volumeMounts[a].mountPath /dev: /dev/shm is taken"),
        ("/data/x", "trainer.volumeMounts[a].mountPath /data/x and /data overlap"), ("/free", nil),
    ])
    func `paths that are taken are refused`(path: String, problem: String?) {
        var spec = RunSpec(spec())
        spec.inputs = [.init(name: "data", artifactRef: .init(name: "dataset"), mode: .mount, mountPath: "/data/")]
        spec.trainer?.volumes = [.init(name: "a", emptyDir: .init())]
        spec.trainer?.volumeMounts = [.init(name: "a", mountPath: path)]
        #expect(TrainingJobPodRules.problem(spec) == problem)
    }

    @Test func `what the schema would refuse is refused here too`() {
        func problem(_ change: (inout Trainer) -> Void) -> String? {
            var spec = RunSpec(spec())
            guard var trainer = spec.trainer else { return nil }
            change(&trainer)
            spec.trainer = trainer
            return TrainingJobPodRules.problem(spec)
        }
        #expect(problem { $0.env = [.init(name: "A", valueFrom: .init())] }?.contains("exactly one source") == true)
        #expect(
            problem {
                $0.env = [.init(name: "A", value: "1", valueFrom: .init(fieldRef: .init(fieldPath: .podIP)))]
            }?.contains("exclude each other") == true)
        #expect(problem { $0.envFrom = [.init()] }?.contains("exactly one of secretRef") == true)
        #expect(problem { $0.volumes = [.init(name: "a")] }?.contains("exactly one volume source") == true)
        #expect(problem { $0.volumeMounts = [.init(name: "a", mountPath: "/a")] }?.contains("no volume a") == true)
    }

    @Test func `the container has the values`() async throws {
        let seen = Mutex<[String: String]>([:])
        let program = Trainers.succeeding()
        let world = try await OperatorWorld { context in
            seen.withLock { $0 = context.environment }
            return await program(context)
        }
        func make(_ kind: String, _ plural: String, _ name: String, _ data: JSONValue) async throws {
            try await world.admin.create(
                ResourceType(group: "", version: "v1", kind: kind, plural: plural),
                ["metadata": ["name": .string(name), "namespace": "ml"], "data": data])
        }
        try await make("Secret", "secrets", "keys", ["token": "czNjcjN0"])
        try await make("ConfigMap", "configmaps", "settings", ["MODE": "fast"])
        try await world.create { spec in
            spec.trainer?.env = [
                .init(name: "TOKEN", valueFrom: .init(secretKeyRef: .init(name: "keys", key: "token")))
            ]
            spec.trainer?.envFrom = [.init(prefix: "CFG_", configMapRef: .init(name: "settings"))]
        }
        try await world.run { $0?.isOver == true }
        #expect(seen.withLock { $0["TOKEN"] } == "s3cr3t" && seen.withLock { $0["CFG_MODE"] } == "fast")
        let revision = try await world.admin.list(ControllerRevision.self).items
        #expect(!"\(revision)".contains("s3cr3t"))
    }
}
