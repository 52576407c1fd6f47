/// `trainyard artifact ls|pull|push`.
struct ArtifactOptions: Equatable, Sendable {
    enum Verb: String, CaseIterable, Sendable {
        case ls, pull, push
    }

    var verb: Verb
    /// `gs://bucket/prefix/`.
    var place: String
    /// Where files come from or go to; nil: the last part of the place.
    var folder: String?
    /// Of a GCSArtifact: exactly its files, in the generations that its manifest names.
    var version: String?
    /// Objects at a time.
    var parallelism = 8
    /// One JSON object on standard output.
    var isJSON = false
    /// Of a simulated or other local Cloud Storage; nil: the environment's STORAGE_EMULATOR_HOST, else Google.
    var endpoint: String?
}

extension ArtifactOptions {
    /// Reads the arguments after `artifact`.
    ///
    /// - Returns: nil when help is asked for.
    static func parse(_ arguments: [String]) throws(UsageError) -> ArtifactOptions? {
        guard let word = arguments.first else {
            throw UsageError(message: "artifact needs a command: ls, pull or push", topic: .artifact)
        }
        if ["--help", "-h", "help"].contains(word) { return nil }
        guard let verb = Verb(rawValue: word) else {
            throw UsageError(
                message: "there is no command 'artifact \(word)'" + NearMatch.hint(word, Verb.allCases.map(\.rawValue)),
                topic: .artifact)
        }
        var options = ArtifactOptions(verb: verb, place: "")
        var operands: [String] = []
        var reader = ArgumentReader(Array(arguments.dropFirst()), topic: .artifact)
        while let argument = try reader.next() {
            switch argument {
            case .operand(let text): operands.append(text)
            case .option("--json"): options.isJSON = true
            case .option("--version") where verb == .pull: options.version = try reader.value()
            case .option("--endpoint"): options.endpoint = try reader.value()
            case .option("--parallel"):
                let text = try reader.value()
                guard let count = Int(text), (1...64).contains(count) else {
                    throw UsageError(
                        message: "--parallel must be a number from 1 to 64, not '\(text)'", topic: .artifact)
                }
                options.parallelism = count
            case .option("--help"), .option("-h"): return nil
            case .option(let name):
                throw reader.unknown(name, ["--json", "--version", "--endpoint", "--parallel", "--help"])
            }
        }
        try options.take(operands)
        return options
    }

    private mutating func take(_ operands: [String]) throws(UsageError) {
        let shape =
            switch verb {
            case .ls: "artifact ls gs://BUCKET/PREFIX/"
            case .pull: "artifact pull gs://BUCKET/PREFIX/ [FOLDER]"
            case .push: "artifact push FOLDER gs://BUCKET/PREFIX/"
            }
        let counts = verb == .pull ? 1...2 : verb == .push ? 2...2 : 1...1
        guard counts.contains(operands.count) else {
            throw UsageError(message: "write it like this: trainyard \(shape)", topic: .artifact)
        }
        place = verb == .push ? operands[1] : operands[0]
        folder = verb == .push ? operands[0] : operands.count > 1 ? operands[1] : nil
        guard place.hasPrefix("gs://") else {
            throw UsageError(
                message: "'\(place)' is no place in Cloud Storage; write it like this: trainyard \(shape)",
                topic: .artifact)
        }
    }
}
