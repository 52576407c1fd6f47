import GoogleCloud
import Telemetry
import Testing

@testable import OperatorCommand

private let required = ["--trainer-image", "i:1"]

private func parse(_ arguments: String...) throws -> Options.Command { try Options.parse(required + arguments) }

/// What the required arguments alone give, changed.
private func options(_ change: (inout Options) -> Void = { _ in }) -> Options.Command {
    var options = Options()
    options.trainerImage = "i:1"
    change(&options)
    return .run(options)
}

@Suite struct OptionsTests {
    @Test func `the image alone is enough`() throws {
        #expect(try parse() == options())
    }

    @Test func `every flag is heard, with a space or an equals sign`() throws {
        let command = try parse(
            "--cluster", "projects/my-project/locations/us-central1/clusters/c", "--kubeconfig=/k", "--context", "dev",
            "--kube-api-qps=7.5", "--kube-api-burst", "9", "--google-endpoint", "http://127.0.0.1:80",
            "--price-file=/prices.json",
            "--leader-elect=false",
            "--leader-election-namespace", "ops", "--lease-duration=4", "--renew-deadline", "2.5", "--retry-period=0.5",
            "--health-address", "[::1]:0", "--concurrency=8", "--recheck-seconds", "60",
            "--progress-interval-seconds=1.5", "--log-level", "debug", "--tenant-accounts",
            "a=one@p1.iam.gserviceaccount.com,a=two@p1.iam.gserviceaccount.com,b=one@p1.iam.gserviceaccount.com",
            "--access-members=a=user:me@example.com,*=group:all@example.com", "--public-endpoints=web,shop")
        #expect(
            command
                == options {
                    $0.cluster = ClusterName("projects/my-project/locations/us-central1/clusters/c")
                    $0.kubeconfig = "/k"
                    $0.context = "dev"
                    $0.kubernetesRequestsPerSecond = 7.5
                    $0.kubernetesBurst = 9
                    $0.priceFile = "/prices.json"
                    $0.googleEndpoint = "http://127.0.0.1:80"
                    $0.leaderElect = false
                    $0.leaderElectionNamespace = "ops"
                    $0.leaseDuration = .seconds(4)
                    $0.renewDeadline = .milliseconds(2500)
                    $0.retryPeriod = .milliseconds(500)
                    $0.health = Options.HealthAddress(host: "::1", port: 0)
                    $0.concurrency = 8
                    $0.recheckInterval = .seconds(60)
                    $0.progressInterval = .milliseconds(1500)
                    $0.logLevel = .debug
                    $0.tenantAccounts = [
                        "a": ["one@p1.iam.gserviceaccount.com", "two@p1.iam.gserviceaccount.com"],
                        "b": ["one@p1.iam.gserviceaccount.com"],
                    ]
                    $0.accessMembers = ["a": ["user:me@example.com"], "*": ["group:all@example.com"]]
                    $0.publicNamespaces = ["web", "shop"]
                })
    }

    @Test(arguments: [
        ("off", nil), (":9090", Options.HealthAddress(host: "0.0.0.0", port: 9090)),
        ("localhost:1", Options.HealthAddress(host: "localhost", port: 1)),
    ])
    func `the health page's address`(text: String, expected: Options.HealthAddress?) throws {
        #expect(try parse("--health-address", text) == options { $0.health = expected })
    }

    @Test func `version and help come before everything else`() throws {
        #expect(try Options.parse(["--version"]) == .printVersion)
        #expect(try Options.parse(["--cluster", "nonsense", "-h"].reversed()) == .printHelp)
        #expect(try parse("--help") == .printHelp)
    }

    static let wrong: [([String], String)] = [
        (
            required + ["--node-service-account", "nodes"],
            "--node-service-account: expected an e-mail address, found nodes"
        ),
        ([], "--trainer-image is required"),
        (required + ["--context", ""], "--context needs a value"),
        (required + ["--kube-api-qps", "0"], "--kube-api-qps: expected a number from 0.1 to 10000"),
        (required + ["--kube-api-burst", "0"], "--kube-api-burst: expected a number from 1 to 10000"),
        (required + ["--frob"], "unknown argument: --frob"),
        (required + ["file"], "unknown argument: file"),
        (required + ["--kubeconfig"], "--kubeconfig needs a value"),
        (required + ["--kubeconfig="], "--kubeconfig needs a value"),
        (
            ["--cluster", "clusters/c"],
            "--cluster: expected projects/P/locations/L/clusters/C, found clusters/c"
        ),
        (required + ["--leader-elect", "maybe"], "--leader-elect: expected true or false"),
        (required + ["--lease-duration", "0"], "--lease-duration: expected a number from 1 to 300"),
        (required + ["--concurrency", "1e9"], "--concurrency: expected a number from 1 to 256"),
        (required + ["--renew-deadline", "nan"], "--renew-deadline: expected a number of seconds from 0.01 to 86400"),
        (
            required + ["--lease-duration", "5"],
            "--retry-period must be less than --renew-deadline, and that less than --lease-duration"
        ),
        (
            required + ["--google-endpoint", "http://emulator.example.com"],
            "--google-endpoint: an emulator must be on this machine, such as http://127.0.0.1:8080"
        ),
        (required + ["--health-address", "8081"], "--health-address: expected HOST:PORT, or off"),
        (
            required + ["--tenant-accounts", "a=one@p1.iam.gserviceaccount.com,b"],
            "--tenant-accounts: expected NAMESPACE=NAME@PROJECT.iam.gserviceaccount.com, found b"
        ),
        (
            required + ["--access-members", "a=me"], "--access-members: expected NAMESPACE=KIND:NAME, found a=me"
        ),
        (
            required + ["--public-endpoints", "web,Shop"],
            "--public-endpoints: expected namespaces, separated by commas, found web,Shop"
        ),
        (
            required + ["--tenant-accounts", "a=me@example.com"],
            "--tenant-accounts: expected NAMESPACE=NAME@PROJECT.iam.gserviceaccount.com, found a=me@example.com"
        ),
        (required + ["--log-level", "loud"], "--log-level: expected debug, info, warning or error"),
    ]

    @Test(arguments: wrong)
    func `a wrong command line is answered with a sentence`(arguments: [String], message: String) {
        #expect(throws: Options.UsageError(message: message)) { try Options.parse(arguments) }
    }
}
