internal import Encoding

/// A Cloud Run service over time. Pure; requests are `RunAPI`'s.
struct RunService: Sendable {
    struct Revision: Sendable {
        enum Outcome: Sendable, Equatable {
            case pending(until: Timestamp)
            case ready(at: Timestamp)
            case failed(RunFailure, at: Timestamp)
        }

        var name: String
        var generation: Int64
        /// With the defaults filled in.
        var template: JSONValue
        var created: Timestamp
        var outcome: Outcome
    }

    /// `projects/P/locations/R/services/S`.
    let name: String
    let uid: String
    let created: Timestamp
    var updated: Timestamp
    /// What users set, with the defaults filled in; without `name` and `etag`.
    var resource: JSONValue
    var generation: Int64 = 1
    var observedGeneration: Int64 = 0
    /// Rises with every change, also of the status: the etag.
    var version: UInt64
    /// Oldest first.
    var revisions: [Revision] = []
    /// What the routes serve now; follows `resource.traffic` when the reconciliation ends.
    var routed: [RunTraffic] = []
    var reconcilesUntil: Timestamp?
    /// Of the last reconciliation.
    var failure: RunFailure?
    /// Why the last reconciliation left the routes as they were.
    var routeFailure: RunFailure?
    /// Whether a front says what becomes of revisions, by what their instances do; else the clock does.
    var waitsForFront = false
    /// Where a front serves it, by traffic tag; the service's own is under the empty one.
    var origins: [String: String] = [:]
    var deletedAt: Timestamp?
    /// Operations that end with the present reconciliation.
    var operations: [String] = []
    var policy: IAMPolicy
    /// Of the traffic, for its split.
    var requestCount: UInt64 = 0

    var id: String { String(name.split(separator: "/").last ?? "") }
    var location: String { String(name.split(separator: "/").dropFirst(3).first ?? "") }
    var etag: String { "\"\(Base64.encodeURL(Array("\(uid.prefix(8))/\(version)".utf8)))\"" }

    var latestReady: Revision? {
        revisions.last { if case .ready = $0.outcome { true } else { false } }
    }

    /// Instances that run also without requests.
    var minimumInstanceCount: Int64 {
        max(
            resource.value(at: ["scaling", "minInstanceCount"])?.integerValue ?? 0,
            resource.value(at: ["template", "scaling", "minInstanceCount"])?.integerValue ?? 0)
    }

    func revision(_ name: String) -> Revision? { revisions.first { $0.name == name } }

    /// Whether the passing of time changes it.
    var isMoving: Bool { reconcilesUntil != nil || deletedAt != nil }

    /// Moves what is due.
    ///
    /// - Returns: the operations that end now.
    mutating func advance(in world: CloudWorld) -> [String] {
        for index in revisions.indices {
            guard case .pending(let until) = revisions[index].outcome, until <= world.now else { continue }
            if let failure = RunFailure(of: revisions[index], in: world) {
                revisions[index].outcome = .failed(failure, at: until)
            } else {
                revisions[index].outcome = .ready(at: until)
            }
            version += 1
        }
        guard let until = reconcilesUntil, until <= world.now, !isLastPending else { return [] }
        reconcilesUntil = nil
        observedGeneration = generation
        version += 1
        failure = revisions.last.flatMap { if case .failed(let failure, _) = $0.outcome { failure } else { nil } }
        let wanted = RunTraffic.targets(resource)
        // All or nothing: a target that cannot serve leaves the routes as they are.
        let missing = wanted.first { $0.revision != nil && resolve($0) == nil }?.revision
        routeFailure = missing.map { RunFailure(notReady: $0) }
        if missing == nil { routed = wanted }
        let ended = operations
        operations = []
        return ended
    }

    private var isLastPending: Bool {
        if case .pending = revisions.last?.outcome { true } else { false }
    }

    /// Takes what a front saw of a revision that was pending.
    mutating func report(_ revision: String, failure: RunFailure?, at now: Timestamp) {
        guard let index = revisions.firstIndex(where: { $0.name == revision }),
            case .pending = revisions[index].outcome
        else { return }
        revisions[index].outcome = failure.map { .failed($0, at: now) } ?? .ready(at: now)
        version += 1
    }

    /// Begins the reconciliation of a change; a changed template, or `force`, makes a revision.
    mutating func change(to new: JSONValue, force: Bool = false, in world: CloudWorld) {
        let isNewRevision = revisions.isEmpty || force || new["template"] != resource["template"]
        if version > 1 { generation += 1 }
        resource = new
        version += 1
        updated = world.now
        var until = world.now + world.timings.route
        if isNewRevision {
            let revision = Revision(
                name: newRevisionName, generation: generation, template: new["template"] ?? [:], created: world.now,
                outcome: .pending(until: world.now))
            let fails = RunFailure(of: revision, in: world) != nil
            var due = world.now + (fails ? world.timings.revisionFails : world.timings.revisionReady)
            if waitsForFront, !fails { due = CloudScript.forever } else { until = max(until, due) }
            revisions.append(revision)
            revisions[revisions.count - 1].outcome = .pending(until: due)
        }
        reconcilesUntil = max(until, reconcilesUntil ?? until)
    }

    /// The template's own name, or `S-00001-abc`.
    private var newRevisionName: String {
        if let name = resource.value(at: ["template", "revision"])?.stringValue, !name.isEmpty { return name }
        let number = String(generation)
        let mark = StableHash.fnv1a("\(uid)/\(generation)")
        let letters = (0..<3).map { Character(UnicodeScalar(UInt8(0x61 + (mark >> (8 * UInt64($0))) % 26))) }
        return "\(id)-\(String(repeating: "0", count: max(0, 5 - number.count)))\(number)-\(String(letters))"
    }
}

/// Why a revision cannot serve.
struct RunFailure: Error, Sendable, Equatable {
    /// Of `Condition.reason`; nil where `revisionReason` says it.
    var reason: String?
    var revisionReason: String?
    var message: String

    /// Nil for a revision that will serve.
    init?(of revision: RunService.Revision, in world: CloudWorld) {
        let prefix = "Revision '\(revision.name)' is not ready and cannot serve traffic. "
        for container in revision.template["containers"]?.arrayValue ?? [] {
            guard let image = container["image"]?.stringValue else { continue }
            let script = world.script.apis
            if script.missingImages.contains(image) {
                self.init(reason: "CONTAINER_MISSING", message: prefix + "Image '\(image)' not found.")
                return
            }
            if script.unauthorizedImages.contains(image) {
                let agent =
                    "service-\(world.configuration.projectNumber)@serverless-robot-prod.iam.gserviceaccount.com"
                self.init(
                    reason: "CONTAINER_IMAGE_UNAUTHORIZED",
                    message: prefix + "Google Cloud Run Service Agent \(agent) must have permission to read the "
                        + "image, \(image).")
                return
            }
            if script.crashingImages.contains(image) {
                let port = container["ports"]?[0]?["containerPort"]?.integerValue ?? 8080
                self.init(unhealthy: revision.name, port: port)
                return
            }
        }
        return nil
    }

    /// A container that does not listen on its port.
    init(unhealthy revision: String, port: Int64) {
        self.init(
            revisionReason: "HEALTH_CHECK_CONTAINER_ERROR",
            message: "Revision '\(revision)' is not ready and cannot serve traffic. The user-provided container "
                + "failed to start and listen on the port defined provided by the PORT=\(port) environment variable "
                + "within the allocated timeout. This can happen when the container port is misconfigured or if the "
                + "timeout is too short.")
    }

    /// What a front saw of a revision's first instance.
    ///
    /// - Parameter exitCode: nil when it still ran.
    init(of revision: RunService.Revision, probe: StartupProbe, exitCode: Int32?, logPath: String) {
        let port = revision.template["containers"]?[0]?["ports"]?[0]?["containerPort"]?.integerValue ?? 8080
        self.init(unhealthy: revision.name, port: port)
        if case .answers = probe.kind, exitCode == nil {
            message =
                "Revision '\(revision.name)' is not ready and cannot serve traffic. The user-provided container failed "
                + "the configured startup probe checks."
        }
        if let exitCode { message += " Container called exit(\(exitCode))." }
        message += " Logs for this revision might contain more information.\nLogs: \(logPath)"
    }

    /// Traffic for a revision that cannot serve it.
    init(notReady revision: String) {
        self.init(
            revisionReason: "HEALTH_CHECK_CONTAINER_ERROR",
            message: "Revision '\(revision)' is not ready and cannot serve traffic.")
    }

    init(reason: String? = nil, revisionReason: String? = nil, message: String) {
        self.reason = reason
        self.revisionReason = revisionReason
        self.message = message
    }
}

/// One target of a service's traffic.
struct RunTraffic: Sendable, Equatable {
    /// Nil is the latest ready revision.
    var revision: String?
    var percent: Int64
    var tag: String?

    /// A service's targets; all to the latest where it names none.
    static func targets(_ resource: JSONValue) -> [RunTraffic] {
        let given = resource["traffic"]?.arrayValue ?? []
        if given.isEmpty { return [RunTraffic(revision: nil, percent: 100, tag: nil)] }
        return given.map {
            RunTraffic(
                revision: $0["revision"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 },
                percent: $0["percent"]?.integerValue ?? 0,
                tag: $0["tag"]?.stringValue)
        }
    }
}

extension RunService {
    /// The revision that gets the next request: every hundred requests in a row are split exactly as the percents say.
    mutating func nextRevision(tag: String?) -> Revision? {
        if let tag {
            return routed.first { $0.tag == tag }.flatMap { target in resolve(target) }
        }
        let place = Int64((requestCount &* 61) % 100)  // 61 and 100 have no common divisor.
        requestCount &+= 1
        var bound: Int64 = 0
        for target in routed {
            bound += target.percent
            if place < bound { return resolve(target) }
        }
        return nil
    }

    func resolve(_ target: RunTraffic) -> Revision? {
        guard let name = target.revision else { return latestReady }
        guard let revision = revision(name), case .ready = revision.outcome else { return nil }
        return revision
    }
}
