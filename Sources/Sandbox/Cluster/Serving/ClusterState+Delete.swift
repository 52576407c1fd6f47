import Encoding
import HTTP

/// What a DELETE asks for, from its body or its query.
struct DeleteOptions: Sendable {
    enum Propagation: String, Sendable {
        case orphan = "Orphan"
        case background = "Background"
        case foreground = "Foreground"
    }

    var gracePeriodSeconds: Int64?
    var propagation: Propagation?
    var uid: String?
    var resourceVersion: String?
    var isDryRun: Bool

    init(propagation: Propagation) {
        self.propagation = propagation
        isDryRun = false
    }

    init(_ request: ResourceRequest) throws(StatusError) {
        let body = request.http.body.isEmpty ? JSONValue.object([:]) : try request.body()
        gracePeriodSeconds =
            body["gracePeriodSeconds"]?.integerValue ?? request.query("gracePeriodSeconds").flatMap { Int64($0) }
        if let grace = gracePeriodSeconds, grace < 0 { gracePeriodSeconds = 1 }
        let policy = body["propagationPolicy"]?.stringValue ?? request.query("propagationPolicy")
        if let policy {
            guard let known = Propagation(rawValue: policy) else {
                throw .badRequest("propagationPolicy: Invalid value: \"\(policy)\"")
            }
            propagation = known
        } else if let orphans = body["orphanDependents"]?.boolValue {
            propagation = orphans ? .orphan : .background
        }
        uid = body.value(at: ["preconditions", "uid"])?.stringValue
        resourceVersion = body.value(at: ["preconditions", "resourceVersion"])?.stringValue
        isDryRun = request.isDryRun || body["dryRun"]?.arrayValue?.contains("All") == true
    }
}

/// A delete's outcome: gone, or waiting for finalizers or grace.
enum DeleteResult: Sendable {
    case gone(JSONValue)
    case waiting(JSONValue)
}

extension ClusterState {
    mutating func delete(
        _ definition: ResourceDefinition, _ key: ObjectKey, _ options: DeleteOptions, now: Timestamp
    ) throws(StatusError) -> DeleteResult {
        guard let object = store.object(key) else { throw .notFound(definition, key.name) }
        try checkPreconditions(object, definition, options)
        if BuiltInStrategy.isPermanent(object, definition) {
            throw .forbidden(definition, key.name, "this namespace may not be deleted")
        }
        let grace = BuiltInStrategy.gracePeriodSeconds(object, definition, asked: options.gracePeriodSeconds)
        var changed = object
        var finalizers = object.finalizers
        if object.deletionTimestamp == nil || options.propagation != nil {
            finalizers.removeAll { $0 == "orphan" || $0 == "foregroundDeletion" }
            switch options.propagation ?? BuiltInStrategy.defaultPropagation(definition) {
            case .orphan: finalizers.append("orphan")
            case .foreground: finalizers.append("foregroundDeletion")
            case .background: break
            }
            changed.setFinalizers(finalizers)
        }
        if finalizers.isEmpty, grace == 0, !BuiltInStrategy.isEmptiedFirst(definition) {
            guard !options.isDryRun else { return .gone(object) }
            store.remove(key)
            unregisterIfDefinition(object, definition)
            return .gone(object)
        }
        markDeleted(&changed, old: object, grace: grace, definition, now: now)
        guard changed != object, !options.isDryRun else { return .waiting(changed) }
        return .waiting(store.put(changed, at: key))
    }

    private func checkPreconditions(
        _ object: JSONValue, _ definition: ResourceDefinition, _ options: DeleteOptions
    ) throws(StatusError) {
        if let uid = options.uid, uid != object.uid {
            throw .conflict(
                definition, object.objectName,
                "Precondition failed: UID in precondition: \(uid), UID in object meta: \(object.uid)")
        }
        if let version = options.resourceVersion, version != object.resourceVersion {
            throw .conflict(
                definition, object.objectName,
                "Precondition failed: ResourceVersion in precondition: \(version), ResourceVersion in object meta: "
                    + object.resourceVersion)
        }
    }

    private func markDeleted(
        _ object: inout JSONValue, old: JSONValue, grace: Int64, _ definition: ResourceDefinition, now: Timestamp
    ) {
        let earlierGrace = old.metadata("deletionGracePeriodSeconds")?.integerValue ?? 0
        if old.deletionTimestamp == nil {
            object.setMetadata("deletionTimestamp", .string((now.wholeSeconds + .seconds(grace)).description))
            object.setMetadata("deletionGracePeriodSeconds", .integer(grace))
            if definition.countsGenerations { object.setMetadata("generation", .integer(old.generation + 1)) }
        } else if grace < earlierGrace {
            object.setMetadata("deletionTimestamp", .string((now.wholeSeconds + .seconds(grace)).description))
            object.setMetadata("deletionGracePeriodSeconds", .integer(grace))
        }
        if BuiltInStrategy.isEmptiedFirst(definition) { object.set("Terminating", at: ["status", "phase"]) }
    }

    /// Deletes what a list shows.
    mutating func deleteCollection(_ request: ResourceRequest) throws(StatusError) -> ObjectList {
        let options = try DeleteOptions(request)
        let list = try list(request)
        for object in list.items {
            let key = ObjectKey(
                collection: request.definition.storage, namespace: object.objectNamespace, name: object.objectName)
            _ = try delete(request.definition, key, options, now: request.now)
        }
        return list
    }
}
