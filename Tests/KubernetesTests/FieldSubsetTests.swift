import Encoding
import Kubernetes
import Testing

/// What decoding leaves out. The objects are as a cluster writes them, with `unread` wherever nobody looks.
@Suite struct FieldSubsetTests {
    private static let metadata: JSONValue = [
        "name": "a", "namespace": "ml", "uid": "u", "resourceVersion": "7", "generateName": "unread",
        "creationTimestamp": "2026-11-22T00:00:00Z", "selfLink": "unread", "labels": ["team": "x"],
        "managedFields": .array(
            (0..<20).map { index -> JSONValue in
                [
                    "manager": .string("unread-\(index)"), "operation": "Update", "fieldsType": "FieldsV1",
                    "fieldsV1": ["f:spec": ["f:unread": [:]]],
                ]
            }),
    ]

    private static let wantedMetadata = ObjectMeta(
        name: "a", namespace: "ml", uid: "u", resourceVersion: "7",
        creationTimestamp: Timestamp("2026-11-22T00:00:00Z"),
        labels: ["team": "x"])

    private static let container: JSONValue = [
        "name": "unread", "image": "unread", "command": ["unread"], "env": [["name": "unread", "value": "unread"]],
        "resources": ["limits": ["cpu": "unread"]], "volumeMounts": [["name": "unread", "mountPath": "unread"]],
    ]

    private static let pod: JSONValue = [
        "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
        "spec": [
            "nodeName": "n", "containers": [container, container], "volumes": [["name": "unread", "emptyDir": [:]]],
            "tolerations": [["key": "unread"]], "serviceAccountName": "unread",
        ],
        "status": [
            "phase": "Running", "hostIP": "unread", "qosClass": "unread", "podIPs": [["ip": "unread"]],
            "containerStatuses": [
                [
                    "name": "trainer", "ready": true, "restartCount": 2, "image": "unread", "imageID": "unread",
                    "containerID": "unread", "state": ["running": ["startedAt": "2026-11-22T00:00:05Z"]],
                ]
            ],
        ],
    ]

    private static let node: JSONValue = [
        "apiVersion": "v1", "kind": "Node", "metadata": metadata,
        "spec": ["providerID": "gce://p/z/i", "podCIDR": "unread", "podCIDRs": ["unread"]],
        "status": [
            "allocatable": ["nvidia.com/gpu": "8"], "addresses": [["type": "Hostname", "address": "unread"]],
            "images": .array((0..<50).map { _ in ["names": ["unread"], "sizeBytes": 1] }),
            "nodeInfo": ["machineID": "unread", "kernelVersion": "unread"], "volumesInUse": ["unread"],
        ],
    ]

    private static let job: JSONValue = [
        "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata,
        "spec": [
            "parallelism": 4, "completions": 4, "suspend": false, "selector": ["matchLabels": ["unread": "unread"]],
            "template": ["metadata": ["labels": ["unread": "unread"]], "spec": ["containers": [container]]],
        ],
        "status": ["active": 4, "uncountedTerminatedPods": ["failed": ["unread"]]],
    ]

    /// From the bytes of a reply, as lists and watches read them.
    private func read<Object: KubernetesResource>(_ value: JSONValue, as type: Object.Type) throws -> Object {
        try JSONText(parsing: value.serialized()).root.decode(type)
    }

    /// Everything that an object holds, however deep.
    private func contents(_ object: some Sendable) -> String {
        var text = ""
        dump(object, to: &text)
        return text
    }

    @Test func `of a Pod its node and what its containers came to is kept`() throws {
        let pod = try read(Self.pod, as: Pod.self)
        let status = ContainerStatus(
            name: "trainer", ready: true, restartCount: 2,
            state: ContainerState(running: .init(startedAt: Timestamp("2026-11-22T00:00:05Z"))))
        #expect(
            pod
                == Pod(
                    metadata: Self.wantedMetadata, spec: .init(nodeName: "n"),
                    status: .init(phase: "Running", containerStatuses: [status])))
        #expect(!contents(pod).contains("unread"))
    }

    @Test func `of a Node its place, its taints and its capacity is kept`() throws {
        let node = try read(Self.node, as: Node.self)
        #expect(
            node
                == Node(
                    metadata: Self.wantedMetadata, spec: .init(providerID: "gce://p/z/i"),
                    status: .init(allocatable: ["nvidia.com/gpu": "8"])))
        #expect(!contents(node).contains("unread"))
    }

    @Test func `of a Job its counts are kept`() throws {
        let job = try read(Self.job, as: Job.self)
        #expect(
            job
                == Job(
                    metadata: Self.wantedMetadata, spec: .init(parallelism: 4, completions: 4, suspend: false),
                    status: .init(active: 4)))
        #expect(!contents(job).contains("unread"))
    }

    @Test func `where only the metadata counts nothing else is kept, should a server send it all`() throws {
        let service: JSONValue = [
            "apiVersion": "v1", "kind": "Service", "metadata": Self.metadata,
            "spec": ["clusterIP": "unread", "ports": [["name": "unread"]]],
        ]
        let read = try read(service, as: MetadataOnly<Service>.self)
        #expect(read == MetadataOnly(metadata: Self.wantedMetadata))
        #expect(!contents(read).contains("unread"))
    }

    @Test func `a decoded object does not keep the text it came from`() throws {
        var text: JSONText? = try JSONText(parsing: Self.pod.serialized())
        weak let seen = text
        let pod = try #require(text).root.decode(Pod.self)
        text = nil
        #expect(seen == nil)
        #expect(pod.metadata.name == "a")
    }
}
