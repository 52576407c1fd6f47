import Encoding
import Kubernetes

/// Cases of budget, progress and mode.
extension CRDRuleCases {
    private static func create(
        _ path: String, _ value: JSONValue?, _ refusal: String? = nil, rule: String? = nil
    ) -> CRDRuleCase {
        CRDRuleCase(kind: job, rule: rule, change: [.init(path, value)], refusal: refusal)
    }

    private static func update(
        _ value: JSONValue, _ refusal: String? = nil, before: [CRDRuleCase.Change] = [], status: JSONValue? = nil
    ) -> CRDRuleCase {
        CRDRuleCase(
            kind: job, rule: "#2", before: before, status: status, change: [.init("spec.mode", value)], isUpdate: true,
            refusal: refusal)
    }

    private static let maxCost = "spec.budget.maxCost#0"
    private static let hasRun: JSONValue = ["run": ["number": 1, "id": "r1"]]
    private static let isPlan: [CRDRuleCase.Change] = [.init("spec.mode", "Plan")]

    static let money: [CRDRuleCase] = [
        create("spec.budget", ["maxCost": "0.01"], rule: maxCost),
        create("spec.budget", ["maxCost": "0.00"], "must be above 0", rule: maxCost),
        create("spec.budget", ["maxCost": "250.00", "currencyCode": "USD", "onExceeded": "Fail"]),
        create("spec.budget", [:], "spec.budget.maxCost: Required value"),
        create("spec.budget", ["maxCost": 250], "spec.budget.maxCost"),
        create("spec.budget", ["maxCost": "$250"], "spec.budget.maxCost"),
        create("spec.budget", ["maxCost": "-1"], "spec.budget.maxCost"),
        create("spec.budget", ["maxCost": "1.1234567"], "spec.budget.maxCost"),
        create("spec.budget", ["maxCost": "1", "currencyCode": "Dollar"], "spec.budget.currencyCode"),
        create("spec.budget", ["maxCost": "1", "onExceeded": "Stop"], "Unsupported value"),
        create("spec.progress", ["stallDeadlineSeconds": 60]),
        create("spec.progress", ["stallDeadlineSeconds": 59], "should be greater than or equal to 60"),
        create("spec.progress", ["stallDeadlineSeconds": 86401], "should be less than or equal to 86400"),
        create("spec.mode", "Plan"), create("spec.mode", "Run", "Unsupported value"),
        update("Plan"), update("Apply", before: isPlan), update("Plan", before: isPlan, status: hasRun),
        update("Plan", "mode cannot go back to Plan once a run exists", status: hasRun),
    ]
}
