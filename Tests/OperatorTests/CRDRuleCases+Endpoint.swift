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

    static let endpoints: [CRDRuleCase] = endpointBasics + endpointMoney + processorCases + eachProcessor

    private static let endpointBasics: [CRDRuleCase] = [
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

    private static func window(_ changes: [String: JSONValue]) -> JSONValue {
        let base: [String: JSONValue] = [
            "name": "day", "schedule": "0 7 * * mon-fri", "durationSeconds": 36_000, "minReplicas": 2,
        ]
        return [.object(base.merging(changes) { $1 })]
    }

    private static let secret: JSONValue = ["secretKeyRef": ["name": "token"]]
    private static let account: JSONValue = "app@my-project.iam.gserviceaccount.com"

    private static let secrets: JSONValue = [["name": "T", "valueFrom": secret]]
    private static let plain: JSONValue = [["name": "T", "value": "x"]]

    /// A whole spec.
    private static func basic(_ more: [String: JSONValue]) -> JSONValue {
        let base: [String: JSONValue] = [
            "backend": ["type": "CloudRun", "cloudRun": ["location": "us-central1"]],
            "model": ["artifactRef": ["name": "m", "alias": "production"]],
        ]
        return .object(base.merging(more) { $1 })
    }

    private static let endpointMoney: [CRDRuleCase] = [
        create("spec.mode", "Plan"), create("spec.mode", "DryRun", "Unsupported value"),
        update("spec.mode", "Plan"),
        create("spec.budget", ["maxMonthlyCost": "0.01"], rule: "spec.budget.maxMonthlyCost#0"),
        create("spec.budget", ["maxMonthlyCost": "0.0"], "must be above 0", rule: "spec.budget.maxMonthlyCost#0"),
        create("spec.budget", ["maxMonthlyCost": "-5"], "should match"),
        create("spec.budget", [:], "Required value"),
        create("spec.budget", ["maxMonthlyCost": "5", "onExceeded": "Fail"], "Unsupported value"),
        create("spec.budget", ["maxMonthlyCost": "5", "onExceeded": "Suspend"]),
        create("spec.rollout.maxSurgeHourlyCost", "2.50"),
        create("spec.rollout.maxSurgeHourlyCost", "cheap", "should match"),
        create("spec.scaling.warmWindows", window([:]), rule: "spec.scaling#1"),
        create("spec.scaling.warmWindows", window(["timeZone": "America/Argentina/Buenos_Aires"])),
        create(
            "spec.scaling.warmWindows", window(["minReplicas": 5]), "must not exceed maxReplicas",
            rule: "spec.scaling#1"),
        create("spec.scaling.warmWindows", window(["schedule": "7 * *"]), "should match"),
        create("spec.scaling.warmWindows", window(["timeZone": "../etc/passwd"]), "should match"),
        create(
            "spec.scaling.warmWindows", window(["durationSeconds": 59]), "should be greater than or equal to 60"),
        create("spec.access", ["allowUnauthenticated": true], rule: "spec.access#0"),
        create(
            "spec.access", ["allowUnauthenticated": true, "invokers": ["user:a@example.com"]],
            "invokers have no effect", rule: "spec.access#0"),
        create(
            "spec.predictor", ["googleServiceAccount": account, "env": [["name": "T", "valueFrom": secret]]],
            rule: "spec.predictor#0"),
        create(
            "spec.predictor.env", [["name": "T", "valueFrom": secret]], "need googleServiceAccount",
            rule: "spec.predictor#0"),
        create("spec.predictor.env", [["name": "T", "value": "x"]], rule: "spec.predictor.env[]#1"),
        create(
            "spec.predictor",
            ["googleServiceAccount": account, "env": [["name": "T", "value": "x", "valueFrom": secret]]],
            "exclude each other", rule: "spec.predictor.env[]#1"),
        create(
            "spec.predictor",
            [
                "googleServiceAccount": account,
                "env": [["name": "T", "valueFrom": ["secretKeyRef": ["name": "t", "key": "newest"]]]],
            ], "should match"),
        create("spec.predictor.env", [["name": "T", "valueFrom": [:]]], "Required value"),
    ]

    private static let processorCases: [CRDRuleCase] = [
        create(
            "spec", basic(["preprocessor": ["image": "r/p:1"], "predictor": ["googleServiceAccount": account]]),
            rule: "spec#0"),
        create("spec.preprocessor", ["image": "r/p:1"], "processors need predictor", rule: "spec#0"),
        create(
            "spec",
            basic([
                "predictor": ["googleServiceAccount": account],
                "preprocessor": ["image": "r/p:1", "googleServiceAccount": account, "env": secrets],
                "postprocessor": ["image": "r/p:1", "googleServiceAccount": account, "env": secrets],
            ]), rule: "spec.preprocessor#0"),
        create(
            "spec",
            basic([
                "predictor": ["googleServiceAccount": account], "preprocessor": ["image": "r/p:1", "env": secrets],
            ]), "secrets in env need", rule: "spec.preprocessor#0"),
        create(
            "spec",
            basic([
                "predictor": ["googleServiceAccount": account], "postprocessor": ["image": "r/p:1", "env": plain],
            ]), rule: "spec.postprocessor#0"),
        create(
            "spec",
            basic([
                "predictor": ["googleServiceAccount": account],
                "postprocessor": ["image": "r/p:1", "env": secrets],
            ]), "secrets in env need", rule: "spec.postprocessor#0"),
    ]

    private static let eachProcessor: [CRDRuleCase] = ["preprocessor", "postprocessor"].flatMap {
        name -> [CRDRuleCase] in
        let callers: JSONValue = ["googleServiceAccount": account]
        return [
            create(
                "spec",
                basic(["predictor": callers, name: ["image": "r/p:1", "env": plain]]),
                rule: "spec.\(name).env[]#0"),
            create(
                "spec",
                basic([
                    "predictor": callers,
                    name: ["image": "r/p:1", "env": [["name": "PORT"]]],
                ]), "are reserved", rule: "spec.\(name).env[]#0"),
            create(
                "spec",
                basic(["predictor": callers, name: ["image": "r/p:1", "env": plain]]),
                rule: "spec.\(name).env[]#1"),
            create(
                "spec",
                basic([
                    "predictor": callers,
                    name: [
                        "image": "r/p:1", "googleServiceAccount": account,
                        "env": [["name": "T", "value": "x", "valueFrom": secret]],
                    ],
                ]), "exclude each other", rule: "spec.\(name).env[]#1"),
        ]
    }
}
