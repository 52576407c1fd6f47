import Encoding

extension CRDRuleCases {
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
