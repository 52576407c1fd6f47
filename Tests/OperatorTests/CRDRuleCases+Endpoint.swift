import Encoding
import Kubernetes

/// Cases of ModelEndpoints.
extension CRDRuleCases {
    static let endpoint = ResourceType(
        group: "trainyard.dev", version: "v1alpha1", kind: "ModelEndpoint", plural: "modelendpoints")

    private static func create(
        _ path: String, _ value: JSONValue?, _ refusal: String? = nil, rule: String? = nil
    ) -> CRDRuleCase {
        CRDRuleCase(kind: endpoint, rule: rule, change: [.init(path, value)], refusal: refusal)
    }

    private static func update(
        _ path: String, _ value: JSONValue?, _ refusal: String? = nil, rule: String? = nil
    ) -> CRDRuleCase {
        CRDRuleCase(kind: endpoint, rule: rule, change: [.init(path, value)], isUpdate: true, refusal: refusal)
    }

    private static let longName = String(repeating: "a", count: 41)
    private static let get: JSONValue = ["path": "/health"]

    static let endpoints: [CRDRuleCase] = [
        create("metadata.name", "a-9", rule: "#0"), create("metadata.name", "9a", "RFC 1035", rule: "#0"),
        create("metadata.name", .string(longName), "RFC 1035", rule: "#0"),
        create("spec", nil, "spec: Required value"),
        create("spec.backend.type", "GKE", "Unsupported value"),
        create("spec.backend.type", "CloudRun", rule: "spec.backend#0"),
        create("spec.backend.cloudRun", nil, "cloudRun exactly with type CloudRun", rule: "spec.backend#0"),
        update("spec.backend.cloudRun.ingress", "All", rule: "spec.backend#1"),
        update("spec.backend.cloudRun.location", "europe-west1", "location is immutable", rule: "spec.backend#1"),
        create("spec.backend.cloudRun.location", "us-central1-a", "should match"),
        create("spec.backend.cloudRun.vpc", ["network": "default"]),
        create("spec.model.artifactRef", ["name": "m", "version": "v1"], rule: "spec.model#0"),
        create("spec.model.artifactRef", ["name": "m"], "one of version, alias, digest", rule: "spec.model#0"),
        create("spec.model.artifactRef", ["name": "m", "alias": "a"], rule: "spec.model.artifactRef#0"),
        create(
            "spec.model.artifactRef", ["name": "m", "version": "v1", "alias": "a"], "at most one of version",
            rule: "spec.model.artifactRef#0"),
        create("spec.model.artifactRef.digest", "sha256:1", "should match"),
        create("spec.model.requirements.0.value", "many", "should match"),
        create("spec.model.requirements.0.operator", "Above", "Unsupported value"),
        create("spec.model.loading", "BakedIn", "Unsupported value"),
        create("spec.predictor.env", [["name": "LEVEL", "value": "1"]], rule: "spec.predictor.env[]#0"),
        create("spec.predictor.env", [["name": "PORT"]], "are reserved", rule: "spec.predictor.env[]#0"),
        create("spec.predictor.env", [["name": "ML_X"]], "are reserved", rule: "spec.predictor.env[]#0"),
        create("spec.predictor.resources.limits.cpu", "four", "should match"),
        create("spec.predictor.resources.limits.cpu", "4"),
        create("spec.predictor.accelerator", ["gpu": ["type": "nvidia-l4"]]),
        create("spec.predictor.accelerator", ["gpu": ["type": "nvidia-a100"]], "Unsupported value"),
        create(
            "spec.predictor.probes", ["startup": ["httpGet": get, "timeoutSeconds": 5]],
            rule: "spec.predictor.probes.startup#0"),
        create(
            "spec.predictor.probes", ["startup": ["httpGet": get, "timeoutSeconds": 5, "periodSeconds": 2]],
            "must not exceed periodSeconds", rule: "spec.predictor.probes.startup#0"),
        create(
            "spec.predictor.probes", ["liveness": ["httpGet": get, "timeoutSeconds": 5, "periodSeconds": 6]],
            rule: "spec.predictor.probes.liveness#0"),
        create(
            "spec.predictor.probes", ["liveness": ["httpGet": get, "timeoutSeconds": 11]],
            "must not exceed periodSeconds", rule: "spec.predictor.probes.liveness#0"),
        create("spec.predictor.googleServiceAccount", "nobody", "should match"),
        create("spec.scaling", ["minReplicas": 2, "maxReplicas": 2], rule: "spec.scaling#0"),
        create(
            "spec.scaling", ["minReplicas": 3, "maxReplicas": 2], "must not exceed maxReplicas", rule: "spec.scaling#0"),
        create("spec.scaling", ["minReplicas": 2], "must not exceed maxReplicas", rule: "spec.scaling#0"),
        create("spec.rollout", ["strategy": "BlueGreen"], rule: "spec.rollout#0"),
        create("spec.rollout.strategy", "BlueGreen", "steps belong to strategy Canary", rule: "spec.rollout#0"),
        create(
            "spec.rollout.steps", [["weight": 5, "holdSeconds": 0], ["weight": 5, "holdSeconds": 1]],
            rule: "spec.rollout.steps#0"),
        create(
            "spec.rollout.steps", [["weight": 6, "holdSeconds": 0], ["weight": 5, "holdSeconds": 1]],
            "weights must rise", rule: "spec.rollout.steps#0"),
        create("spec.rollout.steps", [["weight": 100, "holdSeconds": 0]], "should be less than or equal to 99"),
        create("spec.rollout.smokeTests.0.jsonPath", ".a", "should match"),
        create("spec.rollout.analysis.0.metric", "Errors", "Unsupported value"),
        create("spec.access.invokers", ["allUsers"], "should match"),
        create("spec.deletionPolicy", "Keep", "Unsupported value"),
        create("spec.driftPolicy", "Report"),
        update("spec.suspend", true), update("spec.model.artifactRef", ["name": "other", "alias": "a"]),
    ]
}
