import Encoding

/// Pods: defaults that depend on other fields, and what may change.
enum PodRules {
    static func setDefaults(_ pod: inout JSONValue) {
        for list in ["initContainers", "containers"] {
            guard let containers = pod.value(at: ["spec", list])?.arrayValue else { continue }
            pod.set(.array(containers.map(withDefaults)), at: ["spec", list])
        }
    }

    static func withDefaults(_ container: JSONValue) -> JSONValue {
        guard container["imagePullPolicy"] == nil else { return container }
        let image = container["image"]?.stringValue ?? ""
        let tag = image.split(separator: "/").last.map(String.init) ?? image
        let isLatest = !image.contains("@") && (!tag.contains(":") || tag.hasSuffix(":latest"))
        var result = container
        result["imagePullPolicy"] = isLatest ? "Always" : "IfNotPresent"
        return result
    }

    /// `BestEffort` without requests, `Guaranteed` where limits equal requests, else `Burstable`.
    static func qualityOfService(_ pod: JSONValue) -> String {
        let resources = (pod.value(at: ["spec", "containers"])?.arrayValue ?? []).map { $0["resources"] ?? [:] }
        let isBestEffort = resources.allSatisfy {
            ($0["limits"]?.objectValue ?? [:]).isEmpty && ($0["requests"]?.objectValue ?? [:]).isEmpty
        }
        if isBestEffort { return "BestEffort" }
        let isGuaranteed = resources.allSatisfy { resource in
            ["cpu", "memory"].allSatisfy { name in
                let limit = resource["limits"]?[name]
                return limit != nil && (resource["requests"]?[name] ?? limit) == limit
            }
        }
        return isGuaranteed ? "Guaranteed" : "Burstable"
    }

    static func errors(_ pod: JSONValue, _ old: JSONValue?) -> [FieldError] {
        guard let old else {
            return specErrors(pod["spec"] ?? [:], path: "spec")
        }
        guard mutableParts(pod, old) != old["spec"] else { return [] }
        return [
            FieldError(
                .forbidden, "spec",
                "pod updates may not change fields other than `spec.containers[*].image`,"
                    + "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions "
                    + "to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it "
                    + "was previously negative)")
        ]
    }

    /// The new spec with everything that may change set back to the old.
    private static func mutableParts(_ pod: JSONValue, _ old: JSONValue) -> JSONValue? {
        guard var spec = pod["spec"], let before = old["spec"] else { return pod["spec"] }
        if before["nodeName"] == nil { spec["nodeName"] = nil }
        for key in ["activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations"] {
            spec[key] = before[key]
        }
        for list in ["containers", "initContainers"] {
            guard let containers = spec[list]?.arrayValue, let earlier = before[list]?.arrayValue,
                containers.count == earlier.count
            else { continue }
            spec[list] = .array(
                zip(containers, earlier).map { container, old in
                    var container = container
                    container["image"] = old["image"]
                    container["imagePullPolicy"] = old["imagePullPolicy"]
                    return container
                })
        }
        return spec
    }

    /// Checks shared with templates.
    static func specErrors(_ spec: JSONValue, path: String) -> [FieldError] {
        let containers = spec["containers"]?.arrayValue ?? []
        var errors: [FieldError] = []
        if spec["containers"] != nil, containers.isEmpty {
            errors.append(FieldError(.required, "\(path).containers"))
        }
        for (index, container) in containers.enumerated() {
            let place = "\(path).containers[\(index)]"
            let name = container["name"]?.stringValue ?? ""
            if name.isEmpty {
                errors.append(FieldError(.required, "\(place).name"))
            } else if let detail = NameRule.label.error(name) {
                errors.append(FieldError(.invalid, "\(place).name", value: .string(name), detail))
            }
            if (container["image"]?.stringValue ?? "").isEmpty {
                errors.append(FieldError(.required, "\(place).image"))
            }
            errors += mountErrors(container, spec, path: place)
        }
        return errors
    }

    private static func mountErrors(_ container: JSONValue, _ spec: JSONValue, path: String) -> [FieldError] {
        let volumes = Set((spec["volumes"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue })
        var errors: [FieldError] = []
        for (index, mount) in (container["volumeMounts"]?.arrayValue ?? []).enumerated() {
            let name = mount["name"]?.stringValue ?? ""
            guard !volumes.contains(name) else { continue }
            let place = "\(path).volumeMounts[\(index)].name"
            errors.append(
                FieldError(.invalid, place, value: .string(name), "Not found: \"\(name)\""))
        }
        return errors
    }
}

/// Services: addresses.
enum ServiceRules {
    static func setDefaults(_ service: inout JSONValue) {
        guard var spec = service["spec"] else { return }
        let isExternal = spec["type"] == "ExternalName"
        if spec["clusterIP"] == nil, !isExternal {
            // Stable by the uid, from the range that kube-apiserver uses by default.
            let hash = service.uid.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
            spec["clusterIP"] = .string("10.96.\(hash >> 8 & 255).\(hash & 255)")
        }
        if let address = spec["clusterIP"] { spec["clusterIPs"] = [address] }
        if !isExternal {
            for (key, value) in [
                ("ipFamilies", ["IPv4"]), ("ipFamilyPolicy", "SingleStack"), ("internalTrafficPolicy", "Cluster"),
            ] as [(String, JSONValue)] where spec[key] == nil { spec[key] = value }
        }
        spec["ports"] = (spec["ports"]?.arrayValue).map { ports in
            .array(
                ports.map { port in
                    var port = port
                    if port["targetPort"] == nil { port["targetPort"] = port["port"] }
                    return port
                })
        }
        service["spec"] = spec
    }

    static func keepAddress(_ service: inout JSONValue, _ old: JSONValue) {
        if service.value(at: ["spec", "clusterIP"]) == nil {
            service.set(old.value(at: ["spec", "clusterIP"]), at: ["spec", "clusterIP"])
        }
        setDefaults(&service)
    }

    static func errors(_ service: JSONValue) -> [FieldError] {
        let isHeadless = service.value(at: ["spec", "clusterIP"]) == "None"
        let isExternal = service.value(at: ["spec", "type"]) == "ExternalName"
        let ports = service.value(at: ["spec", "ports"])?.arrayValue ?? []
        var errors: [FieldError] = []
        for (index, port) in ports.enumerated() {
            for key in ["port", "targetPort"] {
                guard let number = port[key]?.integerValue, !(1...65535).contains(number) else { continue }
                errors.append(
                    FieldError(
                        .invalid, "spec.ports[\(index)].\(key)", value: .integer(number),
                        "must be between 1 and 65535, inclusive"))
            }
        }
        guard ports.isEmpty, !isHeadless, !isExternal else { return errors }
        return [FieldError(.required, "spec.ports")]
    }
}
