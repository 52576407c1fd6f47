internal import Encoding
internal import HTTP

/// Which Google APIs the project has switched on.
struct EnabledServices: Sendable {
    private enum State: Sendable {
        case disabled
        /// Enabled, and answering from a later moment.
        case enabling(answersFrom: Timestamp)
    }

    /// Service name and title.
    static let titles: [String: String] = [
        "container.googleapis.com": "Kubernetes Engine API", "compute.googleapis.com": "Compute Engine API",
        "storage.googleapis.com": "Cloud Storage API", "run.googleapis.com": "Cloud Run Admin API",
        "tpu.googleapis.com": "Cloud TPU API", "iam.googleapis.com": "Identity and Access Management (IAM) API",
        "iamcredentials.googleapis.com": "IAM Service Account Credentials API",
        "cloudresourcemanager.googleapis.com": "Cloud Resource Manager API",
        "monitoring.googleapis.com": "Cloud Monitoring API", "cloudbilling.googleapis.com": "Cloud Billing API",
        "sts.googleapis.com": "Security Token Service API", "serviceusage.googleapis.com": "Service Usage API",
    ]

    /// Absent is enabled.
    private var states: [String: State] = [:]

    /// Whether the service usage API shows it as ENABLED.
    func isEnabled(_ name: String) -> Bool {
        if case .disabled = states[name] { false } else { true }
    }

    /// Whether its requests are answered.
    func answers(_ name: String, at now: Timestamp) -> Bool {
        switch states[name] {
        case .disabled: false
        case .enabling(let moment): now >= moment
        case nil: true
        }
    }

    mutating func disable(_ name: String) { states[name] = .disabled }

    mutating func enable(_ name: String, now: Timestamp, delay: Duration) {
        states[name] = .enabling(answersFrom: now + delay)
    }

    /// The 403 of a service that is not enabled.
    static func error(_ name: String, configuration: CloudConfiguration) -> CloudError {
        let title = titles[name] ?? name
        let number = configuration.projectNumber
        let link = "https://console.developers.google.com/apis/api/\(name)/overview?project=\(number)"
        let message =
            "\(title) has not been used in project \(number) before or it is disabled. Enable it by visiting \(link) "
            + "then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our "
            + "systems and retry."
        var error = CloudError(status: 403, reason: "PERMISSION_DENIED", message: message)
        error.details = [
            CloudError.errorInfo(
                "SERVICE_DISABLED", domain: "googleapis.com",
                [
                    "service": name, "consumer": "projects/\(number)", "containerInfo": String(number),
                    "serviceTitle": title, "activationUrl": link,
                ]),
            [
                "@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US",
                "message": .string(message),
            ],
            [
                "@type": "type.googleapis.com/google.rpc.Help",
                "links": [["description": "Google developers console API activation", "url": .string(link)]],
            ],
        ]
        return error
    }
}

/// serviceusage v1: enabling and disabling APIs.
struct ServiceUsageAPI: CloudAPI {
    static let routes: [Route] = {
        let services = "v1/projects/{project}/services"
        return [
            Route(.get, services, "serviceusage.services.list"),
            Route(.get, "\(services):batchGet", "serviceusage.services.batchGet"),
            Route(.post, "\(services):batchEnable", "serviceusage.services.batchEnable"),
            Route(.get, "\(services)/{service}", "serviceusage.services.get"),
            Route(.post, "\(services)/{service}:enable", "serviceusage.services.enable"),
            Route(.post, "\(services)/{service}:disable", "serviceusage.services.disable"),
            Route(.get, "v1/operations/{operation}", "serviceusage.operations.get"),
        ]
    }()

    /// Changes take this long; the reply of the operation does not wait until the API answers.
    private static let operationTime = Duration.seconds(2)

    private struct Pending: Sendable {
        var operation: String
        var due: Timestamp
        var response: JSONValue
    }

    private var operations = LongRunningOperations()
    private var pending: [Pending] = []

    mutating func advance(in world: CloudWorld) {
        for change in pending where change.due <= world.now {
            operations.finish(change.operation, .response(change.response))
        }
        pending.removeAll { $0.due <= world.now }
    }

    mutating func perform(
        _ call: APICall, in world: CloudWorld, shared: inout SharedState
    ) throws(CloudError) -> HTTPReply {
        let now = world.now
        switch call.method {
        case "serviceusage.services.list":
            let names = EnabledServices.titles.keys.sorted()
            let states = names.map { json($0, in: world, shared) }
            return .json(try call.page("services", try filtered(states, call.query("filter")), limit: 200))
        case "serviceusage.services.batchGet":
            let names = call.request.url.query.filter { $0.name == "names" }
                .map { String($0.value.split(separator: "/").last ?? "") }
            for name in names { try checkKnown(name) }
            return .json(["services": .array(names.map { json($0, in: world, shared) })])
        case "serviceusage.services.batchEnable":
            let names = (try call.body()["serviceIds"]?.arrayValue ?? []).compactMap(\.stringValue)
            guard (1...20).contains(names.count) else {
                throw .invalidField("service_ids", "Between 1 and 20 services may be enabled at once.")
            }
            for name in names { try checkKnown(name) }
            return .json(enable(names, in: world, &shared))
        case "serviceusage.services.enable":
            try checkKnown(call["service"])
            return .json(enable([call["service"]], in: world, &shared))
        case "serviceusage.services.disable":
            try checkKnown(call["service"])
            shared.services.disable(call["service"])
            return .json(begin(["service": json(call["service"], in: world, shared)], now))
        case "serviceusage.operations.get": return .json(try operations.json("operations/\(call["operation"])"))
        default:
            try checkKnown(call["service"])
            return .json(json(call["service"], in: world, shared))
        }
    }

    private func filtered(_ services: [JSONValue], _ filter: String?) throws(CloudError) -> [JSONValue] {
        switch filter {
        case nil, "": return services
        case "state:ENABLED", "state:DISABLED":
            return services.filter { "state:\($0["state"]?.stringValue ?? "")" == filter }
        default: throw .invalidField("filter", "The filter must be state:ENABLED or state:DISABLED.")
        }
    }

    private func checkKnown(_ name: String) throws(CloudError) {
        guard EnabledServices.titles[name] != nil else {
            throw CloudError(
                status: 403, reason: "PERMISSION_DENIED",
                message: "Not found or permission denied for service(s): \(name).")
        }
    }

    private mutating func enable(
        _ names: [String], in world: CloudWorld, _ shared: inout SharedState
    ) -> JSONValue {
        let off = names.filter { !shared.services.isEnabled($0) }
        guard !off.isEmpty else { return ["name": "operations/noop.DONE_OPERATION", "done": true] }
        for name in off { shared.services.enable(name, now: world.now, delay: world.timings.enableService) }
        let states = names.map { json($0, in: world, shared) }
        return begin(names.count == 1 ? ["service": states[0]] : ["services": .array(states)], world.now)
    }

    private mutating func begin(_ response: JSONValue, _ now: Timestamp) -> JSONValue {
        let name = operations.begin(parent: "", prefix: "acf", metadata: [:], now: now)
        pending.append(Pending(operation: name, due: now + Self.operationTime, response: response))
        return ["name": .string(name)]
    }

    private func json(_ name: String, in world: CloudWorld, _ shared: SharedState) -> JSONValue {
        let parent = "projects/\(world.configuration.projectNumber)"
        return [
            "name": .string("\(parent)/services/\(name)"), "parent": .string(parent),
            "state": shared.services.isEnabled(name) ? "ENABLED" : "DISABLED",
            "config": ["name": .string(name), "title": .string(EnabledServices.titles[name] ?? name)],
        ]
    }
}
