import Encoding

/// What is said before anything starts.
enum Opening {
    /// Training images per second and core that the estimate assumes; a run says its own.
    private static let imagesPerSecondAndCore = 400.0
    /// Capacity, node, pod, verification and release in the simulation.
    private static let overheadSeconds = 25.0
    private static let fullSetImages = 60_000.0

    /// What is simulated, what is real, and about how long it takes.
    ///
    /// - Parameter serves: whether the model is served afterwards.
    static func lines(for job: JSONValue, serves: Bool = false, cores: Int = Processors.count) -> [String] {
        let end = serves ? "answered predictions" : "verified outputs"
        let real = serves ? "the training and the model server" : "the training"
        return [
            "Trainyard sandbox: one training run from its YAML file to \(end), on this machine.",
            "",
            "  simulated   the Kubernetes cluster, Google Cloud with its machines, their prices and stockouts",
            "  real        the operator, \(real) (on this machine's CPU) and every byte in the bucket",
            "  duration    \(duration(job, cores: cores))",
            "",
        ]
    }

    private static func duration(_ job: JSONValue, cores: Int) -> String {
        let epochs = number("epochs", of: job) ?? 2
        let images = min(fullSetImages, number("trainImages", of: job) ?? fullSetImages)
        let cores = min(2, max(1, cores))
        let training = epochs * images / (imagesPerSecondAndCore * Double(cores))
        let seconds = overheadSeconds + training
        let machine = cores == 1 ? "one core" : "two cores"
        let what = "\(Format.plural(Int(epochs), "epoch")) of \(Format.count(Int(images))) images on \(machine)"
        guard seconds >= 55, seconds < 1e7 else { return "less than a minute for \(what)" }
        let minutes = Int((seconds / 60).rounded(.up))
        return "about \(Format.plural(minutes, "minute")) for \(what)"
    }

    private static func number(_ name: String, of job: JSONValue) -> Double? {
        let text = job.value(at: ["spec", "trainer", "hyperparameters", name])?.stringValue
        return text.flatMap { Double($0) }.flatMap { $0 >= 0 && $0 < 1e6 ? $0 : nil }
    }
}
