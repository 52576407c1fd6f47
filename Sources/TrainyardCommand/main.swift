import Glibc

let console = Console(descriptor: STDERR_FILENO)

do {
    switch try Invocation(arguments: Array(CommandLine.arguments.dropFirst())) {
    case .version: print("trainyard \(Version.text)")
    case .help(let topic): print(HelpText.text(topic), terminator: "")
    case .sandboxRun, .sandboxUp:
        console.line("trainyard: the sandbox is not part of this build yet")
        exit(RunError(.software, "").exitStatus)
    }
} catch {
    console.line("trainyard: \(error.message)\n\(HelpText.usage(error.topic))")
    exit(RunError(.usage, error.message).exitStatus)
}
