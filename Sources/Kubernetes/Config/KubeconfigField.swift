import Encoding
import Glibc
import YAML

/// A value in a kubeconfig with its name and its place, so that every complaint says where.
struct KubeconfigField: Sendable {
    /// The file that it stands in.
    struct Source: Sendable {
        /// As errors call it.
        let name: String
        /// Relative file names begin here.
        let directory: String

        func absolute(_ path: String) -> String { path.hasPrefix("/") ? path : directory + "/" + path }
    }

    let source: Source
    /// E.g. `users[me].user.exec`; empty for the whole file.
    let name: String
    let node: YAMLNode

    /// The member; nil when absent or null.
    func member(_ key: String) -> KubeconfigField? {
        guard let node = node[key], node.json != .null else { return nil }
        return KubeconfigField(source: source, name: name.isEmpty ? key : "\(name).\(key)", node: node)
    }

    /// The member's text; nil when absent or empty.
    func text(_ key: String) throws(ConfigurationError) -> String? {
        guard let member = member(key) else { return nil }
        guard case .string(let text) = member.node.json else {
            throw member.error("expected text (numbers and words such as yes need quotes)")
        }
        return text.isEmpty ? nil : text
    }

    /// The member's file name, made absolute; nil when absent or empty.
    func path(_ key: String) throws(ConfigurationError) -> String? { try text(key).map(source.absolute) }

    /// The member's true or false; false when absent.
    func flag(_ key: String) throws(ConfigurationError) -> Bool {
        guard let member = member(key) else { return false }
        guard let flag = member.node.json.boolValue else { throw member.error("expected true or false") }
        return flag
    }

    /// The member's elements, named by their own name where they have one; none when absent.
    func elements(_ key: String) throws(ConfigurationError) -> [KubeconfigField] {
        guard let member = member(key) else { return [] }
        guard case .sequence(let nodes) = member.node.content else { throw member.error("expected a list") }
        return nodes.enumerated().map { index, node in
            let label = node["name"]?.json.stringValue ?? String(index)
            return KubeconfigField(source: source, name: "\(member.name)[\(label)]", node: node)
        }
    }

    /// The member's elements, all of them text; none when absent.
    func texts(_ key: String) throws(ConfigurationError) -> [String] {
        try elements(key).map { element throws(ConfigurationError) in
            guard let text = element.node.json.stringValue else { throw element.error("expected text") }
            return text
        }
    }

    /// Refuses what is no mapping.
    func checkMapping() throws(ConfigurationError) {
        guard case .mapping = node.content else { throw error("expected fields below it") }
    }

    func error(_ message: String, _ code: ConfigurationError.Code = .invalid) -> ConfigurationError {
        ConfigurationError(code, "\(source.name):\(node.line): " + (name.isEmpty ? message : "\(name): \(message)"))
    }
}

extension KubeconfigField {
    /// Reads a kubeconfig's text; nil when it is empty.
    ///
    /// - Throws: `.invalid` with line and column, or when it is something else than a kubeconfig.
    static func file(_ text: String, source: Source) throws(ConfigurationError) -> KubeconfigField? {
        let documents: [YAMLNode]
        do throws(YAMLError) {
            documents = try YAML.documents(text)
        } catch {
            throw ConfigurationError(.invalid, "\(source.name):\(error.line):\(error.column): \(error.message)")
        }
        guard let root = documents.first else { return nil }
        let file = KubeconfigField(source: source, name: "", node: root)
        guard documents.count == 1 else { throw file.error("expected one YAML document, found \(documents.count)") }
        guard case .mapping = root.content else { throw file.error("this is not a kubeconfig") }
        if let kind = try file.text("kind"), kind != "Config" {
            throw file.error("this is a \(kind), not a kubeconfig (kind: Config)")
        }
        if let version = try file.text("apiVersion"), version != "v1" {
            throw file.error("expected apiVersion v1, found \(version)", .unsupported)
        }
        return file
    }
}
