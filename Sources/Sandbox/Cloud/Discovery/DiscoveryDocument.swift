internal import Encoding

/// One of Google's API descriptions, whole or cut down to some methods.
struct DiscoveryDocument: Sendable {
    /// `container.v1`.
    let name: String
    /// The hosts that serve it.
    let hosts: Set<String>
    let schemas: [String: DiscoveryObject]
    /// Query parameters of every method.
    let parameters: [String: DiscoveryProperty]
    private let methods: [DiscoveryMethod]
    /// Paths by verb and number of segments; those that end in anything have 0.
    private let index: [Key: [Route]]

    private struct Key: Hashable {
        var verb: String
        var segmentCount: Int
    }

    private struct Route {
        var path: DiscoveryPath
        var method: Int
    }

    /// Nil when this is no discovery document.
    init?(_ value: JSONValue) {
        guard let api = value["name"]?.stringValue, let version = value["version"]?.stringValue,
            let root = value["rootUrl"]?.stringValue, let schemas = value["schemas"]?.objectValue
        else { return nil }
        name = "\(api).\(version)"
        let endpoints = (value["endpoints"]?.arrayValue ?? []).compactMap { $0["endpointUrl"]?.stringValue }
        hosts = Set(([root] + endpoints).map(DiscoveryDocument.host))
        self.schemas = schemas.mapValues(DiscoveryObject.init)
        parameters = (value["parameters"]?.objectValue ?? [:]).mapValues(DiscoveryProperty.init)
        let service = value["servicePath"]?.stringValue ?? ""
        var methods: [DiscoveryMethod] = []
        var index: [Key: [Route]] = [:]
        for description in DiscoveryDocument.methods(in: value) {
            guard let method = DiscoveryMethod(description), !method.isLegacy else { continue }
            for path in DiscoveryPath.paths(of: description, service: service) {
                let key = Key(verb: method.verb, segmentCount: path.segmentCount ?? 0)
                index[key, default: []].append(Route(path: path, method: methods.count))
            }
            methods.append(method)
        }
        self.methods = methods
        self.index = index
    }

    /// The method of a path (percent-encoded, without the leading slash) and how many bytes of it are the template's own.
    func method(verb: String, path: String) -> (method: DiscoveryMethod, literalCount: Int)? {
        let segments = path.split(separator: "/", omittingEmptySubsequences: false)
        var best: (method: Int, literalCount: Int)?
        for count in [segments.count, 0] {
            for route in index[Key(verb: verb, segmentCount: count)] ?? []
            where route.path.literalCount > best?.literalCount ?? -1 && route.path.matches(segments) {
                best = (route.method, route.path.literalCount)
            }
        }
        return best.map { (methods[$0.method], $0.literalCount) }
    }

    /// `https://container.googleapis.com/` → `container.googleapis.com`.
    private static func host(_ url: String) -> String {
        let rest = url.firstRange(of: "://").map { url[$0.upperBound...] } ?? url[...]
        return String(rest.prefix { $0 != "/" && $0 != ":" })
    }

    /// Of whole documents through the tree of resources.
    private static func methods(in value: JSONValue) -> [JSONValue] {
        let own = value["methods"]?.objectValue ?? [:]
        let below = value["resources"]?.objectValue ?? [:]
        return own.keys.sorted().compactMap { own[$0] }
            + below.keys.sorted().flatMap { below[$0].map(methods) ?? [] }
    }
}

/// One method of an API.
struct DiscoveryMethod: Sendable {
    /// `container.projects.locations.clusters.nodePools.create`.
    let id: String
    let verb: String
    let query: [String: DiscoveryProperty]
    /// The message that its body holds; nil when it takes none.
    let request: String?

    /// Container's methods by zone, which those by location replace.
    var isLegacy: Bool { id.hasPrefix("container.projects.zones.") }

    fileprivate init?(_ value: JSONValue) {
        guard let id = value["id"]?.stringValue, let verb = value["httpMethod"]?.stringValue else { return nil }
        self.id = id
        self.verb = verb
        query = (value["parameters"]?.objectValue ?? [:]).filter { $1["location"]?.stringValue == "query" }
            .mapValues(DiscoveryProperty.init)
        request = value.value(at: ["request", "$ref"])?.stringValue
    }
}
