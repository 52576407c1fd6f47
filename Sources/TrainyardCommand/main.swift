import Glibc
import System

let interrupts = Interrupts()
let errors = Console(descriptor: STDERR_FILENO)

/// A second Ctrl-C ends the program at once, whatever hangs; the operator and the pods die with it.
func forceOnSecondInterrupt(_ interrupts: Interrupts) async {
    while !Task.isCancelled {
        if interrupts.poll() > 1 {
            errors.line("\ntrainyard: forced; nothing simulated costs anything, and no process stays behind")
            _exit(RunError(.interrupted, "").exitStatus)
        }
        await Pause.milliseconds(100)
    }
}

func run(_ invocation: Invocation) async -> Int32 {
    switch invocation {
    case .version:
        FileDescriptor.write("trainyard \(Version.text)\n", to: STDOUT_FILENO)
        return 0
    case .help(let topic):
        FileDescriptor.write(HelpText.text(topic), to: STDOUT_FILENO)
        return 0
    case .sandboxRun(let options):
        async let _: Void = forceOnSecondInterrupt(interrupts)
        let console = options.isJSON ? errors : Console(descriptor: STDOUT_FILENO)
        return await SandboxRun(options: options, console: console, interrupts: interrupts).run()
    case .plan(let options):
        return await PlanCommand(options: options, console: Console(descriptor: STDOUT_FILENO), complaints: errors)
            .run()
    case .artifact(let options):
        async let _: Void = forceOnSecondInterrupt(interrupts)
        return await ArtifactCommand(
            options: options, output: Console(descriptor: STDOUT_FILENO), complaints: errors, interrupts: interrupts
        ).run()
    case .status(let options):
        return await StatusCommand(options: options, console: Console(descriptor: STDOUT_FILENO), complaints: errors)
            .run()
    case .doctor(let options):
        return await DoctorCommand(options: options, console: Console(descriptor: STDOUT_FILENO), complaints: errors)
            .run()
    case .logs(let options):
        return await LogsCommand(options: options, console: Console(descriptor: STDOUT_FILENO), complaints: errors)
            .run()
    case .completion(let shell):
        FileDescriptor.write(Completions.script(shell), to: STDOUT_FILENO)
        return 0
    case .sandboxUp(let options):
        async let _: Void = forceOnSecondInterrupt(interrupts)
        return await SandboxUp(options: options, interrupts: interrupts, console: errors).run()
    }
}

do throws(UsageError) {
    let invocation = try Invocation(arguments: Array(CommandLine.arguments.dropFirst()))
    exit(await run(invocation))
} catch {
    errors.line("trainyard: \(error.message)\n\(HelpText.usage(error.topic))")
    exit(RunError(.usage, error.message).exitStatus)
}
