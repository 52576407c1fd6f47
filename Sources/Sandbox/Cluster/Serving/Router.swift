import Encoding
import HTTP

/// What a request came to.
enum Outcome: Sendable {
    case object(JSONValue, status: Int, warnings: [String])
    case list(ObjectList)
    /// Shown as it is: a Status or a review.
    case raw(JSONValue, status: Int)
}

/// Reads paths and dispatches verbs.
enum Router {
    /// A path's parts before it is known whether such a resource exists.
    struct Address {
        var group: String
        var version: String
        /// `/watch/` in front of the rest: the old way to ask for a watch.
        var isWatch = false
        var namespace: String?
        /// Plural, name and subresource, as far as they are there.
        var parts: [String]
    }

    /// - Throws: 404 when the path is none of a resource.
    static func address(_ segments: [String], _ registry: Registry) throws(StatusError) -> Address {
        var address: Address
        var rest: ArraySlice<String>
        switch segments.first {
        case "api" where segments.count >= 3:
            address = Address(group: "", version: segments[1], parts: [])
            rest = segments[2...]
        case "apis" where segments.count >= 4:
            address = Address(group: segments[1], version: segments[2], parts: [])
            rest = segments[3...]
        case "apis" where segments.count >= 2 && !registry.hasBuiltIns(in: segments[1]): throw .noSuchPage
        default: throw .noSuchPath
        }
        if rest.first == "watch", rest.count > 1 {
            address.isWatch = true
            rest = rest.dropFirst()
        }
        // `namespaces/x` and its subresources are the object itself; anything longer is inside it.
        let isNamespaceItself =
            address.group.isEmpty
            && (rest.count <= 2 || (rest.count == 3 && ["status", "finalize"].contains(rest.last ?? "")))
        if rest.first == "namespaces", !isNamespaceItself || (!address.group.isEmpty && rest.count > 2) {
            address.namespace = rest.dropFirst().first
            rest = rest.dropFirst(2)
        }
        address.parts = Array(rest)
        return address
    }

    static func resourceRequest(
        _ request: HTTPRequest, _ segments: [String], _ registry: Registry, now: Timestamp
    ) throws(StatusError) -> ResourceRequest {
        let address = try address(segments, registry)
        let missing = registry.hasBuiltIns(in: address.group) ? StatusError.noSuchPath : .noSuchPage
        var parts = address.parts
        guard let plural = parts.first, parts.count <= 3,
            let definition = registry.definition(group: address.group, version: address.version, plural: plural)
        else { throw missing }
        guard address.namespace == nil || definition.isNamespaced else { throw missing }
        // A custom resource is also created at the path of its name.
        if definition.isCustom, request.method == .post, parts.count == 2 { parts.removeLast() }
        let subresource = parts.count > 2 ? parts[2] : nil
        let name = parts.count > 1 ? parts[1] : nil
        if let subresource, !definition.subresources.contains(subresource) {
            throw definition.isCustom ? .notFound(definition, name ?? "") : missing
        }
        if definition.isNamespaced, address.namespace == nil, name != nil { throw missing }
        var http = request
        var verb = verb(request, hasName: name != nil)
        if address.isWatch, verb == "get" || verb == "list" {
            verb = "watch"
            if let name { http.url.query.append(HTTPURL.QueryItem("fieldSelector", "metadata.name=\(name)")) }
        }
        let result = ResourceRequest(
            verb: verb, definition: definition, namespace: address.namespace, name: address.isWatch ? nil : name,
            subresource: subresource, http: http, now: now)
        guard request.method != .head else { throw .methodNotAllowed }
        if definition.isNamespaced, address.namespace == nil, result.verb == "create" {
            throw definition.isCustom ? .noSuchPage : .methodNotAllowed
        }
        return result
    }

    static func verb(_ request: HTTPRequest, hasName: Bool) -> String {
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

    static func perform(
        _ request: ResourceRequest, _ authorization: Authorization, on state: inout ClusterState
    ) throws(StatusError) -> Outcome {
        guard let name = request.name else { return try performOnCollection(request, authorization, on: &state) }
        switch (request.verb, request.subresource) {
        case ("get", nil), ("get", "status"):
            return .object(try state.get(request, name: name), status: 200, warnings: [])
        case (_, "scale"): return try scale(request, name: name, on: &state)
        case ("create", "binding"):
            try state.bind(request, name: name)
            let done: JSONValue = [
                "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "code": 201,
            ]
            return .raw(done, status: 201)
        case ("update", nil), ("update", "status"), ("update", "finalize"):
            try request.checkOptions("UpdateOptions")
            let result = try state.update(request, name: name, try request.body())
            return .object(result.object, status: 200, warnings: result.warnings)
        case ("patch", nil), ("patch", "status"):
            let result = try state.patch(request, name: name)
            return .object(result.object, status: result.isCreated ? 201 : 200, warnings: result.warnings)
        case ("delete", nil): return try delete(request, name: name, on: &state)
        default: throw methodNotAllowed(request)
        }
    }

    /// Custom resources say what is not supported, and of what.
    private static func methodNotAllowed(_ request: ResourceRequest) -> StatusError {
        guard request.definition.isCustom else { return .methodNotAllowed }
        return .notSupported(request.definition, verb: request.verb)
    }

    private static func performOnCollection(
        _ request: ResourceRequest, _ authorization: Authorization, on state: inout ClusterState
    ) throws(StatusError) -> Outcome {
        if request.definition.isCustom, ["update", "patch"].contains(request.verb) {
            throw .badRequest("name must be provided")
        }
        guard request.definition.verbs.contains(request.verb) else { throw .methodNotAllowed }
        switch request.verb {
        case "list": return .list(try state.list(request))
        case "create" where request.definition.kind == "SelfSubjectRulesReview":
            return .raw(authorization.rulesReview(try request.body()), status: 201)
        case "create" where request.definition.group == "authorization.k8s.io":
            return .raw(try authorization.review(try request.body()), status: 201)
        case "create":
            try request.checkOptions("CreateOptions")
            let result = try state.create(request, try request.body())
            return .object(result.object, status: 201, warnings: result.warnings)
        case "deletecollection": return .list(try state.deleteCollection(request))
        default: throw .methodNotAllowed
        }
    }

    private static func delete(
        _ request: ResourceRequest, name: String, on state: inout ClusterState
    ) throws(StatusError) -> Outcome {
        let options = try DeleteOptions(request)
        let definition = request.definition
        switch try state.delete(definition, request.key(name), options, now: request.now) {
        case .gone(let object):
            // Pods and namespaces answer with themselves, everything else with a Status.
            if definition.storage == CollectionID(group: "", plural: "pods") {
                return .object(object, status: 200, warnings: [])
            }
            return .raw(StatusError.success(definition, name: name, uid: object.uid), status: 200)
        case .waiting(let object):
            return .object(object, status: 200, warnings: warnings(options, definition))
        }
    }

    private static func warnings(_ options: DeleteOptions, _ definition: ResourceDefinition) -> [String] {
        guard options.propagation == nil, BuiltInStrategy.defaultPropagation(definition) == .orphan else { return [] }
        return [
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove "
                + "them or set propagationPolicy=Orphan to suppress this warning"
        ]
    }

    /// The scale subresource: replicas by the definition's paths.
    private static func scale(
        _ request: ResourceRequest, name: String, on state: inout ClusterState
    ) throws(StatusError) -> Outcome {
        guard let paths = request.definition.scale else { throw .noSuchPath }
        var object = try state.get(request, name: name)
        if request.verb == "update" || request.verb == "patch" {
            let current = scaleObject(object, paths)
            let wanted = try request.verb == "update" ? request.body() : request.patched(current)
            guard let replicas = wanted.value(at: ["spec", "replicas"])?.integerValue, replicas >= 0 else {
                throw .badRequest("spec.replicas must be a number of at least 0")
            }
            var changed = state.shown(object, request.definition)
            changed.set(.integer(replicas), at: paths.specReplicas)
            object = try state.update(request, name: name, changed).object
        } else if request.verb != "get" {
            throw .methodNotAllowed
        }
        return .raw(scaleObject(object, paths), status: 200)
    }

    private static func scaleObject(_ object: JSONValue, _ paths: ScalePaths) -> JSONValue {
        var metadata: JSONValue = [:]
        for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
            metadata[key] = object.metadata(key)
        }
        return [
            "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
            "spec": ["replicas": object.value(at: paths.specReplicas) ?? 0],
            "status": ["replicas": object.value(at: paths.statusReplicas) ?? 0],
        ]
    }
}
