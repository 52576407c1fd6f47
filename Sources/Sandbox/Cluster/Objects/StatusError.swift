import Encoding

/// A refusal of the API server: a `metav1.Status` of status Failure.
struct StatusError: Error, Sendable, Hashable {
    var code: Int
    var reason: String
    var message: String
    var details: JSONValue?

    init(_ code: Int, _ reason: String, _ message: String, details: JSONValue? = nil) {
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
    }

    var json: JSONValue {
        var status: JSONValue = [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure",
            "message": .string(message), "reason": .string(reason), "code": .integer(Int64(code)),
        ]
        status["details"] = details
        return status
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

    static func modified(_ definition: ResourceDefinition, _ name: String) -> StatusError {
        conflict(
            definition, name,
            "the object has been modified; please apply your changes to the latest version and try again")
    }

    static func invalid(_ definition: ResourceDefinition, _ name: String, _ errors: [FieldError]) -> StatusError {
        let texts = errors.map(\.description)
        let list = texts.count == 1 ? texts[0] : "[\(texts.joined(separator: ", "))]"
        let kind = definition.group.isEmpty ? definition.kind : "\(definition.kind).\(definition.group)"
        var details = details(name, group: definition.group, kind: definition.kind)
        details["causes"] = .array(errors.map(\.cause))
        return StatusError(422, "Invalid", "\(kind) \"\(name)\" is invalid: \(list)", details: details)
    }

    static func forbidden(_ definition: ResourceDefinition, _ name: String, _ detail: String) -> StatusError {
        let subject = name.isEmpty ? definition.resourceName : "\(definition.resourceName) \"\(name)\""
        return StatusError(
            403, "Forbidden", "\(subject) is forbidden: \(detail)",
            details: details(name, group: definition.group, kind: definition.plural))
    }

    static let methodNotAllowed = StatusError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", details: [:])

    static func unsupportedMediaType(_ type: String, accepted: [String]) -> StatusError {
        StatusError(
            415, "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: "
                + accepted.joined(separator: ", "))
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
        var details: JSONValue = ["kind": .string(kind)]
        if !name.isEmpty { details["name"] = .string(name) }
        if !group.isEmpty { details["group"] = .string(group) }
        return details
    }
}
