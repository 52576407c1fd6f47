import Encoding

/// Events: two groups, one stored form.
enum EventRules {
    /// Fields that are shown even when they are not set, as Go writes structures and times.
    static func complete(_ event: inout JSONValue) {
        for key in ["eventTime", "firstTimestamp", "lastTimestamp"] where event[key] == nil { event[key] = .null }
        for key in ["reportingComponent", "reportingInstance"] where event[key] == nil { event[key] = "" }
        if event["source"] == nil { event["source"] = [:] }
    }

    /// A new event with an `eventTime` says who reports what; `events.k8s.io/v1` takes no other.
    static func errors(_ event: JSONValue, _ old: JSONValue?, _ definition: ResourceDefinition) -> [FieldError] {
        guard old == nil else { return [] }
        let hasTime = event["eventTime"]?.stringValue != nil
        var errors = hasTime ? reportErrors(event) : placeErrors(event)
        guard case .event = definition.view else { return errors }
        if !hasTime { errors.append(FieldError(.required, "eventTime")) }
        let type = text(event, "type")
        if type != "Normal", type != "Warning" {
            errors.append(FieldError(.invalid, "type", value: "", "has invalid value: \(type)"))
        }
        for key in ["firstTimestamp", "lastTimestamp", "count", "source"] {
            let isUnset = [nil, .null, 0, [:]].contains(event[key])
            if !isUnset { errors.append(FieldError(.invalid, key, value: "", "needs to be unset")) }
        }
        return errors
    }

    private static func reportErrors(_ event: JSONValue) -> [FieldError] {
        var errors: [FieldError] = []
        let involved = event.value(at: ["involvedObject", "namespace"])?.stringValue ?? ""
        if involved.isEmpty, event.objectNamespace != "kube-system" { errors.append(misplaced(involved)) }
        let controller = text(event, "reportingComponent")
        if controller.isEmpty { errors.append(FieldError(.required, "reportingController")) }
        errors += MetadataValidation.qualifiedNameErrors(controller).map {
            FieldError(.invalid, "reportingController", value: .string(controller), $0)
        }
        for key in ["reportingInstance", "action", "reason"] {
            let value = text(event, key)
            if value.isEmpty { errors.append(FieldError(.required, key)) }
            if value.utf8.count > 128 {
                errors.append(FieldError(.invalid, key, value: "", "can have at most 128 characters"))
            }
        }
        if text(event, "message").utf8.count > 1024 {
            errors.append(FieldError(.invalid, "message", value: "", "can have at most 1024 characters"))
        }
        return errors
    }

    private static func placeErrors(_ event: JSONValue) -> [FieldError] {
        let involved = event.value(at: ["involvedObject", "namespace"])?.stringValue ?? ""
        let isPlaced = involved.isEmpty ? event.objectNamespace == "default" : involved == event.objectNamespace
        return isPlaced ? [] : [misplaced(involved)]
    }

    private static func misplaced(_ namespace: String) -> FieldError {
        FieldError(.invalid, "involvedObject.namespace", value: .string(namespace), "does not match event.namespace")
    }

    private static func text(_ event: JSONValue, _ key: String) -> String { event[key]?.stringValue ?? "" }
}
