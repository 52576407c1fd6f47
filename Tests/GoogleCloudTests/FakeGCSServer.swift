import Glibc
import GoogleCloud
import HTTP
import Sandbox
import System
import Telemetry
import Testing

/// fake-gcs-server on a port of 127.0.0.1, in memory; it ends with `stop`.
struct FakeGCSServer {
    /// The program; nil when the environment's `TRAINYARD_FAKE_GCS` names none.
    static let path: String? = getenv("TRAINYARD_FAKE_GCS").map { String(cString: $0) }

    let origin: String
    private let pid: Int32

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    static func start() async throws -> FakeGCSServer {
        guard let path else { throw Failure(description: "TRAINYARD_FAKE_GCS is not set") }
        // A port that was free a moment ago.
        let place = try HTTPServer(handler: SimulatedCloud(CloudConfiguration(clock: SystemClock())))
        let origin = place.origin
        await place.stop()
        let port = origin.split(separator: ":").last.map(String.init) ?? ""
        let pid = try Subprocess.start(
            path,
            [
                "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", port, "-external-url", origin,
                "-public-host", "127.0.0.1:\(port)", "-log-level", "error",
            ], environment: [])
        let server = FakeGCSServer(origin: origin, pid: pid)
        do {
            try await server.waitUntilItAnswers()
        } catch {
            server.stop()
            throw error
        }
        return server
    }

    func stop() { Subprocess.reap(pid) }

    private func waitUntilItAnswers() async throws {
        let transport = try CurlTransport(options: CurlOptions())
        let url = HTTPURL(origin: origin, path: "/storage/v1/b", query: [.init("project", "p1")])
        let deadline = ContinuousClock.now + .seconds(60)
        var isReady = false
        while !isReady, ContinuousClock.now < deadline {
            if let exit = Subprocess.exit(of: pid) { throw Failure(description: "fake-gcs-server ended: \(exit)") }
            isReady = (try? await transport.send(HTTPRequest(.get, url)))?.status == 200  // Refused until it listens.
            if !isReady { try await Task.sleep(for: .milliseconds(20)) }
        }
        await transport.shutDown()
        if !isReady { throw Failure(description: "fake-gcs-server did not answer within 60 s") }
    }
}
