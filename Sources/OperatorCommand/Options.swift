import GoogleCloud
import HTTP
import Operator
import Telemetry

/// What the command line says.
struct Options: Sendable, Equatable {
    var kubeconfig: String?
    /// nil: the kubeconfig's current one.
    var context: String?
    /// nil: asked of the metadata server.
    var cluster: ClusterName?
    var kubernetesRequestsPerSecond = 50.0
    var kubernetesBurst = 100
    var trainerImage = ""
    /// Own prices, as JSON; nil: the built-in list alone.
    var priceFile: String?
    /// Of the nodes that runs get; nil: the project's default.
    var nodeServiceAccount: String?
    /// An emulator of Google's APIs on this machine.
    var googleEndpoint: String?
    var leaderElect = true
    var leaderElectionNamespace: String?
    var leaseDuration = Duration.seconds(15)
    var renewDeadline = Duration.seconds(10)
    var retryPeriod = Duration.seconds(2)
    /// `host:port`; nil serves nothing.
    var health: HealthAddress? = HealthAddress(host: "127.0.0.1", port: 8081)
    var concurrency = 16
    var recheckInterval = Duration.seconds(600)
    var progressInterval = Duration.seconds(30)
    var leakSweep = LeakSweepOptions()
    /// The Google service accounts that each namespace may ask for.
    var tenantAccounts: [String: Set<String>] = [:]
    /// Whom the artifacts of each namespace may give access to, beside the project's service accounts.
    var accessMembers: [String: Set<String>] = [:]
    /// What namespaces may use, as JSON; nil: everything in the operator's project.
    var tenantPolicyFile: String?
    /// Namespaces whose endpoints may be called by everybody.
    var publicNamespaces: Set<String> = []
    /// Signs URLs for namespaces without an account of their own.
    var signingAccount: String?
    var logLevel = LogLevel.info

    struct HealthAddress: Sendable, Equatable {
        var host: String
        var port: UInt16
    }

    /// What is to be done.
    enum Command: Sendable, Equatable {
        case run(Options)
        /// `check-removal` and `check-installation`: what the chart's hooks run.
        case check(ClusterCheck)
        case printVersion
        case printHelp
    }

    /// A command line that cannot be followed: a sentence for the user.
    struct UsageError: Error, Equatable {
        var message: String
    }

    static let help = """
        trainyard-operator: runs TrainingJobs and GCSArtifacts of a GKE cluster

        usage: trainyard-operator --trainer-image IMAGE [options]
               trainyard-operator check-removal [--definitions-go]      what the chart asks before it is uninstalled
               trainyard-operator check-installation [--namespace N] [--timeout-seconds N]      what helm test does

          --trainer-image IMAGE        the image of runs that name none
          --cluster NAME               the GKE cluster that node pools are created in, as
                                       projects/P/locations/L/clusters/C; default: asked of the metadata server
          --node-service-account EMAIL service account of the nodes that runs get; default: the project's default,
                                       which may do more than a node needs
          --kubeconfig FILE            default: $KUBECONFIG, else the pod's service account, else ~/.kube/config
          --context NAME               of the kubeconfig; default: its current-context
          --kube-api-qps N             requests to the API server per second, watches excluded; default 50
          --kube-api-burst N           as many may go at once; default 100
          --price-file FILE            own prices beside the built-in list of 2026-08-03, as JSON: {"date": "2026-11-01",
                                       "prices": [{"machineType": "g2-standard-8" (or "accelerator": "nvidia-l4"),
                                       "region": "us-central1", "provisioningModel": "Spot", "hourlyCost": "0.31"}]};
                                       region and provisioningModel may be left out
          --google-endpoint URL        an emulator of Google's APIs on this machine, e.g. http://127.0.0.1:8080
          --leader-elect true|false    default true
          --leader-election-namespace NAMESPACE
                                       where the lease lies; default: $POD_NAMESPACE, else trainyard-system
          --lease-duration SECONDS     default 15
          --renew-deadline SECONDS     default 10; less than the lease duration
          --retry-period SECONDS       default 2; less than the renew deadline
          --health-address HOST:PORT   /healthz, /readyz and /metrics; default 127.0.0.1:8081; port 0 takes a free
                                       one, "off" serves nothing
          --concurrency N              objects of a kind worked on at the same time; default 16
          --recheck-seconds SECONDS    how often an unchanged object is looked at; default 600
          --progress-interval-seconds SECONDS
                                       shortest time between two status writes with nothing but progress; default 30
          --leak-sweep true|false|dry-run
                                       delete node pools and Cloud Run services of ours whose object is gone for ten
                                       minutes, at most ten of each an hour; dry-run only reports them; default true
          --tenant-accounts LIST       the Google service accounts that namespaces may ask for by the annotation
                                       trainyard.dev/google-service-account, as NAMESPACE=ACCOUNT, separated by
                                       commas; Cloud Storage is used as them, and the operator's own account needs
                                       roles/iam.serviceAccountTokenCreator on them. A namespace without the
                                       annotation is served with the operator's own account; default: none
          --access-members LIST        whom GCSArtifacts may give access to beside the service accounts of the cluster's
                                       project, as NAMESPACE=KIND:NAME (user:a@example.com, group:…), separated by
                                       commas; the namespace * is all of them; default: none
          --tenant-policies FILE       what namespaces may use, as JSON (locations, accelerators, machine types, buckets,
                                       nodes); a namespace that no policy names may then use nothing; default:
                                       every namespace may use everything in the operator's project
          --public-endpoints LIST      namespaces whose ModelEndpoints may be open to everybody
                                       (access.allowUnauthenticated), separated by commas; * is all of them;
                                       default: none
          --signing-account EMAIL      the service account that signs URLs (access.signedURLs) for namespaces without an
                                       account of their own, and whose rights these URLs have; the operator's own
                                       account needs roles/iam.serviceAccountTokenCreator on it; default: nobody signs
          --log-level LEVEL            debug, info, warning or error; default info
          --version, --help

        Credentials for Google Cloud: the file that $GOOGLE_APPLICATION_CREDENTIALS names, else gcloud's (`gcloud auth
        application-default login`), else the metadata server (workload identity). Private keys are refused; with
        --google-endpoint none are used.

        Log lines go to standard error, one JSON object each. Exit status: 0 after SIGTERM or SIGINT, 64 for a wrong
        command line, 69 when a port or thread cannot be had, 75 when the lease was lost (start again), 78 for a wrong
        configuration.

        """

    /// Reads the arguments after the program's name; `--flag value` and `--flag=value` are the same.
    static func parse(_ arguments: [String]) throws(UsageError) -> Command {
        if let check = try ClusterCheck.parse(arguments) { return .check(check) }
        var options = Options()
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--version" { return .printVersion }
            if argument == "--help" || argument == "-h" { return .printHelp }
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let flag = String(parts[0])
            guard isKnown(flag) else { throw UsageError(message: "unknown argument: \(argument)") }
            guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst(), !value.isEmpty else {
                throw UsageError(message: "\(flag) needs a value")
            }
            try options.set(flag, value)
        }
        try options.validate()
        return .run(options)
    }

    private static func isKnown(_ flag: String) -> Bool {
        flag.hasPrefix("--") && help.contains("  \(flag) ")
    }

    private mutating func set(_ flag: String, _ value: String) throws(UsageError) {
        switch flag {
        case "--kubeconfig": kubeconfig = value
        case "--context": context = value
        case "--kube-api-qps": kubernetesRequestsPerSecond = try Options.number(flag, value, in: 0.1...10_000)
        case "--kube-api-burst": kubernetesBurst = try Options.integer(flag, value, in: 1...10_000)
        case "--cluster":
            guard let name = ClusterName(value) else {
                throw UsageError(message: "--cluster: expected projects/P/locations/L/clusters/C, found \(value)")
            }
            cluster = name
        case "--trainer-image": trainerImage = value
        case "--price-file": priceFile = value
        case "--node-service-account":
            guard value.wholeMatch(of: /[a-z0-9][-a-z0-9.]{0,62}@[a-z0-9][-a-z0-9.]{0,120}/) != nil else {
                throw UsageError(message: "--node-service-account: expected an e-mail address, found \(value)")
            }
            nodeServiceAccount = value
        case "--google-endpoint": googleEndpoint = try Options.loopback(value)
        case "--leader-elect":
            guard let choice = Bool(value) else { throw UsageError(message: "--leader-elect: expected true or false") }
            leaderElect = choice
        case "--leader-election-namespace": leaderElectionNamespace = value
        case "--lease-duration": leaseDuration = .seconds(try Options.integer(flag, value, in: 1...300))
        case "--renew-deadline": renewDeadline = try Options.seconds(flag, value)
        case "--retry-period": retryPeriod = try Options.seconds(flag, value)
        case "--health-address": health = try Options.healthAddress(value)
        case "--concurrency": concurrency = try Options.integer(flag, value, in: 1...256)
        case "--recheck-seconds": recheckInterval = .seconds(try Options.integer(flag, value, in: 1...86_400))
        case "--progress-interval-seconds": progressInterval = try Options.seconds(flag, value)
        case "--leak-sweep":
            guard let mode = LeakSweepOptions.Mode(rawValue: value) else {
                throw UsageError(message: "--leak-sweep: expected true, false or dry-run")
            }
            leakSweep.mode = mode
        case "--tenant-accounts": tenantAccounts = try Options.tenantAccounts(value)
        case "--access-members": accessMembers = try Options.accessMembers(value)
        case "--tenant-policies": tenantPolicyFile = value
        case "--public-endpoints":
            let names = value.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            guard names.allSatisfy({ $0 == "*" || $0.wholeMatch(of: /[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/) != nil })
            else {
                throw UsageError(
                    message: "--public-endpoints: expected namespaces, separated by commas, found \(value)")
            }
            publicNamespaces = Set(names)
        case "--signing-account":
            guard value.contains("@") else {
                throw UsageError(message: "--signing-account: expected an e-mail address, found \(value)")
            }
            signingAccount = value
        case "--log-level":
            guard let level = LogLevel(name: value) else {
                throw UsageError(message: "--log-level: expected debug, info, warning or error")
            }
            logLevel = level
        default: throw UsageError(message: "unknown argument: \(flag)")
        }
    }

    private func validate() throws(UsageError) {
        guard !trainerImage.isEmpty else { throw UsageError(message: "--trainer-image is required") }
        guard retryPeriod < renewDeadline, renewDeadline < leaseDuration else {
            throw UsageError(
                message: "--retry-period must be less than --renew-deadline, and that less than "
                    + "--lease-duration")
        }
    }

    private static func tenantAccounts(_ value: String) throws(UsageError) -> [String: Set<String>] {
        var accounts: [String: Set<String>] = [:]
        for entry in value.split(separator: ",", omittingEmptySubsequences: false) {
            let parts = entry.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, !parts[0].isEmpty, ImpersonatedAccount(parts[1]) != nil else {
                throw UsageError(
                    message:
                        "--tenant-accounts: expected NAMESPACE=NAME@PROJECT.iam.gserviceaccount.com, found \(entry)")
            }
            accounts[parts[0], default: []].insert(parts[1])
        }
        return accounts
    }

    private static func accessMembers(_ value: String) throws(UsageError) -> [String: Set<String>] {
        var members: [String: Set<String>] = [:]
        for entry in value.split(separator: ",", omittingEmptySubsequences: false) {
            let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, !parts[0].isEmpty, parts[1].contains(":"), !parts[1].hasSuffix(":") else {
                throw UsageError(message: "--access-members: expected NAMESPACE=KIND:NAME, found \(entry)")
            }
            members[parts[0], default: []].insert(parts[1])
        }
        return members
    }

    private static func loopback(_ value: String) throws(UsageError) -> String {
        guard (try? EndpointOverride(hosts: [], endpoint: value)) != nil else {  // It says only this.
            throw UsageError(
                message: "--google-endpoint: an emulator must be on this machine, "
                    + "such as http://127.0.0.1:8080")
        }
        return value
    }

    private static func integer(
        _ flag: String, _ value: String, in range: ClosedRange<Int>
    ) throws(UsageError) -> Int {
        guard let number = Int(value), range.contains(number) else {
            throw UsageError(message: "\(flag): expected a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// Fractions are allowed: tests use short times.
    private static func seconds(_ flag: String, _ value: String) throws(UsageError) -> Duration {
        .milliseconds(Int64(try number(flag, value, in: 0.01...86_400, of: " of seconds") * 1000))
    }

    private static func number(
        _ flag: String, _ value: String, in range: ClosedRange<Double>, of unit: String = ""
    ) throws(UsageError) -> Double {
        guard let number = Double(value), range.contains(number) else {
            let bounds = [range.lowerBound, range.upperBound].map { Int64(exactly: $0).map(String.init) ?? "\($0)" }
            throw UsageError(message: "\(flag): expected a number\(unit) from \(bounds[0]) to \(bounds[1])")
        }
        return number
    }

    private static func healthAddress(_ value: String) throws(UsageError) -> HealthAddress? {
        if value == "off" { return nil }
        guard let colon = value.lastIndex(of: ":"), let port = UInt16(value[value.index(after: colon)...]) else {
            throw UsageError(message: "--health-address: expected HOST:PORT, or off")
        }
        let host = value[..<colon].drop { $0 == "[" }.prefix { $0 != "]" }
        return HealthAddress(host: host.isEmpty ? "0.0.0.0" : String(host), port: port)
    }
}
