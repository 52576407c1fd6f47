public import HTTP

/// A named question about the process's state.
public struct HealthCheck: Sendable {
    public let name: String
    /// Nil when all is well, else a sentence. Must return quickly: it answers from memory.
    let problem: @Sendable () async -> String?

    public init(_ name: String, problem: @escaping @Sendable () async -> String?) {
        self.name = name
        self.problem = problem
    }
}

/// `/healthz` (is the process stuck: restart it), `/readyz` (may it be counted on) and `/metrics`.
public struct HealthHandler: HTTPHandler {
    private let metrics: MetricsRegistry
    private let liveness: [HealthCheck]
    private let readiness: [HealthCheck]

    public init(metrics: MetricsRegistry, liveness: [HealthCheck] = [], readiness: [HealthCheck] = []) {
        self.metrics = metrics
        self.liveness = liveness
        self.readiness = readiness
    }

    public func respond(to request: HTTPRequest) async -> HTTPReply {
        guard request.method == .get || request.method == .head else {
            return HealthHandler.text(405, "only GET\n")
        }
        switch request.url.path {
        case "/healthz", "/livez": return await report(liveness)
        case "/readyz": return await report(readiness)
        case "/metrics": return HealthHandler.text(200, metrics.text, type: "text/plain; version=0.0.4; charset=utf-8")
        default: return HealthHandler.text(404, "not found\n")
        }
    }

    private func report(_ checks: [HealthCheck]) async -> HTTPReply {
        var isHealthy = true
        var lines = ""
        for check in checks {
            if let problem = await check.problem() {
                isHealthy = false
                lines += "[-] \(check.name): \(problem)\n"
            } else {
                lines += "[+] \(check.name)\n"
            }
        }
        return HealthHandler.text(isHealthy ? 200 : 503, lines + (isHealthy ? "ok\n" : "not ok\n"))
    }

    private static func text(_ status: Int, _ text: String, type: String = "text/plain; charset=utf-8") -> HTTPReply {
        HTTPReply(
            status: status, headers: ["Content-Type": type, "Cache-Control": "no-store"], body: Array(text.utf8))
    }
}
