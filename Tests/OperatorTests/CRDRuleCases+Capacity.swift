import Encoding

extension CRDRuleCases {
    private static let v6e: JSONValue = ["tpu": ["type": "tpu-v6e-slice", "topology": "4x4"]]

    private static func job(
        _ changes: [(String, JSONValue?)], _ refusal: String? = nil, rule: String? = nil
    ) -> CRDRuleCase {
        CRDRuleCase(
            kind: job, rule: rule, change: changes.map { .init($0.0, $0.1) }, refusal: refusal)
    }

    /// `accelerator`, `capacity` and `backend.gke`.
    static let capacity: [CRDRuleCase] = [
        job("spec.accelerator", v6e, rule: "spec.accelerator#0"),
        job("spec.accelerator", [:], "exactly one of gpu, tpu", rule: "spec.accelerator#0"),
        job(
            "spec.accelerator.tpu", ["type": "tpu-v6e-slice", "topology": "4x4"], "exactly one of gpu, tpu",
            rule: "spec.accelerator#0"),
        job("spec.accelerator.gpu.partitionSize", "1g.5gb"),
        job("spec.accelerator.gpu.partitionSize", "half", "spec.accelerator.gpu.partitionSize"),
        job("spec.accelerator.gpu.sharing", ["strategy": "MPS", "maxClientsPerGPU": 4]),
        job("spec.accelerator.gpu.sharing", ["strategy": "MPS"], "maxClientsPerGPU: Required value"),
        job([("spec.accelerator", v6e), ("spec.accelerator.tpu.slices", 20)]),
        job([("spec.accelerator", v6e), ("spec.accelerator.tpu.slices", 21)], "should be less than or equal to 20"),
        job([("spec.accelerator", v6e), ("spec.accelerator.tpu.topology", "4")], "spec.accelerator.tpu.topology"),
        job([("spec.accelerator", v6e), ("spec.trainer", [:])], rule: "spec#0"),
        job(
            [("spec.accelerator", v6e), ("spec.trainer.numNodes", 4)], "numNodes follows from accelerator.tpu",
            rule: "spec#0"),
    ]
}
