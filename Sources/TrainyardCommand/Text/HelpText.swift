/// The `--help` texts.
enum HelpText {
    static func text(_ topic: HelpTopic) -> String {
        switch topic {
        case .overview: overview
        case .sandbox: sandbox
        case .sandboxRun: sandboxRun
        case .sandboxUp: sandboxUp
        case .plan: plan
        case .artifact: artifact
        case .status: status
        case .doctor: doctor
        case .logs: logs
        case .completion: completion
        }
    }

    /// The one line that a usage error prints.
    static func usage(_ topic: HelpTopic) -> String {
        switch topic {
        case .overview: "usage: trainyard COMMAND …"
        case .sandbox: "usage: trainyard sandbox run FILE… | trainyard sandbox up"
        case .sandboxRun:
            "usage: trainyard sandbox run FILE… [--set PATH=VALUE]… [--out DIR] [--json] [--keep] [--state-dir DIR]"
        case .plan: "usage: trainyard plan FILE… [--zones ZONE,…] [--price-file FILE] [--json]"
        case .artifact:
            "usage: trainyard artifact ls URI | pull URI [FOLDER] [--version NAME] | push FOLDER URI"
        case .status: "usage: trainyard status KIND NAME [-n NAMESPACE] [--kubeconfig FILE] [--context NAME]"
        case .doctor: "usage: trainyard doctor [-n NAMESPACE] [--kubeconfig FILE] [--context NAME]"
        case .logs: "usage: trainyard logs NAME [--tail N] [-n NAMESPACE] [--kubeconfig FILE] [--context NAME]"
        case .completion: "usage: trainyard completion bash|zsh|fish"
        case .sandboxUp: "usage: trainyard sandbox up [--state-dir DIR] [--port N] [--no-operator]"
        }
    }

    private static let overview = """
        Trainyard runs machine learning on Google Cloud from Kubernetes objects.

        usage: trainyard COMMAND …

          sandbox run FILE…   one training, start to finish, in a simulated cluster and cloud on this machine
          sandbox up          keep that simulated cluster running, for kubectl
          plan FILE…          what a training would cost and create, without any cluster
          artifact ls|pull|push   what lies in a bucket, brought here or there
          status KIND NAME    one screen for one object: what it does, why, what it costs, what comes next
          logs NAME           the last lines of a TrainingJob's pods
          doctor              what is wrong with an installation
          completion SHELL    completes these words in bash, zsh or fish
          version             print the version
          help [COMMAND]      more about a command

        Start here:  trainyard sandbox run crds/examples/fashion-mnist.yaml
        Under the name kubectl-trainyard in the PATH (a link is enough) it is `kubectl trainyard` as well.

        """

    private static let sandbox = """
        The sandbox is a Kubernetes API server and Google Cloud, simulated in one process on this machine. The operator
        and the trainer that run against it are the real ones, and so are the bytes they write.

        usage: trainyard sandbox run FILE…    apply the files, follow the TrainingJob to its end, fetch its outputs
               trainyard sandbox up           keep running and print the KUBECONFIG for kubectl

        `trainyard help sandbox run` and `trainyard help sandbox up` list the options.

        """

    private static let sandboxRun = """
        Applies YAML files to a fresh sandbox, follows the one TrainingJob in them until it is complete and its node
        pool is released, and fetches its outputs. With a ModelEndpoint in them the model is then served at a URL of this
        machine, a hundred test images are sent, the answers are shown, and the endpoint is deleted.

        usage: trainyard sandbox run FILE… [options]

          --set PATH=VALUE   change a field of the TrainingJob before it is applied; may be repeated:
                             --set spec.trainer.hyperparameters.epochs=5
          --out DIR          put the outputs into exactly this folder (default: ./runs/<runID>)
          --json             print one JSON object as the last line of standard output, all else on standard error
          --keep             keep the sandbox's state (logs, bucket) after success too; after a failure it is kept
          --state-dir DIR    where that state lives, and stays (default: a new folder below $TMPDIR or /tmp)

        Ctrl-C suspends the run: a checkpoint is written and the node pool is released. A second Ctrl-C forces the end.

        exit status: 0 complete · 1 the run failed · 64 wrong arguments · 65 a file that the API server refuses ·
                     66 a file that is not there · 71 this machine cannot run it · 74 the disk · 130 stopped by Ctrl-C

        """

    private static let plan = """
        Says what the TrainingJobs in YAML files would be, as an object of `mode: Plan` in a cluster does: the candidates in
        the order in which they would be tried, with list prices, what would be created, and what would stop the run. The
        files are checked as an API server checks them. Nothing is contacted and nothing is created.

        usage: trainyard plan FILE… [options]

          FILE                 manifests in YAML or JSON; - is standard input
          --zones ZONE,…       the cluster's zones, for candidates that name none
          --price-file FILE    own prices, as for the operator's --price-file
          --json               print one JSON object: {"trainingJobs": [{"name", "namespace", "plan", "notes"}]}

        exit status: 0 nothing stands in the way · 1 something would stop a run · 64 wrong arguments ·
                     65 a file that an API server would refuse · 66 a file that is not there

        """

    private static let artifact = """
        Lists what lies below a place in Cloud Storage, or copies it: several objects at a time, each compared by size and
        CRC32C. What is there already is not copied again, so that a copy that was stopped goes on when the same command is
        given again.

        usage: trainyard artifact ls gs://BUCKET/PREFIX/            versions with their digests, or objects
               trainyard artifact pull gs://BUCKET/PREFIX/ [FOLDER]
               trainyard artifact push FOLDER gs://BUCKET/PREFIX/

          --version NAME   pull exactly the files of this version, as its manifest names them
          --parallel N     objects at a time (default: 8, at most 64)
          --json           print one JSON object
          --endpoint URL   a Cloud Storage on this machine, as `trainyard sandbox up` prints it; also $STORAGE_EMULATOR_HOST

        Google's storage is used with Application Default Credentials.

        exit status: 0 done · 1 the copy is wrong or was refused · 64 wrong arguments · 65 names that cannot be files ·
                     66 nothing there · 69 Cloud Storage does not answer · 130 stopped by Ctrl-C

        """

    private static let sandboxUp = """
        Keeps a sandbox running for kubectl and prints `export KUBECONFIG=…` on standard output. Ctrl-C ends it.

        usage: trainyard sandbox up [options]

          --state-dir DIR   where its state lives (default: ~/.local/state/trainyard/sandbox, or below
                            $XDG_STATE_HOME; a second sandbox beside it takes sandbox-2, and so on)
          --port N          listen on this port of 127.0.0.1 (default: any free one)
          --no-operator     start the cluster and the cloud only

        """
}
