import Encoding
import Kubernetes

/// Cases of a bucket's settings and of who manages it.
extension CRDRuleCases {
    private static func create(
        _ rule: String?, _ changes: [CRDRuleCase.Change], _ refusal: String? = nil
    ) -> CRDRuleCase {
        CRDRuleCase(kind: artifact, rule: rule, change: changes, refusal: refusal)
    }

    private static func update(
        _ rule: String?, _ before: [CRDRuleCase.Change], _ changes: [CRDRuleCase.Change], _ refusal: String? = nil
    ) -> CRDRuleCase {
        CRDRuleCase(kind: artifact, rule: rule, before: before, change: changes, isUpdate: true, refusal: refusal)
    }

    private static func bucket(_ more: [String: JSONValue]) -> CRDRuleCase.Change {
        .init("spec.bucket", .object(["name": "runs-bucket", "location": "us-central1"].merging(more) { $1 }))
    }

    private static let observed = CRDRuleCase.Change(
        "spec.bucket", ["name": "runs-bucket", "managementPolicy": "Observe"])
    private static let autoclass: JSONValue = ["enabled": true, "terminalStorageClass": "Archive"]
    private static let cooling: JSONValue = [
        ["action": ["type": "SetStorageClass", "storageClass": "Nearline"], "condition": ["ageDays": 1]]
    ]
    private static let locked: JSONValue = ["retentionSeconds": 60, "locked": true]
    private static let key: JSONValue = "projects/p/locations/us/keyRings/r/cryptoKeys/k"

    private static let copied: JSONValue = ["type": "URI", "uri": ["uri": "gs://b1/a/"]]
    private static let tracked: JSONValue = [
        "type": "DVC", "dvc": ["uri": "gs://b1/a.dvc", "remote": "gs://b1/store/"],
    ]
    private static let link: JSONValue = [
        "name": "a", "path": "a/b c", "expiresInSeconds": 3600, "secretName": "s",
    ]

    private static let message: JSONValue = [
        "name": "a", "event": "ObjectFinalized", "topic": "projects/p/topics/t",
    ]

    private static func rule(_ condition: JSONValue, _ type: String = "Delete") -> CRDRuleCase.Change {
        bucket(["lifecycleRules": [["action": ["type": .string(type)], "condition": condition]]])
    }

    static let artifactContents: [CRDRuleCase] = [
        create("spec.source#1", [.init("spec.source", copied), .init("spec.layout", "Versioned"), bucket([:])]),
        create(
            "spec.source#1", [.init("spec.source", ["type": "URI"]), .init("spec.layout", "Versioned"), bucket([:])],
            "uri exactly with type URI"),
        create("spec.source#2", [.init("spec.source", tracked), .init("spec.layout", "DVC"), bucket([:])]),
        create(
            "spec.source#2", [.init("spec.source", ["type": "DVC"]), .init("spec.layout", "DVC"), bucket([:])],
            "dvc exactly with type DVC"),
        create("spec#11", [.init("spec.source", tracked), .init("spec.layout", "DVC"), bucket([:])]),
        create("spec#11", [.init("spec.layout", "DVC"), bucket([:])], "layout DVC goes with source DVC"),
        create(
            "spec#11", [.init("spec.source", tracked), .init("spec.layout", "Versioned"), bucket([:])],
            "layout DVC goes with source DVC"),
        create(
            nil, [.init("spec.source", ["type": "URI", "uri": ["uri": "https://b1/a"]]), bucket([:])], "should match"),
        create(
            nil,
            [
                .init("spec.source", ["type": "DVC", "dvc": ["uri": "gs://b1/a.dvc", "remote": "gs://b1/a"]]),
                .init("spec.layout", "DVC"), bucket([:]),
            ], "should match"),
        create(nil, [.init("spec.versionRetention", ["keepLast": 1])]),
        create(nil, [.init("spec.versionRetention", ["keepLast": 0])], "should be greater than or equal to 1"),
        create(nil, [.init("spec.versionRetention", [:])], "keepLast: Required value"),
        create(nil, [.init("spec.access", ["signedURLs": [link]])]),
        create(
            nil, [.init("spec.access", ["signedURLs": [link.merging(["expiresInSeconds": 604_801])]])],
            "should be less than or equal to 604800"),
        create(nil, [.init("spec.access", ["signedURLs": [link.merging(["path": "/a"])]])], "should match"),
        create(nil, [.init("spec.access", ["signedURLs": [link.merging(["method": "DELETE"])]])], "Unsupported value"),
        create(nil, [.init("spec.access", ["signedURLs": [link, link]])], "Duplicate value"),
        create(nil, [.init("spec.notifications", [message])]),
        create(nil, [.init("spec.notifications", [message.merging(["topic": "t"])])], "should match"),
        create(nil, [.init("spec.notifications", [message.merging(["event": "Any"])])], "Unsupported value"),
        create(nil, [rule(["sizeAboveBytes": 0, "sizeBelowBytes": 100, "matchesPattern": "^a.*$"])]),
        create(nil, [rule(["sizeBelowBytes": 0])], "should be greater than or equal to 1"),
        create(
            nil, [rule(["sizeAboveBytes": 1], "AbortIncompleteMultipartUpload")], "takes only ageDays, matchesPrefix"),
    ]

    private static let uploaded: JSONValue = ["type": "Upload", "upload": ["markerFile": "_SUCCESS"]]

    private static func viewer(_ member: String) -> JSONValue {
        ["role": "roles/storage.objectViewer", "members": [.string(member)]]
    }

    static let artifactBuckets: [CRDRuleCase] = [
        create("spec.bucket#2", [observed]),
        create("spec.bucket#2", [.init("spec.bucket.location", nil)], "location is needed unless"),
        create("spec.bucket#3", [observed]),
        create(
            "spec.bucket#3", [observed, .init("spec.bucket.versioning", ["enabled": true])], "Observe takes no settings"
        ),
        create("spec.bucket#5", [bucket(["autoclass": autoclass])]),
        create(
            "spec.bucket#5", [bucket(["autoclass": autoclass, "lifecycleRules": cooling])],
            "Autoclass excludes SetStorageClass rules"),
        create("spec.bucket#7", [bucket(["autoclass": autoclass, "storageClass": "Standard"])]),
        create(
            "spec.bucket#7", [bucket(["autoclass": autoclass, "storageClass": "Nearline"])],
            "Autoclass needs storageClass Standard"),
        create("spec.bucket#8", [bucket(["retention": locked])]),
        create(
            "spec.bucket#8", [bucket(["retention": locked, "managementPolicy": "CreateOnly"])],
            "locked only with managementPolicy Full"),
        create(
            nil, [bucket(["autoclass": ["enabled": true, "terminalStorageClass": "Coldline"]])], "Unsupported value"),
        create(nil, [bucket(["retention": ["retentionSeconds": 0]])], "should be greater than or equal to 1"),
        create(nil, [bucket(["kmsKeyName": key])]), create(nil, [bucket(["kmsKeyName": "key"])], "should match"),
        create(nil, [bucket(["managementPolicy": "Own"])], "Unsupported value"),
        create(nil, [.init("spec.driftPolicy", "Report")]),
        create(nil, [.init("spec.driftPolicy", "Ignore")], "Unsupported value"),
        create(nil, [.init("spec.verification", ["requiredFiles": ["config.json", "a/model.safetensors"]])]),
        create(nil, [.init("spec.verification", ["requiredFiles": ["/a"]])], "should match"),
        create(nil, [.init("spec.verification", ["requiredFiles": ["a", "a"]])], "Duplicate value"),
        create(nil, [.init("spec.budget", ["maxSizeGiB": 10, "maxMonthlyCost": "25.00"])]),
        create(nil, [.init("spec.budget", [:])], "at least 1 properties"),
        create(nil, [.init("spec.budget", ["maxMonthlyCost": "$3"])], "should match"),
        create(nil, [.init("spec.access", ["bindings": [viewer("serviceAccount:a@p.iam.gserviceaccount.com")]])]),
        create(nil, [.init("spec.access", ["bindings": [viewer("allUsers")]])], "should match"),
        create(
            nil, [.init("spec.access", ["bindings": [["role": "roles/owner", "members": ["user:a@b.c"]]]])],
            "Unsupported value"),
        create(
            nil, [.init("spec.access", ["bindings": [viewer("user:a@b.c"), viewer("user:b@b.c")]])], "Duplicate value"),
        create("spec.source#0", [.init("spec.source", uploaded), .init("spec.layout", "Versioned"), bucket([:])]),
        create(
            "spec.source#0",
            [.init("spec.source", ["type": "Upload"]), .init("spec.layout", "Versioned"), bucket([:])],
            "upload exactly with type Upload"),
        create("spec#10", [.init("spec.source", uploaded), .init("spec.layout", "Versioned"), bucket([:])]),
        create(
            "spec#10", [.init("spec.source", uploaded), .init("spec.layout", "Flat")], "a source needs layout Versioned"
        ),
        create(nil, [.init("spec.source", ["type": "Upload", "upload": [:]])], "at least 1 properties"),
        create(
            nil, [.init("spec.source", ["type": "Upload", "upload": ["quietSeconds": 9]])],
            "should be greater than or equal to 10"),
        create("spec#9", [observed]),
        create(
            "spec#9", [observed, .init("spec.deletionPolicy", "DeleteObjects"), .init("spec.prefix", "a/")],
            "nothing in an observed bucket"),
        update("spec.bucket#4", [], [.init("spec.bucket.managementPolicy", "CreateOnly")]),
        update(
            "spec.bucket#4", [bucket(["managementPolicy": "Observe"])], [bucket([:])],
            "an observed bucket cannot become managed"),
        update("spec.bucket#6", [bucket(["retention": locked])], [.init("spec.artifactType", "Model")]),
        update("spec.bucket#6", [bucket(["retention": locked])], [bucket([:])], "a locked retention cannot be removed"),
        update(
            "spec.bucket.retention#0", [bucket(["retention": locked])],
            [.init("spec.bucket.retention.retentionSeconds", 61)]),
        update(
            "spec.bucket.retention#0", [bucket(["retention": locked])],
            [.init("spec.bucket.retention.retentionSeconds", 59)], "a locked retention can only grow"),
    ]
}

extension JSONValue {
    fileprivate func merging(_ other: JSONValue) -> JSONValue {
        .object((objectValue ?? [:]).merging(other.objectValue ?? [:]) { $1 })
    }
}
