import Encoding
import HTTP

/// What a request asks for, in the words of a script; read from the request alone.
struct FaultCall: Sendable, Hashable {
    var side: SandboxSide
    /// Empty where the request is for no resource (`/version`).
    var verb = ""
    /// With the subresource after a slash.
    var resource = ""
    var group = ""
    var version = ""
    var namespace = ""
    var name = ""

    init(_ request: HTTPRequest) {
        side = SandboxWorld.side(of: request)
        switch side {
        case .cluster: readCluster(request)
        case .cloud: readCloud(request)
        }
    }

    var isWatch: Bool { side == .cluster && verb == "watch" }

    /// Whether the verb may change something.
    var isChange: Bool { !["", "get", "list", "watch", "get.media"].contains(verb) }

    var description: String {
        let object = [namespace, name].filter { !$0.isEmpty }.joined(separator: "/")
        return [side.rawValue, verb, resource, object].filter { !$0.isEmpty }.joined(separator: " ")
    }

    // MARK: Cluster

    private mutating func readCluster(_ request: HTTPRequest) {
        var rest = (request.url.decodedSegments ?? [])[...]
        switch rest.first {
        case "api" where rest.count >= 3:
            version = rest[1]
            rest = rest.dropFirst(2)
        case "apis" where rest.count >= 4:
            group = rest[1]
            version = rest[2]
            rest = rest.dropFirst(3)
        default: return
        }
        let isNamespaceItself = rest.count <= 2 || (rest.count == 3 && ["status", "finalize"].contains(rest.last))
        if rest.first == "namespaces", !group.isEmpty || !isNamespaceItself {
            namespace = rest.dropFirst().first ?? ""
            rest = rest.dropFirst(2)
        }
        let parts = Array(rest)
        guard let plural = parts.first else { return }
        resource = parts.count > 2 ? "\(plural)/\(parts[2])" : plural
        if parts.count > 1 { name = parts[1] }
        verb = FaultCall.verb(request, hasName: parts.count > 1)
        if verb == "create", name.isEmpty {
            name = FaultCall.json(request)?.value(at: ["metadata", "name"])?.stringValue ?? ""
        }
    }

    private static func verb(_ request: HTTPRequest, hasName: Bool) -> String {
        switch request.method {
        case .get, .head:
            let watches = ["true", "1"].contains(request.url.queryValue("watch") ?? "")
            return hasName ? "get" : watches ? "watch" : "list"
        case .post: return "create"
        case .put: return "update"
        case .patch: return "patch"
        case .delete: return hasName ? "delete" : "deletecollection"
        }
    }

    private static func json(_ request: HTTPRequest) -> JSONValue? {
        // A body that is no JSON has no name to match, which is all that is asked here.
        try? JSONValue(parsing: request.body)
    }

    // MARK: Cloud

    private mutating func readCloud(_ request: HTTPRequest) {
        if let call = try? StorageCall(request) {  // What it refuses is for container, or for nobody.
            readStorage(call, request)
        } else {
            readResource(request)
        }
    }

    private mutating func readStorage(_ call: StorageCall, _ request: HTTPRequest) {
        let words = call.method.split(separator: ".").map(String.init)
        resource = words[1]
        verb = words[2...].joined(separator: ".")
        switch call {
        case .bucket(let bucket), .patchBucket(let bucket), .deleteBucket(let bucket), .restoreBucket(let bucket),
            .lockRetention(let bucket), .policy(let bucket), .setPolicy(let bucket), .testPermissions(let bucket):
            name = bucket
        case .listObjects(let bucket), .listNotifications(let bucket), .insertNotification(let bucket):
            namespace = bucket
        case .notification(let bucket, let id), .deleteNotification(let bucket, let id):
            namespace = bucket
            name = id
        case .rewrite(_, let destination):
            namespace = destination.bucket
            name = destination.name
        case .object(let bucket, let object), .media(let bucket, let object), .deleteObject(let bucket, let object),
            .patchObject(let bucket, let object), .compose(let bucket, let object),
            .restoreObject(let bucket, let object):
            namespace = bucket
            name = object
        case .insertObject(let bucket):
            namespace = bucket
            name = request.url.queryValue("name") ?? ""
        case .insertBucket: name = FaultCall.json(request)?["name"]?.stringValue ?? ""
        case .upload(let session), .cancelUpload(let session): name = session
        case .listBuckets, .serviceAccount: break
        }
    }

    /// `v1/projects/P/locations/L/clusters/C/nodePools/NAME:setSize`: pairs of collections and names; the last counts.
    private mutating func readResource(_ request: HTTPRequest) {
        var segments = (request.url.decodedSegments ?? [])[...]
        while let first = segments.first, first != "projects", first != "operations", segments.count > 1 {
            segments = segments.dropFirst()
        }
        var parts = Array(segments)
        guard let last = parts.popLast() else { return }
        let words = last.split(separator: ":", maxSplits: 1).map(String.init)
        parts.append(words.first ?? "")
        let isNamed = parts.count.isMultiple(of: 2)
        resource = parts[isNamed ? parts.count - 2 : parts.count - 1]
        name = isNamed ? parts[parts.count - 1] : ""
        switch request.method {
        case .get, .head: verb = name.isEmpty && resource.hasSuffix("s") ? "list" : "get"
        case .delete: verb = "delete"
        case .put, .patch: verb = "update"
        case .post: verb = name.isEmpty ? "create" : "post"
        }
        if words.count > 1 { verb = words[1] }
        if verb == "create" { name = FaultCall.createdName(request) }
    }

    /// In the query (`serviceId`) or in the body, as the APIs have it.
    private static func createdName(_ request: HTTPRequest) -> String {
        if let item = request.url.query.first(where: { $0.name.hasSuffix("Id") && $0.name != "requestId" }) {
            return item.value
        }
        let body = json(request)
        return body?.value(at: ["nodePool", "name"])?.stringValue ?? body?["name"]?.stringValue ?? ""
    }
}
