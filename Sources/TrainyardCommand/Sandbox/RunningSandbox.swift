import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Sandbox
import System
import Telemetry
import TrainingContract

/// A running sandbox: the simulated cluster and cloud behind one port of 127.0.0.1, and the real operator.
struct RunningSandbox: Sendable {
    let origin: String
    let folder: StateFolder
    let kubernetes: KubernetesClient
    let storage: StorageClient
    let world: SandboxWorld
    /// Absent with --no-operator.
    let operatorProcess: OperatorProcess?
}

/// What a sandbox is started with.
struct SandboxSettings: Sendable {
    static let project = "sandbox-project"
    static let location = "us-central1"
    static let clusterName = "sandbox"
    /// The image of the trainer that belongs to this version; the simulated nodes run the trainer beside this program.
    static let trainerImage = "trainyard.dev/trainer:\(Version.text)"

    var folder: StateFolder
    var port: UInt16
    var programs: Programs
    var startsOperator: Bool
}

extension RunningSandbox {
    /// Starts a sandbox, calls `body`, and ends everything that was started, whatever happens.
    ///
    /// - Parameter tellOperator: gets a sentence when the operator dies.
    /// - Throws: `.unavailable` without a free port, `.localStorage`, `.software`, and what `body` throws.
    static func with<Result: Sendable>(
        _ settings: SandboxSettings, tellOperator: @escaping @Sendable (String) -> Void,
        _ body: @Sendable (RunningSandbox) async throws(RunError) -> Result
    ) async throws(RunError) -> Result {
        let tokens = (admin: KubeconfigFile.newToken(), trainyardOperator: KubeconfigFile.newToken())
        let world = try makeWorld(settings, admin: tokens.admin, trainyardOperator: tokens.trainyardOperator)
        let server: HTTPServer
        let transport: CurlTransport
        let overrides: [EndpointOverride]
        do {
            server = try HTTPServer(
                host: "127.0.0.1", port: settings.port, handler: SecretPathHandler(world: world, secret: tokens.admin))
            overrides = [try EndpointOverride(hosts: ["*.googleapis.com"], endpoint: server.origin)]
            transport = try CurlTransport(options: CurlOptions(overrides: overrides))
        } catch {
            let port = settings.port == 0 ? "no port of 127.0.0.1 is free" : "port \(settings.port) is not free"
            throw RunError(.unavailable, "\(port): \(error.message)")
        }
        await world.setStorageEndpoint(server.origin)
        let process = settings.startsOperator ? operatorProcess(settings, server.origin, tellOperator) : nil
        try KubeconfigFile.write(
            server: "\(server.origin)/\(tokens.admin)", user: "admin", token: tokens.admin,
            to: settings.folder.kubeconfig)
        try KubeconfigFile.write(
            server: server.origin, user: "trainyard-operator", token: tokens.trainyardOperator,
            to: settings.folder.operatorKubeconfig)
        guard let url = HTTPURL(server.origin) else {
            throw RunError(.software, "the server's address \(server.origin) is no URL")
        }
        let admin = tokens.admin
        let sandbox = RunningSandbox(
            origin: server.origin, folder: settings.folder,
            kubernetes: KubernetesClient(
                transport: transport, server: url, fieldManager: "trainyard",
                credentials: { () throws(APIError) in admin }),
            storage: StorageClient(
                GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: SystemClock())),
            world: world, operatorProcess: process)
        return try await sandbox.run(body, server: server, transport: transport)
    }

    private func run<Result: Sendable>(
        _ body: @Sendable (RunningSandbox) async throws(RunError) -> Result, server: HTTPServer,
        transport: CurlTransport
    ) async throws(RunError) -> Result {
        async let _: Void = world.run()
        async let _: Void? = operatorProcess?.supervise()
        let result: Swift.Result<Result, RunError>
        do throws(RunError) {
            try operatorProcess?.start()
            let value = try await body(self)
            try RequestChecks.finish(world.cloud)
            result = .success(value)
        } catch {
            result = .failure(error)
        }
        await operatorProcess?.stop()
        await world.stop()
        await server.stop()
        await transport.shutDown()
        return try result.get()
    }

    private static func makeWorld(
        _ settings: SandboxSettings, admin: String, trainyardOperator: String
    ) throws(RunError) -> SandboxWorld {
        let clock = SystemClock()
        let account = "system:serviceaccount:trainyard-system:trainyard-operator"
        let user = SimulatedUser(
            name: account, groups: ["system:serviceaccounts", "system:authenticated"],
            rules: try EmbeddedFiles.clusterRoleRules())
        try LocalFiles.makeFolder(settings.folder.world, mode: 0o700)
        let cloud = CloudConfiguration(
            project: SandboxSettings.project, location: SandboxSettings.location,
            clusterName: SandboxSettings.clusterName, clock: clock,
            stateDirectory: settings.folder.world + "/buckets", inspection: try RequestChecks.inspection())
        let images: [String: PodProgram] = [
            SandboxSettings.trainerImage: .process(argv: [settings.programs.trainer])
        ]
        var configuration = WorldConfiguration(
            crds: try EmbeddedFiles.crds(), adminToken: admin, users: [trainyardOperator: user], clock: clock,
            cloud: cloud, images: images, stateDirectory: settings.folder.world)
        var front = FrontConfiguration(
            images: images, stateDirectory: settings.folder.world,
            environment: [ServingEnvironment.host: "127.0.0.1"])
        // For people who watch: Google waits up to 15 minutes, and counts by the minute.
        front.idleTimeout = .seconds(60)
        front.sampling = .seconds(1)
        configuration.front = front
        do throws(SandboxError) {
            return try SandboxWorld(configuration)
        } catch {
            throw RunError(.software, "the simulated world cannot be built: \(error.message)")
        }
    }

    private static func operatorProcess(
        _ settings: SandboxSettings, _ origin: String, _ tell: @escaping @Sendable (String) -> Void
    ) -> OperatorProcess {
        let cluster =
            "projects/\(SandboxSettings.project)/locations/\(SandboxSettings.location)/clusters/"
            + SandboxSettings.clusterName
        return OperatorProcess(
            path: settings.programs.trainyardOperator,
            arguments: [
                "--kubeconfig", settings.folder.operatorKubeconfig, "--google-endpoint", origin, "--cluster", cluster,
                "--trainer-image", SandboxSettings.trainerImage, "--progress-interval-seconds", "1",
                "--health-address", "127.0.0.1:0",
            ], log: settings.folder.operatorLog, tell: tell)
    }
}
