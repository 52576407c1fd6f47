import Encoding

/// The kinds and fields that `ProtobufBody` reads: those that kubectl makes from its command line.
extension ProtobufBody {
    static let typeMeta: Message = [1: ("apiVersion", .string), 2: ("kind", .string)]

    static let objectMeta: Message = [
        1: ("name", .string), 2: ("generateName", .string), 3: ("namespace", .string), 5: ("uid", .string),
        6: ("resourceVersion", .string), 7: ("generation", .integer), 8: ("creationTimestamp", .time),
        9: ("deletionTimestamp", .time), 11: ("labels", .map(.string)), 12: ("annotations", .map(.string)),
        13: (
            "ownerReferences",
            .messages([
                1: ("kind", .string), 3: ("name", .string), 4: ("uid", .string), 5: ("apiVersion", .string),
                6: ("controller", .boolean), 7: ("blockOwnerDeletion", .boolean),
            ])
        ),
        14: ("finalizers", .strings),
    ]

    static let kinds: [String: Message] = [
        "Namespace": [
            1: ("metadata", .message(objectMeta)), 2: ("spec", .message([1: ("finalizers", .strings)])),
            3: ("status", .message([1: ("phase", .string)])),
        ],
        "ConfigMap": [
            1: ("metadata", .message(objectMeta)), 2: ("data", .map(.string)), 3: ("binaryData", .map(.bytes)),
            4: ("immutable", .boolean),
        ],
        "Secret": [
            1: ("metadata", .message(objectMeta)), 2: ("data", .map(.bytes)), 3: ("type", .string),
            4: ("stringData", .map(.string)), 5: ("immutable", .boolean),
        ],
        "ServiceAccount": [
            1: ("metadata", .message(objectMeta)), 3: ("imagePullSecrets", .messages([1: ("name", .string)])),
            4: ("automountServiceAccountToken", .boolean),
        ],
        "SelfSubjectAccessReview": [
            1: ("metadata", .message(objectMeta)),
            2: (
                "spec",
                .message([
                    1: (
                        "resourceAttributes",
                        .message([
                            1: ("namespace", .string), 2: ("verb", .string), 3: ("group", .string),
                            4: ("version", .string), 5: ("resource", .string), 6: ("subresource", .string),
                            7: ("name", .string),
                        ])
                    ),
                    2: ("nonResourceAttributes", .message([1: ("path", .string), 2: ("verb", .string)])),
                ])
            ),
        ],
        "Service": [1: ("metadata", .message(objectMeta)), 2: ("spec", .message(serviceSpec))],
        "Pod": [1: ("metadata", .message(objectMeta)), 2: ("spec", .message(podSpec))],
        "Job": [1: ("metadata", .message(objectMeta)), 2: ("spec", .message(jobSpec)), 3: ("status", .message([:]))],
        "Scale": [
            1: ("metadata", .message(objectMeta)), 2: ("spec", .message([1: ("replicas", .integer)])),
            3: (
                "status",
                .message([1: ("replicas", .integer), 2: ("selector", .map(.string)), 3: ("targetSelector", .string)])
            ),
        ],
        "DeleteOptions": [
            1: ("gracePeriodSeconds", .integer),
            2: ("preconditions", .message([1: ("uid", .string), 2: ("resourceVersion", .string)])),
            3: ("orphanDependents", .boolean), 4: ("propagationPolicy", .string), 5: ("dryRun", .strings),
        ],
    ]

    // MARK: Parts

    private static let serviceSpec: Message = [
        1: (
            "ports",
            .messages([
                1: ("name", .string), 2: ("protocol", .string), 3: ("port", .integer), 4: ("targetPort", .intOrString),
                5: ("nodePort", .integer),
            ])
        ),
        2: ("selector", .map(.string)), 3: ("clusterIP", .string), 4: ("type", .string),
        7: ("sessionAffinity", .string), 10: ("externalName", .string), 18: ("clusterIPs", .strings),
    ]

    private static let jobSpec: Message = [
        1: ("parallelism", .integer), 2: ("completions", .integer), 3: ("activeDeadlineSeconds", .integer),
        6: (
            "template", .message([1: ("metadata", .message(objectMeta)), 2: ("spec", .message(podSpec))])
        ),
        7: ("backoffLimit", .integer), 8: ("ttlSecondsAfterFinished", .integer), 9: ("completionMode", .string),
        10: ("suspend", .boolean),
    ]

    private static let podSpec: Message = [
        2: ("containers", .messages(container)), 3: ("restartPolicy", .string),
        4: ("terminationGracePeriodSeconds", .integer), 5: ("activeDeadlineSeconds", .integer),
        6: ("dnsPolicy", .string), 7: ("nodeSelector", .map(.string)), 8: ("serviceAccountName", .string),
        9: ("serviceAccount", .string), 10: ("nodeName", .string), 16: ("hostname", .string),
        17: ("subdomain", .string), 19: ("schedulerName", .string),
    ]

    private static let container: Message = [
        1: ("name", .string), 2: ("image", .string), 3: ("command", .strings), 4: ("args", .strings),
        5: ("workingDir", .string),
        6: (
            "ports",
            .messages([
                1: ("name", .string), 2: ("hostPort", .integer), 3: ("containerPort", .integer),
                4: ("protocol", .string),
            ])
        ),
        7: ("env", .messages([1: ("name", .string), 2: ("value", .string)])),
        8: (
            "resources", .message([1: ("limits", .map(.quantity)), 2: ("requests", .map(.quantity))])
        ),
        13: ("terminationMessagePath", .string), 14: ("imagePullPolicy", .string),
    ]
}
