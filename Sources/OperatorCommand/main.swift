import Glibc
import HTTP
import System
import Telemetry

let stop = StopRequest.bySignals()

/// Exit statuses, from sysexits.h where it has one.
enum ExitStatus {
    static let usage: Int32 = 64
    static let unavailable: Int32 = 69
    static let leadershipLost: Int32 = 75
    static let configuration: Int32 = 78
}

/// Writes a line for people; nothing else is left to do when that fails.
func say(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
}

let status: Int32
do throws(Options.UsageError) {
    switch try Options.parse(Array(CommandLine.arguments.dropFirst())) {
    case .printVersion:
        print("trainyard-operator \(Version.text)")
        status = 0
    case .printHelp:
        print(Options.help, terminator: "")
        status = 0
    case .check(let check):
        status = await check.run(environment: ProcessEnvironment.variables, stop: stop)
    case .run(let options):
        status = await OperatorProcess(options: options, environment: ProcessEnvironment.variables, stop: stop).run()
    }
} catch {
    say("trainyard-operator: \(error.message)\ntrainyard-operator: try --help")
    status = ExitStatus.usage
}
exit(status)
