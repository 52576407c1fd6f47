import ControllerRuntime
import Encoding
import Kubernetes
import Sandbox

@testable import Operator

/// Stands in for Kueue: its Workload as a definition with the fields that a run has to do with (Kueue's own also checks
/// the pods' templates), and the decisions of its scheduler, made by the test.
enum Kueue {
    static func labels(_ queue: String?, _ others: [String: JSONValue]) -> JSONValue? {
        var labels = others
        if let queue { labels["kueue.x-k8s.io/queue-name"] = .string(queue) }
        return labels.isEmpty ? nil : .object(labels)
    }

    static let definition: JSONValue = [
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": ["name": "workloads.kueue.x-k8s.io"],
        "spec": [
            "group": "kueue.x-k8s.io", "scope": "Namespaced",
            "names": ["kind": "Workload", "listKind": "WorkloadList", "plural": "workloads", "singular": "workload"],
            "versions": [
                [
                    "name": "v1beta2", "served": true, "storage": true, "subresources": ["status": [:]],
                    "schema": ["openAPIV3Schema": schema],
                ]
            ],
        ],
    ]

    private static let schema: JSONValue = [
        "type": "object", "properties": ["spec": spec, "status": status],
    ]

    /// The classes that say how early a Workload is admitted.
    static let priorities: JSONValue = [
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": ["name": "workloadpriorityclasses.kueue.x-k8s.io"],
        "spec": [
            "group": "kueue.x-k8s.io", "scope": "Cluster",
            "names": [
                "kind": "WorkloadPriorityClass", "listKind": "WorkloadPriorityClassList",
                "plural": "workloadpriorityclasses", "singular": "workloadpriorityclass",
            ],
            "versions": [
                [
                    "name": "v1beta2", "served": true, "storage": true,
                    "schema": [
                        "openAPIV3Schema": [
                            "type": "object", "required": ["value"],
                            "properties": [
                                "value": ["type": "integer", "format": "int32"], "description": ["type": "string"],
                            ],
                        ]
                    ],
                ]
            ],
        ],
    ]

    private static let spec: JSONValue = [
        "type": "object", "required": ["podSets"],
        "x-kubernetes-validations": [
            [
                "rule": "!has(self.priorityClassRef) || has(self.priority)",
                "message": "priority should not be nil when priorityClassRef is set",
            ]
        ],
        "properties": [
            "queueName": ["type": "string", "maxLength": 253], "active": ["type": "boolean", "default": true],
            "priority": ["type": "integer", "format": "int32"],
            "priorityClassRef": [
                "type": "object", "required": ["group", "kind", "name"],
                "properties": [
                    "group": ["type": "string", "enum": ["kueue.x-k8s.io", "scheduling.k8s.io"]],
                    "kind": ["type": "string", "enum": ["WorkloadPriorityClass", "PriorityClass"]],
                    "name": ["type": "string", "minLength": 1, "maxLength": 253],
                ],
            ],
            "podSets": [
                "type": "array", "minItems": 1, "maxItems": 8,
                "items": [
                    "type": "object", "required": ["count", "template"],
                    "properties": [
                        "name": ["type": "string", "default": "main"],
                        "count": ["type": "integer", "format": "int32", "minimum": 0],
                        "template": ["type": "object", "x-kubernetes-preserve-unknown-fields": true],
                    ],
                ],
            ],
        ],
    ]

    private static let status: JSONValue = [
        "type": "object",
        "properties": [
            "conditions": [
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
                "items": [
                    "type": "object", "required": ["lastTransitionTime", "message", "reason", "status", "type"],
                    "properties": [
                        "type": ["type": "string"],
                        "status": ["type": "string", "enum": ["True", "False", "Unknown"]],
                        "reason": ["type": "string", "minLength": 1], "message": ["type": "string"],
                        "lastTransitionTime": ["type": "string", "format": "date-time"],
                        "observedGeneration": ["type": "integer", "format": "int64"],
                    ],
                ],
            ],
            "admission": [
                "type": "object", "required": ["clusterQueue", "podSetAssignments"],
                "properties": [
                    "clusterQueue": ["type": "string"],
                    "podSetAssignments": [
                        "type": "array",
                        "items": [
                            "type": "object",
                            "properties": [
                                "name": ["type": "string"], "count": ["type": "integer"],
                                "flavors": ["type": "object", "additionalProperties": ["type": "string"]],
                            ],
                        ],
                    ],
                ],
            ],
        ],
    ]
}

extension FaultWorld {
    /// The Workload of the job's run, as the cluster has it.
    func workload() async throws -> Workload? {
        try await admin.list(Workload.self, ObjectSelection(namespace: namespace)).items.first
    }

    /// Kueue reserves quota and admits.
    func admit(flavor: String) async throws {
        guard try await run(until: { try await workload() != nil }), let workload = try await workload() else {
            throw Stuck(description: "no Workload comes")
        }
        let admission: JSONValue = [
            "clusterQueue": "team",
            "podSetAssignments": [["name": "main", "count": 1, "flavors": ["nvidia.com/gpu": .string(flavor)]]],
        ]
        try await patch(
            workload,
            [
                ("QuotaReserved", "True", "QuotaReserved"), ("Admitted", "True", "Admitted"),
                ("Evicted", "False", "QuotaReserved"),
            ],
            admission: admission)
    }

    /// A class of Kueue's and one of Kubernetes' own.
    func makePriorities() async throws {
        try await admin.create(
            WorkloadPriority.Reference(group: "kueue.x-k8s.io", kind: "WorkloadPriorityClass", name: "urgent").type,
            [
                "apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "WorkloadPriorityClass",
                "metadata": ["name": "urgent"], "value": 1000,
            ])
        try await admin.create(
            WorkloadPriority.Reference(group: "scheduling.k8s.io", kind: "PriorityClass", name: "pods").type,
            [
                "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": ["name": "pods"],
                "value": 7,
            ])
    }

    /// Waits for the Workload, which must have the priority of that class.
    func expectPriority(_ value: Int64, of kind: String) async throws {
        guard try await run(until: { try await workload() != nil }) else {
            throw Stuck(description: "no Workload comes")
        }
        let spec = try await admin.list(Workload.resourceType, ObjectSelection(namespace: namespace))
            .items.first?["spec"]
        guard spec?["priority"] == .integer(value), spec?.value(at: ["priorityClassRef", "kind"]) == .string(kind)
        else {
            throw Stuck(description: "the Workload has not the priority of the \(kind)")
        }
    }

    /// Kueue takes the quota for somebody else.
    func evict() async throws {
        guard let workload = try await workload() else { throw Stuck(description: "no Workload is there") }
        try await patch(workload, [("Evicted", "True", "Preempted")], admission: nil)
    }

    private func patch(
        _ workload: Workload, _ changes: [(type: String, status: String, reason: String)], admission: JSONValue?
    ) async throws {
        let changed = changes.map { change -> JSONValue in
            [
                "type": .string(change.type), "status": .string(change.status), "reason": .string(change.reason),
                "message": .string("said by the test"),
                "lastTransitionTime": .string(clock.now.wholeSeconds.description),
            ]
        }
        let others = try workload.conditions.filter { old in !changes.contains { $0.type == old.type } }
            .map { try JSONValue(encoding: $0) }
        var status: JSONValue = ["conditions": .array(others + changed)]
        if let admission { status["admission"] = admission }
        try await admin.mergePatch(ObjectReference(workload), ["status": status], subresource: "status")
    }
}

extension Workflow {
    private static let queueWorld: @Sendable () async throws -> FaultWorld = {
        try await queueWorld(Trainers.interrupted())
    }

    private static func queueWorld(
        _ program: @escaping @Sendable (PodContext) async -> PodResult
    ) async throws -> FaultWorld {
        let world = try await FaultWorld(hasKueue: true, program: program)
        world.runsArtifacts = false
        try await world.prepareArtifacts()
        return world
    }

    private static func isWaiting(_ job: TrainingJob?) -> Bool {
        job?.status?.conditions.first(ofType: "Ready")?.reason == "WaitingForQueue"
            && job?.status?.resources.isEmpty == true
    }

    /// What a run in a queue lives through.
    static let queued: [Workflow] = [
        Workflow(
            name: "queue and delete", setting: "queue", make: queueWorld,
            story: { world in
                try await world.createJob(queue: "research")
                try await world.expectJob("the queue", isWaiting)
                try await world.deleteJob()
                try await world.expectJob("nothing") { $0 == nil }
                guard try await world.run(until: { try await world.workload() == nil }) else {
                    throw Stuck(description: "the Workload is left")
                }
            }),
        Workflow(
            name: "queue, evicted, admitted again", setting: "queue", make: queueWorld,
            story: { world in
                try await world.createJob(queue: "research")
                try await world.expectJob("the queue", isWaiting)
                try await world.admit(flavor: "spot-l4")
                try await world.expectJob("training") { $0?.status?.state == "Training" }
                try await world.expectRunningPod()
                try await world.evict()
                try await world.expectJob("the queue again", isWaiting)
                guard try await world.run(until: { try await world.workload()?.holdsQuota == false }) else {
                    throw Stuck(description: "the quota is not given back")
                }
                try await world.admit(flavor: "spot-l4")
                try await world.expectJob("the end") { $0?.isOver == true }
                guard try await world.run(until: { try await world.workload()?.isFinished == true }) else {
                    throw Stuck(description: "the Workload is not finished")
                }
            }),
        Workflow(
            name: "queue with priorities", setting: "queue, whole runs",
            make: {
                let world = try await queueWorld(Trainers.succeeding())
                try await world.makePriorities()
                return world
            },
            story: { world in
                try await world.createJob(
                    queue: "research", labels: ["kueue.x-k8s.io/priority-class": "urgent"]
                ) { $0.priorityClassName = "pods" }
                try await world.expectPriority(1000, of: "WorkloadPriorityClass")
                try await world.admit(flavor: "spot-l4")
                try await world.expectJob("the end") { $0?.isOver == true }
                try await world.deleteJob()
                try await world.expectJob("nothing") { $0 == nil }
                try await world.createJob(queue: "research") { spec in
                    spec.priorityClassName = "pods"
                    spec.rerunToken = "2"
                }
                try await world.expectPriority(7, of: "PriorityClass")
                try await world.deleteJob()
                try await world.expectJob("nothing") { $0 == nil }
            }),
        Workflow(
            name: "queue and suspend", setting: "queue", make: queueWorld,
            story: { world in
                try await world.createJob(queue: "research")
                try await world.admit(flavor: "spot-l4")
                try await world.expectJob("training") { $0?.status?.state == "Training" }
                try await world.expectRunningPod()
                try await world.patchJob(["spec": ["suspend": true]])
                try await world.expectJob("suspended") { $0?.isTrue("Suspended") == true }
                if try await world.workload() != nil { throw Stuck(description: "a suspended run stands in a queue") }
                try await world.patchJob(["spec": ["suspend": false]])
                try await world.expectJob("the queue", isWaiting)
                try await world.admit(flavor: "spot-l4")
                try await world.expectJob("the end") { $0?.isOver == true }
            }),
        Workflow(
            name: "queue, two runs", setting: "queue, whole runs",
            make: { try await queueWorld(Trainers.succeeding()) },
            story: { world in
                try await world.createJob(queue: "research") { spec in
                    // What is kept for the next run would keep its quota as well.
                    spec.backend.gke = .init(nodePool: .init(policy: .createPerRun, keepIdleSeconds: 600))
                    spec.capacity = .init(candidates: [
                        .init(
                            name: "other", provisioningModel: .spot, zones: ["us-central1-a"], resourceFlavor: "a100"),
                        .init(
                            name: "own", provisioningModel: .spot, zones: ["us-central1-b"], resourceFlavor: "spot-l4"),
                    ])
                }
                try await world.admit(flavor: "spot-l4")
                try await world.expectJob("training on the flavor's candidate") { job in
                    job?.status?.state == "Training" && job?.status?.capacity?.current == "own"
                }
                try await world.expectJob("the end") { $0?.isOver == true }
                guard try await world.run(until: { try await world.workload()?.isFinished == true }) else {
                    throw Stuck(description: "the Workload is not finished")
                }
                try await world.patchJob(["spec": ["rerunToken": "2"]])
                try await world.expectJob("the queue for run 2") { $0?.status?.run?.number == 2 && isWaiting($0) }
                try await world.admit(flavor: "spot-l4")
                try await world.expectJob("the second run's end") { job in
                    job?.status?.run?.number == 2 && job?.isOver == true
                }
                guard
                    try await world.run(until: {
                        let all = try await world.admin.list(Workload.self, ObjectSelection(namespace: world.namespace))
                        return all.items.count == 1 && all.items.allSatisfy(\.isFinished)
                    })
                else { throw Stuck(description: "not one finished Workload is left") }
            }),
    ]
}
