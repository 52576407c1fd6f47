import Encoding
import Glibc
import HTTP

/// The real operator as a process, against some API server.
struct OperatorChild: Sendable {
    let child: Child
    let log: String
    private let transport: CurlTransport

    /// - Parameter googleEndpoint: an origin on this machine that answers for Google.
    init(kubeconfig: String, googleEndpoint: String, log: String, flags: [String] = []) throws {
        let program = try Machine.sibling("trainyard-operator")
        self.log = log
        transport = try CurlTransport(options: CurlOptions())
        child = try Child(
            program,
            [
                "--kubeconfig", kubeconfig, "--google-endpoint", googleEndpoint, "--cluster",
                JobFixture.clusterName, "--trainer-image", "trainyard.dev/trainer:bench", "--health-address",
                "127.0.0.1:0",
            ] + flags, log: log)
    }

    /// Returns when it is ready: every kind has been read.
    func waitUntilReady(within limit: Duration = .seconds(120)) async throws {
        let deadline = ContinuousClock.now + limit
        var url: HTTPURL?
        while ContinuousClock.now < deadline, child.isRunning {
            url = url ?? healthOrigin().flatMap { HTTPURL($0 + "/readyz") }
            if let url, let response = try? await transport.send(HTTPRequest(.get, url)), response.isSuccess {
                return  // A refused connection only means: not yet.
            }
            await Machine.sleep(milliseconds: 5)
        }
        throw BenchmarkError("the operator is not ready: " + String((Machine.read(log) ?? "").suffix(600)))
    }

    /// Whether a line of its log has this message.
    func said(_ message: String) -> Bool { Machine.read(log)?.contains("\"message\":\"\(message)\"") == true }

    private func healthOrigin() -> String? {
        for line in (Machine.read(log) ?? "").split(separator: "\n") {
            guard let value = try? JSONValue(parsing: String(line)),  // Not all of it may be written yet.
                value["message"] == "serving health and metrics"
            else { continue }
            return value["address"]?.stringValue
        }
        return nil
    }
}
