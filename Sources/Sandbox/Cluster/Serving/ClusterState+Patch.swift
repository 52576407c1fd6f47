import Encoding
import HTTP

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
            // The router in front of the built-in kinds says no more than the code.
            throw definition.isCustom
                ? .unsupportedMediaType(request.contentType, accepted: accepted.map(\.rawValue))
                : StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", details: [:])
        }
        try request.checkOptions("PatchOptions")
        let patch = try type == .merge ? mergePatch(request) : request.patchBody()
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
        return try update(request, name: name, try checkPatched(patched, patch, request, name: name))
    }

    /// A merge patch; it is read strictly before it is applied where unknown fields count.
    private func mergePatch(_ request: ResourceRequest) throws(StatusError) -> JSONValue {
        guard request.fieldValidation != .ignore else {
            do throws(StatusError) {
                return try request.patchBody()
            } catch {
                // What is no JSON is taken for a fault of the server.
                throw error.code == 400 ? .unexplained(error.message) : error
            }
        }
        guard request.http.body.count <= RequestBody.maximumBytes else { return try request.patchBody() }
        let patch: JSONValue
        do throws(JSONError) {
            patch = try JSONValue(parsing: request.http.body)
        } catch {
            throw .badRequest("error decoding patch: \(RequestBody.detail(error, request.http.body))")
        }
        if patch.isNull { throw .badRequest("Invalid JSON Patch") }
        guard patch.objectValue != nil else {
            let type = ["integer": "number", "boolean": "bool"][patch.typeName] ?? patch.typeName
            throw .badRequest(
                "error decoding patch: json: cannot unmarshal \(type) into Go value of type map[string]interface {}")
        }
        return patch
    }

    /// What a patch must not make of an object.
    private func checkPatched(
        _ patched: JSONValue, _ patch: JSONValue, _ request: ResourceRequest, name: String
    ) throws(StatusError) -> JSONValue {
        let definition = request.definition
        guard patched.objectValue != nil else {
            let detail =
                "couldn't get version/kind; json parse error: json: cannot unmarshal \(patched.typeName) into Go value "
                + "of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string "
                + "\"json:\\\"kind,omitempty\\\"\" }"
            throw .undecodablePatch(patched, detail)
        }
        guard definition.isCustom, patched.apiVersion != definition.apiVersion else { return patched }
        let error = FieldError(
            .invalid, "apiVersion", value: .string(patched.apiVersion), "must be \(definition.apiVersion)")
        // Of that version nothing is known, so that everything is unknown.
        let unknown = (patched.objectValue ?? [:]).keys.filter { !["apiVersion", "kind", "metadata"].contains($0) }
        let warnings = request.fieldValidation == .ignore ? [] : unknown.sorted().map { "unknown field \"\($0)\"" }
        throw .invalid(definition, name, [error]).warning(of: warnings)
    }

    /// Server-side apply: creates what is not there.
    private mutating func apply(
        _ request: ResourceRequest, name: String, _ config: JSONValue
    ) throws(StatusError) -> WriteResult {
        let definition = request.definition
        guard config.metadata("managedFields").map(\.isNull) ?? true else {
            throw .badRequest("metadata.managedFields must be nil")
        }
        if request.subresource != nil, store.object(request.key(name)) == nil { throw .notFound(definition, name) }
        try checkApplied(config, request, name: name)
        let writer = FieldWriter(
            manager: request.fieldManager, operation: .apply, apiVersion: definition.apiVersion,
            subresource: request.subresource ?? "", time: request.now)
        var stored = definition.view.stored(config)
        if stored.objectName.isEmpty { stored.setMetadata("name", .string(name)) }
        if definition.hasStatus { separateApplied(&stored, request) }
        guard let live = store.object(request.key(name)) else {
            let applied = try ManagedFields.applied(
                stored, to: nil, by: writer, force: request.flag("force"), definition)
            return try create(request, definition.view.shown(applied), keepsManagedFields: true)
        }
        if let uid = config.metadata("uid")?.stringValue, uid != live.uid {
            let error = FieldError(.invalid, "metadata.uid", value: .string(uid), "field is immutable")
            throw .invalid(definition, name, [error, error])
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
        let isSameType = config.apiVersion == definition.apiVersion && config.kind == definition.kind
        if definition.isCustom, !isSameType {
            let version = config.apiVersion.contains("/") ? config.apiVersion : "/\(config.apiVersion)"
            throw .badRequest("invalid object type: \(version), Kind=\(config.kind)")
        }
        guard config.apiVersion == definition.apiVersion else {
            throw .badRequest(
                "Incorrect version specified in apply patch. Specified patch version: \(config.apiVersion), expected: "
                    + definition.apiVersion)
        }
        let type = "\(config.apiVersion), Kind=\(config.kind)"
        let failure = "failed to create typed patch object (\(config.objectNamespace)/\(name); \(type)): "
        guard isSameType else { throw .unexplained("\(failure)no corresponding type for \(type)") }
        let ownName = config.objectName
        guard ownName.isEmpty || ownName == name else {
            throw .badRequest("the name of the object (\(ownName)) does not match the name on the URL (\(name))")
        }
        if let problem = TypedCheck.problem(config, definition.schema) { throw .unexplained(failure + problem) }
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
            throw .bindingConflict(name, "pod \(name) is being deleted, cannot be assigned to a host")
        }
        if let current = pod.value(at: ["spec", "nodeName"])?.stringValue {
            throw .bindingConflict(name, "pod \(name) is already assigned to node \"\(current)\"")
        }
        pod.set(.string(node), at: ["spec", "nodeName"])
        var conditions = pod.value(at: ["status", "conditions"])?.arrayValue ?? []
        conditions.removeAll { $0["type"] == "PodScheduled" }
        conditions.append([
            "type": "PodScheduled", "status": "True", "lastProbeTime": nil,
            "lastTransitionTime": .string(request.now.wholeSeconds.description),
        ])
        pod.set(.array(conditions), at: ["status", "conditions"])
        if !request.isDryRun { store.put(pod, at: key) }
    }
}
