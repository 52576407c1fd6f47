import Encoding
import HTTP
import Kubernetes
import Sandbox
import Testing

@testable import ControllerRuntime

private func request(_ method: HTTPMethod, _ path: String) -> HTTPRequest {
    HTTPRequest(method, HTTPURL(origin: "http://127.0.0.1:1", path: path))
}

private func refusal(_ message: String) -> HTTPResponse {
    let body: JSONValue = ["kind": "Status", "reason": "Forbidden", "message": .string(message)]
    return HTTPResponse(status: 403, body: body.serialized())
}

extension HTTPReply {
    /// As RBAC refuses.
    static func denied(_ verb: String, _ resource: String) -> HTTPReply {
        let message = "\(resource) is forbidden: User \"us\" cannot \(verb) resource \"\(resource)\" in API group \"\""
        let body: JSONValue = ["kind": "Status", "reason": "Forbidden", "message": .string(message)]
        return HTTPReply(status: 403, body: body.serialized())
    }
}

@Suite struct PermissionLedgerTests {
    @Test(arguments: [
        (
            HTTPMethod.put, "/apis/example.com/v1/namespaces/ns/widgets/w/status",
            "update widgets.example.com/status" as String?
        ),
        (.post, "/api/v1/namespaces/ns/services", "create services"),
        (.delete, "/api/v1/namespaces/ns/services/s", "delete services"),
        (.patch, "/apis/batch/v1/namespaces/ns/jobs/j", "patch jobs.batch"),
        (.get, "/api/v1/namespaces/kube-system", "get namespaces"), (.get, "/api/v1/namespaces/ns/pods/p", "get pods"),
        (.get, "/api/v1/pods", nil), (.get, "/apis/example.com/v1/namespaces/ns/widgets", nil), (.get, "/version", nil),
        (.post, "/apis/batch", nil), (.post, "/apis/batch/v1", nil),
    ])
    func `a request needs this`(method: HTTPMethod, path: String, expected: String?) {
        let permission = PermissionLedger.permission(for: request(method, path))
        #expect(permission.map { "\($0.verb) \($0.resource)" } == expected)
    }

    @Test func `what RBAC refuses is missed until it gets through; events are not missed, quotas are no rights`() {
        let ledger = PermissionLedger()
        let services = request(.post, "/api/v1/namespaces/ns/services")
        let events = request(.post, "/apis/events.k8s.io/v1/namespaces/ns/events")
        let jobs = request(.post, "/apis/batch/v1/namespaces/ns/jobs")
        ledger.note(services, refusal("services is forbidden: User \"us\" cannot create resource \"services\" in …"))
        ledger.note(events, refusal("events is forbidden: User \"us\" cannot create resource \"events\" in …"))
        ledger.note(jobs, refusal("jobs.batch \"j\" is forbidden: exceeded quota: q"))
        #expect(ledger.missing == ["RBAC does not allow to create services"])
        ledger.note(services, HTTPResponse(status: 503))
        #expect(ledger.missing == ["RBAC does not allow to create services"])
        ledger.note(services, HTTPResponse(status: 409))
        #expect(ledger.missing == [])
    }
}

/// Row 20: a verb is taken away while the operator runs.
@Suite(.timeLimit(.minutes(3))) struct LostRightsTests {
    @Test func `without the right to write statuses it is not ready, and recovers by itself`() async throws {
        let world = try await Replicas()
        let (manager, interceptor) = world.replica("a", isElected: false)
        async let exit = manager.run()
        try await world.advance(until: "it is ready") { manager.missing == [] }
        interceptor.before {
            $0.isRequest("PATCH widgets/w/status") ? .denied("patch", "widgets/status") : nil
        }
        try await world.cluster.create("w")
        try await world.advance(until: "it is missed") {
            manager.missing == ["RBAC does not allow to patch widgets.example.com/status"]
        }
        interceptor.clear()
        try await world.advance(until: "five minutes", by: .seconds(1)) {
            interceptor.log.filter { $0 == "PATCH widgets/w/status" }.count >= 5
        }
        interceptor.before { _ in nil }
        try await world.advance(until: "all is well", by: .seconds(1)) {
            let isReady = try await world.cluster.isReady("w")
            return isReady && manager.missing == []
        }
        manager.stop()
        #expect(await exit == .stopped)
    }

    @Test func `without the right to send events all goes on, and it is ready`() async throws {
        let world = try await Replicas()
        let (manager, interceptor) = world.replica("a", isElected: false)
        async let exit = manager.run()
        interceptor.before { $0.isRequest("POST events") ? .denied("create", "events") : nil }
        try await world.cluster.create("w")
        try await world.advance(until: "w is ready") { try await world.cluster.isReady("w") }
        #expect(manager.missing == [])
        manager.stop()
        #expect(await exit == .stopped)
        #expect(interceptor.log.filter { $0 == "POST events" }.count == 1)
    }

    @Test func `without the right to renew its lease it ends once, and then waits as a candidate that is not ready`()
        async throws
    {
        let world = try await Replicas()
        let (first, interceptor) = world.replica("a")
        async let exit = first.run()
        try await world.advance(until: "a leads") { first.isLeading }
        interceptor.before { $0.isRequest("PUT leases/trainyard-operator") ? .denied("update", "leases") : nil }
        try await world.advance(until: "a is not ready", sleepers: 1) {
            first.missing == ["RBAC does not allow to update leases.coordination.k8s.io"]
        }
        try await world.advance(until: "a lost", sleepers: 1) { world.said == ["a leads", "a lost"] }
        #expect(await exit == .leadershipLost)
        let (second, requests) = world.replica("b")
        requests.before { $0.isRequest("PUT leases/trainyard-operator") ? .denied("update", "leases") : nil }
        async let secondExit = second.run()
        try await world.advance(until: "b is not ready", sleepers: 1) {
            second.missing.contains("RBAC does not allow to update leases.coordination.k8s.io")
        }
        let start = world.clock.now
        try await world.advance(until: "a minute", sleepers: 1) { world.clock.now - start > .seconds(60) }
        #expect(requests.log.filter { $0 == "PUT leases/trainyard-operator" }.count < 60)
        requests.before { _ in nil }
        try await world.advance(until: "b leads", sleepers: 1) { second.isLeading && second.missing == [] }
        second.stop()
        #expect(await secondExit == .stopped)
    }
}

/// Row 21: the kind itself comes and goes.
@Suite(.timeLimit(.minutes(3))) struct MissingKindTests {
    @Test func `a CRD that is deleted while it runs is missed, asked for slowly, and taken up again`() async throws {
        let world = try await Replicas()
        try await world.cluster.create("w")
        let (manager, interceptor) = world.replica("a", isElected: false)
        async let exit = manager.run()
        try await world.advance(until: "w is ready") { try await world.cluster.isReady("w") }
        interceptor.before {
            $0.isRequest("GET widgets") || $0.isRequest("WATCH widgets") ? .failure(404, "NotFound") : nil
        }
        world.cluster.server.endWatches()
        try await world.advance(until: "it is missed") {
            manager.missing.count == 1
                && manager.missing.first?.hasPrefix("the CRD widgets.example.com is not installed: ") == true
        }
        interceptor.clear()
        let start = world.clock.now
        try await world.advance(until: "ten minutes", by: .seconds(5)) { world.clock.now - start > .seconds(600) }
        let asked = interceptor.log.filter { $0 == "GET widgets" || $0 == "WATCH widgets" }.count
        #expect((10...150).contains(asked))
        #expect(world.cloud.sizes.count == 1, "what the cloud has stays")
        interceptor.before { _ in nil }
        try await world.cluster.create("x")
        try await world.advance(until: "x is ready", by: .seconds(1)) {
            let isReady = try await world.cluster.isReady("x")
            return isReady && manager.missing == []
        }
        manager.stop()
        #expect(await exit == .stopped)
    }

    @Test(arguments: [(404, "NotFound"), (403, "Forbidden"), (401, "Unauthorized")])
    func `a list that is refused is asked for twice a minute at most, on the long run`(
        status: Int, reason: String
    ) async throws {
        let world = try await Replicas()
        let (manager, interceptor) = world.replica("a", isElected: false)
        interceptor.before {
            $0.isRequest("GET widgets") || $0.isRequest("WATCH widgets") ? .failure(status, reason) : nil
        }
        async let exit = manager.run()
        try await world.advance(until: "it is missed") {
            !manager.missing.isEmpty && manager.missing[0].contains("HTTP")
        }
        let start = world.clock.now
        try await world.advance(until: "twenty minutes", by: .seconds(5)) {
            world.clock.now - start > .seconds(1200)
        }
        let asked = interceptor.log.filter { $0 == "GET widgets" || $0 == "WATCH widgets" }.count
        #expect((20...150).contains(asked))
        interceptor.before { _ in nil }
        try await world.advance(until: "nothing is missing", by: .seconds(1)) { manager.missing == [] }
        manager.stop()
        #expect(await exit == .stopped)
    }
}
