/// What GKE says of a TPU machine in node labels.
struct TPUShape: Sendable, Hashable {
    /// `cloud.google.com/gke-tpu-accelerator`.
    var accelerator: String
    /// `cloud.google.com/gke-tpu-topology` of one host alone.
    var topology: String

    private static let accelerators = [
        "ct4p": "tpu-v4-podslice", "ct5lp": "tpu-v5-lite-podslice", "ct5p": "tpu-v5p-slice", "ct6e": "tpu-v6e-slice",
        "tpu7x": "tpu7x",
    ]

    /// Nil for a machine without TPU chips.
    init?(machineType: String) {
        let words = machineType.split(separator: "-").map(String.init)
        guard let family = words.first, let accelerator = TPUShape.accelerators[family], let size = words.last else {
            return nil
        }
        self.accelerator = accelerator
        let isFlat = family == "ct5lp" || family == "ct6e"
        switch size {
        case "1t": topology = isFlat ? "1x1" : "1x1x1"
        case "8t": topology = "2x4"
        default: topology = isFlat ? "2x2" : "2x2x1"
        }
    }
}
