/// The `--help` texts of the commands that look at a cluster.
extension HelpText {
    private static let clusterOptions = """
          -n, --namespace N    default: the context's
          --kubeconfig FILE    default: $KUBECONFIG, else ~/.kube/config
          --context NAME       default: the kubeconfig's current one
        """

    static let status = """
        Says on one screen what an object does, why, what it costs and what comes next, with its newest events.

        usage: trainyard status KIND NAME [options]

          KIND                 trainingjob (tj), gcsartifact (gcsa) or modelendpoint (mep)
        \(clusterOptions)

        exit status: 0 told · 1 refused · 64 wrong arguments · 66 no such object or kubeconfig · 69 no answer

        """

    static let logs = """
        Prints the last lines of each pod of a TrainingJob's current run; of several, with the pod's name before each line.
        To follow a log: kubectl logs -f -l trainyard.dev/job=NAME

        usage: trainyard logs NAME [options]

          --tail N             lines of each pod (default: 100)
        \(clusterOptions)

        exit status: as status

        """

    static let doctor = """
        Looks at an installation from outside, and changes nothing: whether the cluster answers, the definitions are there
        and have all fields that this program knows, what you may do, whether an operator is ready and leads, and which
        objects wait for somebody to act.

        usage: trainyard doctor [options]

        \(clusterOptions)

        Each line begins with [ok], [look], [BAD] or, where nobody could be asked, [?].

        exit status: 0 nothing is bad · 1 something is · 64 wrong arguments · 66 no kubeconfig

        """

    static let completion = """
        Prints a script that completes trainyard's commands and options.

        usage: trainyard completion bash > /etc/bash_completion.d/trainyard
               trainyard completion zsh > "${fpath[1]}/_trainyard"
               trainyard completion fish > ~/.config/fish/completions/trainyard.fish

        """
}
