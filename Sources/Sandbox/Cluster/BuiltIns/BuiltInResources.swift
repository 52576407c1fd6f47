import Encoding

/// The resources that exist without a CustomResourceDefinition.
enum BuiltInResources {
    static func definitions() throws(SandboxError) -> [ResourceDefinition] {
        try core() + workloads() + system()
    }

    private static func core() throws(SandboxError) -> [ResourceDefinition] {
        var namespaces = resource("", "v1", "Namespace", "namespaces", "ns", subresources: ["status", "finalize"])
        namespaces.isNamespaced = false
        namespaces.nameRule = .label
        namespaces.verbs.removeAll { $0 == "deletecollection" }
        namespaces.selectableFields = ["status.phase": ["status", "phase"]]
        namespaces.columns = BuiltInColumns.namespaces
        var pods = resource("", "v1", "Pod", "pods", "po", subresources: ["status", "log", "binding"])
        pods.categories = ["all"]
        pods.schema = try schema(PodSchema.pod, "Pod")
        pods.selectableFields = [
            "spec.nodeName": ["spec", "nodeName"], "spec.restartPolicy": ["spec", "restartPolicy"],
            "spec.serviceAccountName": ["spec", "serviceAccountName"], "status.phase": ["status", "phase"],
            "status.podIP": ["status", "podIP"], "status.nominatedNodeName": ["status", "nominatedNodeName"],
        ]
        pods.columns = BuiltInColumns.pods
        var services = resource("", "v1", "Service", "services", "svc", subresources: ["status"])
        services.categories = ["all"]
        services.nameRule = .label1035
        services.schema = try schema(CoreSchemas.service, "Service")
        services.columns = BuiltInColumns.services
        var nodes = resource("", "v1", "Node", "nodes", "no", subresources: ["status"])
        nodes.isNamespaced = false
        nodes.schema = try schema(CoreSchemas.node, "Node")
        nodes.selectableFields = ["spec.unschedulable": ["spec", "unschedulable"]]
        nodes.columns = BuiltInColumns.nodes
        var secrets = resource("", "v1", "Secret", "secrets", schema: try schema(CoreSchemas.secret, "Secret"))
        secrets.selectableFields = ["type": ["type"]]
        secrets.columns = BuiltInColumns.secrets
        var configMaps = resource(
            "", "v1", "ConfigMap", "configmaps", "cm", schema: try schema(CoreSchemas.configMap, "ConfigMap"))
        configMaps.columns = BuiltInColumns.configMaps
        let serviceAccounts = resource(
            "", "v1", "ServiceAccount", "serviceaccounts", "sa",
            schema: try schema(CoreSchemas.serviceAccount, "ServiceAccount"))
        let templates = resource(
            "", "v1", "PodTemplate", "podtemplates", schema: try schema(CoreSchemas.podTemplate, "PodTemplate"))
        return [namespaces, pods, services, nodes, secrets, configMaps, serviceAccounts, templates]
            + (try events())
    }

    /// The same stored objects in two groups.
    private static func events() throws(SandboxError) -> [ResourceDefinition] {
        var events = resource("", "v1", "Event", "events", "ev", schema: try schema(CoreSchemas.event, "Event"))
        events.selectableFields = eventFields(involved: "involvedObject", component: "reportingComponent")
        events.columns = BuiltInColumns.events
        var named = ResourceDefinition(
            group: "events.k8s.io", version: "v1", kind: "Event", plural: "events", storage: events.storage)
        named.shortNames = ["ev"]
        named.schema = events.schema
        named.view = .event
        named.selectableFields = eventFields(involved: "regarding", component: "reportingController")
        named.columns = BuiltInColumns.events
        return [events, named]
    }

    private static func eventFields(involved: String, component: String) -> [String: [String]] {
        var fields: [String: [String]] = [
            "reason": ["reason"], "type": ["type"], "source": ["source", "component"],
            component: ["reportingComponent"],
        ]
        for key in ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"] {
            fields["\(involved).\(key)"] = ["involvedObject", key]
        }
        return fields
    }

    private static func workloads() throws(SandboxError) -> [ResourceDefinition] {
        var jobs = resource("batch", "v1", "Job", "jobs", subresources: ["status"])
        jobs.categories = ["all"]
        jobs.countsGenerations = true
        jobs.schema = try schema(JobSchema.job, "Job")
        jobs.selectableFields = ["status.successful": ["status", "succeeded"]]
        jobs.columns = BuiltInColumns.jobs
        var revisions = resource(
            "apps", "v1", "ControllerRevision", "controllerrevisions",
            schema: try schema(CoreSchemas.controllerRevision, "ControllerRevision"))
        revisions.columns = BuiltInColumns.controllerRevisions
        return [jobs, revisions]
    }

    private static func system() throws(SandboxError) -> [ResourceDefinition] {
        var leases = resource(
            "coordination.k8s.io", "v1", "Lease", "leases", schema: try schema(CoreSchemas.lease, "Lease"))
        leases.allowsUnconditionalUpdate = false
        leases.columns = BuiltInColumns.leases
        var crds = resource(
            CustomResources.collection.group, "v1", "CustomResourceDefinition", CustomResources.collection.plural,
            "crd", subresources: ["status"])
        crds.shortNames = ["crd", "crds"]
        crds.categories = ["api-extensions"]
        crds.isNamespaced = false
        crds.countsGenerations = true
        crds.allowsUnconditionalUpdate = false
        crds.columns = BuiltInColumns.customResourceDefinitions
        var access = ResourceDefinition(
            group: "authorization.k8s.io", version: "v1", kind: "SelfSubjectAccessReview",
            plural: "selfsubjectaccessreviews")
        access.isNamespaced = false
        access.verbs = ["create"]
        var rules = ResourceDefinition(
            group: "authorization.k8s.io", version: "v1", kind: "SelfSubjectRulesReview",
            plural: "selfsubjectrulesreviews")
        rules.isNamespaced = false
        rules.verbs = ["create"]
        var priorities = resource(
            "scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", "pc",
            schema: try schema(CoreSchemas.priorityClass, "PriorityClass"))
        priorities.isNamespaced = false
        return [leases, crds, access, rules, priorities]
    }

    private static func resource(
        _ group: String, _ version: String, _ kind: String, _ plural: String, _ shortName: String? = nil,
        subresources: Set<String> = [], schema: Schema? = nil
    ) -> ResourceDefinition {
        var definition = ResourceDefinition(group: group, version: version, kind: kind, plural: plural)
        definition.shortNames = shortName.map { [$0] } ?? []
        definition.subresources = subresources
        definition.schema = schema
        return definition
    }

    private static func schema(_ json: JSONValue, _ kind: String) throws(SandboxError) -> Schema {
        try Schema(json, path: kind, isRoot: true)
    }
}

/// Words to write schemas with; built-in ones know the fields that matter and keep the others.
enum SchemaText {
    static let string: JSONValue = ["type": "string"]
    static let integer: JSONValue = ["type": "integer", "format": "int32"]
    static let long: JSONValue = ["type": "integer", "format": "int64"]
    static let boolean: JSONValue = ["type": "boolean"]
    static let time: JSONValue = ["type": "string", "format": "date-time"]
    static let intOrString: JSONValue = ["x-kubernetes-int-or-string": true]
    static let strings: JSONValue = ["type": "array", "items": ["type": "string"]]
    static let stringMap: JSONValue = ["type": "object", "additionalProperties": ["type": "string"]]
    static let quantities: JSONValue = [
        "type": "object", "additionalProperties": ["x-kubernetes-int-or-string": true],
    ]
    static let anything: JSONValue = ["type": "object", "x-kubernetes-preserve-unknown-fields": true]

    static func object(
        _ properties: [String: JSONValue], required: [String] = [], description: String? = nil
    ) -> JSONValue {
        var schema: JSONValue = [
            "type": "object", "properties": .object(properties), "x-kubernetes-preserve-unknown-fields": true,
        ]
        if !required.isEmpty { schema["required"] = .array(required.map(JSONValue.string)) }
        schema["description"] = description.map(JSONValue.string)
        return schema
    }

    static func list(_ items: JSONValue) -> JSONValue { ["type": "array", "items": items] }

    static func list(_ items: JSONValue, keys: String...) -> JSONValue {
        [
            "type": "array", "items": items, "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": .array(keys.map(JSONValue.string)),
        ]
    }

    static func described(_ schema: JSONValue, _ description: String) -> JSONValue {
        var schema = schema
        schema["description"] = .string(description)
        return schema
    }

    static func defaulted(_ schema: JSONValue, _ value: JSONValue) -> JSONValue {
        var schema = schema
        schema["default"] = value
        return schema
    }

    /// A schema that knows all fields: others are refused, warned of or dropped.
    static func complete(_ schema: JSONValue) -> JSONValue {
        var schema = schema
        schema["x-kubernetes-preserve-unknown-fields"] = nil
        return schema
    }

    /// A whole kind.
    static func kind(_ description: String, _ properties: [String: JSONValue]) -> JSONValue {
        let own: [String: JSONValue] = ["apiVersion": string, "kind": string, "metadata": ["type": "object"]]
        return object(own.merging(properties) { $1 }, description: description)
    }
}
