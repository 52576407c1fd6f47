import Encoding

/// RFC 7386.
enum MergePatch {
    static func patched(_ target: JSONValue, _ patch: JSONValue) -> JSONValue {
        guard case .object(let changes) = patch else { return patch }
        var members = target.objectValue ?? [:]
        for (key, value) in changes {
            if value.isNull {
                members.removeValue(forKey: key)
            } else {
                members[key] = patched(members[key] ?? .null, value)
            }
        }
        return .object(members)
    }
}

/// RFC 6902.
enum JSONPatch {
    static func patched(_ target: JSONValue, _ patch: JSONValue) throws(StatusError) -> JSONValue {
        guard case .array(let operations) = patch, operations.count <= 10_000 else {
            guard patch.arrayValue == nil else {
                throw StatusError(
                    413, "RequestEntityTooLarge",
                    "The allowed maximum operations in a JSON patch is 10000, got \(patch.arrayValue?.count ?? 0)")
            }
            throw .badRequest("json: cannot unmarshal \(patch.typeName) into Go value of type jsonpatch.Patch")
        }
        var result = target
        for operation in operations {
            guard let name = operation["op"]?.stringValue, let path = operation["path"]?.stringValue else {
                throw failure
            }
            try apply(name, pointer(path), operation, to: &result)
        }
        return result
    }

    private static func apply(
        _ name: String, _ path: [String], _ operation: JSONValue, to target: inout JSONValue
    ) throws(StatusError) {
        switch name {
        case "add": target = try adding(try value(operation), at: path[...], to: target)
        case "remove": target = try removing(path[...], from: target)
        case "replace":
            _ = try read(path, in: target)
            target =
                path.isEmpty
                ? try value(operation)
                : try adding(
                    try value(operation), at: path[...], to: try removing(path[...], from: target))
        case "test":
            guard let found = try? read(path, in: target), found == (try value(operation)) else {
                throw failure
            }
        case "move", "copy":
            let from = pointer(operation["from"]?.stringValue ?? "")
            let moved = try read(from, in: target)
            if name == "move" { target = try removing(from[...], from: target) }
            target = try adding(moved, at: path[...], to: target)
        default: throw failure
        }
    }

    private static func value(_ operation: JSONValue) throws(StatusError) -> JSONValue {
        guard let value = operation["value"] else { throw failure }
        return value
    }

    private static func pointer(_ text: String) -> [String] {
        text.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map { part in
            part.split(separator: "~1", omittingEmptySubsequences: false).joined(separator: "/")
                .split(separator: "~0", omittingEmptySubsequences: false).joined(separator: "~")
        }
    }

    private static func read(_ path: [String], in target: JSONValue) throws(StatusError) -> JSONValue {
        var current = target
        for key in path {
            switch current {
            case .object(let members):
                guard let next = members[key] else { throw failure }
                current = next
            case .array(let elements):
                guard let index = Int(key), elements.indices.contains(index) else { throw failure }
                current = elements[index]
            default: throw failure
            }
        }
        return current
    }

    private static func adding(
        _ value: JSONValue, at path: ArraySlice<String>, to target: JSONValue
    ) throws(StatusError) -> JSONValue {
        guard let key = path.first else { return value }
        let rest = path.dropFirst()
        switch target {
        case .object(var members):
            if rest.isEmpty {
                members[key] = value
            } else {
                guard let child = members[key] else { throw failure }
                members[key] = try adding(value, at: rest, to: child)
            }
            return .object(members)
        case .array(var elements):
            if rest.isEmpty {
                let index = key == "-" ? elements.count : Int(key) ?? -1
                guard (0...elements.count).contains(index) else { throw failure }
                elements.insert(value, at: index)
            } else {
                guard let index = Int(key), elements.indices.contains(index) else { throw failure }
                elements[index] = try adding(value, at: rest, to: elements[index])
            }
            return .array(elements)
        default: throw failure
        }
    }

    private static func removing(
        _ path: ArraySlice<String>, from target: JSONValue
    ) throws(StatusError) -> JSONValue {
        guard let key = path.first else { throw failure }
        let rest = path.dropFirst()
        switch target {
        case .object(var members):
            guard let child = members[key] else { throw failure }
            if rest.isEmpty {
                members.removeValue(forKey: key)
            } else {
                members[key] = try removing(rest, from: child)
            }
            return .object(members)
        case .array(var elements):
            guard let index = Int(key), elements.indices.contains(index) else { throw failure }
            if rest.isEmpty {
                elements.remove(at: index)
            } else {
                elements[index] = try removing(rest, from: elements[index])
            }
            return .array(elements)
        default: throw failure
        }
    }

    /// The API server does not say which operation failed.
    private static let failure = StatusError(
        422, "Invalid", "the server rejected our request due to an error in our request", details: [:])
}
