import Encoding

/// Answers whether ClusterRole rules allow a request.
struct Authorization: Sendable {
    let user: SimulatedUser

    /// What every authenticated user may (`system:discovery`, `system:basic-user`, `system:public-info-viewer`).
    private static let publicPaths = [
        "/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz",
    ]

    /// What somebody without a token may see (`system:public-info-viewer`).
    private static let anonymousPaths = ["/version", "/healthz", "/livez", "/readyz"]

    static let anonymous = SimulatedUser(name: "system:anonymous", groups: ["system:unauthenticated"], rules: [])

    func isPublic(_ path: String) -> Bool {
        user == Authorization.anonymous
            ? Authorization.anonymousPaths.contains { path == $0 || path.hasPrefix($0 + "/") }
            : Authorization.isPublic(path)
    }

    static func isPublic(_ path: String) -> Bool {
        publicPaths.contains { path == $0 || path.hasPrefix($0 + "/") }
    }

    func allows(_ request: ResourceRequest) -> Bool {
        if request.definition.group == "authorization.k8s.io" { return user != Authorization.anonymous }
        return allows(
            verb: request.verb, group: request.definition.group, resource: request.definition.plural,
            subresource: request.subresource, name: request.authorizedName)
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
        guard let rules = user.rules, !isPublic(path) else { return true }
        return rules.contains { rule in
            has(rule["verbs"], verb)
                && strings(rule["nonResourceURLs"]).contains { pattern in
                    pattern == path || (pattern.hasSuffix("*") && path.hasPrefix(pattern.dropLast()))
                }
        }
    }

    /// The refusal of a path that is no resource.
    func refusal(path: String) -> StatusError {
        StatusError(
            403, "Forbidden", "forbidden: User \"\(user.name)\" cannot get path \"\(path)\"", details: [:])
    }

    /// The refusal in the API server's words.
    func refusal(_ request: ResourceRequest) -> StatusError {
        refusal(
            request.definition, verb: request.verb, namespace: request.authorizedNamespace, name: request.name,
            subresource: request.subresource)
    }

    /// The refusal of a resource that may not even exist: who may not ask is not told.
    func refusal(_ address: Router.Address, verb: String) -> StatusError? {
        guard let plural = address.parts.first else { return nil }
        let name = address.parts.count > 1 ? address.parts[1] : nil
        let subresource = address.parts.count > 2 ? address.parts[2] : nil
        let isAllowed = allows(
            verb: verb, group: address.group, resource: plural, subresource: subresource, name: name)
        let definition = ResourceDefinition(
            group: address.group, version: address.version, kind: plural, plural: plural)
        return isAllowed
            ? nil
            : refusal(definition, verb: verb, namespace: address.namespace, name: name, subresource: subresource)
    }

    private func refusal(
        _ definition: ResourceDefinition, verb: String, namespace: String?, name: String?, subresource: String?
    ) -> StatusError {
        let resource = subresource.map { "\(definition.plural)/\($0)" } ?? definition.plural
        let place = namespace.map { "in the namespace \"\($0)\"" } ?? "at the cluster scope"
        return .forbidden(
            definition, name ?? "",
            "User \"\(user.name)\" cannot \(verb) resource \"\(resource)\" in API group "
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
    ///
    /// - Throws: 422 when it does not ask for exactly one thing.
    func review(_ body: JSONValue) throws(StatusError) -> JSONValue {
        var review = body
        let asked = ["resourceAttributes", "nonResourceAttributes"].filter {
            body.value(at: ["spec", $0])?.objectValue != nil
        }
        guard asked.count == 1 else {
            let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
            var error = FieldError(.invalid, "spec.resourceAttributes", detail)
            error.value = "\"null\""
            throw .invalid(kind: "", group: "authorization.k8s.io", "", [error])
        }
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
