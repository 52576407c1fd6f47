import Encoding

extension ClusterState {
    /// The media types of patches.
    enum PatchType: String, CaseIterable {
        case json = "application/json-patch+json"
        case merge = "application/merge-patch+json"
        case strategic = "application/strategic-merge-patch+json"
        case apply = "application/apply-patch+yaml"
    }

    mutating func patch(_ request: ResourceRequest, name: String) throws(StatusError) -> WriteResult {
        let definition = request.definition
        let accepted = PatchType.allCases.filter { $0 != .strategic || !definition.isCustom }
        guard let type = PatchType(rawValue: request.contentType), accepted.contains(type) else {
            throw .unsupportedMediaType(request.contentType, accepted: accepted.map(\.rawValue))
        }
        let patch = try request.body()
        if type == .apply { return try apply(request, name: name, patch) }
        guard let old = store.object(request.key(name)) else { throw .notFound(definition, name) }
        let shown = shown(old, definition)
        let patched: JSONValue
        switch type {
        case .json: patched = try JSONPatch.patched(shown, patch)
        case .merge: patched = MergePatch.patched(shown, patch)
        case .strategic: patched = try StrategicMergePatch.patched(shown, patch, definition)
        case .apply: patched = shown
        }
        return try update(request, name: name, patched)
    }

    /// Server-side apply: creates what is not there.
    private mutating func apply(
        _ request: ResourceRequest, name: String, _ config: JSONValue
    ) throws(StatusError) -> WriteResult {
        let definition = request.definition
        guard request.query("fieldManager") != nil else {
            throw .invalid(
                definition, name, [FieldError(.required, "fieldManager", "is required for apply patch")])
        }
        guard config.metadata("managedFields").map(\.isNull) ?? true else {
            throw .badRequest("metadata.managedFields must be nil")
        }
        try checkApplied(config, request, name: name)
        let writer = FieldWriter(
            manager: request.fieldManager, operation: .apply, apiVersion: definition.apiVersion,
            subresource: request.subresource ?? "", time: request.now)
        var stored = definition.view.stored(config)
        if stored.objectName.isEmpty { stored.setMetadata("name", .string(name)) }
        if definition.hasStatus { separateApplied(&stored, request) }
        guard let live = store.object(request.key(name)) else {
            guard request.subresource == nil else { throw .notFound(definition, name) }
            let applied = try ManagedFields.applied(
                stored, to: nil, by: writer, force: request.flag("force"), definition)
            return try create(request, definition.view.shown(applied), keepsManagedFields: true)
        }
        if let uid = config.metadata("uid")?.stringValue, uid != live.uid {
            throw .conflict(
                definition, name, "Precondition failed: UID in precondition: \(uid), UID in object meta: \(live.uid)")
        }
        if !config.resourceVersion.isEmpty, config.resourceVersion != live.resourceVersion {
            throw .modified(definition, name)
        }
        var applied = try ManagedFields.applied(
            stored, to: live, by: writer, force: request.flag("force"), definition)
        applied.setMetadata("resourceVersion", live.metadata("resourceVersion"))
        return try update(request, name: name, shown(applied, definition), keepsManagedFields: true)
    }

    /// An applied configuration must fit the schema: it is typed before it is merged.
    private func checkApplied(
        _ config: JSONValue, _ request: ResourceRequest, name: String
    ) throws(StatusError) {
        let definition = request.definition
        guard config.apiVersion == definition.apiVersion, config.kind == definition.kind else {
            throw .badRequest(
                "the apiVersion and kind of the patch (\(config.apiVersion), \(config.kind)) do not match "
                    + "\(definition.apiVersion), \(definition.kind)")
        }
        let ownName = config.objectName
        guard ownName.isEmpty || ownName == name else {
            throw .badRequest("the name of the object (\(ownName)) does not match the name on the URL (\(name))")
        }
        var unknown: [String] = []
        _ = Pruning.prunedObject(config, definition.schema, unknown: &unknown)
        guard let field = unknown.first else { return }
        let place = (request.namespace.map { "\($0)/" } ?? "/") + name
        throw StatusError(
            500, "InternalError",
            "failed to create typed patch object (\(place); \(definition.apiVersion), Kind=\(definition.kind)): "
                + ".\(field): field not declared in schema")
    }

    /// The main resource's configuration owns no status, the status' nothing else.
    private func separateApplied(_ config: inout JSONValue, _ request: ResourceRequest) {
        guard request.subresource == "status" else {
            config["status"] = nil
            return
        }
        let metadata = config["metadata"] ?? [:]
        config = [
            "apiVersion": config["apiVersion"] ?? .null, "kind": config["kind"] ?? .null,
            "metadata": ["name": metadata["name"] ?? .null], "status": config["status"] ?? [:],
        ]
    }

    /// Binds a pod to a node, as the scheduler does.
    mutating func bind(_ request: ResourceRequest, name: String) throws(StatusError) {
        let key = request.key(name)
        guard var pod = store.object(key) else { throw .notFound(request.definition, name) }
        let body = try request.body()
        guard let node = body.value(at: ["target", "name"])?.stringValue, !node.isEmpty else {
            throw .invalid(request.definition, name, [FieldError(.required, "target.name")])
        }
        if pod.deletionTimestamp != nil {
            throw .conflict(request.definition, name, "pod \(name) is being deleted, cannot be assigned to a host")
        }
        if let current = pod.value(at: ["spec", "nodeName"])?.stringValue {
            throw .conflict(request.definition, name, "pod \(name) is already assigned to node \"\(current)\"")
        }
        pod.set(.string(node), at: ["spec", "nodeName"])
        var conditions = pod.value(at: ["status", "conditions"])?.arrayValue ?? []
        conditions.removeAll { $0["type"] == "PodScheduled" }
        conditions.append([
            "type": "PodScheduled", "status": "True",
            "lastTransitionTime": .string(request.now.wholeSeconds.description),
        ])
        pod.set(.array(conditions), at: ["status", "conditions"])
        if !request.isDryRun { store.put(pod, at: key) }
    }
}
