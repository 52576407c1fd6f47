import Encoding

/// What the API server itself does to built-in kinds when they are written.
enum BuiltInStrategy {
    /// Fields that a create sets.
    static func prepareForCreate(_ object: inout JSONValue, _ definition: ResourceDefinition, now: Timestamp) {
        switch (definition.storage.group, definition.storage.plural) {
        case ("", "pods"):
            object["status"] = ["phase": "Pending", "qosClass": .string(PodRules.qualityOfService(object))]
            PodRules.setDefaults(&object)
        case ("", "namespaces"):
            var labels = object.metadata("labels") ?? [:]
            labels["kubernetes.io/metadata.name"] = .string(object.objectName)
            object.setMetadata("labels", labels)
            object["spec"] = ["finalizers": ["kubernetes"]]
            object["status"] = ["phase": "Active"]
        case ("", "services"):
            object["status"] = ["loadBalancer": [:]]
            ServiceRules.setDefaults(&object)
        case ("", "secrets"): moveStringData(&object)
        case ("", "events"): EventRules.complete(&object)
        case ("batch", "jobs"): JobRules.prepareForCreate(&object)
        case (CustomResources.collection.group, CustomResources.collection.plural):
            object = CustomResources.completed(object, now: now)
        default: return
        }
    }

    static func prepareForUpdate(
        _ object: inout JSONValue, _ old: JSONValue, _ definition: ResourceDefinition, subresource: String?
    ) {
        switch (definition.storage.group, definition.storage.plural) {
        case ("", "pods"): PodRules.setDefaults(&object)
        case ("", "services"): ServiceRules.keepAddress(&object, old)
        case ("", "secrets"): moveStringData(&object)
        case ("", "events"): EventRules.complete(&object)
        case ("batch", "jobs"): JobRules.prepareForUpdate(&object, old)
        case (CustomResources.collection.group, CustomResources.collection.plural):
            object.set(object.value(at: ["spec", "names"]), at: ["status", "acceptedNames"])
        default: return
        }
    }

    static func errors(_ object: JSONValue, _ old: JSONValue?, _ definition: ResourceDefinition) -> [FieldError] {
        switch (definition.storage.group, definition.storage.plural) {
        case ("", "pods"): PodRules.errors(object, old)
        case ("", "services"): ServiceRules.errors(object)
        case ("batch", "jobs"): JobRules.errors(object, old)
        case ("apps", "controllerrevisions"): revisionErrors(object, old)
        case ("", "configmaps"): sizeErrors(object) + immutableErrors(object, old)
        case ("", "secrets"): sizeErrors(object) + typeErrors(object, old) + immutableErrors(object, old)
        case ("coordination.k8s.io", "leases"): leaseErrors(object)
        case ("", "events"): EventRules.errors(object, old, definition)
        default: []
        }
    }

    /// Kinds whose deletion waits for their content.
    static func isEmptiedFirst(_ definition: ResourceDefinition) -> Bool {
        definition.storage == CollectionID(group: "", plural: "namespaces")
    }

    /// Namespaces that every cluster has.
    static func isPermanent(_ object: JSONValue, _ definition: ResourceDefinition) -> Bool {
        isEmptiedFirst(definition) && ["default", "kube-system"].contains(object.objectName)
    }

    /// batch/v1 Jobs orphan their pods unless a policy says otherwise: a default kept for old clients.
    static func defaultPropagation(_ definition: ResourceDefinition) -> DeleteOptions.Propagation {
        definition.storage == CollectionID(group: "batch", plural: "jobs") ? .orphan : .background
    }

    /// The seconds that a deleted pod may still run; 0 for everything else.
    static func gracePeriodSeconds(_ object: JSONValue, _ definition: ResourceDefinition, asked: Int64?) -> Int64 {
        guard definition.storage == CollectionID(group: "", plural: "pods") else { return 0 }
        let isBound = !(object.value(at: ["spec", "nodeName"])?.stringValue ?? "").isEmpty
        let phase = object.value(at: ["status", "phase"])?.stringValue ?? ""
        guard isBound, phase != "Succeeded", phase != "Failed" else { return 0 }
        return asked ?? object.value(at: ["spec", "terminationGracePeriodSeconds"])?.integerValue ?? 30
    }

    private static func moveStringData(_ object: inout JSONValue) {
        guard let texts = object["stringData"]?.objectValue else { return }
        var data = object["data"] ?? [:]
        for (key, value) in texts { data[key] = .string(Base64.encode(Array((value.stringValue ?? "").utf8))) }
        object["data"] = data
        object["stringData"] = nil
    }

    private static func revisionErrors(_ object: JSONValue, _ old: JSONValue?) -> [FieldError] {
        guard let old, object["data"] != old["data"] else { return [] }
        return [FieldError(.invalid, "data", value: "object", "field is immutable")]
    }

    /// Config maps and secrets hold at most a mebibyte.
    private static func sizeErrors(_ object: JSONValue) -> [FieldError] {
        var size = 0
        for (key, isEncoded) in [("data", object.kind == "Secret"), ("binaryData", true)] {
            for value in (object[key]?.objectValue ?? [:]).values {
                let count = value.stringValue?.utf8.count ?? 0
                size += isEncoded ? count / 4 * 3 : count
            }
        }
        guard size > 1 << 20 else { return [] }
        var error = FieldError(.tooLong, "", "may not be more than 1048576 bytes")
        error.path = object.kind == "Secret" ? "data" : "[]"
        return [error]
    }

    private static func leaseErrors(_ lease: JSONValue) -> [FieldError] {
        var errors: [FieldError] = []
        if let seconds = lease.value(at: ["spec", "leaseDurationSeconds"])?.integerValue, seconds <= 0 {
            errors.append(
                FieldError(
                    .invalid, "spec.leaseDurationSeconds", value: .integer(seconds), "must be greater than 0"))
        }
        if let count = lease.value(at: ["spec", "leaseTransitions"])?.integerValue, count < 0 {
            errors.append(
                FieldError(
                    .invalid, "spec.leaseTransitions", value: .integer(count), "must to greater or equal than 0"))
        }
        return errors
    }

    private static func typeErrors(_ object: JSONValue, _ old: JSONValue?) -> [FieldError] {
        guard let old, object["type"] != old["type"] else { return [] }
        return [FieldError(.invalid, "type", value: object["type"] ?? "", "field is immutable")]
    }

    private static func immutableErrors(_ object: JSONValue, _ old: JSONValue?) -> [FieldError] {
        guard let old, old["immutable"] == true else { return [] }
        return ["data", "binaryData", "stringData", "immutable"].filter { object[$0] != old[$0] }.map {
            FieldError(.forbidden, $0, "field is immutable when `immutable` is set")
        }
    }
}
