internal import Encoding

/// TPU nodes and queued resources over time. Pure; requests are `TPUAPI`'s.
struct TPUState: Sendable {
    struct Node: Sendable {
        /// `projects/P/locations/Z/nodes/N`.
        var name: String
        var zone: String
        var slice: TPUSlice
        /// The request's node.
        var resource: JSONValue
        var provisioning: Provisioning
        var created: Timestamp
        var state: State
        /// When CREATING, STARTING, STOPPING or DELETING ends.
        var due: Timestamp?
        /// The full name of the queued resource that made it.
        var queuedResource: String?
        var serial: UInt64
        /// The operation that ends with the present step.
        var operation: String?

        enum State: String, Sendable {
            case creating = "CREATING"
            case ready = "READY"
            case stopping = "STOPPING"
            case stopped = "STOPPED"
            case starting = "STARTING"
            case preempted = "PREEMPTED"
            case deleting = "DELETING"
        }

        /// Chips that it holds: a preempted or stopped node holds none.
        var heldChips: Int { state == .preempted || state == .stopped ? 0 : slice.chips }
    }

    struct QueuedResource: Sendable {
        var name: String
        var zone: String
        var resource: JSONValue
        var provisioning: Provisioning
        var nodeIDs: [String]
        var node: JSONValue
        var slice: TPUSlice
        var created: Timestamp
        var validUntil: Timestamp?
        var state: State = .accepted
        /// When the present state is left, where time alone does it.
        var due: Timestamp?
        var failure: (code: Int64, message: String)?
        var isByUser = false
        var serial: UInt64
        var operation: String?

        enum State: String, Sendable {
            case accepted = "ACCEPTED"
            case waiting = "WAITING_FOR_RESOURCES"
            case provisioning = "PROVISIONING"
            case active = "ACTIVE"
            case failed = "FAILED"
            case suspending = "SUSPENDING"
            case suspended = "SUSPENDED"
            case deleting = "DELETING"
        }
    }

    var nodes: [String: Node] = [:]
    var queued: [String: QueuedResource] = [:]
    var operations = LongRunningOperations()
    /// Operations by the request id that began them.
    var requests: [String: String] = [:]
    /// Full names of the zone's reservations that queued resources may use.
    var reservations: Set<String> = []
    private var serial: UInt64 = 0

    mutating func nextSerial() -> UInt64 {
        serial += 1
        return serial
    }

    /// Moves everything whose time has come.
    mutating func advance(in world: CloudWorld) {
        for name in nodes.values.lazy.filter({ $0.due != nil }).map(\.name).sorted() { advanceNode(name, in: world) }
        // First come, first served.
        for name in queued.values.sorted(by: { $0.serial < $1.serial }).map(\.name) {
            while advanceQueued(name, in: world) {}
        }
    }

    // MARK: Nodes

    private mutating func advanceNode(_ name: String, in world: CloudWorld) {
        guard var node = nodes[name], let due = node.due, due <= world.now else { return }
        node.due = nil
        switch node.state {
        case .creating where node.queuedResource == nil && lacksCapacity(node, in: world):
            nodes[name] = nil
            finish(
                node.operation,
                .failure(
                    code: 8,
                    message: "There is no more capacity in the zone \"\(node.zone)\"; you can try in another zone "
                        + "where Cloud TPU Nodes are offered (see https://cloud.google.com/tpu/docs/regions)"))
            return
        case .creating, .starting: node.state = .ready
        case .stopping: node.state = .stopped
        case .deleting:
            nodes[name] = nil
            finish(node.operation, .response(["@type": "type.googleapis.com/google.protobuf.Empty"]))
            userDeleted(node, in: world)
            return
        case .ready, .stopped, .preempted: break
        }
        nodes[name] = node
        finish(node.operation, .response(TPUAPI.typed(TPUAPI.json(node, in: world))))
    }

    private func lacksCapacity(_ node: Node, in world: CloudWorld) -> Bool {
        world.script.isStockedOut(provisioning: node.provisioning, zone: node.zone)
            || freeChips(node.zone, without: node.name, in: world).map { $0 < node.slice.chips } ?? false
    }

    /// A queued resource whose last node a user deletes is suspended.
    private mutating func userDeleted(_ node: Node, in world: CloudWorld) {
        guard let name = node.queuedResource, queued[name]?.state == .active,
            !nodes.values.contains(where: { $0.queuedResource == name })
        else { return }
        queued[name]?.state = .suspended
        queued[name]?.isByUser = true
    }

    /// Chips of a zone that are to be had; nil is without limit.
    private func freeChips(_ zone: String, without name: String = "", in world: CloudWorld) -> Int? {
        world.script.apis.tpuChips[zone].map { limit in
            limit - heldChips(zone, without: name)
        }
    }

    func heldChips(_ zone: String, without name: String = "") -> Int {
        nodes.values.reduce(0) { $0 + ($1.zone == zone && $1.name != name ? $1.heldChips : 0) }
    }

    // MARK: Queued resources

    /// One step.
    ///
    /// - Returns: whether something changed, so that another step may be due.
    private mutating func advanceQueued(_ name: String, in world: CloudWorld) -> Bool {
        guard var resource = queued[name] else { return false }
        let isDue = resource.due.map { $0 <= world.now } ?? false
        let before = resource.state
        switch resource.state {
        case .accepted where isDue:
            resource.due = nil
            resource.state = canProvision(resource, in: world) ? .provisioning : .waiting
            beginProvisioning(
                &resource, at: max(resource.created + world.timings.tpuAccepted, resource.created), in: world)
        case .waiting:
            if let until = resource.validUntil, until <= world.now {
                fail(&resource, 4, "The queued resource was not provisioned before its valid_until time.")
            } else if canProvision(resource, in: world) {
                resource.state = .provisioning
                beginProvisioning(&resource, at: world.now, in: world)
            }
        case .provisioning where isDue: endProvisioning(&resource, in: world)
        case .suspending where isDue:
            removeNodes(of: name)
            resource.due = nil
            resource.state = .suspended
        case .deleting where isDue:
            removeNodes(of: name)
            queued[name] = nil
            finish(resource.operation, .response(["@type": "type.googleapis.com/google.protobuf.Empty"]))
            return false
        default: return false
        }
        queued[name] = resource
        return resource.state != before
    }

    private func canProvision(_ resource: QueuedResource, in world: CloudWorld) -> Bool {
        if world.script.isStockedOut(provisioning: resource.provisioning, zone: resource.zone) { return false }
        let needed = resource.slice.chips * resource.nodeIDs.count
        return freeChips(resource.zone, in: world).map { $0 >= needed } ?? true
    }

    private mutating func beginProvisioning(
        _ resource: inout QueuedResource, at moment: Timestamp, in world: CloudWorld
    ) {
        guard resource.state == .provisioning else { return }
        if let reservation = resource.resource["reservationName"]?.stringValue, !reservations.contains(reservation) {
            fail(
                &resource, 9,
                "Insufficient reserved capacity. Contact customer support to increase your reservation.")
            return
        }
        resource.due = moment + world.timings.tpuProvisioning
        for id in resource.nodeIDs {
            let name = "projects/\(world.project)/locations/\(resource.zone)/nodes/\(id)"
            nodes[name] = Node(
                name: name, zone: resource.zone, slice: resource.slice, resource: resource.node,
                provisioning: resource.provisioning, created: moment, state: .creating, queuedResource: resource.name,
                serial: nextSerial())
        }
    }

    private mutating func endProvisioning(_ resource: inout QueuedResource, in world: CloudWorld) {
        resource.due = nil
        if world.script.apis.failingTPUZones.contains(resource.zone) {
            removeNodes(of: resource.name)
            fail(&resource, 13, "Internal error while provisioning the nodes of the queued resource.")
            return
        }
        resource.state = .active
        for node in nodes.values where node.queuedResource == resource.name && node.state == .creating {
            nodes[node.name]?.state = .ready
        }
    }

    private func fail(_ resource: inout QueuedResource, _ code: Int64, _ message: String) {
        resource.state = .failed
        resource.due = nil
        resource.failure = (code, message)
    }

    mutating func removeNodes(of queuedResource: String) {
        for node in nodes.values where node.queuedResource == queuedResource {
            nodes[node.name] = nil
            finish(node.operation, .response(["@type": "type.googleapis.com/google.protobuf.Empty"]))
        }
    }

    private mutating func finish(_ operation: String?, _ outcome: LongRunningOperations.Outcome) {
        if let operation { operations.finish(operation, outcome) }
    }

    /// Takes a node's machines away, as for a preemption.
    ///
    /// - Returns: false when no ready node of that name runs.
    mutating func preempt(_ name: String, in world: CloudWorld) -> Bool {
        guard let node = nodes[name], node.state == .ready else { return false }
        nodes[name]?.state = .preempted
        guard let parent = node.queuedResource, queued[parent]?.state == .active else { return true }
        queued[parent]?.state = .suspending
        queued[parent]?.isByUser = false
        queued[parent]?.due = world.now + world.timings.tpuSuspending
        return true
    }
}
