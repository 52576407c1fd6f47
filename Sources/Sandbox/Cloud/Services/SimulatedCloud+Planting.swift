internal import Encoding
public import HTTP
internal import Synchronization
internal import Telemetry

/// The metadata server of one machine, for a pod that runs on it.
public struct SimulatedMetadataServer: HTTPHandler {
    private let cloud: SimulatedCloud
    private let identity: MetadataAPI.Identity

    init(cloud: SimulatedCloud, identity: MetadataAPI.Identity) {
        self.cloud = cloud
        self.identity = identity
    }

    public func respond(to request: HTTPRequest) async -> HTTPReply {
        await cloud.metadataReply(request, identity: identity)
    }
}

// MARK: Identities

extension SimulatedCloud {
    /// The metadata server that pods on a machine see.
    ///
    /// - Parameters:
    ///   - account: Whom they are; nil is the project's `sandbox@…`.
    ///   - instance: The machine, by which `preempted` is known.
    public func metadataServer(account: String? = nil, instance: String? = nil) -> SimulatedMetadataServer {
        let account = account ?? Identities.defaultAccount(configuration)
        return SimulatedMetadataServer(
            cloud: self, identity: MetadataAPI.Identity(account: account, instance: instance))
    }

    /// Makes a service account, if it is not there.
    public func addServiceAccount(_ email: String) {
        state.withLock { $0.apis.shared.identities.add(account: email) }
    }

    /// Switches a service account off or on: it gets no more tokens.
    public func setServiceAccount(_ email: String, isDisabled: Bool) {
        state.withLock { $0.apis.shared.identities.accounts[email]?.isDisabled = isDisabled }
    }

    /// A user with a refresh token, as an `authorized_user` file holds one.
    public func addUser(_ email: String, refreshToken: String, clientID: String, clientSecret: String) {
        state.withLock {
            $0.apis.shared.identities.users[refreshToken] = Identities.User(
                email: email, clientID: clientID, clientSecret: clientSecret)
        }
    }

    /// A workload identity provider: which principals its subject tokens stand for.
    public func addWorkloadProvider(audience: String, principals: [String: String]) {
        state.withLock { $0.apis.shared.identities.providers[audience] = principals }
    }

    /// A token that the cloud takes for somebody's.
    public func issueToken(to principal: String, lifetime: Duration = .seconds(3600)) -> String {
        let now = configuration.clock.now
        return state.withLock {
            $0.apis.shared.tokens.issue(
                to: principal, scopes: ["https://www.googleapis.com/auth/cloud-platform"], lifetime: lifetime, now: now
            ).token
        }
    }

    /// An identity token that Cloud Run services take for somebody's, if it was made for their address.
    public func issueIdentityToken(to principal: String, audience: String) -> String {
        let now = configuration.clock.now
        return state.withLock { $0.apis.shared.tokens.issueIdentity(to: principal, audience: audience, now: now) }
    }

    /// Switches an API off (`run.googleapis.com`); `serviceusage` switches it on again.
    public func disableService(_ name: String) {
        state.withLock { $0.apis.shared.services.disable(name) }
    }
}

// MARK: Machines, TPUs, prices, metrics

extension SimulatedCloud {
    /// A Compute Engine reservation of machines, or of TPUs, in a zone.
    public func addReservation(
        _ name: String, zone: String, machineType: String, count: Int64, inUse: Int64 = 0, isSpecific: Bool = true
    ) {
        let links = ComputeLinks(project: configuration.project)
        let path = "zones/\(zone)/reservations/\(name)"
        let value: JSONValue = [
            "kind": "compute#reservation", "name": .string(name), "id": .string(links.id(path)), "status": "READY",
            "zone": .string("\(links.root)/zones/\(zone)"), "selfLink": .string("\(links.root)/\(path)"),
            "creationTimestamp": .string(configuration.clock.now.description),
            "specificReservationRequired": .bool(isSpecific),
            "specificReservation": [
                "count": .string(String(count)), "inUseCount": .string(String(inUse)),
                "assuredCount": .string(String(count)), "instanceProperties": ["machineType": .string(machineType)],
            ],
        ]
        state.withLock { $0.apis.compute.reservations["\(zone)/\(name)"] = value }
    }

    /// Takes a machine type away from a zone, as if it had never been offered there.
    public func removeMachineType(_ name: String, zone: String) {
        state.withLock { _ = $0.apis.compute.missing.insert("\(zone)/\(name)") }
    }

    /// Takes the machines of a TPU node away; its queued resource is suspended.
    ///
    /// - Returns: false when no ready node has this name (`projects/P/locations/Z/nodes/N`).
    @discardableResult
    public func preemptTPU(node: String) -> Bool {
        let now = configuration.clock.now
        return state.withLock { state in
            advance(&state, to: now)
            let world = world(state, now)
            return state.apis.tpu.state.preempt(node, in: world)
        }
    }

    /// Adds time series that Cloud Monitoring answers with.
    public func plant(_ series: [SimulatedTimeSeries]) {
        state.withLock { $0.apis.monitoring.series += series }
    }

    /// Replaces the prices of the Cloud Billing catalog.
    public func setPrices(_ prices: [SimulatedSKU]) {
        state.withLock { $0.apis.billing.catalog = prices }
    }

    /// Serves the traffic of a Cloud Run service, by the service's name; nil serves it no more.
    public func serveRun(_ service: String, _ origin: RunOrigin?) {
        runOrigins.withLock { $0[service] = origin }
    }

    /// Writes that gave weight to a Cloud Run revision that was not ready while another one was, a sentence each.
    public var runTrafficViolations: [String] { state.withLock { $0.apis.run.violations } }

    /// How many requests a Cloud Run revision has served.
    public func runRequestCount(revision: String) -> Int { callCount("run.traffic/\(revision)") }
}
