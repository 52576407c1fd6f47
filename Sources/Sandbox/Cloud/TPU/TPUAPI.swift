internal import Encoding
internal import HTTP

/// tpu v2: queued resources, nodes, accelerator types and operations.
struct TPUAPI: CloudAPI {
    static let routes: [Route] = {
        let zone = "v2/projects/{project}/locations/{location}"
        return [
            Route(.get, "\(zone)/acceleratorTypes", "tpu.acceleratorTypes.list"),
            Route(.get, "\(zone)/acceleratorTypes/{type}", "tpu.acceleratorTypes.get"),
            Route(.post, "\(zone)/nodes", "tpu.nodes.create"),
            Route(.get, "\(zone)/nodes", "tpu.nodes.list"),
            Route(.get, "\(zone)/nodes/{node}", "tpu.nodes.get"),
            Route(.patch, "\(zone)/nodes/{node}", "tpu.nodes.patch"),
            Route(.delete, "\(zone)/nodes/{node}", "tpu.nodes.delete"),
            Route(.post, "\(zone)/nodes/{node}:stop", "tpu.nodes.stop"),
            Route(.post, "\(zone)/nodes/{node}:start", "tpu.nodes.start"),
            Route(.post, "\(zone)/queuedResources", "tpu.queuedResources.create"),
            Route(.get, "\(zone)/queuedResources", "tpu.queuedResources.list"),
            Route(.get, "\(zone)/queuedResources/{queued}", "tpu.queuedResources.get"),
            Route(.delete, "\(zone)/queuedResources/{queued}", "tpu.queuedResources.delete"),
            Route(.post, "\(zone)/queuedResources/{queued}:reset", "tpu.queuedResources.reset"),
            Route(.get, "\(zone)/operations", "tpu.operations.list"),
            Route(.get, "\(zone)/operations/{operation}", "tpu.operations.get"),
            Route(.delete, "\(zone)/operations/{operation}", "tpu.operations.delete"),
            Route(.post, "\(zone)/operations/{operation}:cancel", "tpu.operations.cancel"),
        ]
    }()

    var state = TPUState()

    mutating func advance(in world: CloudWorld) { state.advance(in: world) }

    mutating func perform(
        _ call: APICall, in world: CloudWorld, shared: inout SharedState
    ) throws(CloudError) -> HTTPReply {
        let zone = call["location"]
        // A list over all zones is written with "-".
        guard zone == "-" || world.zones.contains(zone) else {
            throw CloudError(
                status: 403, reason: "PERMISSION_DENIED",
                message: "Location \(zone) is not found or access is unauthorized.")
        }
        let parent = "projects/\(world.project)/locations/\(zone)"
        return switch call.method.split(separator: ".")[1] {
        case "acceleratorTypes": .json(try acceleratorTypes(call, parent: parent))
        case "nodes": .json(try nodes(call, parent: parent, in: world))
        case "queuedResources": .json(try queuedResources(call, parent: parent, in: world))
        default: .json(try operations(call, parent: parent))
        }
    }

    // MARK: Accelerator types and operations

    private func acceleratorTypes(_ call: APICall, parent: String) throws(CloudError) -> JSONValue {
        let all: [JSONValue] = TPUSlice.all.map { slice in
            [
                "name": .string("\(parent)/acceleratorTypes/\(slice.acceleratorType)"),
                "type": .string(slice.acceleratorType),
                "acceleratorConfigs": [["type": .string(slice.type), "topology": .string(slice.topology)]],
            ]
        }
        guard call.method == "tpu.acceleratorTypes.get" else { return try call.page("acceleratorTypes", all) }
        guard let found = all.first(where: { $0["type"]?.stringValue == call["type"] }) else {
            throw .resourceNotFound("Resource '\(parent)/acceleratorTypes/\(call["type"])' was not found")
        }
        return found
    }

    private mutating func operations(_ call: APICall, parent: String) throws(CloudError) -> JSONValue {
        if call.method == "tpu.operations.list" {
            return try call.page("operations", state.operations.list(parent))
        }
        let name = "\(parent)/operations/\(call["operation"])"
        let operation = try state.operations.json(name)
        switch call.method {
        case "tpu.operations.delete": state.operations.remove(name)
        case "tpu.operations.cancel": break  // Best effort: nothing here can be cancelled.
        default: return operation
        }
        return [:]
    }

    private mutating func begin(_ verb: String, _ target: String, parent: String, in world: CloudWorld) -> String {
        state.operations.begin(
            parent: parent,
            metadata: [
                "@type": "type.googleapis.com/google.cloud.tpu.v2.OperationMetadata",
                "createTime": .string(world.now.description), "target": .string(target), "verb": .string(verb),
                "apiVersion": "v2",
            ], now: world.now)
    }

    // MARK: Nodes

    private mutating func nodes(_ call: APICall, parent: String, in world: CloudWorld) throws(CloudError) -> JSONValue {
        let name = "\(parent)/nodes/\(call["node"])"
        switch call.method {
        case "tpu.nodes.list":
            let all = state.nodes.values.filter { parent.hasSuffix("/-") || $0.name.hasPrefix("\(parent)/") }
            return try call.page("nodes", all.sorted { $0.name < $1.name }.map { Self.json($0, in: world) })
        case "tpu.nodes.create": return try createNode(call, parent: parent, in: world)
        case "tpu.nodes.get": return Self.json(try node(name), in: world)
        case "tpu.nodes.patch": return try patchNode(call, name: name, parent: parent, in: world)
        case "tpu.nodes.delete":
            var node = try node(name)
            if node.state != .deleting {
                node.state = .deleting
                node.due = world.now + world.timings.tpuDelete
            }
            return try step(&node, "delete", parent: parent, in: world)
        default:
            var node = try node(name)
            let isStop = call.method == "tpu.nodes.stop"
            guard node.slice.hosts == 1, node.queuedResource == nil else {
                throw .invalidArgument("\(isStop ? "Stop" : "Start") is not supported for pods and queued resources.")
            }
            try require(node, isStop ? .ready : .stopped, isStop ? "stop" : "start")
            node.state = isStop ? .stopping : .starting
            node.due = world.now + world.timings.tpuDelete
            return try step(&node, isStop ? "stop" : "start", parent: parent, in: world)
        }
    }

    private func node(_ name: String) throws(CloudError) -> TPUState.Node {
        guard let node = state.nodes[name] else { throw .resourceNotFound("Resource '\(name)' was not found") }
        return node
    }

    private func require(
        _ node: TPUState.Node, _ wanted: TPUState.Node.State, _ verb: String
    ) throws(CloudError) {
        guard node.state == wanted else {
            throw .failedPrecondition(
                "Cloud TPU received a bad request. \(verb) is not supported while in state \(node.state.rawValue)")
        }
    }

    private mutating func step(
        _ node: inout TPUState.Node, _ verb: String, parent: String, in world: CloudWorld
    ) throws(CloudError) -> JSONValue {
        let operation = begin(verb, node.name, parent: parent, in: world)
        node.operation = operation
        state.nodes[node.name] = node
        return try state.operations.json(operation)
    }

    private mutating func createNode(
        _ call: APICall, parent: String, in world: CloudWorld
    ) throws(CloudError) -> JSONValue {
        let id = call.query("nodeId") ?? ""
        let body = try call.body()
        try TPURules.check(nodeID: id)
        try TPURules.check(node: body)
        let slice = try TPUSlice(node: body)
        let name = "\(parent)/nodes/\(id)"
        guard state.nodes[name] == nil else { throw .alreadyExists("Resource '\(name)' already exists.") }
        let provisioning = TPURules.provisioning(node: body)
        try TPURules.checkQuota(
            chips: slice.chips, zone: call["location"], held: state.heldChips(call["location"]), in: world)
        let isStockedOut = world.script.isStockedOut(provisioning: provisioning, zone: call["location"])
        var node = TPUState.Node(
            name: name, zone: call["location"], slice: slice, resource: body, provisioning: provisioning,
            created: world.now, state: .creating,
            due: world.now + (isStockedOut ? world.timings.tpuStockout : world.timings.tpuProvisioning),
            serial: state.nextSerial())
        return try step(&node, "create", parent: parent, in: world)
    }

    private mutating func patchNode(
        _ call: APICall, name: String, parent: String, in world: CloudWorld
    ) throws(CloudError) -> JSONValue {
        var node = try node(name)
        guard let mask = call.query("updateMask"), !mask.isEmpty else {
            throw .invalidField("update_mask", "update_mask must be set.")
        }
        try require(node, .ready, "update")
        let body = try call.body()
        for path in mask.split(separator: ",") {
            guard ["labels", "tags", "metadata", "description", "dataDisks"].contains(path) else {
                throw .invalidField("update_mask", "Field '\(path)' of a node cannot be updated.")
            }
            node.resource[String(path)] = body[String(path)]
        }
        let operation = begin("update", name, parent: parent, in: world)
        state.nodes[name] = node
        state.operations.finish(operation, .response(Self.typed(Self.json(node, in: world))))
        return try state.operations.json(operation)
    }

    // MARK: Queued resources

    private mutating func queuedResources(
        _ call: APICall, parent: String, in world: CloudWorld
    ) throws(CloudError) -> JSONValue {
        let name = "\(parent)/queuedResources/\(call["queued"])"
        switch call.method {
        case "tpu.queuedResources.list":
            let all = state.queued.values.filter { parent.hasSuffix("/-") || $0.name.hasPrefix("\(parent)/") }
            return try call.page("queuedResources", all.sorted { $0.name < $1.name }.map(Self.json))
        case "tpu.queuedResources.get": return Self.json(try queued(name))
        case "tpu.queuedResources.create": return try createQueued(call, parent: parent, in: world)
        case "tpu.queuedResources.delete": return try deleteQueued(call, name: name, parent: parent, in: world)
        default:
            var resource = try queued(name)
            guard resource.state == .suspended || resource.state == .failed else {
                throw .failedPrecondition(
                    "Reset is not supported while the queued resource is in state \(resource.state.rawValue).")
            }
            resource.state = .accepted
            resource.failure = nil
            resource.isByUser = true
            resource.due = world.now + world.timings.tpuAccepted
            resource.created = world.now
            let operation = begin("reset", name, parent: parent, in: world)
            state.queued[name] = resource
            state.operations.finish(operation, .response(Self.json(resource)))
            return try state.operations.json(operation)
        }
    }

    private func queued(_ name: String) throws(CloudError) -> TPUState.QueuedResource {
        guard let resource = state.queued[name] else { throw .resourceNotFound("Resource '\(name)' was not found") }
        return resource
    }

    private mutating func createQueued(
        _ call: APICall, parent: String, in world: CloudWorld
    ) throws(CloudError) -> JSONValue {
        if let earlier = try earlier(call) { return earlier }
        let id = call.query("queuedResourceId") ?? ""
        let body = try call.body()
        let checked = try TPURules.check(queuedResource: body, id: id, parent: parent)
        let name = "\(parent)/queuedResources/\(id)"
        guard state.queued[name] == nil else { throw .alreadyExists("Resource '\(name)' already exists.") }
        let planned = Set(state.queued.values.filter { $0.zone == call["location"] }.flatMap(\.nodeIDs))
        for node in checked.nodeIDs where state.nodes["\(parent)/nodes/\(node)"] != nil || planned.contains(node) {
            throw .alreadyExists("Resource '\(parent)/nodes/\(node)' already exists.")
        }
        try TPURules.checkQuota(
            chips: checked.slice.chips * checked.nodeIDs.count, zone: call["location"],
            held: state.heldChips(call["location"]), in: world)
        let operation = begin("create", name, parent: parent, in: world)
        let resource = TPUState.QueuedResource(
            name: name, zone: call["location"], resource: body, provisioning: checked.provisioning,
            nodeIDs: checked.nodeIDs, node: checked.node, slice: checked.slice, created: world.now,
            validUntil: checked.validUntil(world.now), due: world.now + world.timings.tpuAccepted,
            serial: state.nextSerial())
        state.queued[name] = resource
        // The operation ends long before the resource is ACTIVE.
        state.operations.finish(operation, .response(Self.json(resource)))
        return try remember(operation, call)
    }

    private mutating func deleteQueued(
        _ call: APICall, name: String, parent: String, in world: CloudWorld
    ) throws(CloudError) -> JSONValue {
        if let earlier = try earlier(call) { return earlier }
        var resource = try queued(name)
        let nodes = state.nodes.values.filter { $0.queuedResource == name }
        let isTerminal = [.accepted, .waiting, .failed, .suspended, .deleting].contains(resource.state)
        guard call.flag("force") || isTerminal || nodes.isEmpty else {
            throw .failedPrecondition(
                "Queued resource '\(name)' is in state \(resource.state.rawValue) and has nodes. Delete its nodes "
                    + "first, or set force.")
        }
        if let running = resource.operation, resource.state == .deleting { return try state.operations.json(running) }
        resource.state = .deleting
        resource.isByUser = true
        resource.due = world.now + world.timings.tpuDelete
        for node in nodes { state.nodes[node.name]?.state = .deleting }
        let operation = begin("delete", name, parent: parent, in: world)
        resource.operation = operation
        state.queued[name] = resource
        return try remember(operation, call)
    }

    /// The operation that an earlier request with the same id began.
    private func earlier(_ call: APICall) throws(CloudError) -> JSONValue? {
        guard let request = call.query("requestId"), !request.isEmpty else { return nil }
        guard request.utf8.count == 36, request != "00000000-0000-0000-0000-000000000000" else {
            throw .invalidField("request_id", "request_id must be a valid UUID that is not zero.")
        }
        guard let operation = state.requests[request] else { return nil }
        return try state.operations.json(operation)
    }

    private mutating func remember(_ operation: String, _ call: APICall) throws(CloudError) -> JSONValue {
        if let request = call.query("requestId"), !request.isEmpty {
            if state.requests.count >= 1000 { state.requests = [:] }
            state.requests[request] = operation
        }
        return try state.operations.json(operation)
    }
}
