import Encoding

/// What `Accept` asks for, as far as it can be had.
struct Negotiation: Sendable {
    /// A representation of objects.
    enum Form: Sendable { case whole, table, metadata, metadataList }

    let form: Form

    private static let written = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]

    /// - Throws: 406 when nothing of it can be written.
    init(_ accept: String, _ definition: ResourceDefinition) throws(StatusError) {
        let clauses = Negotiation.clauses(accept)
        guard !clauses.isEmpty else {
            form = .whole
            return
        }
        // Built-in kinds are behind a router that knows whole media types only.
        guard
            definition.isCustom
                || clauses.contains(where: { $0.type == "*/*" || Negotiation.written.contains($0.type) })
        else { throw StatusError(406, "NotAcceptable", "406: Not Acceptable", details: [:]) }
        // Protobuf is not written here: the next clause is taken, as every client offers JSON too.
        for clause in clauses
        where ["application/json", "application/yaml", "application/*", "*/*"].contains(clause.type) {
            if let form = Negotiation.form(clause.parameters) {
                self.form = form
                return
            }
        }
        throw .notAcceptable(
            "only the following media types are accepted: " + Negotiation.written.joined(separator: ", "))
    }

    /// Whether YAML is wanted rather than JSON.
    static func isYAMLWanted(_ accept: String) -> Bool {
        let readable = clauses(accept).first {
            $0.type.hasSuffix("json") || $0.type.hasSuffix("yaml") || $0.type.hasSuffix("*")
        }
        return readable?.type == "application/yaml"
    }

    /// The clauses, best first.
    private static func clauses(_ accept: String) -> [(type: String, parameters: [String: String])] {
        let clauses = accept.split(separator: ",").compactMap {
            clause -> (type: String, parameters: [String: String])? in
            let parts = clause.split(separator: ";").map { String($0.trimmed) }
            guard let type = parts.first else { return nil }
            var parameters: [String: String] = [:]
            for part in parts.dropFirst() {
                let sides = part.split(separator: "=", maxSplits: 1).map(String.init)
                if sides.count == 2 { parameters[sides[0]] = sides[1] }
            }
            return (type, parameters)
        }
        let ranked = clauses.enumerated().map {
            ($0.element.parameters["q"].flatMap { Double($0) } ?? 1, $0.offset, $0.element)
        }
        return ranked.sorted { ($1.0, $0.1) < ($0.0, $1.1) }.map(\.2)
    }

    private static func form(_ parameters: [String: String]) -> Form? {
        guard let kind = parameters["as"] else { return .whole }
        guard parameters["g"] == "meta.k8s.io", ["v1", "v1beta1"].contains(parameters["v"] ?? "") else { return nil }
        switch kind {
        case "Table": return .table
        case "PartialObjectMetadata": return .metadata
        case "PartialObjectMetadataList": return .metadataList
        default: return nil
        }
    }
}
