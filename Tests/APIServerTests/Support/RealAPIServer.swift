import Encoding
import Glibc
import HTTP
import Synchronization

@testable import Sandbox

/// etcd and kube-apiserver as processes of this machine, on loopback, in a temporary folder; before them, where asked
/// for, an apiextensions-apiserver of a newer Kubernetes, which serves the custom resources.
final class RealAPIServer: Sendable {
    private struct Processes {
        var etcd: LocalProcess?
        var server: LocalProcess?
        var extensions: LocalProcess?
    }

    let folder: String
    private let programs: String
    private let extensions: String?
    private let port: Int
    private let extensionsPort: Int
    private let etcdPort: Int
    private let peerPort: Int
    private let processes = Mutex(Processes())

    /// Where clients connect.
    var origin: String { extensions == nil ? core.origin : "https://127.0.0.1:\(extensionsPort)" }
    /// The certificate authority to trust.
    var authorityPath: String { extensions == nil ? core.authorityPath : "\(folder)/extensions/apiserver.crt" }
    /// The kube-apiserver, whatever stands before it.
    private var core: (origin: String, authorityPath: String) {
        ("https://127.0.0.1:\(port)", "\(folder)/certificates/apiserver.crt")
    }

    private init(programs: String, extensions: String?) throws {
        self.programs = programs
        self.extensions = extensions
        folder = try TestFiles.temporaryFolder()
        let ports = try FreePorts.some(4)
        (port, etcdPort, peerPort, extensionsPort) = (ports[0], ports[1], ports[2], ports[3])
    }

    /// Starts both and waits until the server is ready. Another process may take a port just before us: three tries.
    static func start(programs: String, extensions: String? = nil) async throws -> RealAPIServer {
        for _ in 0..<2 {
            let server = try RealAPIServer(programs: programs, extensions: extensions)
            do {
                try await server.launch()
                return server
            } catch {
                await server.stop()
            }
        }
        let last = try RealAPIServer(programs: programs, extensions: extensions)
        do {
            try await last.launch()
            return last
        } catch {
            let log = ["apiextensions-apiserver", "kube-apiserver", "etcd"].map {
                TestFiles.tail("\(last.folder)/\($0).log")
            }.joined()
            await last.stop()
            throw ArrangementFailure("\(error)\n\(log)")
        }
    }

    private func launch() async throws {
        try writeSecrets()
        try startEtcd()
        try startServer()
        guard let extensions else { return try await waitUntilReady() }
        // The one before asks the kube-apiserver for its namespaces at once.
        try await waitUntilReady(core)
        let process = try spawn("\(extensions)/apiextensions-apiserver", try extensionsArguments())
        processes.withLock { $0.extensions = process }
        try await waitUntilReady()
    }

    /// What the logs say when one of the two has ended by itself.
    var failure: String? {
        for (name, process) in processes.withLock({
            [("apiextensions-apiserver", $0.extensions), ("kube-apiserver", $0.server), ("etcd", $0.etcd)]
        }) {
            guard let outcome = process?.peek() else { continue }
            return "\(name) ended by itself, with code \(outcome.exitCode)\n" + TestFiles.tail("\(folder)/\(name).log")
        }
        return nil
    }

    /// Ends both and removes the folder.
    func stop() async {
        for process in processes.withLock({ [$0.extensions, $0.server, $0.etcd] }) {
            guard let process else { continue }
            await process.kill(now: Timestamp(seconds: 0))
            await TestFiles.waitForEnd(process)
        }
        TestFiles.remove(folder)
    }

    /// Kills the server, not etcd, as a machine's failure does; `startServer` brings it back at the same address.
    func killServer() async {
        guard let process = processes.withLock(\.server) else { return }
        await process.kill(now: Timestamp(seconds: 0))
        await TestFiles.waitForEnd(process)
    }

    func startServer() throws {
        let process = try spawn("\(programs)/kube-apiserver", serverArguments)
        processes.withLock { $0.server = process }
    }

    // MARK: Arguments

    private func startEtcd() throws {
        let client = "http://127.0.0.1:\(etcdPort)"
        let peer = "http://127.0.0.1:\(peerPort)"
        let process = try spawn(
            "\(extensions ?? programs)/etcd",
            [
                "--name=default", "--data-dir=\(folder)/etcd", "--listen-client-urls=\(client)",
                "--advertise-client-urls=\(client)", "--listen-peer-urls=\(peer)",
                "--initial-advertise-peer-urls=\(peer)", "--initial-cluster=default=\(peer)",
            ])
        processes.withLock { $0.etcd = process }
    }

    private var serverArguments: [String] {
        [
            "--etcd-servers=http://127.0.0.1:\(etcdPort)", "--etcd-compaction-interval=0",
            "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port=\(port)",
            "--cert-dir=\(folder)/certificates", "--endpoint-reconciler-type=none",
            "--token-auth-file=\(folder)/tokens.csv", "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-key-file=\(folder)/accounts.key",
            "--service-account-signing-key-file=\(folder)/accounts.key",
            "--service-cluster-ip-range=10.96.0.0/16",
            // Its part in kube-controller-manager, which makes the accounts, does not run here.
            "--disable-admission-plugins=ServiceAccount",
        ]
    }

    private func extensionsArguments() throws -> [String] {
        let kubeconfig = "\(folder)/core.kubeconfig"
        try TestFiles.write(APIServer.kubeconfig(core.origin, authority: core.authorityPath), to: kubeconfig)
        return [
            "--etcd-servers=http://127.0.0.1:\(etcdPort)", "--etcd-compaction-interval=0", "--bind-address=127.0.0.1",
            "--secure-port=\(extensionsPort)", "--cert-dir=\(folder)/extensions",
            "--token-auth-file=\(folder)/tokens.csv", "--kubeconfig=\(kubeconfig)",
            "--authorization-kubeconfig=\(kubeconfig)",
            // The kube-apiserver has no policies to ask for.
            "--disable-admission-plugins=MutatingAdmissionPolicy,ValidatingAdmissionPolicy",
        ]
    }

    private func spawn(_ path: String, _ arguments: [String]) throws -> LocalProcess {
        let name = path.split(separator: "/").last ?? ""
        return try LocalProcess(
            LocalProcess.Command(
                arguments: [path] + arguments, environment: Assets.environment, directory: folder,
                logPath: "\(folder)/\(name).log"))
    }

    private func writeSecrets() throws {
        try TestFiles.write(
            """
            \(APIServer.adminToken),admin,admin-id,"system:masters"
            \(APIServer.limitedToken),limited,limited-id,"limited"

            """, to: "\(folder)/tokens.csv")
        guard let openssl = Assets.openssl else { throw ArrangementFailure("openssl is not in PATH") }
        let process = try LocalProcess(
            LocalProcess.Command(
                arguments: [openssl, "genrsa", "-out", "\(folder)/accounts.key", "2048"],
                environment: Assets.environment, directory: folder, logPath: "\(folder)/openssl.log"))
        let outcome = try end(of: process)
        guard outcome.exitCode == 0 else {
            throw ArrangementFailure("openssl failed: \(TestFiles.tail("\(folder)/openssl.log"))")
        }
    }

    private func end(of process: LocalProcess) throws -> ContainerOutcome {
        for _ in 0..<3000 {
            if let outcome = process.peek() { return outcome }
            usleep(10_000)
        }
        throw ArrangementFailure("a program did not end within 30 s")
    }

    // MARK: Readiness

    /// Waits up to two minutes: several suites may share two cores.
    func waitUntilReady() async throws { try await waitUntilReady((origin, authorityPath)) }

    private func waitUntilReady(_ server: (origin: String, authorityPath: String)) async throws {
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(120)
        while clock.now < deadline {
            if let failure { throw ArrangementFailure("a server ended at its start: \(failure)") }
            if TestFiles.exists(server.authorityPath), await isReady(server) { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw ArrangementFailure("\(server.origin) was not ready within two minutes")
    }

    private func isReady(_ server: (origin: String, authorityPath: String)) async -> Bool {
        guard let transport = try? transport(authority: server.authorityPath) else { return false }
        var request = HTTPRequest(.get, HTTPURL(origin: server.origin, path: "/readyz"), timeout: .seconds(5))
        request.headers["Authorization"] = "Bearer \(APIServer.adminToken)"
        let status = try? await transport.send(request).status
        await transport.shutDown()
        return status == 200
    }

    func transport() throws -> CurlTransport { try transport(authority: authorityPath) }

    private func transport(authority: String) throws -> CurlTransport {
        try CurlTransport(options: CurlOptions(tls: CurlOptions.TLS(authority: .file(authority))))
    }

    /// What the kube-apiserver itself says at /version.
    func coreVersion() async throws -> JSONValue {
        let transport = try transport(authority: core.authorityPath)
        var request = HTTPRequest(.get, HTTPURL(origin: core.origin, path: "/version"), timeout: .seconds(30))
        request.headers["Authorization"] = "Bearer \(APIServer.adminToken)"
        let reply = try await transport.send(request)
        await transport.shutDown()
        return try JSONValue(parsing: reply.body)
    }

    /// Compacts etcd's history up to now, by its JSON gateway.
    func compact() async throws {
        let transport = try CurlTransport()
        let origin = "http://127.0.0.1:\(etcdPort)"
        let status = try await transport.send(
            HTTPRequest(.post, HTTPURL(origin: origin, path: "/v3/kv/range"), body: Array(#"{"key":"AA=="}"#.utf8)))
        let header = try JSONValue(parsing: status.body)["header"]
        guard let revision = header?["revision"]?.stringValue else { throw ArrangementFailure("etcd says no revision") }
        let body: JSONValue = ["revision": .string(revision), "physical": true]
        let reply = try await transport.send(
            HTTPRequest(.post, HTTPURL(origin: origin, path: "/v3/kv/compaction"), body: body.serialized()))
        await transport.shutDown()
        guard reply.isSuccess else {
            throw ArrangementFailure("etcd did not compact: \(String(decoding: reply.body, as: UTF8.self))")
        }
    }
}
