/// What the command line asks for.
enum Invocation: Equatable, Sendable {
    case sandboxRun(SandboxRunOptions)
    case sandboxUp(SandboxUpOptions)
    case plan(PlanOptions)
    case artifact(ArtifactOptions)
    case status(StatusOptions)
    case doctor(DoctorOptions)
    case logs(LogsOptions)
    case completion(Completions.Shell)
    case version
    case help(HelpTopic)
}

/// Which help text is printed.
enum HelpTopic: String, Sendable, CaseIterable {
    case overview, sandbox, plan, artifact, status, doctor, logs, completion
    case sandboxRun = "sandbox run"
    case sandboxUp = "sandbox up"
}

/// `trainyard sandbox run FILE…`.
struct SandboxRunOptions: Equatable, Sendable {
    var files: [String] = []
    /// One JSON object as the last line of standard output, everything else on standard error.
    var isJSON = false
    /// Exactly this folder receives the outputs; nil: `./runs/<runID>`.
    var outputDirectory: String?
    /// `path=value` for the TrainingJob, in order.
    var assignments: [Assignment] = []
    /// The state folder stays after success too.
    var keepsState = false
    var stateDirectory: String?
}

/// `trainyard plan FILE…`.
struct PlanOptions: Equatable, Sendable {
    var files: [String] = []
    /// One JSON object on standard output.
    var isJSON = false
    /// For candidates that name none.
    var zones: [String] = []
    var priceFile: String?
}

/// `trainyard sandbox up`.
struct SandboxUpOptions: Equatable, Sendable {
    var stateDirectory: String?
    var startsOperator = true
    /// 0: any free port.
    var port: UInt16 = 0
}

/// One `--set path=value`.
struct Assignment: Equatable, Sendable {
    var path: [String]
    var value: String

    var pathText: String { path.joined(separator: ".") }
}

/// A command line that cannot be understood; the process ends with status 64 (EX_USAGE).
struct UsageError: Error, Equatable, Sendable {
    var message: String
    /// The help text to look at.
    var topic: HelpTopic
}

extension Invocation {
    /// Reads the arguments after the program's name.
    ///
    /// - Throws: `UsageError` with a sentence that names the argument at fault.
    init(arguments: [String]) throws(UsageError) {
        guard let first = arguments.first else {
            self = .help(.overview)
            return
        }
        let rest = Array(arguments.dropFirst())
        switch first {
        case "sandbox": self = try Invocation.sandbox(rest)
        case "plan": self = try Invocation.plan(rest)
        case "artifact": self = try ArtifactOptions.parse(rest).map(Invocation.artifact) ?? .help(.artifact)
        case "status": self = try StatusOptions.parse(rest).map(Invocation.status) ?? .help(.status)
        case "doctor": self = try DoctorOptions.parse(rest).map(Invocation.doctor) ?? .help(.doctor)
        case "logs": self = try LogsOptions.parse(rest).map(Invocation.logs) ?? .help(.logs)
        case "completion": self = try Invocation.completion(rest)
        case "version", "--version", "-V": self = try Invocation.alone(.version, first, rest)
        case "help": self = .help(try Invocation.topic(rest))
        case "--help", "-h": self = .help(.overview)
        default:
            throw UsageError(
                message: "there is no command '\(first)'"
                    + NearMatch.hint(first, Completions.words.first?.words ?? []),
                topic: .overview)
        }
    }

    private static func completion(_ arguments: [String]) throws(UsageError) -> Invocation {
        let known = Completions.Shell.allCases.map(\.rawValue)
        guard let word = arguments.first, arguments.count == 1 else {
            throw UsageError(message: "completion needs a shell: \(known.joined(separator: ", "))", topic: .completion)
        }
        if ["--help", "-h"].contains(word) { return .help(.completion) }
        guard let shell = Completions.Shell(rawValue: word) else {
            throw UsageError(
                message: "there is no completion for '\(word)'" + NearMatch.hint(word, known), topic: .completion)
        }
        return .completion(shell)
    }

    private static func sandbox(_ arguments: [String]) throws(UsageError) -> Invocation {
        guard let verb = arguments.first else {
            throw UsageError(message: "sandbox needs a command: run or up", topic: .sandbox)
        }
        let rest = Array(arguments.dropFirst())
        switch verb {
        case "run": return try run(rest)
        case "up": return try up(rest)
        case "--help", "-h", "help": return .help(.sandbox)
        default:
            throw UsageError(
                message: "there is no command 'sandbox \(verb)'" + NearMatch.hint(verb, ["run", "up"]),
                topic: .sandbox)
        }
    }

    private static func run(_ arguments: [String]) throws(UsageError) -> Invocation {
        var options = SandboxRunOptions()
        var reader = ArgumentReader(arguments, topic: .sandboxRun)
        while let argument = try reader.next() {
            switch argument {
            case .operand(let file): options.files.append(file)
            case .option("--json"): options.isJSON = true
            case .option("--keep"): options.keepsState = true
            case .option("--out"): options.outputDirectory = try reader.value()
            case .option("--state-dir"): options.stateDirectory = try reader.value()
            case .option("--set"): options.assignments.append(try assignment(try reader.value()))
            case .option("--help"), .option("-h"): return .help(.sandboxRun)
            case .option(let name):
                throw reader.unknown(name, ["--json", "--keep", "--out", "--set", "--state-dir", "--help"])
            }
        }
        guard !options.files.isEmpty else {
            throw UsageError(
                message: "sandbox run needs a file, for example crds/examples/fashion-mnist.yaml", topic: .sandboxRun)
        }
        return .sandboxRun(options)
    }

    private static func plan(_ arguments: [String]) throws(UsageError) -> Invocation {
        var options = PlanOptions()
        var reader = ArgumentReader(arguments, topic: .plan)
        while let argument = try reader.next() {
            switch argument {
            case .operand(let file): options.files.append(file)
            case .option("--json"): options.isJSON = true
            case .option("--zones"): options.zones = try zones(try reader.value())
            case .option("--price-file"): options.priceFile = try reader.value()
            case .option("--help"), .option("-h"): return .help(.plan)
            case .option(let name): throw reader.unknown(name, ["--json", "--zones", "--price-file", "--help"])
            }
        }
        guard !options.files.isEmpty else {
            throw UsageError(message: "plan needs a file, for example crds/examples/plan.yaml", topic: .plan)
        }
        return .plan(options)
    }

    /// `us-central1-a,us-central1-b`.
    private static func zones(_ text: String) throws(UsageError) -> [String] {
        let zones = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        for zone in zones where zone.wholeMatch(of: /[a-z]+-[a-z]+[0-9]+-[a-z0-9]+/) == nil {
            throw UsageError(
                message: "--zones: '\(zone)' is no zone; write them like us-central1-a,us-central1-b", topic: .plan)
        }
        return zones
    }

    private static func up(_ arguments: [String]) throws(UsageError) -> Invocation {
        var options = SandboxUpOptions()
        var reader = ArgumentReader(arguments, topic: .sandboxUp)
        while let argument = try reader.next() {
            switch argument {
            case .operand(let text):
                throw UsageError(
                    message: "sandbox up takes no file ('\(text)'): apply it with kubectl", topic: .sandboxUp)
            case .option("--state-dir"): options.stateDirectory = try reader.value()
            case .option("--no-operator"): options.startsOperator = false
            case .option("--port"):
                let text = try reader.value()
                guard let port = UInt16(text) else {
                    throw UsageError(
                        message: "--port must be a number from 0 to 65535, not '\(text)'", topic: .sandboxUp)
                }
                options.port = port
            case .option("--help"), .option("-h"): return .help(.sandboxUp)
            case .option(let name):
                throw reader.unknown(name, ["--state-dir", "--no-operator", "--port", "--help"])
            }
        }
        return .sandboxUp(options)
    }

    private static func assignment(_ text: String) throws(UsageError) -> Assignment {
        let example = "--set spec.trainer.hyperparameters.epochs=5"
        guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
            throw UsageError(message: "--set needs path=value, for example \(example)", topic: .sandboxRun)
        }
        let path = text[..<equals].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard path.allSatisfy({ !$0.isEmpty }) else {
            throw UsageError(
                message: "--set path '\(text[..<equals])' has an empty part; write it like \(example)",
                topic: .sandboxRun)
        }
        return Assignment(path: path, value: String(text[text.index(after: equals)...]))
    }

    private static func alone(
        _ invocation: Invocation, _ name: String, _ rest: [String]
    ) throws(UsageError) -> Invocation {
        guard let extra = rest.first else { return invocation }
        throw UsageError(message: "\(name) takes no argument ('\(extra)')", topic: .overview)
    }

    private static func topic(_ words: [String]) throws(UsageError) -> HelpTopic {
        if words.isEmpty { return .overview }
        let text = words.joined(separator: " ")
        guard let topic = HelpTopic(rawValue: text) else {
            throw UsageError(
                message: "there is no help on '\(text)'" + NearMatch.hint(text, HelpTopic.allCases.map(\.rawValue)),
                topic: .overview)
        }
        return topic
    }
}

/// Walks over arguments: `--name value`, `--name=value`, operands, and operands only after `--`.
struct ArgumentReader {
    enum Argument: Equatable {
        case option(String)
        case operand(String)
    }

    private var rest: ArraySlice<String>
    private var onlyOperands = false
    private var inlineValue: String?
    private var current = ""
    private let topic: HelpTopic

    init(_ arguments: [String], topic: HelpTopic) {
        self.rest = arguments[...]
        self.topic = topic
    }

    mutating func next() throws(UsageError) -> Argument? {
        if let inlineValue {
            throw UsageError(message: "\(current) takes no value ('\(inlineValue)')", topic: topic)
        }
        guard let text = rest.popFirst() else { return nil }
        if !onlyOperands, text == "--" {
            onlyOperands = true
            return try next()
        }
        if onlyOperands || !text.hasPrefix("-") || text == "-" { return .operand(text) }
        guard text.hasPrefix("--"), let equals = text.firstIndex(of: "=") else {
            current = text
            return .option(text)
        }
        current = String(text[..<equals])
        inlineValue = String(text[text.index(after: equals)...])
        return .option(current)
    }

    /// The value of the option that was just read.
    mutating func value() throws(UsageError) -> String {
        if let value = inlineValue {
            inlineValue = nil
            return try notEmpty(value)
        }
        guard let value = rest.first, !value.hasPrefix("--") else {
            throw UsageError(message: "\(current) needs a value", topic: topic)
        }
        rest.removeFirst()
        return try notEmpty(value)
    }

    func unknown(_ name: String, _ known: [String]) -> UsageError {
        UsageError(message: "there is no option '\(name)'" + NearMatch.hint(name, known), topic: topic)
    }

    private func notEmpty(_ value: String) throws(UsageError) -> String {
        guard !value.isEmpty else { throw UsageError(message: "\(current) needs a value", topic: topic) }
        return value
    }
}
