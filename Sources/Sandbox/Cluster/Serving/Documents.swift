import Encoding

/// The documents by which clients find out what the server has.
struct Documents: Sendable {
    struct Document: Sendable {
        var body: JSONValue
        var contentType = "application/json"
    }

    static let paths = ["/api", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]

    let registry: Registry
    let version: String

    /// The document of a path; nil when the path names none.
    func document(_ segments: [String], accept: String) -> Document? {
        switch (segments.first, segments.count) {
        case ("version", 1): return Document(body: versionDocument)
        case ("api", 1): return Discovery(registry: registry).core(accept: accept)
        case ("api", 2): return Discovery(registry: registry).resources(group: "", version: segments[1])
        case ("apis", 1): return Discovery(registry: registry).groups(accept: accept)
        case ("apis", 2): return Discovery(registry: registry).group(segments[1])
        case ("apis", 3): return Discovery(registry: registry).resources(group: segments[1], version: segments[2])
        case ("openapi", _) where segments.dropFirst().first == "v3":
            return OpenAPI(registry: registry, version: version).document(Array(segments.dropFirst(2)))
        default: return nil
        }
    }

    private var versionDocument: JSONValue {
        let numbers = version.drop { !$0.isNumber }.split(separator: ".")
        return [
            "major": .string(numbers.first.map(String.init) ?? "1"),
            "minor": .string(numbers.dropFirst().first.map(String.init) ?? "0"), "gitVersion": .string(version),
            "gitCommit": "", "gitTreeState": "clean", "buildDate": "2026-01-01T00:00:00Z", "goVersion": "none",
            "compiler": "swift", "platform": "linux/simulated",
        ]
    }
}

/// `/api` and `/apis`, aggregated (apidiscovery.k8s.io/v2) and document by document.
struct Discovery: Sendable {
    let registry: Registry

    private static func aggregatedType(_ accept: String) -> String? {
        // Older clients ask for v2beta1 only; they read the documents one by one too.
        let isV2 = accept.split(separator: ",").contains {
            $0.contains("as=APIGroupDiscoveryList") && $0.split(separator: ";").contains { $0.trimmed == "v=v2" }
        }
        guard isV2 else { return nil }
        return "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    }

    func core(accept: String) -> Documents.Document {
        if let type = Discovery.aggregatedType(accept) {
            return aggregated([""], type: type)
        }
        return Documents.Document(body: [
            "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [],
        ])
    }

    func groups(accept: String) -> Documents.Document {
        let names = registry.groups.filter { !$0.isEmpty }
        if let type = Discovery.aggregatedType(accept) {
            return aggregated(names, type: type)
        }
        return Documents.Document(body: [
            "kind": "APIGroupList", "apiVersion": "v1", "groups": .array(names.map(groupDocument)),
        ])
    }

    func group(_ name: String) -> Documents.Document? {
        guard registry.groups.contains(name), !name.isEmpty else { return nil }
        var body = groupDocument(name)
        body["kind"] = "APIGroup"
        body["apiVersion"] = "v1"
        return Documents.Document(body: body)
    }

    private func groupDocument(_ name: String) -> JSONValue {
        let versions = registry.versions(of: name).map { version -> JSONValue in
            ["groupVersion": .string("\(name)/\(version)"), "version": .string(version)]
        }
        return ["name": .string(name), "versions": .array(versions), "preferredVersion": versions.first ?? .null]
    }

    func resources(group: String, version: String) -> Documents.Document? {
        let groupVersion = Registry.GroupVersion(group: group, version: version)
        guard registry.has(groupVersion) else { return nil }
        let resources = registry.definitions(in: groupVersion).flatMap { definition in
            [resource(definition)] + Discovery.subresources(definition).map { subresource($0, of: definition) }
        }
        return Documents.Document(body: [
            "kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": .string(group.isEmpty ? version : "\(group)/\(version)"), "resources": .array(resources),
        ])
    }

    /// Custom resources name their status first.
    private static func subresources(_ definition: ResourceDefinition) -> [String] {
        let sorted = definition.subresources.sorted()
        return definition.isCustom ? sorted.reversed() : sorted
    }

    private func resource(_ definition: ResourceDefinition) -> JSONValue {
        var resource: JSONValue = [
            "name": .string(definition.plural), "singularName": .string(definition.singular),
            "namespaced": .bool(definition.isNamespaced), "kind": .string(definition.kind),
            "verbs": strings(definition.discoveryVerbs),
        ]
        if !definition.shortNames.isEmpty { resource["shortNames"] = strings(definition.shortNames) }
        if !definition.categories.isEmpty { resource["categories"] = strings(definition.categories) }
        return resource
    }

    private func subresource(_ name: String, of definition: ResourceDefinition) -> JSONValue {
        let (kind, verbs) = Discovery.subresource(name, definition)
        var resource: JSONValue = [
            "name": .string("\(definition.plural)/\(name)"), "singularName": "",
            "namespaced": .bool(definition.isNamespaced), "kind": .string(kind), "verbs": strings(verbs),
        ]
        if kind == "Scale" {
            resource["group"] = "autoscaling"
            resource["version"] = "v1"
        }
        return resource
    }

    private static func subresource(_ name: String, _ definition: ResourceDefinition) -> (String, [String]) {
        switch name {
        case "log": (definition.kind, ["get"])
        case "binding": ("Binding", ["create"])
        case "scale": ("Scale", ["get", "patch", "update"])
        case "finalize": (definition.kind, ["update"])
        default: (definition.kind, ["get", "patch", "update"])
        }
    }

    private func aggregated(_ groups: [String], type: String) -> Documents.Document {
        let items = groups.map { group -> JSONValue in
            let versions = registry.versions(of: group).map { version -> JSONValue in
                let definitions = registry.definitions(in: Registry.GroupVersion(group: group, version: version))
                return [
                    "version": .string(version), "freshness": "Current",
                    "resources": .array(definitions.map(aggregatedResource)),
                ]
            }
            let metadata: JSONValue = group.isEmpty ? [:] : ["name": .string(group)]
            return ["metadata": metadata, "versions": .array(versions)]
        }
        return Documents.Document(
            body: [
                "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": [:],
                "items": .array(items),
            ], contentType: type)
    }

    private func aggregatedResource(_ definition: ResourceDefinition) -> JSONValue {
        var resource: JSONValue = [
            "resource": .string(definition.plural), "singularResource": .string(definition.singular),
            "scope": .string(definition.isNamespaced ? "Namespaced" : "Cluster"),
            "responseKind": kind(definition.group, definition.version, definition.kind),
            "verbs": strings(definition.discoveryVerbs),
        ]
        if !definition.shortNames.isEmpty { resource["shortNames"] = strings(definition.shortNames) }
        if !definition.categories.isEmpty { resource["categories"] = strings(definition.categories) }
        let subresources = Discovery.subresources(definition).map { name -> JSONValue in
            let (kindName, verbs) = Discovery.subresource(name, definition)
            let (group, version) =
                kindName == "Scale" ? ("autoscaling", "v1") : (definition.group, definition.version)
            return [
                "subresource": .string(name), "verbs": strings(verbs),
                "responseKind": kind(group, version, kindName),
            ]
        }
        if !subresources.isEmpty { resource["subresources"] = .array(subresources) }
        return resource
    }

    private func kind(_ group: String, _ version: String, _ kind: String) -> JSONValue {
        ["group": .string(group), "version": .string(version), "kind": .string(kind)]
    }

    private func strings(_ values: [String]) -> JSONValue { .array(values.map(JSONValue.string)) }
}
