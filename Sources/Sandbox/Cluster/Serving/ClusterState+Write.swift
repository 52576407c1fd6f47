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
        let read = try read(body, request)
        do throws(StatusError) {
            return try created(request, read, keepsManagedFields: keepsManagedFields)
        } catch {
            throw error.warning(of: read.warnings)
        }
    }

    private mutating func created(
        _ request: ResourceRequest, _ read: WriteResult, keepsManagedFields: Bool
    ) throws(StatusError) -> WriteResult {
        let definition = request.definition
        var result = read
        result.isCreated = true
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
        let key = request.key(name)
        let violated = try validate(result.object, old: nil, key, request)
        if let existing = store.object(key) {
            var error = StatusError.alreadyExists(definition, name)
            if existing.deletionTimestamp != nil { error.message = "object is being deleted: \(error.message)" }
            throw error
        }
        try checkCustomResourceDefinition(result.object, definition)
        guard !request.isDryRun else { return result }
        result.object = store.put(result.object, at: key)
        ruleStanding.wrote(key, violates: !violated.isEmpty)
        try registerIfDefinition(result.object, definition)
        return result
    }

    /// Replaces an object or its subresource by `body`; a PATCH comes here with the patched object.
    ///
    /// - Parameter keepsManagedFields: the body's managedFields are already right (server-side apply).
    mutating func update(
        _ request: ResourceRequest, name: String, _ body: JSONValue, keepsManagedFields: Bool = false
    ) throws(StatusError) -> WriteResult {
        let read = try read(body, request)
        do throws(StatusError) {
            return try updated(request, name: name, read, keepsManagedFields: keepsManagedFields)
        } catch {
            throw error.warning(of: read.warnings)
        }
    }

    private mutating func updated(
        _ request: ResourceRequest, name: String, _ read: WriteResult, keepsManagedFields: Bool
    ) throws(StatusError) -> WriteResult {
        let definition = request.definition
        let key = request.key(name)
        var result = read
        try checkPlace(result.object, request, name: name)
        guard let old = store.object(key) else { throw .notFound(definition, name) }
        try checkIdentity(result.object, old, request, name: name)
        keepMetadata(&result.object, old)
        result.object.tidyMetadata()
        separateStatus(&result.object, old, request)
        if let schema = definition.schema { result.object = Defaulting.defaulted(result.object, schema) }
        BuiltInStrategy.prepareForUpdate(&result.object, old, definition, subresource: request.subresource)
        countGeneration(&result.object, old, definition)
        if !keepsManagedFields {
            result.object = ManagedFields.tracked(old, result.object, by: writer(request), definition)
        }
        let violated = try validate(result.object, old: old, key, request)
        result.warnings += violated
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
            ruleStanding.wrote(key, violates: !violated.isEmpty)
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
                // As a custom resource's server prints an unsigned number; that of the built-in kinds is an older one.
                error.value = definition.isCustom ? "0" : "0x0"
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

    /// - Returns: the rules that unchanged parts of the object violate, which a newer definition may have brought.
    private func validate(
        _ object: JSONValue, old: JSONValue?, _ key: ObjectKey, _ request: ResourceRequest
    ) throws(StatusError) -> [String] {
        let definition = request.definition
        var errors = MetadataValidation.errors(object, definition, old: old)
        // An update's metadata is checked for all kinds, and by each kind's own strategy once more.
        if old != nil { errors += errors }
        errors += BuiltInStrategy.errors(object, old, definition)
        var violated: [String] = []
        if let schema = definition.schema {
            let schemaErrors = schemaErrors(object, old, schema, request)
            if !definition.isCustom, let error = BuiltInTypes.decodeError(schemaErrors, object, definition) {
                throw request.verb == "patch" ? .undecodablePatch(object, error.message) : error
            }
            errors += schemaErrors
            if schemaErrors.contains(where: \.blocksRules) {
                if schema.hasRules { errors.append(.rulesNotChecked) }
            } else {
                let mayViolate = old.map { ruleStanding.mayViolate(key, $0) } ?? false
                let found = RuleValidation.findings(
                    object, old, schema, definition.declaration, checksUnchanged: mayViolate)
                errors += found.errors
                violated = found.warnings
            }
        }
        guard errors.isEmpty else {
            // An event is validated as what it is stored as.
            let group = definition.view == .event ? "" : definition.group
            throw .invalid(kind: definition.kind, group: group, object.objectName, errors).warning(of: violated)
        }
        return violated
    }

    /// A custom resource's status that is written alone is a document of its own: messages begin there.
    private func schemaErrors(
        _ object: JSONValue, _ old: JSONValue?, _ schema: Schema, _ request: ResourceRequest
    ) -> [FieldError] {
        guard request.definition.isCustom, request.subresource == "status", let status = schema.properties["status"]
        else { return SchemaValidation.errors(object, old, schema, path: "") }
        guard let value = object["status"] else { return [] }
        return SchemaValidation.errors(value, old?["status"], status, path: "").map { $0.below("status") }
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
