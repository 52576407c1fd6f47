import Encoding

/// What makes a schema structural, with the causes of the API server's refusal (`ValidateStructural`).
struct StructureChecks {
    private enum Level {
        case root, item, field

        var missingType: String {
            switch self {
            case .root: "must not be empty at the root"
            case .item: "must not be empty for specified array items"
            case .field: "must not be empty for specified object fields"
            }
        }
    }

    private var problems: [FieldError] = []

    static func check(_ root: Schema, path: String, problems: inout [FieldError]) {
        var checks = StructureChecks()
        checks.visit(root, .root, path)
        if root.isNullable { checks.add(.forbidden, "\(path).nullable", "nullable cannot be true at the root") }
        problems += checks.problems
    }

    private mutating func add(_ kind: FieldError.Kind, _ path: String, value: JSONValue? = nil, _ detail: String) {
        problems.append(FieldError(kind, path, value: value, detail))
    }

    private mutating func visit(_ schema: Schema, _ level: Level, _ path: String) {
        if schema.type == "array", schema.items == nil { add(.required, "\(path).items", "must be specified") }
        if let items = schema.items { visit(items, .item, "\(path).items") }
        for (key, property) in schema.properties.sorted(by: { $0.key < $1.key }) {
            visit(property, .field, "\(path).properties[\(key)]")
        }
        if let values = schema.additionalProperties {
            if level == .root { add(.forbidden, "\(path).additionalProperties", "must not be used at the root") }
            if !schema.properties.isEmpty {
                add(
                    .forbidden, "\(path).additionalProperties",
                    "additionalProperties and properties are mutual exclusive")
            }
            visit(values, .field, "\(path).additionalProperties")
        }
        checkType(schema, level, path)
        checkList(schema, path)
        if level == .root || schema.isEmbeddedResource { checkMetadata(schema, isRoot: level == .root, path) }
        checkLogic(schema, path)
    }

    private mutating func checkType(_ schema: Schema, _ level: Level, _ path: String) {
        if schema.isEmbeddedResource, schema.type != "object" {
            let detail = "must be object if x-kubernetes-embedded-resource is true"
            if let type = schema.type {
                add(.invalid, "\(path).type", value: .string(type), detail)
            } else {
                add(.required, "\(path).type", detail)
            }
        } else if schema.type == nil, !schema.isIntOrString, !schema.preservesUnknownFields {
            add(.required, "\(path).type", level.missingType)
        }
        if level == .root, let type = schema.type, type != "object" {
            add(.invalid, "\(path).type", value: .string(type), "must be object at the root")
        }
        if schema.isIntOrString, schema.preservesUnknownFields {
            add(
                .invalid, "\(path).x-kubernetes-preserve-unknown-fields", value: true,
                "must be false if x-kubernetes-int-or-string is true")
        }
        if schema.isIntOrString, schema.isEmbeddedResource {
            add(
                .invalid, "\(path).x-kubernetes-embedded-resource", value: true,
                "must be false if x-kubernetes-int-or-string is true")
        }
        if schema.isEmbeddedResource, !schema.preservesUnknownFields, schema.properties.isEmpty {
            add(
                .required, "\(path).properties",
                "must not be empty if x-kubernetes-embedded-resource is true without "
                    + "x-kubernetes-preserve-unknown-fields")
        }
    }

    private mutating func checkList(_ schema: Schema, _ path: String) {
        let keys = schema.source["x-kubernetes-list-map-keys"]?.arrayValue ?? []
        let listType = schema.source["x-kubernetes-list-type"]?.stringValue
        if listType != nil, schema.type != "array" {
            let detail = "must be array if x-kubernetes-list-type is specified"
            add(
                schema.type == nil ? .required : .invalid, "\(path).type", value: schema.type.map { .string($0) },
                detail)
        }
        if !keys.isEmpty, listType != "map" {
            let detail = "must be map if x-kubernetes-list-map-keys is non-empty"
            let place = "\(path).x-kubernetes-list-type"
            add(listType == nil ? .required : .invalid, place, value: listType.map { .string($0) }, detail)
        }
        switch schema.listType {
        case .atomic: return
        case .set:
            guard let items = schema.items else { return }
            checkElementIsNotNull(items, listType: "set", path)
            if items.type == "object", !items.isAtomicMap {
                add(
                    .invalid, "\(path).items.x-kubernetes-map-type",
                    "must be atomic as item of a list with x-kubernetes-list-type=set")
            }
        case .map(let names): checkMapList(schema, names, keys, path)
        }
    }

    private mutating func checkElementIsNotNull(_ items: Schema, listType: String, _ path: String) {
        guard items.isNullable else { return }
        add(.forbidden, "\(path).items.nullable", "cannot be nullable when x-kubernetes-list-type is \(listType)")
    }

    private mutating func checkMapList(_ schema: Schema, _ names: [String], _ keys: [JSONValue], _ path: String) {
        let place = "\(path).x-kubernetes-list-map-keys"
        if names.isEmpty { add(.required, place, "must not be empty if x-kubernetes-list-type is map") }
        guard let items = schema.items else {
            add(.required, "\(path).items", "must have a schema if x-kubernetes-list-type is map")
            return
        }
        checkElementIsNotNull(items, listType: "map", path)
        guard items.type == "object" else {
            add(
                .invalid, "\(path).items.type", value: .string(items.type ?? ""),
                "must be object if parent array's x-kubernetes-list-type is map")
            return
        }
        if Set(names).count != names.count {
            add(.invalid, place, value: .array(keys), "must not contain duplicate entries")
        }
        for name in names {
            let field = "\(path).items.properties[\(name)]"
            guard let property = items.properties[name] else {
                add(.invalid, place, value: .array(keys), "entries must all be names of item properties")
                continue
            }
            if property.type == "array" || property.type == "object" {
                add(
                    .invalid, "\(field).type", value: "object",
                    "must be a scalar type if parent array's x-kubernetes-list-type is map")
            }
            if !items.required.contains(name), property.defaultValue == nil {
                add(
                    .required, "\(field).default",
                    "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required "
                        + "property")
            }
            if property.isNullable {
                add(
                    .forbidden, "\(field).nullable",
                    "this property is in x-kubernetes-list-map-keys, so it cannot be nullable")
            }
        }
    }

    private mutating func checkMetadata(_ schema: Schema, isRoot: Bool, _ path: String) {
        for name in ["apiVersion", "kind"] {
            guard let property = schema.properties[name], property.type != "string" else { continue }
            add(
                .invalid, "\(path).properties[\(name)].type", value: .string(property.type ?? ""), "must be string")
        }
        guard let metadata = schema.properties["metadata"] else { return }
        if metadata.type != "object" {
            add(
                .invalid, "\(path).properties[metadata].type", value: .string(metadata.type ?? ""), "must be object")
        }
        let others = Set(metadata.source.objectValue?.keys.map { $0 } ?? []).subtracting(["type", "properties"])
        let names = Set(metadata.properties.keys).subtracting(["name", "generateName"])
        if isRoot, !others.isEmpty || !names.isEmpty {
            add(
                .forbidden, "\(path).properties[metadata]",
                "must not specify anything other than name and generateName, but metadata is implicitly specified")
        }
    }

    // MARK: Logical keywords

    private mutating func checkLogic(_ schema: Schema, _ path: String) {
        // anyOf of integer and string, alone or first in allOf, is how int-or-string was written before its keyword.
        let isPair: ([Schema]) -> Bool = { $0.map(\.source) == [["type": "integer"], ["type": "string"]] }
        if !isPair(schema.anyOf) { checkBranches(schema.anyOf, schema, "\(path).anyOf") }
        for (index, branch) in schema.allOf.enumerated() {
            let skips = index == 0 && isPair(branch.anyOf)
            checkBranch(branch, schema, "\(path).allOf[\(index)]", skipsAnyOf: skips)
        }
        checkBranches(schema.oneOf, schema, "\(path).oneOf")
        if let not = schema.not { checkBranch(not, schema, "\(path).not", skipsAnyOf: false) }
    }

    private mutating func checkBranches(_ branches: [Schema], _ outer: Schema?, _ path: String) {
        for (index, branch) in branches.enumerated() {
            checkBranch(branch, outer, "\(path)[\(index)]", skipsAnyOf: false)
        }
    }

    private static let forbidden: [(keyword: String, detail: String)] = [
        ("type", "must be empty to be structural"), ("additionalProperties", "must be undefined to be structural"),
        ("default", "must be undefined to be structural"), ("title", "must be empty to be structural"),
        ("description", "must be empty to be structural"), ("nullable", "must be false to be structural"),
        ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
        ("x-kubernetes-embedded-resource", "must be false to be structural"),
        ("x-kubernetes-int-or-string", "must be false to be structural"),
        ("x-kubernetes-list-map-keys", "must be empty to be structural"),
        ("x-kubernetes-list-type", "must be undefined to be structural"),
        ("x-kubernetes-map-type", "must be undefined to be structural"),
        ("x-kubernetes-validations", "must be empty to be structural"),
    ]

    /// A branch may only restrict values; what a value is made of is said outside.
    private mutating func checkBranch(_ branch: Schema, _ outer: Schema?, _ path: String, skipsAnyOf: Bool) {
        for (keyword, detail) in StructureChecks.forbidden where branch.source[keyword] != nil {
            add(.forbidden, "\(path).\(keyword)", detail)
        }
        for (key, property) in branch.properties.sorted(by: { $0.key < $1.key }) {
            let place = "\(path).properties[\(key)]"
            if key == "metadata" { add(.forbidden, place, "must not be specified in a nested context") }
            let specified = outer?.properties[key]
            if specified == nil, outer != nil {
                let outside = StructureChecks.outside(place)
                add(.required, outside, "because it is defined in \(place)")
            }
            checkBranch(property, specified, place, skipsAnyOf: false)
        }
        if let items = branch.items {
            if outer != nil, outer?.items == nil {
                add(.required, StructureChecks.outside("\(path).items"), "because it is defined in \(path).items")
            }
            checkBranch(items, outer?.items, "\(path).items", skipsAnyOf: false)
        }
        if !skipsAnyOf { checkBranches(branch.anyOf, outer, "\(path).anyOf") }
        checkBranches(branch.allOf, outer, "\(path).allOf")
        checkBranches(branch.oneOf, outer, "\(path).oneOf")
        if let not = branch.not { checkBranch(not, outer, "\(path).not", skipsAnyOf: false) }
    }

    /// The place outside of all logical keywords.
    private static func outside(_ path: String) -> String {
        path.split(separator: ".", omittingEmptySubsequences: false).filter { part in
            part != "not" && !["anyOf[", "allOf[", "oneOf["].contains(where: part.hasPrefix)
        }.joined(separator: ".")
    }
}
