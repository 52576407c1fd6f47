import Encoding

/// A stored collection: all versions and views of a resource share one.
struct CollectionID: Hashable, Sendable {
    var group: String
    var plural: String
}

/// One column of a Table.
struct PrinterColumn: Sendable {
    var name: String
    var type: String
    var format = ""
    var description = ""
    var priority: Int64 = 0
    /// Whether this is the object's name in another place than the first.
    var isName = false
    /// The cell of an object.
    var cell: @Sendable (JSONValue, _ now: Timestamp) -> JSONValue
}

/// A resource in one API version: what discovery lists and requests name.
struct ResourceDefinition: Sendable {
    var group: String
    var version: String
    var kind: String
    var plural: String
    var singular: String
    var shortNames: [String] = []
    var categories: [String] = []
    var isNamespaced = true
    /// `status`, `scale`, `log`, `binding`, …
    var subresources: Set<String> = []
    var verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    /// In the order of discovery documents, which differs for custom resources.
    var discoveryVerbs: [String] {
        isCustom ? ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"] : verbs
    }
    var nameRule = NameRule.subdomain
    /// nil: stored as it comes.
    var schema: Schema? {
        didSet { declaration = schema.flatMap { $0.hasRules ? CELDeclaration(root: $0) : nil } }
    }
    /// What the schema's rules see; nil where it has none.
    private(set) var declaration: CELDeclaration?
    var isCustom = false
    /// Whether `metadata.generation` counts changes of the spec.
    var countsGenerations = false
    /// Whether an update without a resourceVersion is taken.
    var allowsUnconditionalUpdate = true
    /// Whether writing `/status` only writes the status.
    var hasStatus: Bool { subresources.contains("status") }
    /// What a scale subresource reads and writes.
    var scale: ScalePaths?
    var columns: [PrinterColumn] = []
    /// Field selector labels beside metadata.name and metadata.namespace, with their paths.
    var selectableFields: [String: [String]] = [:]
    /// Whether an unknown field label is refused in the words of a kind that has labels of its own.
    var hasOwnFieldLabels: Bool { isCustom || !selectableFields.isEmpty }
    var storage: CollectionID
    var view = ObjectView.stored

    var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }
    var listKind: String { kind + "List" }
    /// `trainingjobs.trainyard.dev`, as in messages.
    var resourceName: String { group.isEmpty ? plural : "\(plural).\(group)" }

    init(
        group: String, version: String, kind: String, plural: String, singular: String? = nil,
        storage: CollectionID? = nil
    ) {
        self.group = group
        self.version = version
        self.kind = kind
        self.plural = plural
        self.singular = singular ?? kind.lowercased()
        self.storage = storage ?? CollectionID(group: group, plural: plural)
    }
}

/// JSON paths of a scale subresource, without the leading dot.
struct ScalePaths: Sendable {
    var specReplicas: [String]
    var statusReplicas: [String]
    var labelSelector: [String]?
}

/// How the stored form of an object shows in an API version.
enum ObjectView: Sendable {
    case stored
    /// `events.k8s.io/v1` names the fields of the stored core/v1 Event differently.
    case event

    private static let eventNames = [
        ("involvedObject", "regarding"), ("message", "note"), ("source", "deprecatedSource"),
        ("firstTimestamp", "deprecatedFirstTimestamp"), ("lastTimestamp", "deprecatedLastTimestamp"),
        ("count", "deprecatedCount"), ("reportingComponent", "reportingController"),
    ]

    func shown(_ object: JSONValue) -> JSONValue {
        guard case .event = self else { return object }
        var shown = renamed(object, ObjectView.eventNames)
        // Left out when empty, unlike their counterparts of the stored form.
        for key in ["reportingController", "reportingInstance"] where shown[key] == "" { shown[key] = nil }
        return shown
    }

    func stored(_ object: JSONValue) -> JSONValue {
        guard case .event = self else { return object }
        return renamed(object, ObjectView.eventNames.map { ($0.1, $0.0) })
    }

    private func renamed(_ object: JSONValue, _ names: [(String, String)]) -> JSONValue {
        guard case .object(var members) = object else { return object }
        for (from, to) in names {
            if let value = members.removeValue(forKey: from) { members[to] = value }
        }
        return .object(members)
    }
}
