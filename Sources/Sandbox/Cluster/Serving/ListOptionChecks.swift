import Encoding

/// The options of lists and watches that go together, as the API server checks them before it looks at any object.
enum ListOptionChecks {
    private static let match = "resourceVersionMatch"

    static func list(_ request: ResourceRequest) throws(StatusError) {
        var errors: [FieldError] = []
        if let match = request.query(match) {
            let version = request.query("resourceVersion")
            if version == nil { errors.append(forbidden("forbidden unless resourceVersion is provided")) }
            if request.query("continue") != nil { errors.append(forbiddenWithContinue) }
            if !["Exact", "NotOlderThan"].contains(match) {
                errors.append(unsupported(match, "\"Exact\", \"NotOlderThan\", \"\""))
            }
            if match == "Exact", version == "0" {
                errors.append(
                    FieldError(
                        .forbidden, Self.match, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")
                )
            }
        }
        if request.query("sendInitialEvents") != nil {
            errors.append(FieldError(.forbidden, "sendInitialEvents", "sendInitialEvents is forbidden for list"))
        }
        if !errors.isEmpty { throw .invalidOptions("ListOptions", errors) }
    }

    static func watch(_ request: ResourceRequest) throws(StatusError) {
        var errors: [FieldError] = []
        let streams = request.query("sendInitialEvents") != nil
        let match = request.query(match)
        if streams, match != "NotOlderThan" {
            errors.append(
                FieldError(
                    .forbidden, Self.match, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
        }
        if let match {
            if !streams { errors.append(forbidden("forbidden for watch unless sendInitialEvents is provided")) }
            if match != "NotOlderThan" { errors.append(unsupported(match, "\"NotOlderThan\"")) }
            if request.query("continue") != nil { errors.append(forbiddenWithContinue) }
        }
        if !errors.isEmpty { throw .invalidOptions("ListOptions", errors) }
    }

    private static var forbiddenWithContinue: FieldError {
        FieldError(.forbidden, match, "resourceVersionMatch is forbidden when continue is provided")
    }

    private static func forbidden(_ detail: String) -> FieldError {
        FieldError(.forbidden, match, "resourceVersionMatch is \(detail)")
    }

    private static func unsupported(_ value: String, _ supported: String) -> FieldError {
        FieldError(.notSupported, match, value: .string(value), "supported values: \(supported)")
    }
}
