internal import Encoding

/// A bucket's lifecycle rules: which are refused, and what they do to objects as time passes.
struct LifecycleRules: Sendable {
    private let rules: [JSONValue]

    /// From a bucket's settings.
    init(settings: JSONValue) {
        rules = settings.value(at: ["lifecycle", "rule"])?.arrayValue ?? []
    }

    var isEmpty: Bool { rules.isEmpty }

    // MARK: What is refused

    static let storageClasses = [
        "STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE", "MULTI_REGIONAL", "REGIONAL", "DURABLE_REDUCED_AVAILABILITY",
    ]

    /// - Throws: 400 with the first rule that Cloud Storage would refuse.
    func check() throws(CloudError) {
        guard rules.count <= 100 else { throw Self.invalid("A lifecycle configuration has at most 100 rules.") }
        for rule in rules {
            let conditions = rule["condition"]?.objectValue ?? [:]
            guard !conditions.isEmpty else { throw Self.invalid("A lifecycle rule needs at least one condition.") }
            for name in ["age", "daysSinceCustomTime", "daysSinceNoncurrentTime", "numNewerVersions"] {
                if let number = conditions[name]?.integerValue, number < 0 {
                    throw Self.invalid("\(name) must not be negative.")
                }
            }
            for name in conditions["matchesStorageClass"]?.arrayValue ?? []
            where !Self.storageClasses.contains(name.stringValue ?? "") {
                throw Self.invalid("matchesStorageClass has an unknown storage class.")
            }
            switch rule.value(at: ["action", "type"])?.stringValue {
            case "Delete": break
            case "SetStorageClass":
                let target = rule.value(at: ["action", "storageClass"])?.stringValue ?? ""
                guard Self.storageClasses.contains(target) else {
                    throw Self.invalid("SetStorageClass needs a storage class.")
                }
            case "AbortIncompleteMultipartUpload":
                guard Set(conditions.keys).isSubset(of: ["age", "matchesPrefix", "matchesSuffix"]) else {
                    throw Self.invalid(
                        "AbortIncompleteMultipartUpload takes only age, matchesPrefix and matchesSuffix.")
                }
            default: throw Self.invalid("A lifecycle rule has an unknown action.")
            }
        }
    }

    private static func invalid(_ message: String) -> CloudError {
        CloudError(status: 400, reason: "invalid", message: message)
    }

    // MARK: What they do

    enum Effect: Equatable {
        case delete
        case setStorageClass(String)
    }

    /// What happens to a version now: a delete wins, then the coldest class.
    ///
    /// - Parameter newerCount: versions of the same name that are newer.
    func effect(on object: StoredObject, newerCount: Int, now: Timestamp) -> Effect? {
        let matching = rules.filter { holds($0["condition"] ?? [:], object, newerCount, now) }
        if matching.contains(where: { $0.value(at: ["action", "type"])?.stringValue == "Delete" }) { return .delete }
        let ladder = ["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"]
        let current = ladder.firstIndex(of: object.storageClass) ?? 0
        let coldest = matching.compactMap { rule in
            rule.value(at: ["action", "type"])?.stringValue == "SetStorageClass"
                ? rule.value(at: ["action", "storageClass"])?.stringValue.flatMap(ladder.firstIndex) : nil
        }.max()
        guard let coldest, coldest > current else { return nil }
        return .setStorageClass(ladder[coldest])
    }

    /// All conditions of a rule must hold. One that is not simulated never does.
    private func holds(_ condition: JSONValue, _ object: StoredObject, _ newerCount: Int, _ now: Timestamp) -> Bool {
        (condition.objectValue ?? [:]).allSatisfy { name, value in
            switch name {
            case "age": isPast(object.created, days: value, now)
            case "createdBefore": isBefore(object.created, value)
            case "daysSinceNoncurrentTime": object.deleted.map { isPast($0, days: value, now) } ?? false
            case "noncurrentTimeBefore": object.deleted.map { isBefore($0, value) } ?? false
            case "daysSinceCustomTime": customTime(object).map { isPast($0, days: value, now) } ?? false
            case "customTimeBefore": customTime(object).map { isBefore($0, value) } ?? false
            case "isLive": value.boolValue == object.isLive
            case "numNewerVersions": value.integerValue.map { newerCount >= $0 } ?? false
            case "matchesPrefix": strings(value).contains { object.name.hasPrefix($0) }
            case "matchesSuffix": strings(value).contains { object.name.hasSuffix($0) }
            case "matchesStorageClass": strings(value).contains(object.storageClass)
            case "sizeAboveBytes": number(value).map { object.blob.size > $0 } ?? false
            case "sizeBelowBytes": number(value).map { object.blob.size < $0 } ?? false
            default: false
            }
        }
    }

    private func isPast(_ moment: Timestamp, days: JSONValue, _ now: Timestamp) -> Bool {
        days.integerValue.map { now >= moment + .seconds($0 * 86400) } ?? false
    }

    private func isBefore(_ moment: Timestamp, _ date: JSONValue) -> Bool {
        date.stringValue.flatMap { Timestamp($0 + "T00:00:00Z") }.map { moment < $0 } ?? false
    }

    private func customTime(_ object: StoredObject) -> Timestamp? {
        object.attributes["customTime"]?.stringValue.flatMap { Timestamp($0) }
    }

    private func strings(_ value: JSONValue) -> [String] { (value.arrayValue ?? []).compactMap(\.stringValue) }

    private func number(_ value: JSONValue) -> Int64? {
        value.integerValue ?? value.stringValue.flatMap { Int64($0) }
    }
}

extension StorageState {
    /// Applies every bucket's lifecycle rules to every version.
    mutating func applyLifecycle(now: Timestamp) {
        purgeSoftDeleted(now: now)
        for (bucketName, bucket) in buckets {
            let rules = LifecycleRules(settings: bucket.settings)
            if rules.isEmpty { continue }
            for (name, versions) in bucket.objects {
                for (index, object) in versions.enumerated() {
                    switch rules.effect(on: object, newerCount: versions.count - 1 - index, now: now) {
                    case nil: break
                    case .delete where !bucket.mayRemove(object, now: now): break
                    case .delete where object.isLive: buckets[bucketName]?.retireLive(name, now: now)
                    case .delete: buckets[bucketName]?.remove(name, generation: object.generation, now: now)
                    case .setStorageClass(let target):
                        buckets[bucketName]?.setStorageClass(target, of: object, now: now)
                    }
                }
            }
        }
    }
}

extension StoredBucket {
    fileprivate mutating func setStorageClass(_ target: String, of object: StoredObject, now: Timestamp) {
        guard let index = objects[object.name]?.firstIndex(where: { $0.generation == object.generation }) else {
            return
        }
        objects[object.name]?[index].storageClass = target
        objects[object.name]?[index].classChanged = now
        objects[object.name]?[index].metageneration += 1
    }
}
