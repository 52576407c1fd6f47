import Encoding

/// The trainer image's test of itself on each node, before the trainer: an init container with the trainer's environment,
/// accelerators and volumes, and other arguments.
enum TrainingJobSelfTest {
    static let container = "self-test"

    /// - Parameter trainer: the trainer's container.
    static func initContainers(_ spec: TrainingJob.Spec, like trainer: JSONValue) -> [JSONValue] {
        guard let arguments = spec.preflight?.selfTestArgs, !spec.skips(.selfTest) else { return [] }
        var container = trainer
        container["name"] = .string(Self.container)
        container["args"] = .array(arguments.map { .string($0) })
        return [container]
    }
}
