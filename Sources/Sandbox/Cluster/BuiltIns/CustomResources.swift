import Encoding

/// A CustomResourceDefinition that cannot be served, with the causes of its refusal.
struct DefinitionRefused: Error, CustomStringConvertible {
    var problems: [FieldError]

    init(_ problems: [FieldError]) { self.problems = problems }

    var description: String { problems.map(\.description).joined(separator: "; ") }
}

/// CustomResourceDefinitions: what they must be, and the resources that they make.
enum CustomResources {
    static let collection = CollectionID(group: "apiextensions.k8s.io", plural: "customresourcedefinitions")

    /// The resources of a definition, the stored version first.
    ///
    /// - Throws: what is wrong or not supported, each with its field path.
    static func definitions(_ crd: JSONValue) throws(DefinitionRefused) -> [ResourceDefinition] {
        guard let spec = crd["spec"], let group = spec["group"]?.stringValue,
            let names = spec["names"], let plural = names["plural"]?.stringValue, let kind = names["kind"]?.stringValue
        else { throw refused(.required, "spec", "group, names.plural and names.kind are needed") }
        guard crd.objectName == "\(plural).\(group)" else {
            throw refused(
                .invalid, "metadata.name", value: .string(crd.objectName),
                "must be spec.names.plural+\".\"+spec.group")
        }
        guard let scope = spec["scope"]?.stringValue, ["Namespaced", "Cluster"].contains(scope) else {
            let scopes = ["Cluster", "Namespaced"]
            throw DefinitionRefused([
                .unsupported("spec.scope", spec["scope"]?.stringValue ?? "", supported: scopes)
            ])
        }
        if spec.value(at: ["conversion", "strategy"])?.stringValue == "Webhook" {
            throw refused(.forbidden, "spec.conversion.strategy", "the simulated cluster calls no webhooks")
        }
        let versions = spec["versions"]?.arrayValue ?? []
        guard versions.count(where: { $0["storage"] == true }) == 1 else {
            throw refused(
                .invalid, "spec.versions", value: .array(versions),
                "must have exactly one version marked as storage version")
        }
        var definitions: [ResourceDefinition] = []
        var problems: [FieldError] = []
        for (index, version) in versions.enumerated() {
            guard let name = version["name"]?.stringValue else {
                throw refused(.required, "spec.versions[\(index)].name")
            }
            var definition = ResourceDefinition(
                group: group, version: name, kind: kind, plural: plural,
                singular: names["singular"]?.stringValue)
            definition.isNamespaced = scope == "Namespaced"
            definition.shortNames = strings(names["shortNames"])
            definition.categories = strings(names["categories"])
            // The API server moves what all versions share to the top before it looks at it.
            let isShared = versions.allSatisfy { $0["schema"] == version["schema"] }
            let place = isShared ? "spec.validation" : "spec.versions[\(index)].schema"
            var found: [FieldError] = []
            try complete(&definition, version, place: place, problems: &found)
            if !isShared || index == 0 { problems += found }
            guard version["served"] == true else { continue }
            if version["storage"] == true {
                definitions.insert(definition, at: 0)
            } else {
                definitions.append(definition)
            }
        }
        guard problems.isEmpty else { throw DefinitionRefused(problems) }
        guard !definitions.isEmpty else {
            throw refused(.invalid, "spec.versions", "must have at least one served version")
        }
        return definitions
    }

    private static func complete(
        _ definition: inout ResourceDefinition, _ version: JSONValue, place: String, problems: inout [FieldError]
    ) throws(DefinitionRefused) {
        guard let schema = version.value(at: ["schema", "openAPIV3Schema"]) else {
            throw refused(.required, "\(place).openAPIV3Schema", "schemas are required")
        }
        definition.isCustom = true
        definition.countsGenerations = true
        definition.allowsUnconditionalUpdate = false
        definition.schema = Schema(checked: schema, path: "\(place).openAPIV3Schema", problems: &problems)
        if version.value(at: ["subresources", "status"]) != nil { definition.subresources.insert("status") }
        if let scale = version.value(at: ["subresources", "scale"]) {
            definition.subresources.insert("scale")
            definition.scale = ScalePaths(
                specReplicas: path(scale["specReplicasPath"]), statusReplicas: path(scale["statusReplicasPath"]),
                labelSelector: scale["labelSelectorPath"].map(path))
        }
        for field in version["selectableFields"]?.arrayValue ?? [] {
            guard let text = field["jsonPath"]?.stringValue else { continue }
            definition.selectableFields[String(text.drop { $0 == "." })] = path(field["jsonPath"])
        }
        definition.columns = try columns(version["additionalPrinterColumns"]?.arrayValue ?? [])
    }

    private static func columns(_ columns: [JSONValue]) throws(DefinitionRefused) -> [PrinterColumn] {
        var result: [PrinterColumn] = []
        for (index, column) in columns.enumerated() {
            let place = "additionalPrinterColumns[\(index)]"
            guard let name = column["name"]?.stringValue, let type = column["type"]?.stringValue,
                let text = column["jsonPath"]?.stringValue
            else { throw refused(.required, "spec.\(place)", "name, type and jsonPath are needed") }
            let path = try jsonPath(text, place: "spec.\(place).jsonPath")
            var printer = PrinterColumn(name: name, type: type) { object, now in
                path.cell(object, type: type, now: now)
            }
            printer.format = column["format"]?.stringValue ?? ""
            printer.description =
                column["description"]?.stringValue ?? "Custom resource definition column (in JSONPath format): \(text)"
            printer.priority = column["priority"]?.integerValue ?? 0
            result.append(printer)
        }
        return result
    }

    private static func strings(_ value: JSONValue?) -> [String] { value?.arrayValue?.compactMap(\.stringValue) ?? [] }

    private static func path(_ value: JSONValue?) -> [String] {
        (value?.stringValue ?? "").split(separator: ".").map(String.init)
    }

    private static func jsonPath(_ text: String, place: String) throws(DefinitionRefused) -> JSONPath {
        do throws(SandboxError) {
            return try JSONPath(text, place: place)
        } catch {
            throw refused(.invalid, place, value: .string(text), error.message)
        }
    }

    private static func refused(
        _ kind: FieldError.Kind, _ path: String, value: JSONValue? = nil, _ detail: String = ""
    ) -> DefinitionRefused {
        DefinitionRefused([FieldError(kind, path, value: value, detail)])
    }

    /// The definition with names filled in and the status of one that is served.
    static func completed(_ crd: JSONValue, now: Timestamp) -> JSONValue {
        var crd = crd
        crd["apiVersion"] = "apiextensions.k8s.io/v1"
        crd["kind"] = "CustomResourceDefinition"
        let kind = crd.value(at: ["spec", "names", "kind"])?.stringValue ?? ""
        if crd.value(at: ["spec", "names", "listKind"]) == nil {
            crd.set(.string(kind + "List"), at: ["spec", "names", "listKind"])
        }
        if crd.value(at: ["spec", "names", "singular"]) == nil {
            crd.set(.string(kind.lowercased()), at: ["spec", "names", "singular"])
        }
        if crd.value(at: ["spec", "conversion"]) == nil { crd.set(["strategy": "None"], at: ["spec", "conversion"]) }
        let time = JSONValue.string(now.wholeSeconds.description)
        func condition(_ type: String, _ reason: String, _ message: String) -> JSONValue {
            [
                "type": .string(type), "status": "True", "reason": .string(reason), "message": .string(message),
                "lastTransitionTime": time,
            ]
        }
        let stored = crd.value(at: ["spec", "versions"])?.arrayValue?.first { $0["storage"] == true }?["name"]
        crd["status"] = [
            "acceptedNames": crd.value(at: ["spec", "names"]) ?? [:],
            "conditions": [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ],
            "storedVersions": .array(stored.map { [$0] } ?? []),
        ]
        return crd
    }
}
