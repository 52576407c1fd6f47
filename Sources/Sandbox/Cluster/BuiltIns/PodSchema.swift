import Encoding

/// Pods and their templates: types, defaults and merge keys of the fields in use.
enum PodSchema {
    private typealias Text = SchemaText

    static let pod = Text.kind(
        "Pod is a collection of containers that can run on a host.", ["spec": spec, "status": status])

    static let template = Text.object([
        "metadata": Text.object([
            "labels": Text.stringMap, "annotations": Text.stringMap, "name": Text.string,
        ]),
        "spec": spec,
    ])

    static let spec = Text.object(
        [
            "containers": Text.list(container, keys: "name"),
            "initContainers": Text.list(container, keys: "name"),
            "volumes": Text.list(Text.object(["name": Text.string], required: ["name"]), keys: "name"),
            "imagePullSecrets": Text.list(
                Text.object(["name": Text.defaulted(Text.string, "")]), keys: "name"),
            "hostAliases": Text.list(Text.object(["ip": Text.string], required: ["ip"]), keys: "ip"),
            "tolerations": Text.list(Text.anything),
            "nodeSelector": Text.stringMap,
            "nodeName": Text.string,
            "hostname": Text.string,
            "subdomain": Text.string,
            "serviceAccountName": Text.string,
            "priorityClassName": Text.string,
            "schedulerName": Text.defaulted(Text.string, "default-scheduler"),
            "restartPolicy": [
                "type": "string", "default": "Always", "enum": ["Always", "OnFailure", "Never"],
                "description": "Restart policy for all containers within the pod.",
            ],
            "dnsPolicy": Text.defaulted(Text.string, "ClusterFirst"),
            "terminationGracePeriodSeconds": Text.defaulted(Text.long, 30),
            "activeDeadlineSeconds": Text.long,
            "securityContext": Text.defaulted(Text.anything, [:]),
        ], required: ["containers"], description: "Specification of the desired behavior of the pod.")

    private static let container = Text.object(
        [
            "name": Text.string, "image": Text.string, "command": Text.strings, "args": Text.strings,
            "workingDir": Text.string,
            "env": Text.list(environmentVariable, keys: "name"),
            "ports": Text.list(port, keys: "containerPort", "protocol"),
            "volumeMounts": Text.list(
                Text.object(["mountPath": Text.string, "name": Text.string], required: ["mountPath", "name"]),
                keys: "mountPath"),
            "volumeDevices": Text.list(
                Text.object(["devicePath": Text.string], required: ["devicePath"]), keys: "devicePath"),
            "resources": Text.defaulted(
                Text.object(["limits": Text.quantities, "requests": Text.quantities]), [:]),
            "imagePullPolicy": Text.string,
            "terminationMessagePath": Text.defaulted(Text.string, "/dev/termination-log"),
            "terminationMessagePolicy": Text.defaulted(Text.string, "File"),
        ], required: ["name"])

    private static let environmentVariable = Text.object(
        ["name": Text.string, "value": Text.string, "valueFrom": Text.anything], required: ["name"])

    private static let port = Text.object(
        [
            "containerPort": Text.integer, "name": Text.string, "protocol": Text.defaulted(Text.string, "TCP"),
            "hostPort": Text.integer,
        ], required: ["containerPort"])

    private static let status = Text.object(
        [
            "phase": Text.string, "message": Text.string, "reason": Text.string, "podIP": Text.string,
            "hostIP": Text.string, "startTime": Text.time,
            "conditions": CoreSchemas.conditions(required: ["type"]),
            "podIPs": Text.list(Text.object(["ip": Text.string], required: ["ip"]), keys: "ip"),
            "containerStatuses": Text.list(Text.anything),
            "initContainerStatuses": Text.list(Text.anything),
        ], description: "Most recently observed status of the pod.")
}

/// batch/v1 Job.
enum JobSchema {
    private typealias Text = SchemaText

    static let job = Text.kind(
        "Job represents the configuration of a single job.",
        [
            "spec": Text.object(
                [
                    "parallelism": Text.integer, "completions": Text.integer, "activeDeadlineSeconds": Text.long,
                    "backoffLimit": Text.integer, "backoffLimitPerIndex": Text.integer,
                    "maxFailedIndexes": Text.integer, "ttlSecondsAfterFinished": Text.integer,
                    "manualSelector": Text.boolean, "managedBy": Text.string,
                    "podReplacementPolicy": Text.string,
                    "completionMode": Text.defaulted(Text.string, "NonIndexed"),
                    "suspend": Text.defaulted(Text.boolean, false),
                    "selector": Text.anything, "podFailurePolicy": Text.anything, "successPolicy": Text.anything,
                    "template": PodSchema.template,
                ], required: ["template"], description: "Specification of the desired behavior of a job."),
            "status": Text.object([
                "active": Text.integer, "succeeded": Text.integer, "failed": Text.integer, "ready": Text.integer,
                "terminating": Text.integer, "startTime": Text.time, "completionTime": Text.time,
                "completedIndexes": Text.string, "failedIndexes": Text.string,
                // Atomic in the API too: the Job controller alone writes it.
                "conditions": Text.list(Text.anything),
            ]),
        ])
}
