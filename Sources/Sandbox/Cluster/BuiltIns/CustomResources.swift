import Encoding

/// CustomResourceDefinitions: what they must be, and the resources that they make.
enum CustomResources {
    static let collection = CollectionID(group: "apiextensions.k8s.io", plural: "customresourcedefinitions")

    /// The resources of a definition, the stored version first.
    ///
    /// - Throws: `.invalidCRD` with the field path of what is wrong or not supported.
    static func definitions(_ crd: JSONValue) throws(SandboxError) -> [ResourceDefinition] {
        guard let spec = crd["spec"], let group = spec["group"]?.stringValue,
            let names = spec["names"], let plural = names["plural"]?.stringValue, let kind = names["kind"]?.stringValue
        else { throw failure("spec: group, names.plural and names.kind are needed") }
        guard crd.objectName == "\(plural).\(group)" else {
            throw failure(
                "metadata.name: Invalid value: \"\(crd.objectName)\": must be spec.names.plural+\".\"+spec.group")
        }
        guard let scope = spec["scope"]?.stringValue, ["Namespaced", "Cluster"].contains(scope) else {
            throw failure("spec.scope: Unsupported value: supported values: \"Cluster\", \"Namespaced\"")
        }
        if spec.value(at: ["conversion", "strategy"])?.stringValue == "Webhook" {
            throw failure("spec.conversion.strategy: Webhook is not supported by the simulated cluster")
        }
        let versions = spec["versions"]?.arrayValue ?? []
        guard versions.filter({ $0["storage"] == true }).count == 1 else {
            throw failure("spec.versions: must have exactly one version marked as storage version")
        }
        var definitions: [ResourceDefinition] = []
        let sorted = versions.filter { $0["storage"] == true } + versions.filter { $0["storage"] != true }
        for version in sorted where version["served"] == true {
            guard let name = version["name"]?.stringValue else { throw failure("spec.versions[].name: Required value") }
            var definition = ResourceDefinition(
                group: group, version: name, kind: kind, plural: plural,
                singular: names["singular"]?.stringValue)
            definition.isNamespaced = scope == "Namespaced"
            definition.shortNames = strings(names["shortNames"])
            definition.categories = strings(names["categories"])
            try complete(&definition, version)
            definitions.append(definition)
        }
        guard !definitions.isEmpty else { throw failure("spec.versions: must have at least one served version") }
        return definitions
    }

    private static func complete(_ definition: inout ResourceDefinition, _ version: JSONValue) throws(SandboxError) {
        guard let schema = version.value(at: ["schema", "openAPIV3Schema"]) else {
            throw failure("spec.versions[\(definition.version)].schema.openAPIV3Schema: Required value")
        }
        definition.isCustom = true
        definition.countsGenerations = true
        definition.allowsUnconditionalUpdate = false
        definition.schema = try Schema(
            schema, path: "spec.versions[\(definition.version)].schema.openAPIV3Schema", isRoot: true)
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

    private static func columns(_ columns: [JSONValue]) throws(SandboxError) -> [PrinterColumn] {
        var result: [PrinterColumn] = []
        for (index, column) in columns.enumerated() {
            let place = "additionalPrinterColumns[\(index)]"
            guard let name = column["name"]?.stringValue, let type = column["type"]?.stringValue,
                let text = column["jsonPath"]?.stringValue
            else { throw failure("\(place): name, type and jsonPath are needed") }
            let path = try JSONPath(text, place: "\(place).jsonPath")
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

    private static func failure(_ what: String) -> SandboxError { SandboxError(.invalidCRD, what) }

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
