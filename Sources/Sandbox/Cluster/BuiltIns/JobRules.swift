import Encoding

/// batch/v1 Jobs: generated selector and labels, and what may change.
enum JobRules {
    static func prepareForCreate(_ job: inout JSONValue) {
        job["status"] = [:]
        guard var spec = job["spec"] else { return }
        if spec["parallelism"] == nil { spec["parallelism"] = 1 }
        if spec["completions"] == nil, job.value(at: ["spec", "parallelism"]) == nil { spec["completions"] = 1 }
        if spec["backoffLimit"] == nil {
            spec["backoffLimit"] = spec["backoffLimitPerIndex"] == nil ? 6 : .integer(Int64(Int32.max))
        }
        if spec["podReplacementPolicy"] == nil {
            spec["podReplacementPolicy"] = spec["podFailurePolicy"] == nil ? "TerminatingOrFailed" : "Failed"
        }
        if spec["manualSelector"] != true { generateSelector(&spec, job) }
        job["spec"] = spec
        setTemplateDefaults(&job)
    }

    static func prepareForUpdate(_ job: inout JSONValue, _ old: JSONValue) {
        for key in ["parallelism", "completions", "backoffLimit", "podReplacementPolicy", "selector"] {
            if job.value(at: ["spec", key]) == nil { job.set(old.value(at: ["spec", key]), at: ["spec", key]) }
        }
        setTemplateDefaults(&job)
    }

    private static func generateSelector(_ spec: inout JSONValue, _ job: JSONValue) {
        let uid = JSONValue.string(job.uid)
        let name = JSONValue.string(job.objectName)
        for (key, value) in [
            ("controller-uid", uid), ("batch.kubernetes.io/controller-uid", uid), ("job-name", name),
            ("batch.kubernetes.io/job-name", name),
        ] {
            spec.set(value, at: ["template", "metadata", "labels", key])
        }
        spec["selector"] = ["matchLabels": ["batch.kubernetes.io/controller-uid": uid]]
    }

    private static func setTemplateDefaults(_ job: inout JSONValue) {
        for list in ["initContainers", "containers"] {
            let path = ["spec", "template", "spec", list]
            guard let containers = job.value(at: path)?.arrayValue else { continue }
            job.set(.array(containers.map(PodRules.withDefaults)), at: path)
        }
    }

    static func errors(_ job: JSONValue, _ old: JSONValue?) -> [FieldError] {
        var errors: [FieldError] = []
        let spec = job["spec"] ?? [:]
        for key in ["parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished"] {
            if let value = spec[key]?.integerValue, value < 0 {
                errors.append(
                    FieldError(.invalid, "spec.\(key)", value: .integer(value), "must be greater than or equal to 0"))
            }
        }
        if spec["completionMode"] == "Indexed", spec["completions"]?.integerValue == nil {
            errors.append(
                FieldError(.required, "spec.completions", "when completion mode is Indexed"))
        }
        let policy = spec.value(at: ["template", "spec", "restartPolicy"])?.stringValue ?? "Always"
        if policy == "Always" {
            errors.append(
                FieldError(
                    .required, "spec.template.spec.restartPolicy", "valid values: \"OnFailure\", \"Never\""))
        } else if policy != "OnFailure", policy != "Never" {
            errors.append(
                FieldError(
                    .notSupported, "spec.template.spec.restartPolicy", value: .string(policy),
                    "supported values: \"OnFailure\", \"Never\""))
        }
        if spec["podFailurePolicy"] != nil, policy != "Never" {
            errors.append(
                FieldError(
                    .invalid, "spec.template.spec.restartPolicy", value: .string(policy),
                    "only \"Never\" is supported when podFailurePolicy is specified"))
        }
        guard let old else {
            return errors
                + PodRules.specErrors(spec.value(at: ["template", "spec"]) ?? [:], path: "spec.template.spec")
        }
        return errors + immutableErrors(job, old)
    }

    private static func immutableErrors(_ job: JSONValue, _ old: JSONValue) -> [FieldError] {
        var errors: [FieldError] = []
        for key in ["selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex"] {
            let value = job.value(at: ["spec", key])
            if value != old.value(at: ["spec", key]) {
                errors.append(FieldError(.invalid, "spec.\(key)", value: value ?? .null, "field is immutable"))
            }
        }
        let completions = job.value(at: ["spec", "completions"])
        // An Indexed job may scale completions together with parallelism.
        let scales =
            job.value(at: ["spec", "completionMode"]) == "Indexed"
            && completions == job.value(at: ["spec", "parallelism"])
        if completions != old.value(at: ["spec", "completions"]), !scales {
            errors.append(FieldError(.invalid, "spec.completions", value: completions ?? .null, "field is immutable"))
        }
        if template(job, old) != old.value(at: ["spec", "template"]) {
            errors.append(
                FieldError(
                    .invalid, "spec.template", value: job.value(at: ["spec", "template"]) ?? .null,
                    "field is immutable"))
        }
        return errors
    }

    /// The new template; a suspended job that never started may still change where its pods go.
    private static func template(_ job: JSONValue, _ old: JSONValue) -> JSONValue? {
        guard var template = job.value(at: ["spec", "template"]) else { return nil }
        guard old.value(at: ["spec", "suspend"]) == true, old.value(at: ["status", "startTime"]) == nil else {
            return template
        }
        for path in [
            ["metadata", "labels"], ["metadata", "annotations"], ["spec", "nodeSelector"], ["spec", "affinity"],
            ["spec", "tolerations"], ["spec", "schedulingGates"],
        ] {
            template.set(old.value(at: ["spec", "template"] + path), at: path)
        }
        return template
    }
}
