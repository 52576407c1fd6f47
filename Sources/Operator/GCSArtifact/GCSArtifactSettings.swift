import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes

/// The bucket's settings: how it is created, and what of it is not as the user described it.
enum GCSArtifactSettings {
    typealias Observation = GCSArtifactObservation

    /// One setting that is not as described.
    struct Difference: Sendable, Hashable {
        /// As in the spec: `bucket.versioning`.
        var path: String
        var desired: String
        var observed: String
    }

    /// All of them, and what is sent for them.
    struct Differences: Sendable, Hashable {
        var patch = BucketPatch()
        var found: [Difference] = []

        var isEmpty: Bool { patch.isEmpty }
        /// What differs, for people.
        var paths: String { found.map(\.path).joined(separator: ", ") }

        /// Texts of the status are bounded.
        mutating func note(_ path: String, _ desired: String, _ observed: String?) {
            found.append(
                Difference(
                    path: path, desired: String(desired.prefix(160)),
                    observed: String((observed ?? "unset").prefix(160))))
        }
    }

    /// Which settings the spec describes: another hash is another wish.
    static func hash(_ spec: GCSArtifact.Bucket) -> String {
        // Strings, numbers and flags only: nothing in it can fail to encode.
        let bytes = (try? JSONValue(encoding: spec).serialized()) ?? []
        return String(SHA256.hexadecimal(of: bytes).prefix(32))
    }

    /// The bucket as it is created.
    static func configuration(_ spec: GCSArtifact.Bucket, _ observation: Observation) -> BucketConfiguration {
        BucketConfiguration(
            name: spec.name, location: spec.location ?? "", storageClass: spec.storageClass?.apiValue,
            labels: labels(observation), iamConfiguration: .locked,
            versioning: spec.versioning.map { Versioning(enabled: $0.enabled) },
            softDeletePolicy: spec.softDelete.map {
                SoftDeletePolicy(retentionDurationSeconds: Int64($0.retentionSeconds))
            },
            lifecycle: spec.lifecycleRules.map { Lifecycle(rule: $0.map(rule)) },
            autoclass: spec.autoclass.map {
                Autoclass(enabled: $0.enabled, terminalStorageClass: $0.terminalStorageClass?.apiValue)
            },
            retentionPolicy: spec.retention.map { RetentionPolicy(retentionPeriod: $0.retentionSeconds) },
            encryption: spec.kmsKeyName.map { BucketEncryption(defaultKmsKeyName: $0) })
    }

    /// What must change; only what the user set, our labels and the access settings are compared.
    static func differences(_ bucket: GoogleCloud.Bucket, _ observation: Observation) -> Differences {
        guard let spec = observation.spec.bucket else { return Differences() }
        let wanted = configuration(spec, observation)
        var result = Differences()
        compareAccess(bucket, wanted, &result)
        compareStorage(bucket, wanted, &result)
        compareData(bucket, wanted, &result)
        return result
    }

    private static func compareAccess(
        _ bucket: GoogleCloud.Bucket, _ wanted: BucketConfiguration, _ result: inout Differences
    ) {
        let labels = (wanted.labels ?? [:]).filter { bucket.labels?[$0.key] != $0.value }
        if !labels.isEmpty {
            result.patch.labels = labels.mapValues { $0 }
            let keys = labels.keys.sorted()
            result.note(
                "bucket.labels", keys.map { "\($0)=\(labels[$0] ?? "")" }.joined(separator: ","),
                keys.map { "\($0)=\(bucket.labels?[$0] ?? "")" }.joined(separator: ","))
        }
        let isUniform = bucket.iamConfiguration?.uniformBucketLevelAccess?.enabled == true
        let prevention = bucket.iamConfiguration?.publicAccessPrevention
        if !isUniform || prevention != "enforced" {
            result.patch.iamConfiguration = .locked
            result.note(
                "uniform access and public access prevention", "true, enforced",
                "\(isUniform), \(prevention ?? "unset")")
        }
        if let key = wanted.encryption?.defaultKmsKeyName, key != bucket.encryption?.defaultKmsKeyName {
            result.patch.encryption = wanted.encryption
            result.note("bucket.kmsKeyName", key, bucket.encryption?.defaultKmsKeyName)
        }
    }

    private static func compareStorage(
        _ bucket: GoogleCloud.Bucket, _ wanted: BucketConfiguration, _ result: inout Differences
    ) {
        if let storageClass = wanted.storageClass, storageClass != bucket.storageClass {
            result.patch.storageClass = storageClass
            result.note("bucket.storageClass", storageClass, bucket.storageClass)
        }
        if let autoclass = wanted.autoclass, !isSame(autoclass, bucket.autoclass) {
            result.patch.autoclass = autoclass
            result.note("bucket.autoclass", text(autoclass), bucket.autoclass.map(text))
        }
        if let lifecycle = wanted.lifecycle, canonical(lifecycle) != canonical(bucket.lifecycle) {
            result.patch.lifecycle = lifecycle
            result.note(
                "bucket.lifecycleRules", "\(lifecycle.rule?.count ?? 0) rules",
                "\(bucket.lifecycle?.rule?.count ?? 0) rules, \(foreignCount(lifecycle, bucket.lifecycle)) of them others"
            )
        }
    }

    private static func compareData(
        _ bucket: GoogleCloud.Bucket, _ wanted: BucketConfiguration, _ result: inout Differences
    ) {
        if let versioning = wanted.versioning, versioning.enabled != (bucket.versioning?.enabled ?? false) {
            result.patch.versioning = versioning
            result.note(
                "bucket.versioning", "\(versioning.enabled ?? false)", "\(bucket.versioning?.enabled ?? false)")
        }
        let soft = bucket.softDeletePolicy?.retentionDurationSeconds ?? 0
        if let softDelete = wanted.softDeletePolicy, softDelete.retentionDurationSeconds != soft {
            result.patch.softDeletePolicy = softDelete
            result.note("bucket.softDelete", "\(softDelete.retentionDurationSeconds) s", "\(soft) s")
        }
        let period = bucket.retentionPolicy?.retentionPeriod
        if let retention = wanted.retentionPolicy, retention.retentionPeriod != period {
            result.patch.retentionPolicy = retention
            result.note("bucket.retention", "\(retention.retentionPeriod) s", period.map { "\($0) s" })
        }
    }

    // MARK: Values that are the same in other words

    private static func isSame(_ wanted: Autoclass, _ found: Autoclass?) -> Bool {
        guard wanted.enabled else { return found?.enabled != true }
        guard let found, found.enabled else { return false }
        return wanted.terminalStorageClass == nil || wanted.terminalStorageClass == found.terminalStorageClass
    }

    private static func text(_ autoclass: Autoclass) -> String {
        "\(autoclass.enabled)" + (autoclass.terminalStorageClass.map { ", down to \($0)" } ?? "")
    }

    /// The order of rules, and of the names in a condition, means nothing; an empty list is none.
    private static func canonical(_ lifecycle: Lifecycle?) -> Set<LifecycleRule> {
        Set(
            (lifecycle?.rule ?? []).map { rule in
                var rule = rule
                rule.condition.matchesPrefix = sorted(rule.condition.matchesPrefix)
                rule.condition.matchesSuffix = sorted(rule.condition.matchesSuffix)
                rule.condition.matchesStorageClass = sorted(rule.condition.matchesStorageClass)
                return rule
            })
    }

    private static func sorted(_ names: [String]?) -> [String]? {
        guard let names, !names.isEmpty else { return nil }
        return Set(names).sorted()
    }

    private static func foreignCount(_ wanted: Lifecycle, _ found: Lifecycle?) -> Int {
        canonical(found).subtracting(canonical(wanted)).count
    }

    /// The user's and ours; ours win.
    private static func labels(_ observation: Observation) -> [String: String] {
        (observation.spec.bucket?.labels ?? [:]).merging(
            Ownership.retainableLabels(observation.owner, clusterUID: observation.configuration.clusterUID)
        ) { $1 }
    }

    private static func rule(_ rule: GCSArtifact.LifecycleRule) -> LifecycleRule {
        let condition = rule.condition
        return LifecycleRule(
            action: .init(type: rule.action.type.rawValue, storageClass: rule.action.storageClass?.apiValue),
            condition: .init(
                age: condition.ageDays, createdBefore: condition.createdBefore,
                customTimeBefore: condition.customTimeBefore, noncurrentTimeBefore: condition.noncurrentTimeBefore,
                daysSinceCustomTime: condition.daysSinceCustomTime,
                daysSinceNoncurrentTime: condition.daysSinceNoncurrentTime, isLive: condition.isLive,
                numNewerVersions: condition.numNewerVersions, matchesPrefix: condition.matchesPrefix,
                matchesSuffix: condition.matchesSuffix,
                matchesStorageClass: condition.matchesStorageClass?.map(\.apiValue),
                matchesPattern: condition.matchesPattern, sizeAboveBytes: condition.sizeAboveBytes,
                sizeBelowBytes: condition.sizeBelowBytes))
    }
}
