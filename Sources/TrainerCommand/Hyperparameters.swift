import Encoding
import System
import Training
import TrainingContract

/// Hyperparameters of all sources as `HP_…` variables: flags win over the environment, that over the file.
struct Hyperparameters: Sendable, Hashable {
    var variables: [String: String]
    /// Sentences about values of the file that do not hold.
    var remarks: [String] = []

    /// - Parameter environment: without empty variables.
    /// - Throws: `.usage` when the file is not a JSON object of strings, `.missingInput` when it cannot be read.
    init(flags: [String: String], environment: [String: String]) throws(TrainingError) {
        variables = environment.filter { $0.key.hasPrefix(TrainingEnvironment.hyperparameterPrefix) }
        if let path = environment[TrainingEnvironment.hyperparametersFile] {
            let values = Dictionary(variables.map { (Self.bare($0.key), $0.value) }) { first, _ in first }
            for (name, text) in try Self.file(path).sorted(by: { $0.key < $1.key }) {
                let variable = TrainingEnvironment.hyperparameter(name)
                guard let winner = values[Self.bare(variable)] else {
                    variables[variable] = text
                    continue
                }
                if winner != text {
                    remarks.append("\(path) says \(name)=\(text), the environment \(winner): the environment's counts")
                }
            }
        }
        let flagged = Set(flags.keys.map(Self.bare))
        variables = variables.filter { !flagged.contains(Self.bare($0.key)) }.merging(flags) { $1 }
    }

    /// `HP_BATCH_SIZE` and `HP_BATCHSIZE` are the same to the trainer.
    private static func bare(_ name: String) -> String { name.filter { $0 != "_" } }

    private static func file(_ path: String) throws(TrainingError) -> [String: String] {
        let bytes: [UInt8]
        do throws(SmallFile.ReadError) {
            bytes = try SmallFile.bytes(path, limit: 1 << 20, requiresRegularFile: true)
        } catch {
            throw TrainingError(
                .missingInput,
                "the hyperparameters in \(path) (\(TrainingEnvironment.hyperparametersFile)) cannot be read: \(error)")
        }
        guard let members = (try? JSONValue(parsing: bytes))?.objectValue else {
            throw TrainingError(.usage, "\(path) is not a JSON object of hyperparameters")
        }
        var values: [String: String] = [:]
        for (name, value) in members {
            guard let text = value.stringValue else {
                throw TrainingError(.usage, "\(path): the value of \(name.prefix(60)) must be a string, as in \"0.01\"")
            }
            values[name] = text
        }
        return values
    }
}
