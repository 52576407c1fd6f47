/// Scripts by which shells complete `trainyard`, from one table of what can be said.
enum Completions {
    enum Shell: String, CaseIterable, Sendable {
        case bash, zsh, fish
    }

    /// The words that may follow, by the words before them.
    static let words: [(path: String, words: [String])] = [
        ("", ["sandbox", "plan", "artifact", "status", "doctor", "logs", "completion", "version", "help"]),
        ("sandbox", ["run", "up"]),
        ("sandbox run", ["--set", "--out", "--json", "--keep", "--state-dir", "--help"]),
        ("sandbox up", ["--state-dir", "--port", "--no-operator", "--help"]),
        ("plan", ["--zones", "--price-file", "--json", "--help"]),
        ("artifact", ["ls", "pull", "push"]),
        ("artifact ls", ["--endpoint", "--json", "--help"]),
        ("artifact pull", ["--version", "--parallel", "--endpoint", "--json", "--help"]),
        ("artifact push", ["--parallel", "--endpoint", "--json", "--help"]),
        ("status", ["trainingjob", "gcsartifact", "modelendpoint"] + ClusterOptions.names),
        ("doctor", ClusterOptions.names),
        ("logs", ["--tail"] + ClusterOptions.names),
        ("completion", Shell.allCases.map(\.rawValue)),
        ("help", HelpTopic.allCases.filter { $0 != .overview }.map(\.rawValue)),
    ]

    static func script(_ shell: Shell) -> String {
        switch shell {
        case .bash: bash
        case .zsh: "#compdef trainyard\nautoload -U +X bashcompinit && bashcompinit\n" + bash
        case .fish: fish
        }
    }

    private static let bash: String = {
        let cases = words.map { entry in
            "    '\(entry.path)') words='\(entry.words.joined(separator: " "))' ;;"
        }.joined(separator: "\n")
        return """
            # trainyard completion bash > /etc/bash_completion.d/trainyard
            _trainyard() {
                local current=${COMP_WORDS[COMP_CWORD]} path='' words='' word
                for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
                    case $word in -*|*/*|*.yaml) ;; *) [ "$(wc -w <<<"$path")" -lt 2 ] && path="${path:+$path }$word" ;; esac
                done
                while :; do
                    case $path in
            \(cases)
                    esac
                    [ -z "$words" ] && [ "$path" != "${path% *}" ] && path=${path% *} && continue
                    break
                done
                COMPREPLY=($(compgen -W "$words" -- "$current"))
                case $path in plan|'sandbox run'|'artifact '*) COMPREPLY+=($(compgen -f -- "$current")) ;; esac
            }
            complete -F _trainyard trainyard

            """
    }()

    private static let fish: String = {
        let lines = words.flatMap { entry -> [String] in
            let parts = entry.path.split(separator: " ")
            let condition =
                parts.isEmpty
                ? "__fish_use_subcommand"
                : parts.map { "__fish_seen_subcommand_from \($0)" }.joined(separator: "; and ")
            return entry.words.map { word in
                let what = word.hasPrefix("--") ? "-l \(word.dropFirst(2))" : "-a '\(word)'"
                return "complete -c trainyard -n '\(condition)' \(what)"
            }
        }
        return "# trainyard completion fish > ~/.config/fish/completions/trainyard.fish\n"
            + lines.joined(separator: "\n") + "\n"
    }()
}
