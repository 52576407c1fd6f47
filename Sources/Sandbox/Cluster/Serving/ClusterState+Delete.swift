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
        let body = try DeleteOptions.body(request)
        let queried = try request.number("gracePeriodSeconds")
        gracePeriodSeconds = body["gracePeriodSeconds"]?.integerValue ?? queried
        if let grace = gracePeriodSeconds, grace < 0 { gracePeriodSeconds = 1 }
        let policy = body["propagationPolicy"]?.stringValue ?? request.query("propagationPolicy")
        let orphans = body["orphanDependents"]?.boolValue
        propagation = policy.flatMap(Propagation.init) ?? orphans.map { $0 ? .orphan : .background }
        uid = body.value(at: ["preconditions", "uid"])?.stringValue
        resourceVersion = body.value(at: ["preconditions", "resourceVersion"])?.stringValue
        let asked = request.http.url.query.filter { $0.name == "dryRun" }.map(\.value)
        let dryRun = asked + (body["dryRun"]?.arrayValue?.compactMap(\.stringValue) ?? [])
        isDryRun = dryRun.contains("All")
        var errors: [FieldError] = []
        if let policy, orphans != nil {
            let detail = "orphanDependents and deletionPropagation cannot be both set"
            errors.append(FieldError(.invalid, "propagationPolicy", value: .string(policy), detail))
        }
        if let policy, Propagation(rawValue: policy) == nil {
            errors.append(
                FieldError(
                    .notSupported, "propagationPolicy", value: .string(policy),
                    "supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""))
        }
        if !dryRun.allSatisfy({ $0 == "All" }) { errors.append(FieldError.dryRun(dryRun)) }
        guard errors.isEmpty else { throw .invalidOptions("DeleteOptions", errors) }
    }

    private static func body(_ request: ResourceRequest) throws(StatusError) -> JSONValue {
        guard !request.http.body.isEmpty else { return [:] }
        let body: JSONValue
        do throws(StatusError) {
            body = try request.body()
        } catch {
            // The API server takes what it cannot decode here for a fault of its own.
            throw error.code == 400 ? .unexplained(error.message) : error
        }
        let kind = body["kind"]?.stringValue ?? "DeleteOptions"
        guard kind == "DeleteOptions" else {
            throw .unexplained(
                "no kind \"\(kind)\" is registered for version \"\(body.apiVersion)\" in scheme "
                    + "\"k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go\"")
        }
        return body
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
            finalizers = finalizersOfDeleted(object, definition, finalizers)
            changed.setFinalizers(finalizers)
        }
        if finalizers.isEmpty, grace == 0, !BuiltInStrategy.isEmptiedFirst(definition) {
            // A pod is first marked, then removed: watchers see both.
            let isPod = definition.storage == CollectionID(group: "", plural: "pods")
            if isPod { markDeleted(&changed, old: object, grace: grace, definition, now: now) }
            guard !options.isDryRun else { return .gone(isPod ? changed : object) }
            if isPod, changed != object { changed = store.put(changed, at: key) }
            store.remove(key)
            unregisterIfDefinition(object, definition)
            return .gone(isPod ? changed : object)
        }
        markDeleted(&changed, old: object, grace: grace, definition, now: now)
        guard changed != object, !options.isDryRun else { return .waiting(changed) }
        return .waiting(store.put(changed, at: key))
    }

    private func checkPreconditions(
        _ object: JSONValue, _ definition: ResourceDefinition, _ options: DeleteOptions
    ) throws(StatusError) {
        if let uid = options.uid, uid != object.uid {
            throw .deleteConflict(
                definition, object.objectName,
                "the UID in the precondition (\(uid)) does not match the UID in record (\(object.uid)). The object "
                    + "might have been deleted and then recreated")
        }
        if let version = options.resourceVersion, version != object.resourceVersion {
            throw .deleteConflict(
                definition, object.objectName,
                "the ResourceVersion in the precondition (\(version)) does not match the ResourceVersion in record "
                    + "(\(object.resourceVersion)). The object might have been modified")
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
