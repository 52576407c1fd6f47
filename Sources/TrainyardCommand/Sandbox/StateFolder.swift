import Glibc

/// The folder of one sandbox: kubeconfigs, logs, buckets.
struct StateFolder: Sendable {
    let path: String

    var kubeconfig: String { "\(path)/kubeconfig" }
    var operatorKubeconfig: String { "\(path)/operator.kubeconfig" }
    var operatorLog: String { "\(path)/operator.log" }
    /// Pods' folders and the buckets' bytes.
    var world: String { "\(path)/world" }

    /// The logs of the containers that ran, `pods/<pod>/<container>/<restart>.log`, oldest pod first.
    var podLogs: [String] {
        LocalFiles.names(in: "\(world)/pods").flatMap { pod in
            LocalFiles.names(in: "\(world)/pods/\(pod)").flatMap { container in
                LocalFiles.names(in: "\(world)/pods/\(pod)/\(container)").filter { $0.hasSuffix(".log") }
                    .map { "\(world)/pods/\(pod)/\(container)/\($0)" }
            }
        }
    }

    /// A new folder for one run: `chosen`, or one below $TMPDIR or /tmp.
    ///
    /// - Throws: `.localStorage` when it cannot be made.
    static func forRun(chosen: String?) throws(RunError) -> StateFolder {
        guard let chosen else {
            let parent = temporaryParent
            return StateFolder(path: try LocalFiles.makeTemporaryFolder(prefix: "\(parent)/trainyard-run-"))
        }
        let path = LocalFiles.absolute(chosen)
        try LocalFiles.makeFolder(path, mode: 0o700)
        return StateFolder(path: path)
    }

    /// The folder of a sandbox that is kept: `chosen`, else the first of `sandbox`, `sandbox-2`, … in the user's state
    /// folder that no running sandbox holds. Held as long as the process lives.
    ///
    /// - Throws: `.localStorage` when it cannot be made, `.unavailable` when another sandbox holds it.
    static func forKeeping(chosen: String?) throws(RunError) -> StateFolder {
        if let chosen {
            let path = LocalFiles.absolute(chosen)
            try LocalFiles.makeFolder(path, mode: 0o700)
            guard hold(path) else {
                throw RunError(.unavailable, "another sandbox uses \(path); name another folder with --state-dir")
            }
            return StateFolder(path: path)
        }
        let parent = userParent
        for number in 1...99 {
            let path = number == 1 ? "\(parent)/sandbox" : "\(parent)/sandbox-\(number)"
            try LocalFiles.makeFolder(path, mode: 0o700)
            if hold(path) { return StateFolder(path: path) }
        }
        throw RunError(.unavailable, "99 sandboxes run already below \(parent); end some, or use --state-dir")
    }

    /// Where a run's folder is made unless --state-dir says otherwise.
    static var temporaryParent: String {
        let folder = Environment.value("TMPDIR") ?? "/tmp"
        return folder.isEmpty ? "/tmp" : LocalFiles.absolute(folder)
    }

    /// `$XDG_STATE_HOME/trainyard`, or `~/.local/state/trainyard`.
    static var userParent: String {
        if let state = Environment.value("XDG_STATE_HOME"), state.hasPrefix("/") { return "\(state)/trainyard" }
        return "\(Environment.value("HOME") ?? "/root")/.local/state/trainyard"
    }

    /// Takes the folder's lock until the process ends: the descriptor is never closed.
    private static func hold(_ path: String) -> Bool {
        let descriptor = open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return false }
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
        close(descriptor)
        return false
    }
}

/// The kubeconfig of one user of the sandbox.
enum KubeconfigFile {
    /// Writes it so that only this user can read the token.
    ///
    /// - Throws: `.localStorage`.
    static func write(server: String, user: String, token: String, to path: String) throws(RunError) {
        let text = """
            apiVersion: v1
            kind: Config
            clusters:
            - name: trainyard-sandbox
              cluster: {server: "\(server)"}
            users:
            - name: \(user)
              user: {token: "\(token)"}
            contexts:
            - name: trainyard-sandbox
              context: {cluster: trainyard-sandbox, user: \(user), namespace: default}
            current-context: trainyard-sandbox

            """
        try LocalFiles.write(Array(text.utf8), to: path, mode: 0o600)
    }

    /// A bearer token nobody can guess.
    static func newToken() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<4).map { _ in
            let digits = String(generator.next() as UInt64, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
