import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes
import TrainingContract

/// Why an attempt ended without success.
struct AttemptFailure: Sendable, Hashable {
    var reason: Reason
    var message: String
    /// Which part failed: the trainer's container, the fetching of an input, the node.
    var component = "Trainer"
    var exitCode: Int?
    /// That ended the container.
    var signal: Int?
    var node: String?
    /// Whose log tells more.
    var pod: String?
    var container: String?
    /// Another try cannot help.
    var isFinal = false

    /// Whether it counts towards `maxRestarts`: a machine that was taken away does not; one that stands still does, as
    /// the code may be the reason.
    var counts: Bool { !reason.losesMachines || reason == .stepStalled }
}

/// `status.lastFailure`: what a user needs in the night.
enum TrainingJobFailureReport {
    static func report(
        _ failure: AttemptFailure, _ attempt: TrainingJob.Attempt?, _ observation: TrainingJobObservation
    ) -> TrainingJob.Failure {
        var report = TrainingJob.Failure(
            class: failure.reason.failureClass?.rawValue, component: failure.component,
            reason: failure.reason.rawValue, message: Conditions.cut(failure.message), exitCode: failure.exitCode,
            signal: failure.signal, node: failure.node, zone: attempt?.zone, time: observation.moment)
        report.logURL = logURL(failure, attempt, observation)
        report.hint = hint(failure, observation).map { Conditions.cut($0, to: 256) }
        return report
    }

    // MARK: Log

    /// Cloud Logging's page with the lines of the container, or of all pods of the attempt where none is known.
    static func logURL(
        _ failure: AttemptFailure, _ attempt: TrainingJob.Attempt?, _ observation: TrainingJobObservation
    ) -> String? {
        guard let run = observation.status.run, let attempt else { return nil }
        let cluster = observation.configuration.cluster
        var filters = [
            ("resource.type", "k8s_container"), ("resource.labels.location", cluster.location),
            ("resource.labels.cluster_name", cluster.cluster),
            ("resource.labels.namespace_name", observation.job.metadata.namespace ?? "default"),
        ]
        if let pod = failure.pod {
            filters.append(("resource.labels.pod_name", pod))
            filters.append(("resource.labels.container_name", failure.container ?? TrainingJobPods.container))
        } else {
            let job = Naming.attemptJob(runID: run.id, attempt: attempt.number)
            filters.append(("labels.\"k8s-pod/batch_kubernetes_io/job-name\"", job))
        }
        let query = filters.map { "\($0.0)=\"\($0.1)\"" }.joined(separator: "\n")
        let end = observation.moment + .seconds(60)  // Lines arrive late, and clocks differ.
        let range = "\((attempt.startTime ?? observation.moment).description)/\(end.description)"
        let url =
            "https://console.cloud.google.com/logs/query;query=\(escaped(query));timeRange=\(escaped(range))"
            + "?project=\(escaped(cluster.project))"
        return url.count <= 1024 ? url : nil
    }

    /// Percent-encoded but for RFC 3986's unreserved characters.
    private static func escaped(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF")
        return text.utf8.reduce(into: "") { result, byte in
            let character = Character(Unicode.Scalar(byte))
            if byte < 0x80, character.isLetter || character.isNumber || "-._~".contains(character) {
                result.append(character)
            } else {
                result += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
    }

    // MARK: Hint

    /// What to do, as concrete as what is known allows.
    static func hint(_ failure: AttemptFailure, _ observation: TrainingJobObservation) -> String? {
        switch failure.reason {
        case .oomKilled: memoryHint(observation) ?? failure.reason.hint
        case .quotaExceeded: quotaHint(observation)
        default: failure.reason.hint
        }
    }

    /// The page where more quota is asked for.
    static func quotaHint(_ observation: TrainingJobObservation) -> String {
        let project = observation.configuration.cluster.project
        return "Ask for more at https://console.cloud.google.com/iam-admin/quotas?project=\(project), "
            + "or add a candidate in another region."
    }

    /// The limit that was hit, and the next larger machine.
    private static func memoryHint(_ observation: TrainingJobObservation) -> String? {
        guard let run = observation.status.run, let spec = observation.runSpec,
            let options = try? TrainingJobNodePool.options(for: run, spec, observation).get(),
            let option = TrainingJobCapacity.currentOption(options, observation.status)
        else { return nil }
        let machine = option.machine
        let peak = peak(observation)
        if let limit = spec.trainer?.resourcesPerNode?.limits?["memory"] {
            let text = limit.stringValue ?? limit.serializedText()
            return "It hit its limit\(peak): raise resourcesPerNode.limits.memory (\(text); \(machine.type) has "
                + "\(machine.memoryGB) GB), or take a smaller batch."
        }
        guard let gpu = option.accelerator?.gpu else {
            let size = machine.memoryGB > 0 ? " (\(machine.memoryGB) GB)" : ""
            let larger =
                largerCPU(than: machine.type).map { "set machineType: \($0)" } ?? "choose a larger machine type"
            return "It used all of \(machine.type)\(size)\(peak): \(larger), or take a smaller batch."
        }
        guard let larger = larger(than: option, gpu) else {
            return
                "\(machine.type) (\(machine.memoryGB) GB\(peak)) is the largest that carries this accelerator: take a "
                + "smaller batch, or more nodes."
        }
        return "It used all of \(machine.type) (\(machine.memoryGB) GB)\(peak): set machineType: \(larger.type) "
            + "(\(larger.memoryGB) GB), or take a smaller batch."
    }

    /// What rank 0 has told of its own peak in this attempt, before it was too late.
    private static func peak(_ observation: TrainingJobObservation) -> String {
        guard let report = observation.progress, report.runID == observation.status.run?.id,
            report.attempt == observation.status.attempts.last?.number, let bytes = report.memoryPeakBytes, bytes > 0
        else { return "" }
        let tenths = (bytes + 50_000_000) / 100_000_000
        return ", at step \(report.step) rank 0 had used \(tenths / 10).\(tenths % 10) GB"
    }

    /// The next size of the same family: twice the processors, and the memory that goes with them.
    static func largerCPU(than type: String) -> String? {
        let words = type.split(separator: "-").map(String.init)
        guard words.count == 3, ["standard", "highmem", "highcpu"].contains(words[1]), let count = Int(words[2])
        else { return nil }
        let sizes = [2, 4, 8, 16, 32]
        if words[1] == "highcpu" { return "\(words[0])-standard-\(count)" }
        guard let next = sizes.first(where: { $0 > count }) else {
            return words[1] == "standard" && words[0] != "e2" ? "\(words[0])-highmem-\(count)" : nil
        }
        return "\(words[0])-\(words[1])-\(next)"
    }

    private static func larger(
        than option: CapacityOption, _ gpu: TrainingJob.AcceleratorSpec.GPU
    ) -> Accelerator.Machine? {
        Accelerator.named(gpu.type)?
            .machines(count: option.machine.acceleratorCount, model: option.candidate.provisioningModel)
            .filter { $0.memoryGB > option.machine.memoryGB }.min { $0.memoryGB < $1.memoryGB }
    }
}
