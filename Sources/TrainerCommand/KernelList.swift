import Encoding
import Kernels

/// `trainyard-trainer kernels`.
enum KernelList {
    /// JSON, which is YAML too: what `spec.trainer.kernels` takes. CUDA kernels are not built, so there is no `cuda`.
    static var json: JSONValue {
        [
            "cpu": [
                "architectures": [.string(CarriedKernels.architecture)],
                "features": .array(CarriedKernels.features.map { .string($0) }),
            ]
        ]
    }

    static var text: String { json.prettyPrinted() + "\n" }
}
