internal import Encoding
internal import HTTP

/// container v1: what a request means, and the reply to it. The state is `ContainerState`'s.
struct ContainerAPI: Sendable {
    let configuration: CloudConfiguration

    /// A call that is understood; path and method are known, the body is not read yet.
    enum Call: Sendable {
        case cluster, listClusters, serverConfig, listPools, listOperations, createPool
        case pool(String)
        case deletePool(String)
        case setSize(String)
        case setAutoscaling(String)
        case updatePool(String)
        case operation(String)
        case cancelOperation(String)

        /// What the caller must be allowed to do.
        var permission: String {
            switch self {
            case .cluster, .listPools, .pool: "container.clusters.get"
            case .listClusters: "container.clusters.list"
            case .serverConfig: "container.clusters.list"
            case .listOperations: "container.operations.list"
            case .operation: "container.operations.get"
            case .createPool, .deletePool, .setSize, .setAutoscaling, .updatePool:
                "container.clusters.update"
            case .cancelOperation: "container.operations.update"
            }
        }

        var method: String {
            switch self {
            case .cluster: "container.clusters.get"
            case .listClusters: "container.clusters.list"
            case .serverConfig: "container.getServerConfig"
            case .listPools: "container.nodePools.list"
            case .createPool: "container.nodePools.create"
            case .pool: "container.nodePools.get"
            case .deletePool: "container.nodePools.delete"
            case .setSize: "container.nodePools.setSize"
            case .setAutoscaling: "container.nodePools.setAutoscaling"
            case .updatePool: "container.nodePools.update"
            case .cancelOperation: "container.operations.cancel"
            case .listOperations: "container.operations.list"
            case .operation: "container.operations.get"
            }
        }
    }

    var parent: String { "projects/\(configuration.project)/locations/\(configuration.location)" }
    private var cluster: String { "\(parent)/clusters/\(configuration.clusterName)" }

    /// The full name by which Google's asset inventory knows a pool.
    func resourceName(_ pool: String) -> String { "//container.googleapis.com/\(cluster)/nodePools/\(pool)" }

    /// Reads verb and path.
    ///
    /// - Throws: 403 for another project, 404 for another cluster and for methods that do not exist.
    func call(_ request: HTTPRequest) throws(CloudError) -> Call {
        let path = request.url.path
        guard path.hasPrefix("/v1/projects/") else { throw Self.unknownMethod }
        let name = String(path.dropFirst(4))
        guard name.hasPrefix("projects/\(configuration.project)/") else {
            throw CloudError(
                status: 403, reason: "PERMISSION_DENIED",
                message: "Permission denied on resource project \(name.split(separator: "/").dropFirst().first ?? "").")
        }
        if let unknown = request.url.query.first(where: { !Self.parameters.contains($0.name) }) {
            throw CloudError(
                status: 400, reason: "INVALID_ARGUMENT",
                message: "Invalid JSON payload received. Unknown name \"\(unknown.name)\": Cannot bind query "
                    + "parameter. Field '\(unknown.name)' could not be found in request message.")
        }
        let everywhere = "projects/\(configuration.project)/locations/-/clusters"
        if request.method == .get, name == everywhere || name == "\(parent)/clusters" {
            return .listClusters
        }
        if request.method == .get, name == "\(parent)/serverConfig" { return .serverConfig }
        if let rest = name.suffix(after: "\(parent)/operations") {
            return try operationCall(rest, request.method)
        }
        if let rest = name.suffix(after: cluster) { return try clusterCall(rest, request.method) }
        if name.hasPrefix("\(parent)/clusters/") { throw Self.notFound(name) }
        throw Self.unknownMethod
    }

    private static let parameters: Set<String> = ["alt", "fields", "prettyPrint", "quotaUser", "key", "$.xgafv"]

    private func operationCall(_ rest: Substring, _ method: HTTPMethod) throws(CloudError) -> Call {
        let parts = rest.split(separator: "/")
        switch (method, parts.count) {
        case (.get, 0): return .listOperations
        case (.get, 1): return .operation(String(parts[0]))
        case (.post, 1) where parts[0].hasSuffix(":cancel"):
            return .cancelOperation(String(parts[0].dropLast(7)))
        default: throw Self.unknownMethod
        }
    }

    private func clusterCall(_ rest: Substring, _ method: HTTPMethod) throws(CloudError) -> Call {
        let parts = rest.split(separator: "/").map(String.init)
        if parts.isEmpty, method == .get { return .cluster }
        guard parts.first == "nodePools", parts.count <= 2 else { throw Self.unknownMethod }
        switch (method, parts.count) {
        case (.get, 1): return .listPools
        case (.post, 1): return .createPool
        case (.get, 2): return .pool(parts[1])
        case (.delete, 2): return .deletePool(parts[1])
        case (.put, 2): return .updatePool(parts[1])
        case (.post, 2) where parts[1].hasSuffix(":setSize"):
            return .setSize(String(parts[1].dropLast(8)))
        case (.post, 2) where parts[1].hasSuffix(":setAutoscaling"):
            return .setAutoscaling(String(parts[1].dropLast(15)))
        default: throw Self.unknownMethod
        }
    }

    /// Does it.
    func perform(
        _ call: Call, body: [UInt8], state: inout ContainerState, now: Timestamp
    ) throws(CloudError) -> JSONValue {
        switch call {
        case .cluster:
            return json(clusterWith: state)
        case .listClusters:
            return ["clusters": [json(clusterWith: state)]]
        case .serverConfig:
            return Self.serverConfig
        case .listPools:
            return list("nodePools", state.pools.values.sorted { $0.name < $1.name }.map(json))
        case .listOperations:
            return list("operations", state.operations.map(json))
        case .pool(let name):
            return json(try pool(name, state))
        case .operation(let name):
            guard let operation = state.operations.first(where: { $0.name == name }) else {
                throw Self.notFound("\(parent)/operations/\(name)")
            }
            return json(operation)
        case .createPool:
            return json(try create(body, &state, now))
        case .deletePool(let name):
            return json(try delete(name, &state, now))
        case .setSize(let name):
            return json(try setSize(name, body, &state, now))
        case .setAutoscaling(let name):
            return json(try setAutoscaling(name, body, &state, now))
        case .updatePool(let name):
            return json(try update(name, body, &state, now))
        case .cancelOperation(let name):
            _ = try Self.message("CancelOperationRequest", body.isEmpty ? Array("{}".utf8) : body)
            try cancel(name, &state, now)
            return [:]
        }
    }

    /// An empty list is left out, as all default values are.
    private func list(_ key: String, _ items: [JSONValue]) -> JSONValue {
        items.isEmpty ? [:] : .object([key: .array(items)])
    }

    // MARK: Changes

    private func create(
        _ body: [UInt8], _ state: inout ContainerState, _ now: Timestamp
    ) throws(CloudError) -> ContainerState.Operation {
        let request = try Self.message("CreateNodePoolRequest", body)
        guard let resource = request["nodePool"] else { throw Self.invalid("node_pool must be set.") }
        let checked = try NodePoolRules(zones: configuration.zones).check(resource)
        if state.pools[checked.name] != nil {
            throw CloudError(
                status: 409, reason: "ALREADY_EXISTS", message: "Already exists: \(cluster)/nodePools/\(checked.name).")
        }
        try refuseWhileBusy(state)
        let operation = state.begin(.create, pool: checked.name, now: now)
        var pool = ContainerState.Pool(
            name: checked.name, resource: resource, zones: checked.zones,
            targets: Dictionary(uniqueKeysWithValues: checked.zones.map { ($0, checked.nodeCount) }),
            serial: state.nextSerial())
        pool.followAutoscaling()
        state.pools[checked.name] = pool
        return operation
    }

    private func delete(
        _ name: String, _ state: inout ContainerState, _ now: Timestamp
    ) throws(CloudError) -> ContainerState.Operation {
        var pool = try pool(name, state)
        try refuseWhileBusy(state)
        pool.status = .stopping
        pool.revision += 1
        for index in pool.instances.indices { pool.instances[index].state = .stopping }
        state.pools[name] = pool
        return state.begin(.delete, pool: name, now: now)
    }

    private func setSize(
        _ name: String, _ body: [UInt8], _ state: inout ContainerState, _ now: Timestamp
    ) throws(CloudError) -> ContainerState.Operation {
        let request = try Self.message("SetNodePoolSizeRequest", body)
        guard let count = request["nodeCount"]?.integerValue, (0...1000).contains(count) else {
            throw Self.invalid("node_count must be between 0 and 1000.")
        }
        var pool = try pool(name, state)
        try NodePoolRules(zones: configuration.zones).check(size: count, of: pool.resource)
        try refuseWhileBusy(state)
        for zone in pool.zones {
            pool.targets[zone] = Int(count)
            let surplus = pool.instances.indices.filter { pool.instances[$0].zone == zone }.dropFirst(Int(count))
            for index in surplus { pool.instances[index].state = .stopping }
        }
        pool.revision += 1
        state.pools[name] = pool
        return state.begin(.setSize, pool: name, now: now)
    }

    func pool(_ name: String, _ state: ContainerState) throws(CloudError) -> ContainerState.Pool {
        guard let pool = state.pools[name] else { throw Self.notFound("\(cluster)/nodePools/\(name)") }
        return pool
    }

    func refuseWhileBusy(_ state: ContainerState) throws(CloudError) {
        guard let active = state.activeOperation else { return }
        throw CloudError(
            status: 400, reason: "FAILED_PRECONDITION",
            message: "Cluster is running incompatible operation \(active.name).")
    }

    // MARK: Errors and bodies

    static let unknownMethod = CloudError(
        status: 404, reason: "NOT_FOUND", message: "Method not found.")

    static func notFound(_ name: String) -> CloudError {
        CloudError(status: 404, reason: "NOT_FOUND", message: "Not found: \(name).")
    }

    static func invalid(_ message: String) -> CloudError {
        CloudError(status: 400, reason: "INVALID_ARGUMENT", message: message)
    }

    static func message(_ name: String, _ body: [UInt8]) throws(CloudError) -> JSONValue {
        guard let value = try? JSONValue(parsing: body) else {
            throw invalid("Invalid JSON payload received. Unexpected end of string.")
        }
        let violations = ContainerSchema.messages.violations(in: value, message: name)
        guard violations.isEmpty else {
            throw CloudError(
                status: 400, reason: "INVALID_ARGUMENT",
                message: violations.map(\.description).joined(separator: "\n"), violations: violations)
        }
        return value
    }
}

extension String {
    /// What follows a path; nil when this is another path (`a/bc` does not follow `a/b`).
    fileprivate func suffix(after path: String) -> Substring? {
        guard hasPrefix(path) else { return nil }
        let rest = dropFirst(path.count)
        return rest.isEmpty || rest.hasPrefix("/") ? rest : nil
    }
}
