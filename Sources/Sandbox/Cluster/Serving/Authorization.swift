import Encoding

/// Answers whether ClusterRole rules allow a request.
struct Authorization: Sendable {
    let user: SimulatedUser

    /// What every authenticated user may (`system:discovery`, `system:basic-user`, `system:public-info-viewer`).
    private static let publicPaths = [
        "/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz",
    ]

    static func isPublic(_ path: String) -> Bool {
        publicPaths.contains { path == $0 || path.hasPrefix($0 + "/") }
    }

    func allows(_ request: ResourceRequest) -> Bool {
        if request.definition.group == "authorization.k8s.io" { return true }
        return allows(
            verb: request.verb, group: request.definition.group, resource: request.definition.plural,
            subresource: request.subresource, name: request.name)
    }

    func allows(verb: String, group: String, resource: String, subresource: String?, name: String?) -> Bool {
        guard let rules = user.rules else { return true }
        return rules.contains { rule in
            guard has(rule["verbs"], verb), has(rule["apiGroups"], group) else { return false }
            guard names(rule["resources"], resource, subresource) else { return false }
            let resourceNames = strings(rule["resourceNames"])
            return resourceNames.isEmpty || (name.map(resourceNames.contains) ?? false)
        }
    }

    func allows(verb: String, path: String) -> Bool {
        guard let rules = user.rules, !Authorization.isPublic(path) else { return true }
        return rules.contains { rule in
            has(rule["verbs"], verb)
                && strings(rule["nonResourceURLs"]).contains { pattern in
                    pattern == path || (pattern.hasSuffix("*") && path.hasPrefix(pattern.dropLast()))
                }
        }
    }

    /// The refusal in the API server's words.
    func refusal(_ request: ResourceRequest) -> StatusError {
        let definition = request.definition
        let resource = request.subresource.map { "\(definition.plural)/\($0)" } ?? definition.plural
        let place = request.namespace.map { "in the namespace \"\($0)\"" } ?? "at the cluster scope"
        return .forbidden(
            definition, request.name ?? "",
            "User \"\(user.name)\" cannot \(request.verb) resource \"\(resource)\" in API group "
                + "\"\(definition.group)\" \(place)")
    }

    private func names(_ value: JSONValue?, _ resource: String, _ subresource: String?) -> Bool {
        let wanted = subresource.map { "\(resource)/\($0)" } ?? resource
        return strings(value).contains {
            $0 == "*" || $0 == wanted || (subresource != nil && $0 == "*/\(subresource ?? "")")
        }
    }

    private func has(_ value: JSONValue?, _ word: String) -> Bool {
        strings(value).contains { $0 == "*" || $0 == word }
    }

    private func strings(_ value: JSONValue?) -> [String] { value?.arrayValue?.compactMap(\.stringValue) ?? [] }

    /// A SelfSubjectAccessReview with its answer.
    func review(_ body: JSONValue) -> JSONValue {
        var review = body
        let isAllowed: Bool
        if let attributes = body.value(at: ["spec", "resourceAttributes"]) {
            let parts = (attributes["resource"]?.stringValue ?? "").split(separator: "/").map(String.init)
            let subresource = attributes["subresource"]?.stringValue ?? (parts.count > 1 ? parts[1] : "")
            isAllowed = allows(
                verb: attributes["verb"]?.stringValue ?? "", group: attributes["group"]?.stringValue ?? "",
                resource: parts.first ?? "", subresource: subresource.isEmpty ? nil : subresource,
                name: attributes["name"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 })
        } else {
            let attributes = body.value(at: ["spec", "nonResourceAttributes"])
            isAllowed = allows(
                verb: attributes?["verb"]?.stringValue ?? "", path: attributes?["path"]?.stringValue ?? "")
        }
        review["status"] = ["allowed": .bool(isAllowed)]
        return review
    }
}
