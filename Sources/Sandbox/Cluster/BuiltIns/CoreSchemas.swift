import Encoding

/// The smaller kinds.
enum CoreSchemas {
    private typealias Text = SchemaText

    static func conditions(required: [String]) -> JSONValue {
        Text.list(
            Text.object(
                [
                    "type": Text.string, "status": Text.string, "reason": Text.string, "message": Text.string,
                ], required: required), keys: "type")
    }

    static let service = Text.kind(
        "Service is a named abstraction of software service.",
        [
            "spec": Text.object([
                "clusterIP": Text.string, "selector": Text.stringMap, "externalName": Text.string,
                "type": Text.defaulted(Text.string, "ClusterIP"),
                "sessionAffinity": Text.defaulted(Text.string, "None"),
                "publishNotReadyAddresses": Text.boolean,
                "ports": Text.list(
                    Text.object(
                        [
                            "port": Text.integer, "name": Text.string, "targetPort": Text.intOrString,
                            "protocol": Text.defaulted(Text.string, "TCP"),
                        ], required: ["port"]), keys: "port", "protocol"),
            ]),
            "status": Text.object(["loadBalancer": Text.anything]),
        ])

    static let node = Text.kind(
        "Node is a worker node in Kubernetes.",
        [
            "spec": Text.object([
                "unschedulable": Text.boolean, "providerID": Text.string, "podCIDR": Text.string,
                "taints": Text.list(Text.anything),
            ]),
            "status": Text.object([
                "capacity": Text.quantities, "allocatable": Text.quantities,
                "conditions": conditions(required: ["type"]),
                "addresses": Text.list(Text.anything), "nodeInfo": Text.anything,
            ]),
        ])

    static let secret = Text.complete(
        Text.kind(
            "Secret holds secret data of a certain type.",
            [
                "data": Text.stringMap, "stringData": Text.stringMap, "immutable": Text.boolean,
                "type": Text.defaulted(Text.string, "Opaque"),
            ]))

    static let configMap = Text.complete(
        Text.kind(
            "ConfigMap holds configuration data for pods to consume.",
            ["data": Text.stringMap, "binaryData": Text.stringMap, "immutable": Text.boolean]))

    static let priorityClass = Text.kind(
        "PriorityClass defines mapping from a priority class name to the priority integer value.",
        [
            "value": Text.integer, "globalDefault": Text.boolean, "description": Text.string,
            "preemptionPolicy": Text.defaulted(Text.string, "PreemptLowerPriority"),
        ])

    static let podTemplate = Text.kind(
        "PodTemplate describes a template for creating copies of a predefined pod.", ["template": Text.anything])

    static let serviceAccount = Text.kind(
        "ServiceAccount binds together a name and an identity.",
        [
            "automountServiceAccountToken": Text.boolean,
            "imagePullSecrets": Text.list(Text.anything),
            "secrets": Text.list(Text.object(["name": Text.defaulted(Text.string, "")]), keys: "name"),
        ])

    static let event = Text.kind(
        "Event is a report of an event somewhere in the cluster.",
        [
            "involvedObject": Text.anything, "related": Text.anything, "reason": Text.string, "message": Text.string,
            "type": Text.string, "action": Text.string, "count": Text.integer, "series": Text.anything,
            "source": Text.anything, "reportingComponent": Text.string, "reportingInstance": Text.string,
        ])

    static let lease = Text.kind(
        "Lease defines a lease concept.",
        [
            "spec": Text.object([
                "holderIdentity": Text.string, "leaseDurationSeconds": Text.integer, "leaseTransitions": Text.integer,
                "acquireTime": Text.time, "renewTime": Text.time,
            ])
        ])

    static let controllerRevision = Text.kind(
        "ControllerRevision implements an immutable snapshot of state data.",
        ["data": Text.anything, "revision": Text.long])
}
