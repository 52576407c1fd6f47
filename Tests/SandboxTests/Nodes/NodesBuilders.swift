import Encoding
import HTTP

@testable import Sandbox

/// Objects as the API server would return them, for the pure parts of the nodes.
enum Sample {
    static let now = Timestamp(seconds: 1_795_255_200)
    static let time: JSONValue = .string(now.description)

    static func job(
        _ spec: JSONValue = [:], status: JSONValue = [:], template: JSONValue = ["containers": [["name": "main"]]]
    ) -> JobView {
        var full = spec
        full["template"] = ["spec": template]
        return JobView(object: [
            "metadata": ["name": "train", "namespace": "ml", "uid": "job-uid"], "spec": full, "status": status,
        ])
    }

    static func pod(
        _ name: String = "train-0-abcde", phase: String = "Pending", node: String? = nil, index: Int? = nil,
        spec: JSONValue = ["containers": [["name": "main"]]], status: JSONValue = [:], isDeleting: Bool = false
    ) -> PodView {
        var metadata: JSONValue = [
            "name": .string(name), "namespace": "ml", "uid": .string("uid-of-\(name)"),
            "ownerReferences": [["kind": "Job", "name": "train", "uid": "job-uid", "controller": true]],
        ]
        if let index { metadata["annotations"] = .object([JobView.indexKey: .string("\(index)")]) }
        if isDeleting { metadata["deletionTimestamp"] = time }
        var full = spec
        full["nodeName"] = node.map(JSONValue.string)
        var state = status
        state["phase"] = .string(phase)
        return PodView(object: ["metadata": metadata, "spec": full, "status": state])
    }

    /// A pod whose only container ended so.
    static func ended(_ name: String, exitCode: Int64, index: Int? = nil, conditions: [JSONValue] = []) -> PodView {
        pod(
            name, phase: exitCode == 0 ? "Succeeded" : "Failed", node: "node-a", index: index,
            status: [
                "conditions": .array(conditions),
                "containerStatuses": [
                    ["name": "main", "state": ["terminated": ["exitCode": .integer(exitCode)]]]
                ],
            ])
    }

    static func node(
        _ name: String = "node-a", labels: JSONValue = [:], taints: [JSONValue] = [],
        allocatable: JSONValue = ["cpu": "4", "memory": "16Gi", "pods": "110"]
    ) -> JSONValue {
        [
            "metadata": ["name": .string(name), "uid": .string("uid-of-\(name)"), "labels": labels],
            "spec": ["taints": .array(taints)], "status": ["allocatable": allocatable],
        ]
    }
}

extension ClusterChanges {
    /// The names of the pods that are created.
    var createdPods: [String] {
        writes.filter { $0.path.last == "pods" }.compactMap { $0.body.value(at: ["metadata", "name"])?.stringValue }
    }

    /// The patch of a status, if one is written.
    var statusPatch: JSONValue? { writes.last { $0.path.last == "status" }?.body["status"] }

    /// `method path` of everything that is written.
    var requests: [String] { writes.map { "\($0.method.rawValue) /\($0.path.joined(separator: "/"))" } }
}
