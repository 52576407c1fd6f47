import Encoding
import Testing

@testable import Sandbox

@Suite struct SchedulerTests {
    private static let gpuTaint: JSONValue = ["key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"]
    private static let gpuNode = Sample.node(
        "gpu-a", labels: ["cloud.google.com/gke-nodepool": "pool-1"], taints: [gpuTaint],
        allocatable: ["cpu": "3920m", "memory": "13Gi", "pods": "110", "nvidia.com/gpu": "1"])

    private func pod(_ resources: JSONValue, _ spec: JSONValue = [:], name: String = "train-0-abcde") -> PodView {
        var full = spec
        full["containers"] = [["name": "main", "resources": ["requests": resources, "limits": resources]]]
        return Sample.pod(name, spec: full)
    }

    private func message(_ pods: [PodView], _ nodes: [JSONValue]) -> String? {
        Scheduler.changes(pods: pods, nodes: nodes, now: Sample.now).events.first?.message
    }

    @Test func `a pod is bound to the node that fits`() {
        let pods = [pod(["nvidia.com/gpu": "1"], ["nodeSelector": ["cloud.google.com/gke-nodepool": "pool-1"]])]
        let changes = Scheduler.changes(pods: pods, nodes: [Sample.node(), Self.gpuNode], now: Sample.now)
        #expect(changes.requests == ["POST /api/v1/namespaces/ml/pods/train-0-abcde/binding"])
        #expect(changes.writes.first?.body["target"]?["name"] == "gpu-a")
        #expect(changes.events.map(\.message) == ["Successfully assigned ml/train-0-abcde to gpu-a"])
    }

    @Test func `two pods in one look do not get the same GPU`() {
        let pods = [pod(["nvidia.com/gpu": 1], name: "a"), pod(["nvidia.com/gpu": 1], name: "b")]
        let changes = Scheduler.changes(pods: pods, nodes: [Self.gpuNode], now: Sample.now)
        #expect(changes.events.map(\.reason) == ["Scheduled", "FailedScheduling"])
    }

    @Test func `what runs already takes its room`() {
        let running = Sample.pod(
            "other", phase: "Running", node: "node-a",
            spec: ["containers": [["name": "main", "resources": ["requests": ["cpu": "3500m"]]]]])
        let suffix = " preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        #expect(
            message([running, pod(["cpu": "1"])], [Sample.node()])
                == "0/1 nodes are available: 1 Insufficient cpu." + suffix)
    }

    @Test func `the reasons of all nodes are counted`() {
        let suffix = " preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
        let nodes = [
            Sample.node("a"), Sample.node("b", labels: ["disk": "ssd"]),
            Sample.node("c", taints: [["key": "team", "value": "x", "effect": "NoSchedule"]]),
        ]
        #expect(
            message([pod(["nvidia.com/gpu": "1"], ["nodeSelector": ["disk": "ssd"]])], nodes)
                == "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) didn't match Pod's node"
                + " affinity/selector, 1 node(s) had untolerated taint {team: x}." + suffix)
        #expect(message([pod([:])], []) == "no nodes available to schedule pods")
    }

    @Test func `the same refusal is written once`() {
        let first = Scheduler.changes(pods: [pod([:])], nodes: [], now: Sample.now)
        let waiting = Sample.pod(status: first.statusPatch ?? [:])
        #expect(Scheduler.changes(pods: [waiting], nodes: [], now: Sample.now).isEmpty)
    }

    @Test(
        arguments: [
            ("equal", ["key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"], true),
            ("exists", ["key": "k", "operator": "Exists"], true),
            ("everything", ["operator": "Exists"], true),
            ("another value", ["key": "k", "value": "w"], false),
            ("another effect", ["key": "k", "operator": "Exists", "effect": "NoExecute"], false),
            ("another key", ["key": "q", "operator": "Exists"], false),
        ] as [(String, JSONValue, Bool)])
    func `tolerations`(name: String, toleration: JSONValue, expected: Bool) {
        let pod = Sample.pod(spec: ["containers": [], "tolerations": [toleration]])
        let taint: JSONValue = ["key": "k", "value": "v", "effect": "NoSchedule"]
        #expect(Tolerations.tolerates(pod, taint: taint) == expected, "\(name)")
    }

    @Test(
        arguments: [
            ("1", 1000), ("500m", 500), ("1Ki", 1_024_000), ("1.5Gi", 1_610_612_736_000), ("2k", 2_000_000),
            ("1e3", 1_000_000), ("0", 0), ("0.0001", 1), ("16Gi", 17_179_869_184_000),
        ] as [(String, Int64)])
    func `quantities`(text: String, thousandths: Int64) {
        #expect(ResourceQuantity.thousandths(text) == thousandths)
    }

    @Test(arguments: ["", "abc", "1Zi", "Gi", "--1"])
    func `what is no quantity`(text: String) { #expect(ResourceQuantity.thousandths(text) == nil) }

    @Test func `a machine leaves to pods what GKE leaves`() throws {
        let shape = try #require(MachineShape(machineType: "g2-standard-4"))
        #expect(shape.allocatableMilliCPUs == 3920)
        // 16 GiB - (1 + 0.8 + 0.8 GiB + 100 MiB).
        #expect(shape.allocatableMemoryBytes >> 20 == 13_621)
        #expect(MachineShape(machineType: "ct5lp-hightpu-4t")?.tpuChips == 4)
        #expect(MachineShape(machineType: "x9-huge") == nil)
    }
}
