import Glibc

/// Two real operator processes over the canned server, which makes a new TrainingJob every 50 ms, so that the leader
/// always has something to change. From the old leader's last change to the new one's first, both by the server's log;
/// lease renewals do not count. An old leader that changes anything after the new one has begun is an error, as is one
/// that does so after SIGCONT.
struct Failover: Sendable {
    func run(into results: inout Results) async throws {
        try await ServerProcess.with(objects: 0) { server in
            let first = try start("one", server)
            try await wait("the first leads") { first.said("leading") }
            let second = try start("two", server)
            try await second.waitUntilReady()
            async let jobs = server.control("create?count=1800&microseconds=50000", timeout: .seconds(200))
            _ = try await server.wait("the first works", within: .seconds(20)) { log in
                log.contains { $0.user == "one" && $0.isChange }
            }
            await Machine.sleep(milliseconds: 3000)

            first.child.signal(SIGSTOP)
            _ = try await server.wait("the second works", within: .seconds(60)) { log in
                log.contains { $0.user == "two" && $0.isChange }
            }
            first.child.signal(SIGCONT)
            await Machine.sleep(milliseconds: 4000)
            results.set(.failoverStopSeconds, try gap(from: "one", to: "two", try await server.requests()))
            guard !first.child.isRunning else { throw BenchmarkError("the frozen leader lives on") }

            let third = try start("three", server)
            try await third.waitUntilReady()
            await Machine.sleep(milliseconds: 3000)
            second.child.signal(SIGTERM)
            _ = try await server.wait("the third works", within: .seconds(60)) { log in
                log.contains { $0.user == "three" && $0.isChange }
            }
            await Machine.sleep(milliseconds: 2000)
            results.set(.failoverTermSeconds, try gap(from: "two", to: "three", try await server.requests()))
            withExtendedLifetime(third) {}
            _ = try? await jobs  // Cut short by the end of the server.
        }
    }

    private func start(_ user: String, _ server: ServerProcess) throws -> OperatorChild {
        try OperatorChild(
            kubeconfig: try server.kubeconfig(user: user), googleEndpoint: server.origin,
            log: "\(server.folder)/\(user).log")
    }

    private func gap(from old: String, to new: String, _ log: [ServerProcess.Entry]) throws -> Double {
        let changes = log.filter(\.isChange)
        guard let last = changes.last(where: { $0.user == old }), let first = changes.first(where: { $0.user == new })
        else { throw BenchmarkError("one of both never changed anything") }
        guard last.nanoseconds < first.nanoseconds else {
            throw BenchmarkError("two leaders: the old one changed \(last.path) after the new one had begun")
        }
        return Double(first.nanoseconds - last.nanoseconds) * 1e-9
    }

    private func wait(_ what: String, _ holds: () -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while !holds() {
            guard ContinuousClock.now < deadline else { throw BenchmarkError("never came: \(what)") }
            await Machine.sleep(milliseconds: 20)
        }
    }
}
