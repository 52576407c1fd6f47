import Encoding
import Kubernetes
import Operator
import YAML

/// One object of a YAML file, with its place.
struct ManifestDocument: Sendable {
    let file: String
    let node: YAMLNode
    var object: JSONValue
    let type: ResourceType

    var name: String { object.value(at: ["metadata", "name"])?.stringValue ?? "" }
    var namespace: String { object.value(at: ["metadata", "namespace"])?.stringValue ?? "default" }
    /// `trainingjob/fashion-mnist`, as kubectl names it.
    var title: String { "\(type.kind.lowercased())/\(name)" }

    /// `file:line:column` of a field path as an API server writes it (`spec.trainer.hyperparameters.epochs`,
    /// `spec.capacity.candidates[1].name`); of the deepest part of it that is in the file.
    func place(ofField field: String) -> String {
        let place = node.deepest(on: ManifestDocument.parts(field))
        return "\(file):\(place.line):\(place.column)"
    }

    private static func parts(_ field: String) -> [String] {
        field.split(whereSeparator: { $0 == "." || $0 == "[" }).map { part in
            part.hasSuffix("]") ? String(part.dropLast()) : String(part)
        }
    }
}

/// Reads the files of `sandbox run`.
enum ManifestFile {
    /// The kinds that the sandbox applies.
    private static let types: [ResourceType] = [
        TrainingJob.resourceType, GCSArtifact.resourceType, ModelEndpoint.resourceType,
        ResourceType(group: "", version: "v1", kind: "Namespace", plural: "namespaces", isNamespaced: false),
        ResourceType(group: "", version: "v1", kind: "ConfigMap", plural: "configmaps"),
        ResourceType(group: "", version: "v1", kind: "Secret", plural: "secrets"),
        ResourceType(group: "", version: "v1", kind: "ServiceAccount", plural: "serviceaccounts"),
    ]

    /// All objects of the files, in order.
    ///
    /// - Throws: `.missingInput`, `.badData` with `file:line:column`.
    static func read(_ paths: [String]) throws(RunError) -> [ManifestDocument] {
        var documents: [ManifestDocument] = []
        for path in paths { documents += try read(path, text: try LocalFiles.text(path)) }
        return documents
    }

    static func read(_ path: String, text: String) throws(RunError) -> [ManifestDocument] {
        let nodes: [YAMLNode]
        do throws(YAMLError) {
            nodes = try YAML.documents(text)
        } catch {
            throw RunError(.badData, "\(path):\(error.line):\(error.column): \(error.message)")
        }
        var documents: [ManifestDocument] = []
        for node in nodes where !node.json.isNull { documents.append(try document(path, node)) }
        guard !documents.isEmpty else { throw RunError(.badData, "\(path) holds no object") }
        return documents
    }

    /// The one TrainingJob among the documents.
    ///
    /// - Throws: `.badData` when there is none, or more than one.
    static func trainingJob(in documents: [ManifestDocument]) throws(RunError) -> Int {
        let indices = documents.indices.filter { documents[$0].type == TrainingJob.resourceType }
        guard let index = indices.first else {
            throw RunError(
                .badData, "there is no TrainingJob in \(Set(documents.map(\.file)).sorted().joined(separator: ", "))")
        }
        guard indices.count == 1 else {
            let document = documents[indices[1]]
            throw RunError(
                .badData,
                "\(document.file):\(document.node.line):\(document.node.column): a second TrainingJob; "
                    + "`sandbox run` follows one (`sandbox up` and kubectl take many)")
        }
        return index
    }

    /// The ModelEndpoint among the documents; nil when there is none.
    ///
    /// - Throws: `.badData` when there is more than one.
    static func modelEndpoint(in documents: [ManifestDocument]) throws(RunError) -> ManifestDocument? {
        let endpoints = documents.filter { $0.type == ModelEndpoint.resourceType }
        guard endpoints.count > 1 else { return endpoints.first }
        let document = endpoints[1]
        throw RunError(
            .badData,
            "\(document.file):\(document.node.line):\(document.node.column): a second ModelEndpoint; `sandbox run` follows "
                + "one (`sandbox up` and kubectl take many)")
    }

    private static func document(_ path: String, _ node: YAMLNode) throws(RunError) -> ManifestDocument {
        let object = node.json
        let place = "\(path):\(node.line):\(node.column)"
        guard object.objectValue != nil else { throw RunError(.badData, "\(place): expected an object") }
        guard let apiVersion = object["apiVersion"]?.stringValue, let kind = object["kind"]?.stringValue else {
            throw RunError(.badData, "\(place): the object has no apiVersion or no kind")
        }
        guard let type = types.first(where: { $0.apiVersion == apiVersion && $0.kind == kind }) else {
            let at = node["kind"].map { "\(path):\($0.line):\($0.column)" } ?? place
            let known = types.map { "\($0.apiVersion) \($0.kind)" }
            let hint = NearMatch.hint("\(apiVersion) \(kind)", known)
            throw RunError(.badData, "\(at): trainyard does not know \(apiVersion) \(kind)\(hint)")
        }
        guard let name = node["metadata"]?["name"] else {
            throw RunError(.badData, "\(place): the \(kind) has no metadata.name")
        }
        guard name.json.stringValue?.isEmpty == false else {
            throw RunError(
                .badData, "\(path):\(name.line):\(name.column): metadata.name must be a string: write it in quotes")
        }
        return ManifestDocument(file: path, node: node, object: object, type: type)
    }
}
