import Encoding

/// What namespaces may use of the operator's project, and outside it: the file of `--tenant-policies`.
///
/// `{"policies": [{"name": "ml", "namespaces": ["ml", "ml-*"], "locations": ["us-central1"], "accelerators": ["nvidia-l4"],
/// "machineTypes": ["g2-*"], "buckets": ["acme-ml-*"], "maxNodes": 4, "maxAccelerators": 8, "publicIngress": false}]}`.
/// The first policy that names the namespace counts. A namespace that none names may use nothing. A list that is left out
/// allows everything, an empty one nothing; a word that ends in `*` stands for all that begin with it.
public struct TenantPolicies: Sendable, Hashable {
    /// What is wrong with a file: a sentence that names the place.
    public struct FormatError: Error, Sendable, Equatable {
        public var message: String
    }

    /// Of the namespaces that it names.
    struct Policy: Sendable, Hashable {
        var name: String
        var namespaces: [String]
        /// Regions, and zones by their own names or their region's.
        var locations: [String]?
        /// As `nvidia-l4`, `tpu-v6e-slice`.
        var accelerators: [String]?
        var machineTypes: [String]?
        /// Names of buckets; in whichever project they lie.
        var buckets: [String]?
        /// Of a run, all its nodes together.
        var maxNodes: Int?
        var maxAccelerators: Int?
        /// Whether an endpoint may be reached from the internet (by whom its `access` names).
        var publicIngress: Bool
    }

    let policies: [Policy]

    init(_ policies: [Policy]) { self.policies = policies }

    /// - Returns: nil for a namespace that none names: it may use nothing.
    func policy(of namespace: String) -> Policy? {
        policies.first { $0.namespaces.contains { Self.matches(namespace, $0) } }
    }

    /// A pattern that ends in `*` stands for all that begin with what is before it.
    static func matches(_ text: String, _ pattern: String) -> Bool {
        pattern.hasSuffix("*") ? text.hasPrefix(pattern.dropLast()) : text == pattern
    }
}

extension TenantPolicies {
    private static let lists = ["namespaces", "locations", "accelerators", "machineTypes", "buckets"]
    private static let fields = Set(lists + ["name", "maxNodes", "maxAccelerators", "publicIngress"])

    /// Reads the file's text.
    ///
    /// - Throws: `FormatError` for what is not JSON, not of this form, or has fields that nobody knows: a misspelt limit
    ///   would be none.
    public init(json text: String) throws(FormatError) {
        let value: JSONValue
        do throws(JSONError) {
            value = try JSONValue(parsing: text)
        } catch {
            throw FormatError(message: "is not JSON: \(error.description)")
        }
        guard let members = value.objectValue, Set(members.keys) == ["policies"],
            let entries = members["policies"]?.arrayValue, entries.count <= 1000
        else { throw FormatError(message: "must be an object with nothing but policies, a list of at most 1,000") }
        var policies: [Policy] = []
        for (index, entry) in entries.enumerated() { policies.append(try Self.policy(entry, "policies[\(index)]")) }
        if let name = Dictionary(grouping: policies, by: \.name).filter({ $0.value.count > 1 }).keys.min() {
            throw FormatError(message: "two policies are named \(name)")
        }
        self.policies = policies
    }

    private static func policy(_ value: JSONValue, _ place: String) throws(FormatError) -> Policy {
        guard let members = value.objectValue else { throw FormatError(message: "\(place) must be an object") }
        if let unknown = members.keys.filter({ !fields.contains($0) }).min() {
            throw FormatError(
                message: "\(place) has no field \(unknown); it has \(fields.sorted().joined(separator: ", "))")
        }
        guard let name = members["name"]?.stringValue, !name.isEmpty else {
            throw FormatError(message: "\(place).name is needed")
        }
        var texts: [String: [String]] = [:]
        for list in lists {
            guard let member = members[list] else { continue }
            texts[list] = try words(member, "\(place).\(list)")
        }
        guard let namespaces = texts["namespaces"], !namespaces.isEmpty else {
            throw FormatError(message: "\(place).namespaces must name at least one")
        }
        return Policy(
            name: name, namespaces: namespaces, locations: texts["locations"], accelerators: texts["accelerators"],
            machineTypes: texts["machineTypes"], buckets: texts["buckets"],
            maxNodes: try limit(members["maxNodes"], "\(place).maxNodes"),
            maxAccelerators: try limit(members["maxAccelerators"], "\(place).maxAccelerators"),
            publicIngress: try flag(members["publicIngress"], "\(place).publicIngress"))
    }

    private static func words(_ value: JSONValue, _ place: String) throws(FormatError) -> [String] {
        let wrong = FormatError(
            message: "\(place) must be a list of names in lower case, each with at most a * at its end")
        guard let items = value.arrayValue, items.count <= 1000 else { throw wrong }
        var words: [String] = []
        for item in items {
            guard let word = item.stringValue, word.wholeMatch(of: /[a-z0-9][-a-z0-9_.]{0,99}\*?|\*/) != nil else {
                throw wrong
            }
            words.append(word)
        }
        return words
    }

    private static func limit(_ value: JSONValue?, _ place: String) throws(FormatError) -> Int? {
        guard let value else { return nil }
        guard case .integer(let number) = value, (0...1_000_000).contains(number) else {
            throw FormatError(message: "\(place) must be a number from 0 to 1000000")
        }
        return Int(number)
    }

    private static func flag(_ value: JSONValue?, _ place: String) throws(FormatError) -> Bool {
        guard let value else { return false }
        guard case .bool(let flag) = value else { throw FormatError(message: "\(place) must be true or false") }
        return flag
    }
}
