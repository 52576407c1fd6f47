import Encoding

/// A container's variables and command line, resolved as the kubelet does.
struct ContainerEnvironment: Sendable {
    let pod: PodView
    /// Set for every container before its own, e.g. where the sandbox's storage listens.
    let base: [String: String]
    /// Reads ConfigMaps and Secrets.
    let cluster: ClusterAccess

    /// All variables of a container.
    ///
    /// - Throws: a sentence as the kubelet gives it for CreateContainerConfigError.
    func variables(of container: JSONValue) async throws(ContainerStartError) -> [String: String] {
        var result = base
        for source in container["envFrom"]?.arrayValue ?? [] {
            let prefix = source["prefix"]?.stringValue ?? ""
            for (name, value) in try await allEntries(source) { result[prefix + name] = value }
        }
        for entry in container["env"]?.arrayValue ?? [] {
            guard let name = entry["name"]?.stringValue else { continue }
            if let source = entry["valueFrom"] {
                result[name] = try await value(from: source, container: container)
            } else {
                result[name] = Expansion.expanded(entry["value"]?.stringValue ?? "", result)
            }
        }
        return result
    }

    private func value(
        from source: JSONValue, container: JSONValue
    ) async throws(ContainerStartError) -> String? {
        if let path = source["fieldRef"]?["fieldPath"]?.stringValue { return try field(path) }
        if let resource = source["resourceFieldRef"]?["resource"]?.stringValue {
            return try amount(resource, of: container)
        }
        for (key, plural) in [("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")] {
            guard let reference = source[key] else { continue }
            return try await self.entry(reference, plural: plural)
        }
        throw ContainerStartError(message: "the sandbox does not know this valueFrom")
    }

    /// What the downward API gives for a path.
    func field(_ path: String) throws(ContainerStartError) -> String {
        if let key = Self.subscripted(path, "metadata.labels") { return pod.labels[key]?.stringValue ?? "" }
        if let key = Self.subscripted(path, "metadata.annotations") { return pod.annotations[key]?.stringValue ?? "" }
        switch path {
        case "metadata.name": return pod.name
        case "metadata.namespace": return pod.namespace
        case "metadata.uid": return pod.uid
        case "spec.nodeName": return pod.nodeName ?? ""
        case "spec.serviceAccountName":
            return pod.object.value(at: ["spec", "serviceAccountName"])?.stringValue ?? "default"
        case "status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs": return "127.0.0.1"
        default: throw ContainerStartError(message: "unsupported fieldPath: \(path)")
        }
    }

    /// `key` of `path['key']`.
    private static func subscripted(_ path: String, _ field: String) -> String? {
        guard path.hasPrefix(field + "['"), path.hasSuffix("']") else { return nil }
        return String(path.dropFirst(field.count + 2).dropLast(2))
    }

    private func amount(_ resource: String, of container: JSONValue) throws(ContainerStartError) -> String {
        let parts = resource.split(separator: ".", maxSplits: 1).map(String.init)
        guard parts.count == 2, let value = container.value(at: ["resources", parts[0], parts[1]]),
            let thousandths = ResourceQuantity.thousandths(value)
        else { throw ContainerStartError(message: "unsupported container resource: \(resource)") }
        return "\((thousandths + 999) / 1000)"
    }

    private func entry(
        _ reference: JSONValue, plural: String
    ) async throws(ContainerStartError) -> String? {
        let key = reference["key"]?.stringValue ?? ""
        let isOptional = reference["optional"]?.boolValue ?? false
        guard let entries = try await entries(reference, plural: plural), let value = entries[key] else {
            if isOptional { return nil }
            let name = reference["name"]?.stringValue ?? ""
            throw ContainerStartError(message: "couldn't find key \(key) in \(plural) \(pod.namespace)/\(name)")
        }
        return value
    }

    private func allEntries(_ source: JSONValue) async throws(ContainerStartError) -> [String: String] {
        for (key, plural) in [("configMapRef", "configmaps"), ("secretRef", "secrets")] {
            if let reference = source[key] { return try await entries(reference, plural: plural) ?? [:] }
        }
        return [:]
    }

    /// All texts of a ConfigMap or Secret; nil for an optional one that does not exist.
    func entries(
        _ reference: JSONValue, plural: String
    ) async throws(ContainerStartError) -> [String: String]? {
        let name = reference["name"]?.stringValue ?? ""
        guard let object = await cluster.get(["api", "v1", "namespaces", pod.namespace, plural, name]) else {
            if reference["optional"]?.boolValue ?? false { return nil }
            throw ContainerStartError(message: "\(plural) \"\(name)\" not found")
        }
        let data = object["data"]?.objectValue ?? [:]
        guard plural == "secrets" else { return data.compactMapValues(\.stringValue) }
        return data.compactMapValues { value in
            value.stringValue.flatMap { Base64.decode($0) }.map { String(decoding: $0, as: UTF8.self) }
        }
    }
}

/// `$(NAME)` in values, commands and arguments.
enum Expansion {
    /// Known names are replaced, unknown ones stay; `$$(NAME)` gives `$(NAME)`.
    static func expanded(_ text: String, _ variables: [String: String]) -> String {
        guard text.contains("$") else { return text }
        var output = ""
        var rest = Substring(text)
        while let dollar = rest.firstIndex(of: "$") {
            output += rest[..<dollar]
            rest = rest[rest.index(after: dollar)...]
            if rest.first == "$" {
                output += "$"
                rest.removeFirst()
            } else if rest.first == "(", let end = rest.firstIndex(of: ")") {
                let name = String(rest[rest.index(after: rest.startIndex)..<end])
                output += variables[name] ?? "$(\(name))"
                rest = rest[rest.index(after: end)...]
            } else {
                output += "$"
            }
        }
        return output + rest
    }
}
