import Encoding

/// `/openapi/v3`: an index and a document per group version, made from the schemas.
struct OpenAPI: Sendable {
    let registry: Registry
    let version: String

    func document(_ segments: [String]) -> Documents.Document? {
        if segments.isEmpty { return Documents.Document(body: index) }
        switch (segments[0], segments.count) {
        case ("api", 2): return groupDocument(group: "", version: segments[1])
        case ("apis", 3): return groupDocument(group: segments[1], version: segments[2])
        default: return nil
        }
    }

    private var index: JSONValue {
        var paths: [String: JSONValue] = [:]
        for group in registry.groups {
            for version in registry.versions(of: group) {
                let path = group.isEmpty ? "api/\(version)" : "apis/\(group)/\(version)"
                paths[path] = ["serverRelativeURL": .string("/openapi/v3/\(path)?hash=\(registry.revision)")]
            }
        }
        return ["paths": .object(paths)]
    }

    private func groupDocument(group: String, version groupVersion: String) -> Documents.Document? {
        let id = Registry.GroupVersion(group: group, version: groupVersion)
        guard registry.has(id) else { return nil }
        var paths: [String: JSONValue] = [:]
        var schemas: [String: JSONValue] = ["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": OpenAPI.objectMeta]
        for definition in registry.definitions(in: id) {
            paths[collectionPath(definition)] = [
                "post": operation(definition, "post"), "get": operation(definition, "get"),
            ]
            paths[collectionPath(definition) + "/{name}"] = [
                "get": operation(definition, "get"), "put": operation(definition, "put"),
                "patch": operation(definition, "patch"), "delete": operation(definition, "delete"),
            ]
            schemas[schemaName(definition)] = schema(definition)
        }
        return Documents.Document(body: [
            "openapi": "3.0.0", "info": ["title": "Kubernetes", "version": .string(version)],
            "paths": .object(paths), "components": ["schemas": .object(schemas)],
        ])
    }

    private func collectionPath(_ definition: ResourceDefinition) -> String {
        let root = definition.group.isEmpty ? "/api/v1" : "/apis/\(definition.group)/\(definition.version)"
        return definition.isNamespaced
            ? "\(root)/namespaces/{namespace}/\(definition.plural)" : "\(root)/\(definition.plural)"
    }

    /// kubectl looks for the kind of an operation and, on PATCH, for the parameter `fieldValidation`.
    private func operation(_ definition: ResourceDefinition, _ method: String) -> JSONValue {
        let reference: JSONValue = ["$ref": .string("#/components/schemas/\(schemaName(definition))")]
        let parameters = ["dryRun", "fieldManager", "fieldValidation", "force"].map { name -> JSONValue in
            ["name": .string(name), "in": "query", "schema": ["type": "string", "uniqueItems": true]]
        }
        var operation: JSONValue = [
            "responses": ["200": ["description": "OK", "content": ["application/json": ["schema": reference]]]],
            "x-kubernetes-group-version-kind": groupVersionKind(definition),
            "x-kubernetes-action": .string(method),
        ]
        if ["post", "put", "patch"].contains(method) { operation["parameters"] = .array(parameters) }
        return operation
    }

    private func groupVersionKind(_ definition: ResourceDefinition) -> JSONValue {
        [
            "group": .string(definition.group), "version": .string(definition.version),
            "kind": .string(definition.kind),
        ]
    }

    private func schemaName(_ definition: ResourceDefinition) -> String {
        let domain =
            definition.group.isEmpty
            ? "io.k8s.api.core" : definition.group.split(separator: ".").reversed().joined(separator: ".")
        return "\(domain).\(definition.version).\(definition.kind)"
    }

    private func schema(_ definition: ResourceDefinition) -> JSONValue {
        var json = definition.schema?.openAPI ?? ["type": "object"]
        var properties = json["properties"] ?? [:]
        properties["apiVersion"] = [
            "type": "string",
            "description": "APIVersion defines the versioned schema of this representation of an object.",
        ]
        properties["kind"] = [
            "type": "string",
            "description": "Kind is a string value representing the REST resource this object represents.",
        ]
        properties["metadata"] = [
            "description": "Standard object's metadata.",
            "allOf": [["$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]],
        ]
        json["properties"] = properties
        json["x-kubernetes-group-version-kind"] = [groupVersionKind(definition)]
        return json
    }

    private static let objectMeta: JSONValue = [
        "type": "object", "description": "ObjectMeta is metadata that all persisted resources must have.",
        "properties": [
            "name": ["type": "string", "description": "Name must be unique within a namespace."],
            "namespace": [
                "type": "string", "description": "Namespace defines the space within which each name must be unique.",
            ],
            "labels": [
                "type": "object", "additionalProperties": ["type": "string"],
                "description": "Map of string keys and values that can be used to organize and select objects.",
            ],
            "annotations": [
                "type": "object", "additionalProperties": ["type": "string"],
                "description": "Unstructured key value map stored with a resource.",
            ],
            "finalizers": [
                "type": "array", "items": ["type": "string"],
                "description": "Must be empty before the object is deleted from the registry.",
            ],
            "generateName": [
                "type": "string", "description": "An optional prefix used by the server to generate a name.",
            ],
            "uid": ["type": "string", "description": "Unique in time and space value for this object."],
            "resourceVersion": ["type": "string", "description": "Internal version of this object."],
            "generation": [
                "type": "integer", "format": "int64", "description": "Counts changes of the desired state.",
            ],
            "creationTimestamp": [
                "type": "string", "format": "date-time", "description": "When the object was created.",
            ],
            "deletionTimestamp": [
                "type": "string", "format": "date-time", "description": "When the object will be deleted.",
            ],
            "ownerReferences": [
                "type": "array", "items": ["type": "object"], "description": "List of objects depended by this object.",
            ],
        ],
    ]
}

extension Schema {
    /// The schema as clients read it; extensions that only the server needs are left out by being unknown to them.
    var openAPI: JSONValue {
        var json = source
        for key in ["x-kubernetes-validations"] { json[key] = nil }
        return json
    }
}
