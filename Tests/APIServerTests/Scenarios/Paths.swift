import Encoding
import HTTP

/// Paths and bodies that the scenarios share. `NS` becomes the scenario's own namespace.
enum Paths {
    static let widgets = "/apis/example.dev/v1/namespaces/NS/widgets"
    static let configMaps = "/api/v1/namespaces/NS/configmaps"
    static let secrets = "/api/v1/namespaces/NS/secrets"
    static let pods = "/api/v1/namespaces/NS/pods"
    static let services = "/api/v1/namespaces/NS/services"
    static let jobs = "/apis/batch/v1/namespaces/NS/jobs"
    static let leases = "/apis/coordination.k8s.io/v1/namespaces/NS/leases"
    static let coreEvents = "/api/v1/namespaces/NS/events"
    static let newEvents = "/apis/events.k8s.io/v1/namespaces/NS/events"
    static let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
}

enum Bodies {
    static func widget(_ name: String, _ spec: JSONValue = ["size": 1], metadata: JSONValue = [:]) -> JSONValue {
        var metadata = metadata
        metadata["name"] = .string(name)
        return ["apiVersion": "example.dev/v1", "kind": "Widget", "metadata": metadata, "spec": spec]
    }

    static func configMap(_ name: String, _ data: JSONValue = ["a": "1"], metadata: JSONValue = [:]) -> JSONValue {
        var metadata = metadata
        metadata["name"] = .string(name)
        return ["apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data]
    }

    static func pod(_ name: String, spec: JSONValue = [:], metadata: JSONValue = [:]) -> JSONValue {
        var (metadata, spec) = (metadata, spec)
        metadata["name"] = .string(name)
        if spec["containers"] == nil { spec["containers"] = [["name": "c", "image": "example.com/i:1"]] }
        return ["apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec]
    }

    static func job(_ name: String, spec: JSONValue = [:], metadata: JSONValue = [:]) -> JSONValue {
        var (metadata, spec) = (metadata, spec)
        metadata["name"] = .string(name)
        if spec["template"] == nil {
            spec["template"] = [
                "spec": ["restartPolicy": "Never", "containers": [["name": "c", "image": "example.com/i:1"]]]
            ]
        }
        return ["apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec]
    }

    static func owner(_ name: String, uid: String, blocks: Bool = true) -> JSONValue {
        [
            "ownerReferences": [
                [
                    "apiVersion": "example.dev/v1", "kind": "Widget", "name": .string(name), "uid": .string(uid),
                    "controller": true, "blockOwnerDeletion": .bool(blocks),
                ]
            ]
        ]
    }
}

/// What of a reply is compared, where the whole would say more about the server than about the behaviour.
enum Only {
    /// The names of a list's items, and its own metadata.
    static func names(_ list: JSONValue) -> JSONValue {
        guard let items = list["items"]?.arrayValue else { return list }
        return [
            "kind": list["kind"] ?? .null, "metadata": list["metadata"] ?? .null,
            "names": .array(items.map { $0.value(at: ["metadata", "name"]) ?? .null }),
        ]
    }

    /// The watch cache of 1.20 has no order.
    static func sortedNames(_ list: JSONValue) -> JSONValue {
        var list = names(list)
        let names = list["names"]?.arrayValue?.compactMap(\.stringValue).sorted()
        list["names"] = names.map { .array($0.map(JSONValue.string)) }
        return list
    }

    /// A Table without the texts about built-in columns: they are the documentation of another version.
    static func table(_ table: JSONValue) -> JSONValue {
        guard table["kind"] == "Table" else { return table }
        var table = table
        let columns = table["columnDefinitions"]?.arrayValue ?? []
        let texts = ["How large", "Custom resource definition column"]
        table["columnDefinitions"] = .array(
            columns.map { column in
                var column = column
                let text = column["description"]?.stringValue ?? ""
                if !texts.contains(where: text.hasPrefix) { column["description"] = "…" }
                return column
            })
        return table
    }

    static func tableEvent(_ event: JSONValue) -> JSONValue {
        var event = event
        event["object"] = event["object"].map(table)
        return event
    }

    /// A watch event's type, name and labels.
    static func event(_ event: JSONValue) -> JSONValue {
        let metadata = event.value(at: ["object", "metadata"])
        var result: JSONValue = ["type": event["type"] ?? .null]
        for key in ["name", "labels", "resourceVersion"] { result[key] = metadata?[key] }
        return result
    }

    static func member(_ path: String...) -> (JSONValue) -> JSONValue {
        { value in value["kind"] == "Status" ? value : value.value(at: path) ?? .null }
    }
}
