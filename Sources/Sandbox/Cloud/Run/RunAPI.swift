internal import Encoding
internal import HTTP

/// run v2: services, revisions, policies and operations.
struct RunAPI: CloudAPI {
    static let routes: [Route] = {
        let services = "v2/projects/{project}/locations/{location}/services"
        let operations = "v2/projects/{project}/locations/{location}/operations"
        return [
            Route(.post, services, "run.services.create"),
            Route(.get, services, "run.services.list"),
            Route(.get, "\(services)/{service}", "run.services.get"),
            Route(.patch, "\(services)/{service}", "run.services.patch"),
            Route(.delete, "\(services)/{service}", "run.services.delete"),
            Route(.get, "\(services)/{service}:getIamPolicy", "run.services.getIamPolicy"),
            Route(.post, "\(services)/{service}:setIamPolicy", "run.services.setIamPolicy"),
            Route(.post, "\(services)/{service}:testIamPermissions", "run.services.testIamPermissions"),
            Route(.get, "\(services)/{service}/revisions", "run.revisions.list"),
            Route(.get, "\(services)/{service}/revisions/{revision}", "run.revisions.get"),
            Route(.delete, "\(services)/{service}/revisions/{revision}", "run.revisions.delete"),
            Route(.get, operations, "run.operations.list"),
            Route(.get, "\(operations)/{operation}", "run.operations.get"),
            Route(.delete, "\(operations)/{operation}", "run.operations.delete"),
            Route(.post, "\(operations)/{operation}:wait", "run.operations.wait"),
        ]
    }()

    /// What a request may set.
    static let mutableFields: Set<String> = [
        "annotations", "binaryAuthorization", "client", "clientVersion", "customAudiences", "defaultUriDisabled",
        "description", "ingress", "invokerIamDisabled", "labels", "launchStage", "scaling", "template", "traffic",
    ]

    /// By full name.
    var services: [String: RunService] = [:]
    /// Whether a front runs the instances of services: what becomes of revisions is then for it to say.
    var hasFront = false
    /// Writes that gave weight to a revision that was not ready, while another one was: a sentence each.
    private(set) var violations: [String] = []
    private var operations = LongRunningOperations()
    private var serial: UInt64 = 0

    mutating func advance(in world: CloudWorld) {
        // Sorted, so that operations end in the same order each time.
        for name in services.values.lazy.filter(\.isMoving).map(\.name).sorted() {
            guard var service = services[name] else { continue }
            if let deleted = service.deletedAt {
                guard deleted + world.timings.deleteService <= world.now else { continue }
                services[name] = nil
                for operation in service.operations {
                    operations.finish(operation, .response(json(service, in: world)))
                }
                continue
            }
            let ended = service.advance(in: world)
            services[name] = service
            for operation in ended {
                if let failure = service.failure ?? service.routeFailure {
                    operations.finish(operation, .failure(code: 9, message: failure.message))
                } else {
                    operations.finish(operation, .response(typed(json(service, in: world), "Service")))
                }
            }
        }
    }

    mutating func perform(
        _ call: APICall, in world: CloudWorld, shared: inout SharedState
    ) throws(CloudError) -> HTTPReply {
        guard Self.isRegion(call["location"]) else {
            throw .invalidField(
                "parent",
                "Location '\(call["location"])' must be a Google Cloud region, and cannot be the '-' wildcard.")
        }
        let parent = parent(call, in: world)
        let name = "\(parent)/services/\(call["service"])"
        switch call.method {
        case "run.services.create": return .json(try create(call, parent: parent, in: world))
        case "run.services.patch": return .json(try patch(call, name: name, in: world))
        case "run.services.delete": return .json(try delete(call, name: name, in: world))
        case "run.services.list":
            let all = services.values.filter { $0.name.hasPrefix("\(parent)/") && isListed($0, call) }
                .sorted { $0.name < $1.name }
            return .json(try call.page("services", all.map { json($0, in: world) }))
        case "run.services.get": return .json(json(try service(name), in: world))
        case "run.services.getIamPolicy": return .json(try service(name).policy.json)
        case "run.services.setIamPolicy":
            var service = try service(name)
            let reply = try service.policy.setReply(call, in: world)
            services[name] = service
            return .json(reply)
        case "run.services.testIamPermissions":
            _ = try service(name)
            return .json(try IAMPolicy.testReply(call, caller: shared.caller(call, now: world.now), in: world))
        case "run.revisions.list", "run.revisions.get", "run.revisions.delete":
            return .json(try revisions(call, name: name, in: world))
        case "run.operations.list": return .json(try call.page("operations", operations.list(parent)))
        case "run.operations.delete":
            _ = try operations.json("\(parent)/operations/\(call["operation"])")
            operations.remove("\(parent)/operations/\(call["operation"])")
            return .json([:])
        // `wait` may answer before the operation is done: "best effort".
        default: return .json(try operations.json("\(parent)/operations/\(call["operation"])"))
        }
    }

    /// A project may be named by its number too.
    private func parent(_ call: APICall, in world: CloudWorld) -> String {
        "projects/\(world.project)/locations/\(call["location"])"
    }

    /// `us-central1`
    private static func isRegion(_ name: String) -> Bool {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        return parts.count == 2 && parts[1].last?.isNumber == true && RunRules.isName(name, maximum: 40)
    }

    private func isListed(_ service: RunService, _ call: APICall) -> Bool {
        service.deletedAt == nil || call.flag("showDeleted")
    }

    /// - Throws: 404, also for one that is being deleted.
    private func service(_ name: String) throws(CloudError) -> RunService {
        guard let service = services[name] else {
            throw .resourceNotFound("Resource '\(name.split(separator: "/").last ?? "")' was not found")
        }
        return service
    }

    private func typed(_ value: JSONValue, _ type: String) -> JSONValue {
        var value = value
        value["@type"] = .string("type.googleapis.com/google.cloud.run.v2.\(type)")
        return value
    }

    // MARK: Changes

    private mutating func create(
        _ call: APICall, parent: String, in world: CloudWorld
    ) throws(CloudError) -> JSONValue {
        let id = call.query("serviceId") ?? ""
        try RunRules.check(serviceID: id)
        return try create(id: id, parent: parent, body: try call.body(), call, in: world)
    }

    private mutating func create(
        id: String, parent: String, body: JSONValue, _ call: APICall, in world: CloudWorld
    ) throws(CloudError) -> JSONValue {
        let name = "\(parent)/services/\(id)"
        if services[name] != nil { throw .alreadyExists("Resource '\(id)' already exists.") }
        let resource = Self.withDefaults(body, in: world)
        try RunRules(world: world, location: call["location"]).check(resource, id: id)
        serial += 1
        var service = RunService(
            name: name, uid: Self.uid("\(name)/\(serial)"), created: world.now, updated: world.now,
            resource: resource, version: 1, policy: IAMPolicy(of: "\(name)/\(serial)"))
        service.waitsForFront = hasFront
        try checkTraffic(resource, service)
        service.change(to: resource, in: world)
        return store(service, call, in: world)
    }

    private mutating func patch(
        _ call: APICall, name: String, in world: CloudWorld
    ) throws(CloudError) -> JSONValue {
        let body = try call.body()
        if let given = body["name"]?.stringValue, !given.isEmpty, given != name {
            throw .invalidField("service.name", "The name in the body is not the one in the URL.")
        }
        guard var service = services[name] else {
            guard call.flag("allowMissing") else {
                throw .resourceNotFound("Resource '\(call["service"])' was not found")
            }
            try RunRules.check(serviceID: call["service"])
            return try create(id: call["service"], parent: parent(call, in: world), body: body, call, in: world)
        }
        try check(etag: body["etag"]?.stringValue, of: service)
        if service.deletedAt != nil { throw .failedPrecondition("Resource '\(service.id)' is being deleted.") }
        let mask = call.query("updateMask") ?? ""
        var resource = Self.withDefaults(try merged(body, into: service.resource, mask: mask), in: world)
        // A change of other fields makes no revision, whatever the defaults would be now.
        let isMasked = !mask.isEmpty && mask != "*"
        if isMasked, !mask.split(separator: ",").contains(where: { $0 == "template" || $0.hasPrefix("template.") }) {
            resource["template"] = service.resource["template"]
        }
        try RunRules(world: world, location: call["location"]).check(resource, id: service.id)
        try checkTraffic(resource, service)
        let given = resource.value(at: ["template", "revision"])?.stringValue ?? ""
        if !given.isEmpty, service.revision(given) != nil, resource["template"] != service.resource["template"] {
            throw .alreadyExists("Revision named '\(given)' with different configuration already exists.")
        }
        if !call.flag("validateOnly") { noteUnready(resource, service) }
        service.change(to: resource, force: call.flag("forceNewRevision"), in: world)
        return store(service, call, in: world)
    }

    /// Weight for a revision that cannot serve yet is accepted, as Cloud Run does: the routes stay until it can. Whoever
    /// asks for it is wrong all the same while there is one that can.
    private mutating func noteUnready(_ resource: JSONValue, _ service: RunService) {
        guard service.latestReady != nil else { return }
        for target in RunTraffic.targets(resource) where target.percent > 0 && target.revision != nil {
            guard service.resolve(target) == nil, violations.count < 1000 else { continue }
            violations.append(
                "\(service.id): \(target.percent) percent for \(target.revision ?? ""), which is not ready")
        }
    }

    /// The whole without a mask, else the masked fields.
    private func merged(
        _ body: JSONValue, into resource: JSONValue, mask: String?
    ) throws(CloudError) -> JSONValue {
        guard let mask, !mask.isEmpty, mask != "*" else { return body }
        var merged = resource
        for path in mask.split(separator: ",") {
            let fields = path.split(separator: ".").map(String.init)
            guard let first = fields.first, Self.mutableFields.contains(first) else {
                throw .invalidField("update_mask", "Field path '\(path)' of the update mask is not one of a service.")
            }
            merged.set(body.value(at: fields), at: fields)
        }
        return merged
    }

    /// - Throws: 400 for traffic to a revision that does not exist.
    private func checkTraffic(_ resource: JSONValue, _ service: RunService) throws(CloudError) {
        let new = resource.value(at: ["template", "revision"])?.stringValue
        for (index, target) in (resource["traffic"]?.arrayValue ?? []).enumerated() {
            guard let name = target["revision"]?.stringValue, !name.isEmpty, name != new,
                service.revision(name) == nil
            else { continue }
            throw .invalidField("service.traffic[\(index)].revision", "Revision named '\(name)' not found.")
        }
    }

    private func check(etag: String?, of service: RunService) throws(CloudError) {
        guard let etag, !etag.isEmpty, etag != service.etag else { return }
        throw .aborted(
            "Conflict for resource '\(service.id)': version '\(etag)' was specified but current version is "
                + "'\(service.etag)'.")
    }

    private mutating func delete(
        _ call: APICall, name: String, in world: CloudWorld
    ) throws(CloudError) -> JSONValue {
        var service = try service(name)
        try check(etag: call.query("etag"), of: service)
        if service.deletedAt == nil {
            service.deletedAt = world.now
            service.version += 1
        }
        return store(service, call, in: world)
    }

    /// Keeps the service unless the request only validates; the operation.
    private mutating func store(_ service: RunService, _ call: APICall, in world: CloudWorld) -> JSONValue {
        var service = service
        let parent = parent(call, in: world)
        let resource = typed(json(service, in: world), "Service")
        if call.flag("validateOnly") {
            return ["name": .string("\(parent)/operations/validate-only"), "done": true, "response": resource]
        }
        let operation = operations.begin(parent: parent, metadata: resource, now: world.now)
        service.operations.append(operation)
        services[service.name] = service
        return (try? operations.json(operation)) ?? [:]  // It has just been made.
    }

    // MARK: Revisions

    private mutating func revisions(
        _ call: APICall, name: String, in world: CloudWorld
    ) throws(CloudError) -> JSONValue {
        var service = try service(name)
        if call.method == "run.revisions.list" {
            return try call.page("revisions", service.revisions.reversed().map { json($0, of: service) })
        }
        guard let index = service.revisions.firstIndex(where: { $0.name == call["revision"] }) else {
            throw .resourceNotFound("Resource '\(call["revision"])' was not found")
        }
        let revision = service.revisions[index]
        guard call.method == "run.revisions.delete" else { return json(revision, of: service) }
        let etag = Self.etag(of: revision, service: service)
        if let given = call.query("etag"), given != etag {
            throw .aborted(
                "Conflict for resource '\(revision.name)': version '\(given)' was specified but current version is "
                    + "'\(etag)'.")
        }
        let wanted = RunTraffic.targets(service.resource)
        let isLatest = index == service.revisions.count - 1
        if isLatest || (service.routed + wanted).contains(where: { service.resolve($0)?.name == revision.name }) {
            throw .failedPrecondition(
                "Revision '\(revision.name)' cannot be deleted: "
                    + (isLatest ? "it is the latest created revision." : "it is actively serving traffic."))
        }
        let resource = typed(json(revision, of: service), "Revision")
        if !call.flag("validateOnly") {
            service.revisions.remove(at: index)
            service.version += 1
            services[name] = service
        }
        let operation = operations.begin(parent: parent(call, in: world), metadata: resource, now: world.now)
        operations.finish(operation, .response(resource))
        return try operations.json(operation)
    }
}
