internal import Encoding
internal import HTTP

/// All APIs beside GKE and Cloud Storage, and what they share.
struct SimulatedAPIs: Sendable {
    /// By the first part of its host.
    enum Name: String, CaseIterable, Sendable {
        case run, tpu, compute, iamcredentials, iam, cloudresourcemanager, serviceusage, monitoring, cloudbilling, sts
        case artifactregistry, oauth2

        var host: String { "\(rawValue).googleapis.com" }

        var routes: [Route] {
            switch self {
            case .run: RunAPI.routes
            case .tpu: TPUAPI.routes
            case .compute: ComputeAPI.routes
            case .iamcredentials: IAMCredentialsAPI.routes
            case .iam: IAMAPI.routes
            case .cloudresourcemanager: ResourceManagerAPI.routes
            case .serviceusage: ServiceUsageAPI.routes
            case .monitoring: MonitoringAPI.routes
            case .cloudbilling: BillingAPI.routes
            case .sts: STSAPI.routes
            case .artifactregistry: ArtifactRegistryAPI.routes
            case .oauth2: OAuthAPI.routes
            }
        }

        /// Those that give tokens take none.
        var needsToken: Bool { self != .sts && self != .oauth2 }

        func render(_ error: CloudError) -> HTTPReply { self == .compute ? error.computeReply : error.rpcReply }
    }

    var run = RunAPI()
    var tpu = TPUAPI()
    var compute = ComputeAPI()
    var monitoring = MonitoringAPI()
    var billing = BillingAPI()
    var metadata = MetadataAPI()
    var shared: SharedState
    private var serviceUsage = ServiceUsageAPI()

    init(_ configuration: CloudConfiguration) {
        shared = SharedState(identities: Identities(configuration))
    }

    mutating func advance(in world: CloudWorld) {
        run.advance(in: world)
        tpu.state.reservations = compute.reservationNames(project: world.project)
        tpu.advance(in: world)
        serviceUsage.advance(in: world)
    }

    /// Full names of TPU nodes and of Cloud Run services with instances that always run.
    func costlyResources() -> [String] {
        let nodes = tpu.state.nodes.values.filter { $0.heldChips > 0 }.map { "//tpu.googleapis.com/\($0.name)" }
        let services = run.services.values.filter { $0.minimumInstanceCount > 0 }
            .map { "//run.googleapis.com/\($0.name)" }
        return nodes.sorted() + services.sorted()
    }

    // MARK: Routing

    /// Which API a request is for: by its host, or, for clients that name the emulator itself, by its path.
    static func name(of request: HTTPRequest) -> Name? {
        let host = request.url.authority.prefix { $0 != ":" }
        let path = request.url.path.split(separator: "/")
        if let name = Name.allCases.first(where: { host == $0.host || host.hasSuffix("-\($0.host)") }) { return name }
        if host == "www.googleapis.com" { return path.first == "compute" ? .compute : nil }
        guard !host.hasSuffix("googleapis.com") else { return nil }
        // Operations of run and tpu differ only in that TPUs have zones.
        let isZone = path.count > 4 && path[4].split(separator: "-").count == 3
        let candidates = Name.allCases.filter { name in
            name.routes.contains { $0.match(request.method, path) != nil }
        }
        return isZone && candidates.contains(.tpu) ? .tpu : candidates.first
    }

    /// Reads verb and path.
    ///
    /// - Throws: 404 for methods that do not exist.
    static func call(_ name: Name, _ request: HTTPRequest) throws(CloudError) -> APICall {
        let path = request.url.path.split(separator: "/")
        for route in name.routes {
            if let parameters = route.match(request.method, path) {
                return APICall(method: route.method, parameters: parameters, request: request)
            }
        }
        throw .resourceNotFound("Method not found.")
    }

    // MARK: Checks before an API looks at a request

    /// Tokens and enabled services; nil when nothing stands in the way.
    ///
    /// - Parameter service: its host, `run.googleapis.com`.
    func refusal(_ request: HTTPRequest, service: String, needsToken: Bool, in world: CloudWorld) -> CloudError? {
        if needsToken, world.configuration.checksTokens,
            case .failure(let error) = shared.tokens.check(request, now: world.now)
        {
            return error.refusal.error(service: service)
        }
        guard shared.services.answers(service, at: world.now) else {
            return EnabledServices.error(service, configuration: world.configuration)
        }
        return nil
    }

    /// - Throws: 403 for another project and for a permission that the script denies.
    func checkAccess(_ call: APICall, in world: CloudWorld) throws(CloudError) {
        let project = call["project"]
        let known = ["", "-", world.project, String(world.configuration.projectNumber)]
        guard known.contains(project) else {
            var error = CloudError(
                status: 403, reason: "PERMISSION_DENIED", message: "Permission denied on resource project \(project).")
            error.details = [
                CloudError.errorInfo(
                    "CONSUMER_INVALID", domain: "googleapis.com", ["consumer": "projects/\(project)"])
            ]
            throw error
        }
        let permission = Self.permission(for: call.method)
        guard !call.method.hasSuffix("estIamPermissions"), !permission.isEmpty,
            world.script.denies(permission, to: shared.caller(call, now: world.now), at: world.now)
        else { return }
        throw .permissionDenied(permission, resource: call.request.url.path.dropFirst().description)
    }

    /// The permission that a method needs; empty for none.
    static func permission(for method: String) -> String {
        switch method {
        case "iamcredentials.serviceAccounts.generateAccessToken": return "iam.serviceAccounts.getAccessToken"
        case "iamcredentials.serviceAccounts.generateIdToken": return "iam.serviceAccounts.getOpenIdToken"
        case "iamcredentials.serviceAccounts.signBlob": return "iam.serviceAccounts.signBlob"
        case "sts.token", "oauth2.token": return ""
        case let method where method.hasPrefix("artifactregistry."):
            return "artifactregistry." + method.split(separator: ".").suffix(2).joined(separator: ".")
        default: break
        }
        var parts = method.split(separator: ".").map(String.init)
        guard parts.count == 3 else { return method }
        if parts[0] == "tpu" { parts[1] = parts[1].lowercased() }
        switch parts[2] {
        case "patch": parts[2] = "update"
        case "aggregatedList": parts[2] = "list"
        case "listManagedInstances", "listErrors": parts[2] = "get"
        case "batchEnable": parts[2] = "enable"
        case "batchGet": parts[2] = "get"
        default: break
        }
        return parts.joined(separator: ".")
    }

    // MARK: Doing

    mutating func perform(_ name: Name, _ call: APICall, in world: CloudWorld) throws(CloudError) -> HTTPReply {
        switch name {
        case .run: return try run.perform(call, in: world, shared: &shared)
        case .tpu: return try tpu.perform(call, in: world, shared: &shared)
        case .compute: return try compute.perform(call, in: world, shared: &shared)
        case .serviceusage: return try serviceUsage.perform(call, in: world, shared: &shared)
        case .monitoring: return try monitoring.perform(call, in: world, shared: &shared)
        case .cloudbilling: return try billing.perform(call, in: world, shared: &shared)
        case .iamcredentials:
            var api = IAMCredentialsAPI()
            return try api.perform(call, in: world, shared: &shared)
        case .iam:
            var api = IAMAPI()
            return try api.perform(call, in: world, shared: &shared)
        case .cloudresourcemanager:
            var api = ResourceManagerAPI()
            return try api.perform(call, in: world, shared: &shared)
        case .artifactregistry:
            var api = ArtifactRegistryAPI()
            return try api.perform(call, in: world, shared: &shared)
        case .sts:
            var api = STSAPI()
            return try api.perform(call, in: world, shared: &shared)
        case .oauth2:
            var api = OAuthAPI()
            return try api.perform(call, in: world, shared: &shared)
        }
    }
}

extension ComputeAPI {
    /// Full names of the reservations, as TPU requests write them.
    func reservationNames(project: String) -> Set<String> {
        Set(
            reservations.keys.map { key in
                let parts = key.split(separator: "/", maxSplits: 1)
                return "projects/\(project)/locations/\(parts[0])/reservations/\(parts.count > 1 ? parts[1] : "")"
            })
    }
}

extension CloudError {
    /// Compute's shape: google.rpc's with `errors[]`, whose reasons are the older ones.
    var computeReply: HTTPReply {
        var item: JSONValue = [
            "domain": .string(legacyReason == "accessNotConfigured" ? "usageLimits" : "global"),
            "reason": .string(legacyReason), "message": .string(message),
        ]
        if let location {
            item["location"] = .string(location)
            item["locationType"] = "header"
        }
        var error: JSONValue = [
            "code": .integer(Int64(status)), "message": .string(message), "errors": [item],
        ]
        // Only what ESF itself refuses has a status and details.
        if reason.allSatisfy({ $0.isUppercase || $0 == "_" }) {
            error["status"] = .string(reason)
            error.setUnlessDefault("details", .array(details))
        }
        return .json(["error": error], status: status)
    }

    /// The reason in the words of the older JSON APIs.
    var legacyReason: String {
        guard reason.allSatisfy({ $0.isUppercase || $0 == "_" }) else { return reason }
        if details.contains(where: { $0["reason"] == "SERVICE_DISABLED" }) { return "accessNotConfigured" }
        return switch status {
        case 401: details.contains { $0["reason"] == "CREDENTIALS_MISSING" } ? "required" : "authError"
        case 403: "forbidden"
        case 404: "notFound"
        case 409: "alreadyExists"
        case 412: "conditionNotMet"
        case 429: "rateLimitExceeded"
        case 500...: "backendError"
        default: "invalid"
        }
    }
}
