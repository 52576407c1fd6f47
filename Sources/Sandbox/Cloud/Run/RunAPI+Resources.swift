internal import Encoding

/// The resources as run v2 writes them.
extension RunAPI {
    /// What Cloud Run fills in when the request leaves it out.
    static func withDefaults(_ given: JSONValue, in world: CloudWorld) -> JSONValue {
        var service: JSONValue = .object((given.objectValue ?? [:]).filter { mutableFields.contains($0.key) })
        let defaults: [([String], JSONValue)] = [
            (["ingress"], "INGRESS_TRAFFIC_ALL"), (["launchStage"], "GA"), (["template", "timeout"], "300s"),
            (["template", "maxInstanceRequestConcurrency"], 80),
            (["template", "scaling", "maxInstanceCount"], 100),
            (
                ["template", "serviceAccount"],
                .string("\(world.configuration.projectNumber)-compute@developer.gserviceaccount.com")
            ),
            (["traffic"], [["type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100]]),
        ]
        for (path, value) in defaults where isUnset(service.value(at: path)) {
            // The service's own limit stands in for the revision's.
            if path.last == "maxInstanceCount", service.value(at: ["scaling", "maxInstanceCount"]) != nil { continue }
            service.set(value, at: path)
        }
        let containers = (service.value(at: ["template", "containers"])?.arrayValue ?? []).map(withDefaults)
        service.set(.array(containers), at: ["template", "containers"])
        return service
    }

    private static func withDefaults(container given: JSONValue) -> JSONValue {
        var container = given
        if isUnset(container["ports"]) { container["ports"] = [["name": "http1", "containerPort": 8080]] }
        if container["resources"] == nil { container.set(true, at: ["resources", "cpuIdle"]) }
        let gpu = container.value(at: ["resources", "limits", "nvidia.com/gpu"]) != nil
        if container.value(at: ["resources", "limits", "cpu"]) == nil {
            container.set(gpu ? "4" : "1000m", at: ["resources", "limits", "cpu"])
        }
        if container.value(at: ["resources", "limits", "memory"]) == nil {
            container.set(gpu ? "16Gi" : "512Mi", at: ["resources", "limits", "memory"])
        }
        if container["startupProbe"] == nil {
            container["startupProbe"] = [
                "timeoutSeconds": 240, "periodSeconds": 240, "failureThreshold": 1,
                "tcpSocket": ["port": container["ports"]?[0]?["containerPort"] ?? 8080],
            ]
        }
        return container
    }

    private static func isUnset(_ value: JSONValue?) -> Bool {
        value == nil || value == .null || value == "" || value == .array([]) || value == 0
    }

    // MARK: Services

    func json(_ service: RunService, in world: CloudWorld) -> JSONValue {
        var value = service.resource
        let revisions = "\(service.name)/revisions/"
        let members: [String: JSONValue] = [
            "name": .string(service.name), "uid": .string(service.uid), "etag": .string(service.etag),
            "generation": .string(String(service.generation)),
            "createTime": .string(service.created.description), "updateTime": .string(service.updated.description),
            "terminalCondition": condition("Ready", service),
            "conditions": [condition("RoutesReady", service), condition("ConfigurationsReady", service)],
        ]
        for (key, member) in members { value[key] = member }
        if let uri = uri(service, tag: nil) {
            value["uri"] = .string(uri)
            let number = world.configuration.projectNumber
            let numbered = "https://\(service.id)-\(number).\(service.location).run.app"
            value["urls"] = .array(service.waitsForFront ? [.string(uri)] : [.string(numbered), .string(uri)])
        }
        value.setUnlessDefault(
            "observedGeneration", .string(service.observedGeneration == 0 ? "" : String(service.observedGeneration)))
        value.setUnlessDefault("reconciling", .bool(service.reconcilesUntil != nil))
        if let latest = service.revisions.last { value["latestCreatedRevision"] = .string(revisions + latest.name) }
        if let ready = service.latestReady { value["latestReadyRevision"] = .string(revisions + ready.name) }
        value.setUnlessDefault("trafficStatuses", .array(trafficStatuses(service)))
        if let deleted = service.deletedAt { value["deleteTime"] = .string(deleted.description) }
        return value
    }

    private func trafficStatuses(_ service: RunService) -> [JSONValue] {
        service.routed.compactMap { target in
            guard let revision = service.resolve(target) else { return nil }
            var status: JSONValue = [
                "type": .string(
                    "TRAFFIC_TARGET_ALLOCATION_TYPE_\(target.revision == nil ? "LATEST" : "REVISION")"),
                "revision": .string(revision.name),
            ]
            status.setUnlessDefault("percent", .integer(target.percent))
            if let tag = target.tag {
                status["tag"] = .string(tag)
                if let uri = uri(service, tag: tag) { status["uri"] = .string(uri) }
            }
            return status
        }
    }

    /// Nil while a front has not begun to serve it.
    func uri(_ service: RunService, tag: String?) -> String? {
        service.waitsForFront ? service.origins[tag ?? ""] : "https://\(Self.host(of: service, tag: tag))"
    }

    /// `[TAG---]S-<hash>-uc.a.run.app`.
    static func host(of service: RunService, tag: String?) -> String {
        let mark = String(StableHash.fnv1a(service.name) % 2_821_109_907_456, radix: 36)  // 36 to the power of 8
        return (tag.map { "\($0)---" } ?? "") + "\(service.id)-\(mark)-uc.a.run.app"
    }

    private func condition(_ type: String, _ service: RunService) -> JSONValue {
        var value: JSONValue = [
            "type": .string(type), "lastTransitionTime": .string(service.updated.description),
        ]
        if service.reconcilesUntil != nil {
            value["state"] = "CONDITION_RECONCILING"
        } else if let failure = failure(type, service) {
            value["state"] = "CONDITION_FAILED"
            value["severity"] = "ERROR"
            value["message"] = .string(failure.message)
            if let reason = failure.reason {
                value["reason"] = .string(reason)
            } else {
                value["reason"] = "REVISION_FAILED"
                value["revisionReason"] = .string(failure.revisionReason ?? "REVISION_REASON_UNDEFINED")
            }
        } else {
            value["state"] = "CONDITION_SUCCEEDED"
        }
        return value
    }

    private func failure(_ type: String, _ service: RunService) -> RunFailure? {
        switch type {
        case "ConfigurationsReady": return service.failure
        case "RoutesReady":
            let servesNothing = service.routed.allSatisfy { service.resolve($0) == nil }
            return service.routeFailure ?? (servesNothing ? service.failure : nil)
        default: return service.failure ?? service.routeFailure
        }
    }

    // MARK: Revisions

    func json(_ revision: RunService.Revision, of service: RunService) -> JSONValue {
        var value = revision.template
        value["revision"] = nil
        value["name"] = .string("\(service.name)/revisions/\(revision.name)")
        value["service"] = .string(service.id)
        value["generation"] = "1"
        value["createTime"] = .string(revision.created.description)
        value["uid"] = .string(Self.uid("\(service.uid)/\(revision.name)"))
        var conditions: [JSONValue] = []
        for type in ["Ready", "ContainerHealthy", "ContainerReady", "ResourcesAvailable"] {
            var condition: JSONValue = ["type": .string(type)]
            switch revision.outcome {
            case .pending:
                condition["state"] = "CONDITION_PENDING"
                condition["lastTransitionTime"] = .string(revision.created.description)
            case .ready(let at):
                condition["state"] = "CONDITION_SUCCEEDED"
                condition["lastTransitionTime"] = .string(at.description)
            case .failed(let failure, let at):
                condition["state"] = type == "ResourcesAvailable" ? "CONDITION_SUCCEEDED" : "CONDITION_FAILED"
                condition["lastTransitionTime"] = .string(at.description)
                if type != "ResourcesAvailable" {
                    condition["message"] = .string(failure.message)
                    condition["severity"] = "ERROR"
                    if let reason = failure.reason { condition["reason"] = .string(reason) }
                    if let reason = failure.revisionReason { condition["revisionReason"] = .string(reason) }
                }
            }
            conditions.append(condition)
        }
        value["conditions"] = .array(conditions)
        if case .pending = revision.outcome {
            value["reconciling"] = true
        } else {
            value["observedGeneration"] = "1"
        }
        value["etag"] = .string(Self.etag(of: revision, service: service))
        return value
    }

    static func etag(of revision: RunService.Revision, service: RunService) -> String {
        let phase =
            switch revision.outcome {
            case .pending: 1
            case .ready: 2
            case .failed: 3
            }
        return "\"\(Base64.encodeURL(Array("\(revision.name)/\(service.uid.prefix(8))/\(phase)".utf8)))\""
    }

    /// In the shape of a UUID.
    static func uid(_ text: String) -> String {
        let first = StableHash.fnv1a(text)
        let second = StableHash.fnv1a("\(text)/2")
        let digits = [first, second].map { value in
            StableHash.hex(UInt32(truncatingIfNeeded: value >> 32)) + StableHash.hex(UInt32(truncatingIfNeeded: value))
        }.joined()
        let ends = [8, 12, 16, 20, 32]
        var start = 0
        return ends.map { end in
            defer { start = end }
            return String(digits.dropFirst(start).prefix(end - start))
        }.joined(separator: "-")
    }
}
