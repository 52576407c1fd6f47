import Encoding

/// A refusal of the API server: a `metav1.Status` of status Failure.
struct StatusError: Error, Sendable, Hashable {
    var code: Int
    var reason: String
    var message: String
    var details: JSONValue?
    /// Of a list that expired: where an inconsistent continuation begins.
    var continueToken: String?
    /// The whole reply, where it is no Status.
    var plainText: String?
    /// What the client is told beside the refusal, in headers.
    var warnings: [String] = []

    init(_ code: Int, _ reason: String, _ message: String, details: JSONValue? = nil) {
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
    }

    var json: JSONValue {
        var status: JSONValue = [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure",
            "message": .string(message), "code": .integer(Int64(code)),
        ]
        if !reason.isEmpty { status["reason"] = .string(reason) }
        if let continueToken { status["metadata"] = ["continue": .string(continueToken)] }
        status["details"] = details
        return status
    }

    /// The same, with warnings in front of those that it has.
    func warning(of texts: [String]) -> StatusError {
        var error = self
        error.warnings = texts + warnings
        return error
    }

    static func badRequest(_ message: String) -> StatusError { StatusError(400, "BadRequest", message) }

    static let unauthorized = StatusError(401, "Unauthorized", "Unauthorized")

    static func notFound(_ definition: ResourceDefinition, _ name: String) -> StatusError {
        StatusError(
            404, "NotFound", "\(definition.resourceName) \"\(name)\" not found",
            details: details(name, group: definition.group, kind: definition.plural))
    }

    static let noSuchPath = StatusError(
        404, "NotFound", "the server could not find the requested resource", details: [:])

    /// What the multiplexer answers where no handler is: custom resources and unknown groups.
    static let noSuchPage: StatusError = {
        var error = StatusError(404, "NotFound", "404 page not found")
        error.plainText = "404 page not found\n"
        return error
    }()

    /// An error that is no API error: it has no reason.
    static func unexplained(_ message: String) -> StatusError { StatusError(500, "", message) }

    static func notAcceptable(_ message: String) -> StatusError { StatusError(406, "NotAcceptable", message) }

    /// A number in the query that is none.
    static func badNumber(_ text: String) -> StatusError {
        .badRequest("strconv.ParseInt: parsing \"\(text)\": invalid syntax")
    }

    static func alreadyExists(_ definition: ResourceDefinition, _ name: String) -> StatusError {
        StatusError(
            409, "AlreadyExists", "\(definition.resourceName) \"\(name)\" already exists",
            details: details(name, group: definition.group, kind: definition.plural))
    }

    static func conflict(_ definition: ResourceDefinition, _ name: String, _ detail: String) -> StatusError {
        StatusError(
            409, "Conflict", "Operation cannot be fulfilled on \(definition.resourceName) \"\(name)\": \(detail)",
            details: details(name, group: definition.group, kind: definition.plural))
    }

    /// An object of another kind of the same group.
    static func wrongKind(_ object: JSONValue, _ definition: ResourceDefinition) -> StatusError {
        let error = FieldError(.invalid, "kind", value: .string(object.kind), "must be \(definition.kind)")
        return .invalid(kind: object.kind, group: definition.group, object.objectName, [error])
    }

    /// A patch whose result does not decode.
    static func undecodablePatch(_ patched: JSONValue, _ detail: String) -> StatusError {
        let error = FieldError(.invalid, "patch", value: .string(patched.serializedText()), detail)
        return .invalid(kind: "", group: "", "", [error])
    }

    static func bindingConflict(_ name: String, _ detail: String) -> StatusError {
        StatusError(
            409, "Conflict", "Operation cannot be fulfilled on pods/binding \"\(name)\": \(detail)",
            details: details(name, group: "", kind: "pods/binding"))
    }

    /// As `conflict`, but in the name of the kind: a delete's preconditions are compared elsewhere.
    static func deleteConflict(_ definition: ResourceDefinition, _ name: String, _ detail: String) -> StatusError {
        let kind = definition.group.isEmpty ? definition.kind : "\(definition.kind).\(definition.group)"
        return StatusError(
            409, "Conflict", "Operation cannot be fulfilled on \(kind) \"\(name)\": \(detail)",
            details: details(name, group: definition.group, kind: definition.kind))
    }

    static func modified(_ definition: ResourceDefinition, _ name: String) -> StatusError {
        conflict(
            definition, name,
            "the object has been modified; please apply your changes to the latest version and try again")
    }

    static func invalid(_ definition: ResourceDefinition, _ name: String, _ errors: [FieldError]) -> StatusError {
        invalid(kind: definition.kind, group: definition.group, name, errors)
    }

    /// The request's options are wrong: `CreateOptions`, `DeleteOptions`, …
    static func invalidOptions(_ kind: String, _ errors: [FieldError]) -> StatusError {
        invalid(kind: kind, group: "meta.k8s.io", "", errors)
    }

    /// What is found twice is a cause twice, but said once.
    static func invalid(kind: String, group: String, _ name: String, _ errors: [FieldError]) -> StatusError {
        var texts: [String] = []
        for text in errors.map(\.description) where !texts.contains(text) { texts.append(text) }
        let list = texts.count == 1 ? texts[0] : "[\(texts.joined(separator: ", "))]"
        var details = details(name, group: group, kind: kind)
        details["causes"] = .array(errors.map(\.cause))
        let subject = group.isEmpty ? kind : "\(kind).\(group)"
        return StatusError(422, "Invalid", "\(subject) \"\(name)\" is invalid: \(list)", details: details)
    }

    static func forbidden(_ definition: ResourceDefinition, _ name: String, _ detail: String) -> StatusError {
        let subject = name.isEmpty ? definition.resourceName : "\(definition.resourceName) \"\(name)\""
        return StatusError(
            403, "Forbidden", "\(subject) is forbidden: \(detail)",
            details: details(name, group: definition.group, kind: definition.plural))
    }

    static let methodNotAllowed = StatusError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", details: [:])

    static func notSupported(_ definition: ResourceDefinition, verb: String) -> StatusError {
        StatusError(
            405, "MethodNotAllowed", "\(verb) is not supported on resources of kind \"\(definition.resourceName)\"",
            details: details("", group: definition.group, kind: definition.plural))
    }

    static func unsupportedMediaType(_ type: String, accepted: [String]) -> StatusError {
        StatusError(
            415, "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: "
                + accepted.joined(separator: ", "))
    }

    /// A protobuf body that a real server would read.
    static func notRead(_ what: String) -> StatusError {
        StatusError(
            415, "UnsupportedMediaType",
            "the simulated cluster does not read \(what) from protobuf: send application/json, as kubectl apply does")
    }

    static func expired(_ message: String) -> StatusError { StatusError(410, "Expired", message) }

    static func internalError(_ message: String) -> StatusError {
        StatusError(
            500, "InternalError", "Internal error occurred: \(message)",
            details: ["causes": [["message": .string(message)]]])
    }

    /// The reply to a delete that is done at once.
    static func success(_ definition: ResourceDefinition, name: String, uid: String) -> JSONValue {
        var details = details(name, group: definition.group, kind: definition.plural)
        details["uid"] = .string(uid)
        return ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "details": details]
    }

    private static func details(_ name: String, group: String, kind: String) -> JSONValue {
        var details: JSONValue = [:]
        if !kind.isEmpty { details["kind"] = .string(kind) }
        if !name.isEmpty { details["name"] = .string(name) }
        if !group.isEmpty { details["group"] = .string(group) }
        return details
    }
}
