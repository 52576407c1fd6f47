import Encoding

extension CRDRuleCases {
    private static let first: JSONValue = ["name": "oom", "onReasons": ["OOMKilled"], "action": "Fail"]
    private static let second: JSONValue = [
        "name": "gpu", "onExitCodes": ["operator": "In", "values": [79]], "action": "ReplaceNode",
    ]
    private static let rulesPath = "spec.failurePolicy.rules"

    private static func rule(_ members: JSONValue) -> JSONValue {
        var rule: JSONValue = ["name": "a", "action": "Restart"]
        for (key, value) in members.objectValue ?? [:] { rule[key] = value }
        return [rule]
    }

    private static func input(_ mode: String, _ path: JSONValue?) -> JSONValue {
        var input: JSONValue = [
            "name": "fashion-mnist", "artifactRef": ["name": "fashion-mnist"], "mode": .string(mode),
        ]
        if let path { input["mountPath"] = path }
        return [input]
    }

    /// `trainer`, `inputs`, `failurePolicy` and `priorityClassName`.
    static let running: [CRDRuleCase] = [
        job("spec.priorityClassName", "high"),
        job("spec.priorityClassName", "High!", "spec.priorityClassName"),
        job("spec.failurePolicy", ["restartScope": "FailedNodes"]),
        job("spec.failurePolicy", ["restartScope": "Half"], "Unsupported value"),
        job("spec.trainer.numProcPerNode", 8),
        job("spec.trainer.numProcPerNode", 65, "should be less than or equal to 64"),
        job("spec.trainer.rendezvous", ["type": "Torch"]),
        job("spec.trainer.rendezvous", ["type": "None"], "Unsupported value"),
        job("spec.trainer.rendezvous", [:], "spec.trainer.rendezvous.type: Required value"),
        job("spec.trainer.sharedMemory", ["sizeLimit": "8Gi"]),
        job("spec.trainer.sharedMemory", ["sizeLimit": 1_000_000]),
        job("spec.trainer.sharedMemory", ["sizeLimit": "much"], "spec.trainer.sharedMemory.sizeLimit"),
        job("spec.inputs", input("Mount", "/data"), rule: "spec.inputs[]#0"),
        job("spec.inputs", input("Stream", nil), rule: "spec.inputs[]#0"),
        job("spec.inputs", input("Mount", nil), "mountPath is needed", rule: "spec.inputs[]#0"),
        job("spec.inputs", input("Download", nil), "mountPath is needed", rule: "spec.inputs[]#0"),
        job("spec.inputs", input("Download", "data"), "spec.inputs[0].mountPath"),
        job(rulesPath, [first, second], rule: "\(rulesPath)#0"),
        job(rulesPath, [first, first], "rule names must be unique", rule: "\(rulesPath)#0"),
        job(rulesPath, rule(["onReasons": ["Preempted"]]), rule: "\(rulesPath)[]#0"),
        job(rulesPath, rule([:]), "exactly one of onReasons", rule: "\(rulesPath)[]#0"),
        job(
            rulesPath, rule(["onReasons": ["Preempted"], "onExitCodes": ["operator": "In", "values": [1]]]),
            "exactly one of onReasons", rule: "\(rulesPath)[]#0"),
        job(rulesPath, rule(["onReasons": ["Weather"]]), "Unsupported value"),
        job(rulesPath, rule(["onReasons": []]), "should have at least 1 items"),
        job(
            rulesPath, rule(["onExitCodes": ["operator": "In", "values": [0]]]),
            "should be greater than or equal to 1"),
        job(rulesPath, rule(["onReasons": ["Preempted"], "action": "Pray"]), "Unsupported value"),
    ]
}
