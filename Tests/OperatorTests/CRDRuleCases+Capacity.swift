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

        job("spec.trainer.kernels", ["cuda": ["computeCapabilities": ["8.9"]], "cpu": ["architectures": ["amd64"]]]),
        job("spec.trainer.kernels", ["cuda": ["computeCapabilities": ["sm_89"]]], "computeCapabilities[0]"),
        job("spec.capacity.strategy", "CheapestFirst"),
        job("spec.capacity.strategy", "Random", "Unsupported value"),
        job("spec.capacity.candidates.1.accelerator", v6e, rule: "spec.capacity.candidates[].accelerator#0"),
        job(
            "spec.capacity.candidates.1.accelerator", [:], "exactly one of gpu, tpu",
            rule: "spec.capacity.candidates[].accelerator#0"),
        job(
            [(second + "provisioningModel", "ReservationBound"), (second + "reservation", ["name": "r1"])],
            rule: "spec.capacity.candidates[]#0"),
        job(
            second + "provisioningModel", "ReservationBound", "ReservationBound needs a reservation",
            rule: "spec.capacity.candidates[]#0"),
        job(
            [(second + "provisioningModel", "Standard"), (second + "reservation", ["name": "r1"])],
            rule: "spec.capacity.candidates[]#1"),
        job(
            [(second + "provisioningModel", "Spot"), (second + "reservation", ["name": "r1"])],
            "a reservation goes with Standard", rule: "spec.capacity.candidates[]#1"),
        job(second + "maxRunDurationSeconds", 3600, rule: "spec.capacity.candidates[]#2"),
        job(
            [
                (second + "provisioningModel", "ReservationBound"), (second + "reservation", ["name": "r1"]),
                (second + "maxRunDurationSeconds", 3600),
            ], "maxRunDurationSeconds not with ReservationBound", rule: "spec.capacity.candidates[]#2"),
        job([(second + "provisioningModel", "FlexStart"), (second + "maxRunDurationSeconds", 86400)]),
        job(
            [(second + "provisioningModel", "FlexStart"), (second + "reservation", ["name": "r1"])],
            "a reservation goes with Standard", rule: "spec.capacity.candidates[]#1"),
        job(second + "provisioningModel", "Preemptible", "Unsupported value"),
        job(second + "reservation", [:], "reservation.name: Required value"),
        job(second + "resourceFlavor", "spot-l4"), job(second + "resourceFlavor", "Spot L4", "resourceFlavor"),
        job(second + "maxHourlyCost", "12.50"), job(second + "maxHourlyCost", "$12", "maxHourlyCost"),
        job(second + "maxHourlyCost", 12, "maxHourlyCost"), job("spec.pendingDeadlineSeconds", 60),
        job("spec.pendingDeadlineSeconds", 59, "should be greater than or equal to 60"),
        job("spec.backend.gke.nodePool.acceleratorNetwork", "Auto"),
        job("spec.backend.gke.nodePool.acceleratorNetwork", "Fast", "Unsupported value"),
        job("spec.backend.gke.nodePool.localSSDCount", 33, "should be less than or equal to 32"),
        job([("spec.capacity", nil), (pool, existing)], rule: pool + "#0"),
        job([("spec.capacity", nil), (pool, unnamed)], "selector exactly", rule: pool + "#0"),
        job(pool + ".selector", ["matchLabels": ["a": "b"]], "selector exactly", rule: pool + "#0"),
        job([("spec.capacity", nil), (pool, existing), (pool + ".tolerations", [["key": "a"]])], rule: pool + "#1"),
        job(pool + ".tolerations", [["key": "a"]], "tolerations only", rule: pool + "#1"),
        job(
            [("spec.capacity", nil), (pool, byClass)], rule: pool + "#2"),
        job(pool + ".computeClassName", "l4", "computeClassName exactly", rule: pool + "#2"),
        job(pool + ".keepIdleSeconds", 600, rule: pool + "#3"),
        job(
            [("spec.capacity", nil), (pool, existing), (pool + ".keepIdleSeconds", 600)], "keepIdleSeconds only",
            rule: pool + "#3"),
        job(pool + ".keepIdleSeconds", 3601, "should be less than or equal to 3600"),
        job(pool, existing, "capacity.candidates needs nodePool.policy CreatePerRun", rule: "spec#1"),
        job(pool + ".privateNodes", true, rule: "spec#1"),
        job([("spec.capacity", nil), (pool, existing)], rule: pool + ".selector.matchLabels#0"),
        job(
            [
                ("spec.capacity", nil),
                (pool, longLabel),
            ], "at most 316 characters", rule: pool + ".selector.matchLabels#0"),
    ]

    private static let pool = "spec.backend.gke.nodePool"
    private static let unnamed: JSONValue = ["policy": "Existing"]
    private static let byClass: JSONValue = ["policy": "ComputeClass", "computeClassName": "l4"]
    private static let longLabel: JSONValue = [
        "policy": "Existing", "selector": ["matchLabels": .object([String(repeating: "k", count: 317): "v"])],
    ]
    private static let existing: JSONValue = ["policy": "Existing", "selector": ["matchLabels": ["team": "ml"]]]
    private static let second = "spec.capacity.candidates.1."
}
