import Kubernetes
import Operator

/// Which cluster is asked, and where in it.
struct ClusterOptions: Equatable, Sendable {
    /// nil: the context's, else `default`.
    var namespace: String?
    var kubeconfig: String?
    var context: String?

    static let names = ["--namespace", "--kubeconfig", "--context", "--help"]

    /// Takes one of the options above; false when it is none of them.
    mutating func take(_ option: String, _ reader: inout ArgumentReader) throws(UsageError) -> Bool {
        switch option {
        case "--namespace", "-n": namespace = try reader.value()
        case "--kubeconfig": kubeconfig = try reader.value()
        case "--context": context = try reader.value()
        default: return false
        }
        return true
    }
}

/// `trainyard status KIND NAME`.
struct StatusOptions: Equatable, Sendable {
    var kind: ResourceType
    var name: String
    var cluster = ClusterOptions()

    /// Reads the arguments after `status`.
    ///
    /// - Returns: nil when help is asked for.
    static func parse(_ arguments: [String]) throws(UsageError) -> StatusOptions? {
        var cluster = ClusterOptions()
        var operands: [String] = []
        var reader = ArgumentReader(arguments, topic: .status)
        while let argument = try reader.next() {
            switch argument {
            case .operand(let text): operands += text.split(separator: "/", maxSplits: 1).map(String.init)
            case .option("--help"), .option("-h"): return nil
            case .option(let name):
                guard try cluster.take(name, &reader) else { throw reader.unknown(name, ClusterOptions.names) }
            }
        }
        guard operands.count == 2 else {
            throw UsageError(
                message: "status needs a kind and a name, for example: trainyard status trainingjob fashion-mnist",
                topic: .status)
        }
        return StatusOptions(kind: try kind(operands[0]), name: operands[1], cluster: cluster)
    }

    /// By what `kubectl get` accepts.
    static func kind(_ word: String) throws(UsageError) -> ResourceType {
        let kinds: [(type: ResourceType, short: String)] = [
            (TrainingJob.resourceType, "tj"), (GCSArtifact.resourceType, "gcsa"), (ModelEndpoint.resourceType, "mep"),
        ]
        let lowered = word.lowercased()
        if let found = kinds.first(where: {
            [$0.type.plural, String($0.type.plural.dropLast()), $0.short].contains(lowered)
        }) {
            return found.type
        }
        throw UsageError(
            message: "there is no kind '\(word)'"
                + NearMatch.hint(lowered, kinds.map { String($0.type.plural.dropLast()) }),
            topic: .status)
    }
}

/// `trainyard doctor`.
struct DoctorOptions: Equatable, Sendable {
    var cluster = ClusterOptions()

    /// Reads the arguments after `doctor`.
    ///
    /// - Returns: nil when help is asked for.
    static func parse(_ arguments: [String]) throws(UsageError) -> DoctorOptions? {
        var options = DoctorOptions()
        var reader = ArgumentReader(arguments, topic: .doctor)
        while let argument = try reader.next() {
            switch argument {
            case .operand(let text):
                throw UsageError(message: "doctor takes no argument ('\(text)')", topic: .doctor)
            case .option("--help"), .option("-h"): return nil
            case .option(let name):
                guard try options.cluster.take(name, &reader) else { throw reader.unknown(name, ClusterOptions.names) }
            }
        }
        return options
    }
}

/// `trainyard logs NAME`.
struct LogsOptions: Equatable, Sendable {
    /// Of a TrainingJob.
    var name: String
    /// Of each pod.
    var lineCount = 100
    var cluster = ClusterOptions()

    /// Reads the arguments after `logs`.
    ///
    /// - Returns: nil when help is asked for.
    static func parse(_ arguments: [String]) throws(UsageError) -> LogsOptions? {
        var options = LogsOptions(name: "")
        var names: [String] = []
        var reader = ArgumentReader(arguments, topic: .logs)
        while let argument = try reader.next() {
            switch argument {
            case .operand(let text): names.append(text)
            case .option("--help"), .option("-h"): return nil
            case .option("--tail"):
                let text = try reader.value()
                guard let count = Int(text), (1...10_000).contains(count) else {
                    throw UsageError(message: "--tail must be a number from 1 to 10000, not '\(text)'", topic: .logs)
                }
                options.lineCount = count
            case .option(let name):
                guard try options.cluster.take(name, &reader) else {
                    throw reader.unknown(name, ["--tail"] + ClusterOptions.names)
                }
            }
        }
        guard names.count == 1, let name = names.first else {
            throw UsageError(
                message: "logs needs the name of one TrainingJob, for example: trainyard logs fashion-mnist",
                topic: .logs)
        }
        options.name = name
        return options
    }
}
