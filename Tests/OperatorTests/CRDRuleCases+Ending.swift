import Encoding

extension CRDRuleCases {
    private static let envPath = "spec.trainer.env"
    private static let secretKey: JSONValue = ["name": "keys", "key": "token"]
    private static let scratch: JSONValue = ["name": "scratch", "emptyDir": [:]]
    private static let mount: JSONValue = ["name": "scratch", "mountPath": "/scratch"]

    /// `trainer.env`, `envFrom`, `volumes`, `volumeMounts`, `imagePullSecrets` and `workingDir`.
    static let sources: [CRDRuleCase] = [
        job(envPath, [["name": "A", "valueFrom": ["secretKeyRef": secretKey]]], rule: "\(envPath)[].valueFrom#0"),
        job(envPath, [["name": "A", "valueFrom": ["fieldRef": ["fieldPath": "spec.nodeName"]]]]),
        job(
            envPath, [["name": "A", "valueFrom": ["fieldRef": ["fieldPath": "spec.hostname"]]]], "Unsupported value"),
        job(envPath, [["name": "A", "valueFrom": [:]]], "exactly one source", rule: "\(envPath)[].valueFrom#0"),
        job(
            envPath, [["name": "A", "valueFrom": ["secretKeyRef": secretKey, "configMapKeyRef": secretKey]]],
            "exactly one source", rule: "\(envPath)[].valueFrom#0"),
        job(envPath, [["name": "A", "value": "1"]], rule: "\(envPath)[]#0"),
        job(
            envPath, [["name": "A", "value": "1", "valueFrom": ["secretKeyRef": secretKey]]],
            "value and valueFrom exclude", rule: "\(envPath)[]#0"),
        job("spec.trainer.envFrom", [["secretRef": ["name": "keys"]]], rule: "spec.trainer.envFrom[]#0"),
        job("spec.trainer.envFrom", [[:]], "exactly one of secretRef", rule: "spec.trainer.envFrom[]#0"),
        job("spec.trainer.volumes", [scratch], rule: "spec.trainer.volumes[]#0"),
        job("spec.trainer.volumes", [["name": "a"]], "exactly one volume source", rule: "spec.trainer.volumes[]#0"),
        job(
            "spec.trainer.volumes", [["name": "a", "emptyDir": [:], "secret": ["secretName": "b"]]],
            "exactly one volume source", rule: "spec.trainer.volumes[]#0"),
        job("spec.trainer.volumes", [["name": "a", "hostPath": ["path": "/"]]], "spec.trainer.volumes"),
        CRDRuleCase(
            kind: job, rule: "spec.trainer#0",
            change: [.init("spec.trainer.volumes", [scratch]), .init("spec.trainer.volumeMounts", [mount])]),
        job("spec.trainer.volumeMounts", [mount], "must name a volume", rule: "spec.trainer#0"),
        job("spec.trainer.imagePullSecrets", [["name": "registry"]]),
        job("spec.trainer.imagePullSecrets", [["name": "No!"]], "spec.trainer.imagePullSecrets[0].name"),
        job("spec.trainer.workingDir", "/work"),
        job("spec.trainer.workingDir", "work", "spec.trainer.workingDir"),
    ]

    /// `preflight`.
    static let preflight: [CRDRuleCase] = [
        job("spec.preflight", ["skip": ["Quota", "SelfTest"], "selfTestArgs": ["selftest"]]),
        job("spec.preflight", ["skip": ["Weather"]], "Unsupported value"),
        job("spec.preflight", ["skip": ["IAM", "IAM"]], "spec.preflight.skip"),
    ]

    /// `cleanup`.
    static let ending: [CRDRuleCase] = [
        job("spec.cleanup", ["compute": "Retain", "retainSeconds": 600], rule: "spec.cleanup#0"),
        job("spec.cleanup", ["compute": "Immediately"], rule: "spec.cleanup#0"),
        job("spec.cleanup", ["compute": "Retain"], "retainSeconds exactly", rule: "spec.cleanup#0"),
        job("spec.cleanup", ["retainSeconds": 600], "retainSeconds exactly", rule: "spec.cleanup#0"),
        job("spec.cleanup", ["compute": "Retain", "retainSeconds": 86_401], "should be less than or equal to 86400"),
        job("spec.cleanup", ["compute": "Never"], "Unsupported value"),
    ]
}
