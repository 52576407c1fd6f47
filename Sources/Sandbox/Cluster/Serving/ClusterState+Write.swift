import Encoding

/// A write's result: the object as it is stored now, and what the client should be warned of.
struct WriteResult: Sendable {
    var object: JSONValue
    var isCreated = false
    var warnings: [String] = []
}

extension ClusterState {
    /// - Parameter keepsManagedFields: the body's managedFields are already right (server-side apply).
    mutating func create(
        _ request: ResourceRequest, _ body: JSONValue, keepsManagedFields: Bool = false
    ) throws(StatusError) -> WriteResult {
        let definition = request.definition
        var result = WriteResult(object: try checkedKind(body, definition), isCreated: true)
        try completeName(&result.object, request)
        let name = result.object.objectName
        guard result.object.resourceVersion.isEmpty else {
            throw .unexplained("resourceVersion should not be set on objects to be created")
        }
        try requireNamespace(request, name: name)
        try requireLivingDefinition(definition)
        let managedFields = keepsManagedFields ? result.object.metadata("managedFields") : nil
        prepareForCreate(&result.object, request)
        result.object.tidyMetadata()
        try readThroughSchema(&result, request)
        if definition.hasStatus, definition.isCustom {
            result.object["status"] = nil
            if let schema = definition.schema { result.object = Defaulting.defaulted(result.object, schema) }
        }
        BuiltInStrategy.prepareForCreate(&result.object, definition, now: request.now)
        if let managedFields {
            result.object.setMetadata("managedFields", managedFields)
        } else {
            result.object = ManagedFields.tracked(nil, result.object, by: writer(request), definition)
        }
        try validate(result.object, old: nil, request)
        let key = request.key(name)
        if let existing = store.object(key) {
            var error = StatusError.alreadyExists(definition, name)
            if existing.deletionTimestamp != nil { error.message = "object is being deleted: \(error.message)" }
            throw error
        }
        try checkCustomResourceDefinition(result.object, definition)
        guard !request.isDryRun else { return result }
        result.object = store.put(result.object, at: key)
        try registerIfDefinition(result.object, definition)
        return result
    }

    /// Replaces an object or its subresource by `body`; a PATCH comes here with the patched object.
    ///
    /// - Parameter keepsManagedFields: the body's managedFields are already right (server-side apply).
    mutating func update(
        _ request: ResourceRequest, name: String, _ body: JSONValue, keepsManagedFields: Bool = false
    ) throws(StatusError) -> WriteResult {
        let definition = request.definition
        let key = request.key(name)
        var result = WriteResult(object: try checkedKind(body, definition))
        try checkPlace(result.object, request, name: name)
        guard let old = store.object(key) else { throw .notFound(definition, name) }
        try checkIdentity(result.object, old, request, name: name)
        try readThroughSchema(&result, request)
        keepMetadata(&result.object, old)
        result.object.tidyMetadata()
        separateStatus(&result.object, old, request)
        if let schema = definition.schema { result.object = Defaulting.defaulted(result.object, schema) }
        BuiltInStrategy.prepareForUpdate(&result.object, old, definition, subresource: request.subresource)
        countGeneration(&result.object, old, definition)
        if !keepsManagedFields {
            result.object = ManagedFields.tracked(old, result.object, by: writer(request), definition)
        }
        try validate(result.object, old: old, request)
        try checkCustomResourceDefinition(result.object, definition)
        result.object.setMetadata("resourceVersion", old.metadata("resourceVersion"))
        if ManagedFields.areEqualButForTimes(result.object, old) {
            result.object = old
            return result
        }
        guard !request.isDryRun else { return result }
        if isReadyToGo(result.object) {
            store.remove(key)
            unregisterIfDefinition(result.object, definition)
        } else {
            result.object = store.put(result.object, at: key)
            try registerIfDefinition(result.object, definition)
        }
        return result
    }

    /// An object that only waited for its finalizers.
    private func isReadyToGo(_ object: JSONValue) -> Bool {
        object.deletionTimestamp != nil && object.finalizers.isEmpty
            && (object.metadata("deletionGracePeriodSeconds")?.integerValue ?? 0) == 0
    }

    // MARK: Steps

    /// The body as it is stored. Built-in kinds may leave out their kind; another kind is refused.
    private func checkedKind(_ body: JSONValue, _ definition: ResourceDefinition) throws(StatusError) -> JSONValue {
        if !definition.isCustom, body.isNull {
            return ["apiVersion": .string(definition.apiVersion), "kind": .string(definition.kind)]
        }
        guard case .object = body else {
            throw .badRequest(
                "the object provided is unrecognized (must be of type \(definition.kind)): couldn't get version/kind; "
                    + "json parse error: json: cannot unmarshal \(body.typeName) into Go value of type struct "
                    + "{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string "
                    + "\"json:\\\"kind,omitempty\\\"\" } (\(body.serializedText().utf8.map { String($0, radix: 16) }.joined()))"
            )
        }
        var object = body
        if definition.isCustom {
            try checkCustomKind(body, definition)
        } else {
            if body.kind.isEmpty { object["kind"] = .string(definition.kind) }
            if body.apiVersion.isEmpty { object["apiVersion"] = .string(definition.apiVersion) }
            try checkBuiltInKind(object, definition)
        }
        if let error = BuiltInTypes.metadataError(object, definition) { throw error }
        object = definition.view.stored(object)
        if definition.view == .event { object["apiVersion"] = "v1" }
        return object
    }

    private func checkCustomKind(_ body: JSONValue, _ definition: ResourceDefinition) throws(StatusError) {
        guard !body.kind.isEmpty else {
            throw .badRequest(
                "\(definition.kind) in version \"\(definition.version)\" cannot be handled as a \(definition.kind): "
                    + "Object 'Kind' is missing in '\(body.shortText)'")
        }
        guard !body.apiVersion.isEmpty else {
            throw .internalError("Object 'apiVersion' is missing in 'object has no apiVersion field'")
        }
        guard body.apiVersion == definition.apiVersion else {
            throw .badRequest(
                "the API version in the data (\(body.apiVersion)) does not match the expected API version "
                    + "(\(definition.apiVersion))")
        }
        guard body.kind == definition.kind else {
            throw .wrongKind(body, definition)
        }
    }

    private func checkBuiltInKind(_ body: JSONValue, _ definition: ResourceDefinition) throws(StatusError) {
        guard body.apiVersion != definition.apiVersion || body.kind != definition.kind else { return }
        let version = body.apiVersion.split(separator: "/").last ?? ""
        let isKnown = registry.hasKind(body.kind, apiVersion: body.apiVersion)
        let group = definition.group.split(separator: ".").first ?? "core"
        let detail =
            isKnown
            ? "converting (v1.\(body.kind)) to (\(group).\(definition.kind)): unknown conversion"
            : "no kind \"\(body.kind)\" is registered for version \"\(body.apiVersion)\" in scheme "
                + "\"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30\""
        throw .badRequest("\(body.kind) in version \"\(version)\" cannot be handled as a \(definition.kind): \(detail)")
    }

    private mutating func completeName(_ object: inout JSONValue, _ request: ResourceRequest) throws(StatusError) {
        if object.objectName.isEmpty, let prefix = object.metadata("generateName")?.stringValue, !prefix.isEmpty {
            var name = String(prefix.prefix(58)) + names.suffix()
            for _ in 0..<8 where store.object(request.key(name)) != nil {
                name = String(prefix.prefix(58)) + names.suffix()
            }
            object.setMetadata("name", .string(name))
        }
        try checkNamespace(&object, request)
        if let name = request.name, name != object.objectName {
            throw .badRequest(
                "the name of the object (\(object.objectName)) does not match the name on the URL (\(name))")
        }
    }

    private func checkNamespace(_ object: inout JSONValue, _ request: ResourceRequest) throws(StatusError) {
        guard request.definition.isNamespaced else {
            object.setMetadata("namespace", nil)
            return
        }
        let namespace = object.objectNamespace
        guard namespace.isEmpty || namespace == request.namespace else {
            throw .badRequest(
                "the namespace of the provided object does not match the namespace sent on the request")
        }
        object.setMetadata("namespace", request.namespace.map(JSONValue.string))
    }

    private func requireNamespace(_ request: ResourceRequest, name: String) throws(StatusError) {
        guard request.definition.isNamespaced, let namespace = request.namespace else { return }
        let collection = CollectionID(group: "", plural: "namespaces")
        guard let object = store.object(ObjectKey(collection: collection, namespace: "", name: namespace)) else {
            throw StatusError(
                404, "NotFound", "namespaces \"\(namespace)\" not found",
                details: ["name": .string(namespace), "kind": "namespaces"])
        }
        if object.deletionTimestamp != nil {
            var error = StatusError.forbidden(
                request.definition, name,
                "unable to create new content in namespace \(namespace) because it is being terminated")
            error.details?["causes"] = [
                [
                    "reason": "NamespaceTerminating", "field": "metadata.namespace",
                    "message": .string("namespace \(namespace) is being terminated"),
                ]
            ]
            throw error
        }
    }

    private mutating func prepareForCreate(_ object: inout JSONValue, _ request: ResourceRequest) {
        for key in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields", "resourceVersion"] {
            object.setMetadata(key, nil)
        }
        object.setMetadata("uid", .string(names.uid()))
        object.setMetadata("creationTimestamp", .string(request.now.wholeSeconds.description))
        object.setMetadata("generation", request.definition.countsGenerations ? 1 : nil)
    }

    /// Prunes and defaults; unknown fields are an error, a warning or nothing.
    private func readThroughSchema(_ result: inout WriteResult, _ request: ResourceRequest) throws(StatusError) {
        var unknown: [String] = []
        let definition = request.definition
        result.object = Pruning.prunedObject(result.object, definition.schema, unknown: &unknown)
        if let schema = definition.schema { result.object = Defaulting.defaulted(result.object, schema) }
        guard !unknown.isEmpty else { return }
        switch request.fieldValidation {
        case .ignore: return
        case .warn: result.warnings += unknown.map { "unknown field \"\($0)\"" }
        case .strict:
            let list = unknown.map { "unknown field \"\($0)\"" }.joined(separator: ", ")
            throw .badRequest(
                "\(definition.kind) in version \"\(definition.version)\" cannot be handled as a \(definition.kind): "
                    + "strict decoding error: \(list)")
        }
    }

    /// Name and namespace must be those of the path.
    private func checkPlace(_ object: JSONValue, _ request: ResourceRequest, name: String) throws(StatusError) {
        guard object.objectName == name else {
            throw .badRequest(
                "the name of the object (\(object.objectName)) does not match the name on the URL (\(name))")
        }
        let namespace = request.namespace ?? ""
        guard object.objectNamespace.isEmpty || object.objectNamespace == namespace else {
            throw .badRequest(
                "the namespace of the object (\(object.objectNamespace)) does not match the namespace on the request "
                    + "(\(namespace))")
        }
    }

    private func checkIdentity(
        _ object: JSONValue, _ old: JSONValue, _ request: ResourceRequest, name: String
    ) throws(StatusError) {
        let definition = request.definition
        if !object.uid.isEmpty, object.uid != old.uid {
            if request.verb == "patch" {
                let error = FieldError(
                    .invalid, "metadata.uid", value: .string(object.uid), "field is immutable")
                throw .invalid(definition, name, [error, error])
            }
            let place = ([definition.group, definition.plural, old.objectNamespace, name]).filter { !$0.isEmpty }
            throw .conflict(
                definition, name,
                "StorageError: invalid object, Code: 4, Key: /registry/\(place.joined(separator: "/")), "
                    + "ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: "
                    + "\(object.uid), UID in object meta: \(old.uid)")
        }
        if object.resourceVersion.isEmpty {
            guard definition.allowsUnconditionalUpdate || request.verb == "patch" else {
                var error = FieldError(.invalid, "metadata.resourceVersion", "must be specified for an update")
                error.value = "0x0"
                throw .invalid(kind: definition.plural, group: definition.group, name, [error])
            }
        } else if UInt64(object.resourceVersion) == nil {
            throw .unexplained("strconv.ParseUint: parsing \"\(object.resourceVersion)\": invalid syntax")
        } else if object.resourceVersion != old.resourceVersion {
            throw .modified(definition, name)
        }
    }

    /// What a client cannot change.
    private func keepMetadata(_ object: inout JSONValue, _ old: JSONValue) {
        for key in [
            "namespace", "uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds",
            "generateName",
        ] {
            object.setMetadata(key, old.metadata(key))
        }
        object.setMetadata("selfLink", nil)
        if object.metadata("managedFields") == nil {
            object.setMetadata("managedFields", old.metadata("managedFields"))
        }
    }

    /// `/status` writes only the status, the main resource everything but the status.
    private func separateStatus(_ object: inout JSONValue, _ old: JSONValue, _ request: ResourceRequest) {
        guard request.definition.hasStatus else { return }
        guard request.subresource == "status" else {
            object["status"] = old["status"]
            return
        }
        let managed = object.metadata("managedFields")
        var kept = old
        kept["status"] = object["status"]
        kept.setMetadata("managedFields", managed)
        object = kept
    }

    /// The generation counts changes of everything but metadata (and status, where it is a subresource).
    private func countGeneration(_ object: inout JSONValue, _ old: JSONValue, _ definition: ResourceDefinition) {
        guard definition.countsGenerations else { return }
        let isSame =
            definition.hasStatus
            ? object.without("metadata", "status") == old.without("metadata", "status")
            : object.without("metadata") == old.without("metadata")
        if !isSame { object.setMetadata("generation", .integer(old.generation + 1)) }
    }

    private func validate(_ object: JSONValue, old: JSONValue?, _ request: ResourceRequest) throws(StatusError) {
        let definition = request.definition
        var errors = MetadataValidation.errors(object, definition, old: old)
        // An update's metadata is checked for all kinds, and by each kind's own strategy once more.
        if old != nil { errors += errors }
        errors += BuiltInStrategy.errors(object, old, definition)
        if let schema = definition.schema {
            let schemaErrors = SchemaValidation.errors(object, old, schema, path: "")
            if !definition.isCustom, let error = BuiltInTypes.decodeError(schemaErrors, object, definition) {
                throw request.verb == "patch" ? .undecodablePatch(object, error.message) : error
            }
            errors += schemaErrors
            if schemaErrors.contains(where: \.blocksRules) {
                if schema.hasRules {
                    errors.append(
                        FieldError(
                            .invalid, "", value: .null,
                            "some validation rules were not checked because the object was invalid; correct the "
                                + "existing errors to complete validation"))
                }
            } else {
                errors += RuleValidation.errors(object, old, schema, definition.declaration)
            }
        }
        guard errors.isEmpty else {
            // An event is validated as what it is stored as.
            let group = definition.view == .event ? "" : definition.group
            throw .invalid(kind: definition.kind, group: group, object.objectName, errors)
        }
    }

    private func writer(_ request: ResourceRequest) -> FieldWriter {
        FieldWriter(
            manager: request.fieldManager, operation: .update, apiVersion: request.definition.apiVersion,
            subresource: request.subresource ?? "", time: request.now)
    }

    // MARK: Definitions

    private func checkCustomResourceDefinition(
        _ object: JSONValue, _ definition: ResourceDefinition
    ) throws(StatusError) {
        guard definition.storage == CustomResources.collection else { return }
        do throws(DefinitionRefused) {
            _ = try CustomResources.definitions(object)
        } catch {
            throw .invalid(definition, object.objectName, error.problems)
        }
    }

    private mutating func registerIfDefinition(
        _ object: JSONValue, _ definition: ResourceDefinition
    ) throws(StatusError) {
        guard definition.storage == CustomResources.collection else { return }
        do throws(SandboxError) {
            try register(object)
        } catch {
            throw .internalError(error.message)
        }
    }

    mutating func unregisterIfDefinition(_ object: JSONValue, _ definition: ResourceDefinition) {
        guard definition.storage == CustomResources.collection else { return }
        let id = CollectionID(
            group: object.value(at: ["spec", "group"])?.stringValue ?? "",
            plural: object.value(at: ["spec", "names", "plural"])?.stringValue ?? "")
        for instance in store.list(id, namespace: nil) {
            store.remove(ObjectKey(collection: id, namespace: instance.objectNamespace, name: instance.objectName))
        }
        registry.remove(id)
    }
}

extension JSONValue {
    /// The beginning of the text, for messages.
    fileprivate var shortText: String { String(serializedText().prefix(120)) }
}
