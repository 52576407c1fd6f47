import Encoding

/// The columns of kubectl's tables.
enum BuiltInColumns {
    static let name = PrinterColumn(
        name: "Name", type: "string", format: "name",
        description: "Name must be unique within a namespace. Is required when creating resources, although some "
            + "resources may allow a client to request the generation of an appropriate name automatically. Name is "
            + "primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: "
            + "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
    ) { object, _ in
        .string(object.objectName)
    }
    static let age = date("Age") { $0.metadata("creationTimestamp") }

    static let namespaces = [text("Status") { $0.value(at: ["status", "phase"]) }, age]

    static let pods = [
        PrinterColumn(name: "Ready", type: "string") { pod, _ in
            let statuses = pod.value(at: ["status", "containerStatuses"])?.arrayValue ?? []
            let count = pod.value(at: ["spec", "containers"])?.arrayValue?.count ?? 0
            return .string("\(statuses.filter { $0["ready"] == true }.count)/\(count)")
        },
        PrinterColumn(name: "Status", type: "string") { pod, _ in .string(podStatus(pod)) },
        PrinterColumn(name: "Restarts", type: "string") { pod, _ in
            let statuses = pod.value(at: ["status", "containerStatuses"])?.arrayValue ?? []
            return .string(String(statuses.reduce(0) { $0 + ($1["restartCount"]?.integerValue ?? 0) }))
        },
        age,
        wide("IP") { $0.value(at: ["status", "podIP"]) },
        wide("Node") { $0.value(at: ["spec", "nodeName"]) },
        wide("Nominated Node") { $0.value(at: ["status", "nominatedNodeName"]) },
        wide("Readiness Gates") { _ in nil },
    ]

    /// The word of the STATUS column: what a container waits for or ended with, else the phase.
    private static func podStatus(_ pod: JSONValue) -> String {
        var status =
            pod.value(at: ["status", "reason"])?.stringValue
            ?? pod.value(at: ["status", "phase"])?.stringValue ?? "Unknown"
        for container in pod.value(at: ["status", "containerStatuses"])?.arrayValue ?? [] {
            if let reason = container.value(at: ["state", "waiting", "reason"])?.stringValue {
                status = reason
            } else if let terminated = container.value(at: ["state", "terminated"]) {
                let code = terminated["exitCode"]?.integerValue ?? 0
                status = terminated["reason"]?.stringValue ?? "ExitCode:\(code)"
            }
        }
        return pod.deletionTimestamp == nil ? status : "Terminating"
    }

    static let services = [
        text("Type") { $0.value(at: ["spec", "type"]) },
        text("Cluster-IP") { $0.value(at: ["spec", "clusterIP"]) },
        text("External-IP") { $0.value(at: ["spec", "externalName"]) },
        PrinterColumn(name: "Port(s)", type: "string") { service, _ in
            let ports = (service.value(at: ["spec", "ports"])?.arrayValue ?? []).map {
                "\($0["port"]?.integerValue ?? 0)/\($0["protocol"]?.stringValue ?? "TCP")"
            }
            return .string(ports.isEmpty ? "<none>" : ports.joined(separator: ","))
        },
        age,
        wide("Selector") { service in
            let selector = service.value(at: ["spec", "selector"])?.objectValue ?? [:]
            let pairs = selector.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.stringValue ?? "")" }
            return pairs.isEmpty ? nil : .string(pairs.joined(separator: ","))
        },
    ]

    static let nodes = [
        PrinterColumn(name: "Status", type: "string") { node, _ in
            let conditions = node.value(at: ["status", "conditions"])?.arrayValue ?? []
            let ready = conditions.first { $0["type"] == "Ready" }?["status"]?.stringValue
            let word = ready == "True" ? "Ready" : ready == nil ? "Unknown" : "NotReady"
            let isCordoned = node.value(at: ["spec", "unschedulable"]) == true
            return .string(isCordoned ? "\(word),SchedulingDisabled" : word)
        },
        PrinterColumn(name: "Roles", type: "string") { node, _ in
            let prefix = "node-role.kubernetes.io/"
            let roles = node.labels.keys.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
            return .string(roles.isEmpty ? "<none>" : roles.sorted().joined(separator: ","))
        },
        age,
        text("Version") { $0.value(at: ["status", "nodeInfo", "kubeletVersion"]) },
        wide("Internal-IP") { node in
            (node.value(at: ["status", "addresses"])?.arrayValue ?? [])
                .first { $0["type"] == "InternalIP" }?["address"]
        },
    ]

    static let secrets = [
        text("Type") { $0["type"] },
        PrinterColumn(name: "Data", type: "string") { object, _ in count(object["data"]) }, age,
    ]

    static let configMaps = [
        PrinterColumn(name: "Data", type: "string") { object, _ in
            .integer(
                Int64((object["data"]?.objectValue ?? [:]).count + (object["binaryData"]?.objectValue ?? [:]).count))
        },
        age,
    ]

    static let events = [
        PrinterColumn(name: "Last Seen", type: "string") { event, now in
            let last = event.value(at: ["series", "lastObservedTime"]) ?? present(event["lastTimestamp"])
            return age(since: last ?? first(event), now: now)
        },
        plain("Type") { $0["type"] },
        plain("Reason") { $0["reason"] },
        PrinterColumn(name: "Object", type: "string") { event, _ in
            let kind = (event.value(at: ["involvedObject", "kind"])?.stringValue ?? "").lowercased()
            let name = event.value(at: ["involvedObject", "name"])?.stringValue ?? ""
            return .string(name.isEmpty ? kind : "\(kind)/\(name)")
        },
        plain("Subobject", priority: 1) { $0.value(at: ["involvedObject", "fieldPath"]) },
        PrinterColumn(name: "Source", type: "string", priority: 1) { event, _ in .string(source(event)) },
        plain("Message") { $0["message"] },
        PrinterColumn(name: "First Seen", type: "string", priority: 1) { event, now in
            age(since: first(event), now: now)
        },
        PrinterColumn(name: "Count", type: "string", priority: 1) { event, _ in
            // A series counts what came after the event that began it.
            let series = event.value(at: ["series", "count"])?.integerValue.map { $0 + 1 }
            return .integer(series ?? max(event["count"]?.integerValue ?? 1, 1))
        },
        PrinterColumn(name: "Name", type: "string", priority: 1, isName: true) { event, _ in .string(event.objectName)
        },
    ]

    private static func first(_ event: JSONValue) -> JSONValue? {
        present(event["firstTimestamp"]) ?? present(event["eventTime"])
    }

    private static func age(since time: JSONValue?, now: Timestamp) -> JSONValue {
        .string(self.time(time).map { HumanDuration.age(since: $0, now: now) } ?? "<unknown>")
    }

    /// Who reported an event, and from where.
    private static func source(_ event: JSONValue) -> String {
        let old = ["component", "host"].compactMap { event.value(at: ["source", $0])?.stringValue }
        let new = ["reportingComponent", "reportingInstance"].compactMap { event[$0]?.stringValue }
        return (old.isEmpty ? new : old).filter { !$0.isEmpty }.joined(separator: ", ")
    }

    private static func plain(
        _ name: String, priority: Int64 = 0, _ value: @escaping @Sendable (JSONValue) -> JSONValue?
    ) -> PrinterColumn {
        PrinterColumn(name: name, type: "string", priority: priority) { object, _ in
            .string(value(object)?.stringValue ?? "")
        }
    }

    static let jobs = [
        PrinterColumn(name: "Status", type: "string") { job, _ in
            let conditions = job.value(at: ["status", "conditions"])?.arrayValue ?? []
            func has(_ type: String) -> Bool {
                conditions.contains { $0["type"]?.stringValue == type && $0["status"] == "True" }
            }
            if has("Complete") { return "Complete" }
            if has("Failed") { return "Failed" }
            if job.deletionTimestamp != nil { return "Terminating" }
            if has("Suspended") { return "Suspended" }
            if has("FailureTarget") { return "FailureTarget" }
            return has("SuccessCriteriaMet") ? "SuccessCriteriaMet" : "Running"
        },
        PrinterColumn(name: "Completions", type: "string") { job, _ in
            let wanted =
                job.value(at: ["spec", "completions"])?.integerValue
                ?? job.value(at: ["spec", "parallelism"])?.integerValue ?? 1
            return .string("\(job.value(at: ["status", "succeeded"])?.integerValue ?? 0)/\(wanted)")
        },
        PrinterColumn(name: "Duration", type: "string") { job, now in
            guard let start = time(job.value(at: ["status", "startTime"])) else { return "" }
            let end = time(job.value(at: ["status", "completionTime"])) ?? now
            return .string(HumanDuration.text(seconds: end.seconds - start.seconds))
        },
        age,
    ]

    static let leases = [text("Holder") { $0.value(at: ["spec", "holderIdentity"]) }, age]

    static let controllerRevisions = [
        PrinterColumn(name: "Controller", type: "string") { object, _ in
            let owner = object.ownerReferences.first { $0["controller"] == true }
            guard let owner else { return "<none>" }
            let group = (owner["apiVersion"]?.stringValue ?? "").split(separator: "/").dropLast().joined()
            let kind = (owner["kind"]?.stringValue ?? "").lowercased()
            return .string("\(kind)\(group.isEmpty ? "" : "." + group)/\(owner["name"]?.stringValue ?? "")")
        },
        PrinterColumn(name: "Revision", type: "integer") { object, _ in object["revision"] ?? 0 }, age,
    ]

    static let customResourceDefinitions = [
        PrinterColumn(name: "Created At", type: "date") { object, _ in object.metadata("creationTimestamp") ?? .null }
    ]

    // MARK: Words

    private static func text(_ name: String, _ value: @escaping @Sendable (JSONValue) -> JSONValue?) -> PrinterColumn {
        PrinterColumn(name: name, type: "string") { object, _ in
            value(object).flatMap(present)?.stringValue.map(JSONValue.string) ?? "<none>"
        }
    }

    private static func wide(_ name: String, _ value: @escaping @Sendable (JSONValue) -> JSONValue?) -> PrinterColumn {
        var column = text(name, value)
        column.priority = 1
        return column
    }

    private static func date(_ name: String, _ value: @escaping @Sendable (JSONValue) -> JSONValue?) -> PrinterColumn {
        PrinterColumn(name: name, type: "string") { object, now in
            .string(time(value(object)).map { HumanDuration.age(since: $0, now: now) } ?? "<unknown>")
        }
    }

    private static func time(_ value: JSONValue?) -> Timestamp? { value?.stringValue.flatMap { Timestamp($0) } }

    private static func present(_ value: JSONValue?) -> JSONValue? { value == .null || value == "" ? nil : value }

    private static func count(_ value: JSONValue?) -> JSONValue { .integer(Int64((value?.objectValue ?? [:]).count)) }
}
