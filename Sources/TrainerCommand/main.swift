import Glibc
import System
import TrainingContract

let stop = StopRequest.bySignals()
let code = await Trainer.main(
    arguments: Array(CommandLine.arguments.dropFirst()), environment: ProcessEnvironment.variables,
    shouldStop: { stop.isRequested })
exit(code.rawValue)
