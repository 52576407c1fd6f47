import Encoding
import HTTP

extension ClusterState {
    /// The body as it is stored, pruned and with defaults. Fields that are unknown or there twice are an error, a warning
    /// or nothing.
    func read(_ body: JSONValue, _ request: ResourceRequest) throws(StatusError) -> WriteResult {
        var unknown: [String] = []
        let definition = request.definition
        var result = WriteResult(object: try checkedKind(body, request))
        result.object = Pruning.prunedObject(result.object, definition.schema, unknown: &unknown)
        if let schema = definition.schema { result.object = Defaulting.defaulted(result.object, schema) }
        guard request.fieldValidation != .ignore else { return result }
        let remarks = request.bodyRemarks + unknown.map { "unknown field \"\($0)\"" }
        guard request.fieldValidation == .strict, !remarks.isEmpty else {
            result.warnings = remarks
            return result
        }
        guard request.verb != "patch" else {
            throw .undecodablePatch(body, "strict decoding error: \(remarks.joined(separator: ", "))")
        }
        throw .badRequest(
            "\(definition.kind) in version \"\(definition.version)\" cannot be handled as a \(definition.kind): "
                + "strict decoding error: \(remarks.joined(separator: ", "))")
    }

    /// The body as it is stored. Built-in kinds may leave out their kind; another kind is refused.
    private func checkedKind(_ body: JSONValue, _ request: ResourceRequest) throws(StatusError) -> JSONValue {
        let definition = request.definition
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
            try checkCustomKind(body, request)
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

    private func checkCustomKind(_ body: JSONValue, _ request: ResourceRequest) throws(StatusError) {
        let definition = request.definition
        guard !body.kind.isEmpty else {
            let bytes = request.verb == "patch" ? body.serialized() : request.http.body
            throw .badRequest(
                "the object provided is unrecognized (must be of type \(definition.kind)): Object 'Kind' is missing in "
                    + "'\(String(decoding: bytes, as: UTF8.self))' (\(RequestBody.shown(bytes)))")
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
}
