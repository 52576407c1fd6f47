/// Reading YAML as Kubernetes' tools do: YAML 1.1 by libyaml, with the scalar rules of Go's yaml.v2.
public enum YAML {
    /// Longer texts are refused.
    public static let maximumBytes = 16 << 20
    /// Deeper nesting is refused.
    public static let maximumDepth = 128
    /// More nodes, with aliases written out, are refused: a few lines of aliases can stand for billions.
    public static let maximumNodes = 1_000_000

    /// The documents of a text in order; an empty document (a comment between two `---`) is left out.
    ///
    /// - Throws: `.syntax`, `.duplicateKey`, `.tooDeep`, `.tooLarge`; `.unsupported` for tags such as `!!binary`, keys
    ///   that are no scalars, and numbers that JSON does not have.
    public static func documents(_ text: String) throws(YAMLError) -> [YAMLNode] {
        guard text.utf8.count <= maximumBytes else {
            throw YAMLError(code: .tooLarge, message: "more than \(maximumBytes) bytes", line: 1, column: 1)
        }
        let parser = YAMLEventReader(text)
        var composer = YAMLComposer()
        return try composer.documents(parser)
    }

    /// The only document of a text.
    ///
    /// - Throws: as `documents`; `.syntax` when there is none or more than one.
    public static func document(_ text: String) throws(YAMLError) -> YAMLNode {
        let documents = try documents(text)
        guard let first = documents.first, documents.count == 1 else {
            throw YAMLError(
                code: .syntax, message: "expected one document, found \(documents.count)",
                line: documents.dropFirst().first?.line ?? 1, column: 1)
        }
        return first
    }
}
