import Glibc
import TrainingContract

let signals = StopSignals()

var environment: [String: String] = [:]
var entry = environ
while let text = entry.pointee {
    let pair = String(cString: text)
    if let equals = pair.firstIndex(of: "=") {
        environment[String(pair[..<equals])] = String(pair[equals...].dropFirst())
    }
    entry += 1
}

let code = await Trainer.main(
    arguments: Array(CommandLine.arguments.dropFirst()), environment: environment,
    shouldStop: { signals.isStopRequested })
exit(code.rawValue)
