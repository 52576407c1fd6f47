import Glibc
import HTTP

/// `trainyard sandbox up`: keeps a sandbox running for kubectl.
struct SandboxUp: Sendable {
    let options: SandboxUpOptions
    let interrupts: Interrupts
    /// Everything but the one line for the shell goes to standard error.
    let console: Console

    func run() async -> Int32 {
        do throws(RunError) {
            try await keep()
            return 0
        } catch {
            console.line("trainyard: \(error.message)")
            return error.exitStatus
        }
    }

    private func keep() async throws(RunError) {
        let programs = try Programs.besideThisOne()
        let parent = options.stateDirectory.map(LocalFiles.absolute) ?? StateFolder.userParent
        let measured = Preflight.measured(
            stateParent: LocalFiles.existingParent(of: parent), seeds: [], programs: programs)
        if let problem = measured.problem { throw problem }
        let folder = try StateFolder.forKeeping(chosen: options.stateDirectory)
        let settings = SandboxSettings(
            folder: folder, port: options.port, programs: programs, startsOperator: options.startsOperator)
        try await RunningSandbox.with(settings, tellOperator: { console.line("operator: \($0)") }) {
            sandbox async throws(RunError) in
            FileDescriptor.write("export KUBECONFIG=\(NextCommands.quoted(folder.kubeconfig))\n", to: STDOUT_FILENO)
            for line in Self.welcome(sandbox) { console.line(line) }
            while interrupts.poll() == 0 {
                if sandbox.operatorProcess?.hasGivenUp == true {
                    throw RunError(.software, "the operator died again and again; see \(folder.operatorLog)")
                }
                await Pause.milliseconds(100)
            }
            console.line("stopping")
        }
    }

    private static func welcome(_ sandbox: RunningSandbox) -> [String] {
        let isOperated = sandbox.operatorProcess != nil
        return [
            "The sandbox listens on \(sandbox.origin): a simulated Kubernetes cluster and Google Cloud"
                + (isOperated ? ", and the real operator." : "."),
            "Paste the line above into another terminal, then for example:",
            "  kubectl apply -f crds/examples/fashion-mnist.yaml",
            "  kubectl get trainingjobs -w",
            "Endpoints answer at the URL that `kubectl get mep` shows, with `Authorization: Bearer TOKEN`. A token for URL:",
            "  curl -H 'Metadata-Flavor: Google' '\(sandbox.origin)/computeMetadata/v1/instance/service-accounts/default/"
                + "identity?audience=URL'",
        ]
            + (isOperated ? ["The operator's log is \(sandbox.folder.operatorLog)."] : [])
            + ["Ctrl-C ends it."]
    }
}
