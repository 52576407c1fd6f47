import Encoding
import HTTP
import Sandbox
import Telemetry
import Testing

@Suite struct FaultScriptTests {
    /// A cluster behind a script, and what a client of it sees.
    private struct Faulty {
        let fixture: ClusterFixture
        let injector: FaultInjector

        init(_ change: (inout FaultScript) -> Void) throws {
            var script = FaultScript(seed: 7)
            change(&script)
            fixture = try ClusterFixture()
            injector = FaultInjector(fixture.cluster, script: script, clock: fixture.clock)
        }

        /// Status 0: the connection broke.
        func call(_ method: HTTPMethod, _ target: String, _ body: JSONValue? = nil) async throws -> HTTPResponse {
            do throws(APIError) {
                return try await HandlerTransport(injector).send(fixture.request(method, target, body))
            } catch {
                return HTTPResponse(status: 0)
            }
        }

        func create(_ name: String) async throws -> Int {
            try await call(.post, ClusterFixture.path, ClusterFixture.widget(name)).status
        }

        func watch(_ target: String = "\(ClusterFixture.path)?watch=1") async throws -> WatchReader {
            WatchReader(stream: try await HandlerTransport(injector).open(fixture.request(.get, target)))
        }

        /// As it is, whatever the script says.
        func names() async throws -> [String] {
            let list = try await fixture.call(.get, ClusterFixture.path).json
            return (list["items"]?.arrayValue ?? []).map { $0["metadata"]?["name"]?.stringValue ?? "" }
        }
    }

    private static let creates = RequestMatch(verb: "create", resource: "widgets")
    private static let watches = RequestMatch(resource: "widgets")

    @Test func `a lost request does nothing, a lost reply leaves the object`() async throws {
        let world = try Faulty { script in
            script.add(.loseRequest(), on: Self.creates, calls: 1...1)
            script.add(.loseReply(), on: Self.creates, calls: 2...2)
        }
        #expect(try await world.create("a") == 0)
        #expect(try await world.names() == [])
        #expect(try await world.create("b") == 0)
        #expect(try await world.names() == ["b"])
        #expect(try await world.create("c") == 201)
        #expect(
            world.injector.fired == [
                FiredFault(call: "cluster create widgets default/a", action: .loseRequest()),
                FiredFault(call: "cluster create widgets default/b", action: .loseReply()),
            ])
    }

    @Test func `a duplicated create is handled twice and answers as the second`() async throws {
        let world = try Faulty { $0.add(.duplicate, on: RequestMatch(verb: "create", name: "tw*")) }
        #expect(try await world.create("one") == 201)
        #expect(try await world.create("two") == 409)
        #expect(try await world.names() == ["one", "two"])
    }

    @Test(arguments: [
        (400, "BadRequest"), (401, "Unauthorized"), (403, "Forbidden"), (404, "NotFound"), (409, "Conflict"),
        (410, "Expired"), (422, "Invalid"), (500, "InternalError"), (503, "ServiceUnavailable"), (504, "Timeout"),
    ])
    func `an error comes as the API server writes it`(status: Int, reason: String) async throws {
        let world = try Faulty { $0.add(.fail(status: status), on: RequestMatch(verb: "update")) }
        let reply = try await world.call(.put, "\(ClusterFixture.path)/a", ClusterFixture.widget("a"))
        let body = try JSONValue(parsing: reply.body)
        #expect(reply.status == status)
        #expect(body["kind"] == "Status" && body["code"] == .integer(Int64(status)))
        #expect(body["reason"] == .string(reason))
        #expect(body["details"] == ["name": "a", "group": "example.dev", "kind": "widgets"])
    }

    @Test func `too many requests come as text with a time to wait`() async throws {
        let world = try Faulty { $0.add(.fail(status: 429, retryAfter: .milliseconds(2500)), on: RequestMatch()) }
        let reply = try await world.call(.get, "/version")
        #expect(reply.status == 429 && reply.headers["Retry-After"] == "3")
        #expect(String(decoding: reply.body, as: UTF8.self) == "Too many requests, please try again later.\n")
    }

    @Test func `the cloud's errors have the shape of their API`() async throws {
        let world = try TestWorld()
        var script = FaultScript()
        script.add(.fail(status: 503), on: RequestMatch(side: .cloud, verb: "list", resource: "nodePools"))
        script.add(.fail(status: 429), on: RequestMatch(verb: "insert", resource: "buckets", name: "b-1"))
        script.add(.loseReply(), on: RequestMatch(verb: "insert", resource: "buckets", name: "b-2"))
        let injector = try #require(world.world.setFaults(script))
        let pools = await world.call(.get, TestWorld.pools)
        #expect(pools.body.value(at: ["error", "status"]) == "UNAVAILABLE")
        let project = [HTTPURL.QueryItem("project", "sandbox-project")]
        let refused = await world.call(.post, "/storage/v1/b", ["name": "b-1"], query: project)
        #expect(refused.body.value(at: ["error", "errors"])?[0]?["reason"] == "rateLimitExceeded")
        #expect(await world.call(.post, "/storage/v1/b", ["name": "b-2"], query: project).status == 0)
        #expect(world.world.cloud.bucketExists("b-2"))
        #expect(injector.firedCount == 3)
        world.world.setFaults(nil)
        #expect(await world.call(.get, TestWorld.pools).status == 200)
    }

    @Test func `a delay lasts as long as the clock says`() async throws {
        let world = try Faulty { $0.add(.delayRequest(.seconds(60)), on: Self.creates) }
        async let status = world.create("late")
        while world.fixture.clock.sleeperCount == 0 { await Task.yield() }
        #expect(try await world.names() == [])
        world.fixture.clock.advance(by: .seconds(60))
        #expect(try await status == 201)
    }

    @Test func `a stale read shows the collection before its last changes`() async throws {
        let world = try Faulty { script in
            script.add(.staleRead(changes: 2), on: RequestMatch(verb: "list", resource: "widgets"))
            script.add(.staleRead(changes: 1), on: RequestMatch(verb: "get", resource: "widgets"))
        }
        for name in ["a", "b", "c"] { #expect(try await world.create(name) == 201) }
        let list = try JSONValue(parsing: try await world.call(.get, ClusterFixture.path).body)
        #expect((list["items"]?.arrayValue ?? []).map { $0["metadata"]?["name"] } == ["a"])
        let revision = try #require(list.value(at: ["metadata", "resourceVersion"])?.stringValue)
        #expect(try await world.call(.get, "\(ClusterFixture.path)/c").status == 404)
        #expect(try await world.call(.get, "\(ClusterFixture.path)/b").status == 200)
        // A watch from the stale list tells what it missed.
        let watch = try await world.watch("\(ClusterFixture.path)?watch=1&resourceVersion=\(revision)")
        #expect(try await watch.next(2) == ["ADDED b", "ADDED c"])
        watch.cancel()
    }

    // MARK: Watches

    /// What a watch tells of four new objects, its end as "END" and a break as "CUT".
    private func told(_ fault: WatchFault, count: Int) async throws -> [String] {
        let world = try Faulty { $0.add(.watch(fault), on: Self.watches) }
        for name in ["a", "b", "c", "d"] { #expect(try await world.create(name) == 201) }
        let watch = try await world.watch()
        var events: [String] = []
        do {
            while events.count < count {
                guard let event = try await watch.next(1).first else { return events + ["END"] }
                events.append(event)
            }
        } catch {
            return events + ["CUT"]
        }
        watch.cancel()
        return events
    }

    @Test func `watch events are left out, doubled and ended where the script says`() async throws {
        #expect(try await told(.skip(2...3), count: 2) == ["ADDED a", "ADDED d"])
        #expect(try await told(.duplicate(1...1), count: 3) == ["ADDED a", "ADDED a", "ADDED b"])
        #expect(try await told(.end(after: 1), count: 5) == ["ADDED a", "END"])
        #expect(try await told(.end(after: 0), count: 5) == ["END"])
        #expect(try await told(.error(status: 410, after: 2), count: 5) == ["ADDED a", "ADDED b", "ERROR ", "END"])
        #expect(try await told(.error(status: 410, after: 0), count: 5) == ["ERROR ", "END"])
    }

    @Test func `an ERROR event carries the Status of its code`() async throws {
        let world = try Faulty { $0.add(.watch(.error(status: 410, after: 0)), on: Self.watches) }
        let event = try #require(try await world.watch().next())
        #expect(event.value(at: ["object", "reason"]) == "Expired" && event.value(at: ["object", "code"]) == 410)
    }

    @Test func `a stream breaks at any byte`() async throws {
        let world = try Faulty { $0.add(.watch(.cut(afterBytes: 40)), on: Self.watches) }
        #expect(try await world.create("a") == 201)
        let stream = try await HandlerTransport(world.injector)
            .open(world.fixture.request(.get, "\(ClusterFixture.path)?watch=1"))
        var bytes = 0
        var code: APIError.Code?
        do throws(APIError) {
            while let chunk = try await stream.next() { bytes += chunk.count }
        } catch {
            code = error.code
        }
        #expect(bytes == 40)
        #expect(code == .unavailable)
    }

    private static func code(of request: HTTPRequest, _ transport: any HTTPTransport) async -> APIError.Code? {
        do throws(APIError) {
            _ = try await transport.send(request)
            return nil
        } catch {
            return error.code
        }
    }

    @Test func `a list breaks at any byte, in process and over a socket`() async throws {
        let world = try Faulty { $0.add(.cutReply(afterBytes: 10), on: Self.watches) }
        #expect(try await world.call(.get, ClusterFixture.path).status == 0)
        let server = try HTTPServer(handler: world.injector)
        let url = HTTPURL(origin: "http://127.0.0.1:\(server.port)", path: ClusterFixture.path)
        let transport = try CurlTransport()
        var request = world.fixture.request(.get, ClusterFixture.path)
        request.url = url
        #expect(await Self.code(of: request, transport) == .unavailable)
        #expect(world.injector.firedCount == 2)
        await transport.shutDown()
        await server.stop()
    }

    @Test func `events of different objects change places, those of one object do not`() async throws {
        let world = try Faulty { $0.add(.watch(.reorder(within: .seconds(1))), on: Self.watches) }
        for name in ["a", "b", "c", "d"] { #expect(try await world.create(name) == 201) }
        let reader = try await world.watch()
        async let told = reader.next(8)
        while world.fixture.clock.sleeperCount == 0 { await Task.yield() }
        for name in ["a", "b", "c", "d"] {
            let change: JSONValue = ["metadata": ["labels": ["x": "y"]]]
            try await world.fixture.call(
                .patch, "\(ClusterFixture.path)/\(name)", change, type: "application/merge-patch+json")
        }
        world.fixture.clock.advance(by: .seconds(1))
        let events = try await told
        let inOrder = ["a", "b", "c", "d"].map { "ADDED \($0)" } + ["a", "b", "c", "d"].map { "MODIFIED \($0)" }
        #expect(events.sorted() == inOrder.sorted())
        #expect(events != inOrder)
        for name in ["a", "b", "c", "d"] {
            #expect(events.filter { $0.hasSuffix(name) } == ["ADDED \(name)", "MODIFIED \(name)"])
        }
    }

    @Test func `a held watch tells nothing until its time is over`() async throws {
        let world = try Faulty { $0.add(.watch(.hold(after: 1, for: .seconds(30))), on: Self.watches) }
        for name in ["a", "b"] { #expect(try await world.create(name) == 201) }
        let reader = try await world.watch()
        #expect(try await reader.next(1) == ["ADDED a"])
        while world.fixture.clock.sleeperCount == 0 { await Task.yield() }
        async let next = reader.next(1)
        world.fixture.clock.advance(by: .seconds(30))
        #expect(try await next == ["ADDED b"])
    }

    @Test func `bookmarks alone go on`() async throws {
        let world = try Faulty { $0.add(.watch(.bookmarksOnly), on: Self.watches) }
        #expect(try await world.create("a") == 201)
        let reader = try await world.watch("\(ClusterFixture.path)?watch=1&allowWatchBookmarks=true")
        world.fixture.clock.advance(by: .seconds(120))
        await world.fixture.cluster.tick()
        #expect(try await reader.next(1) == ["BOOKMARK "])
        reader.cancel()
    }

    // MARK: Chance

    @Test func `chance depends on the seed and the request, not on the order`() async throws {
        func lost(seed: UInt64, _ names: [String]) async throws -> Set<String> {
            let fixture = try ClusterFixture()
            var script = FaultScript(seed: seed)
            script.addRandom([.loseRequest(), .fail(status: 503)], on: Self.creates, probability: 0.5)
            let injector = FaultInjector(fixture.cluster, script: script, clock: fixture.clock)
            for name in names {
                _ = await injector.respond(
                    to: fixture.request(.post, ClusterFixture.path, ClusterFixture.widget(name)))
            }
            return Set(injector.fired.map(\.call))
        }
        let names = (0..<40).map { "w-\($0)" }
        let first = try await lost(seed: 3, names)
        #expect(try await lost(seed: 3, names.reversed()) == first)
        #expect(try await lost(seed: 4, names) != first)
        #expect((5...35).contains(first.count))
    }

    @Test func `a limit ends a random fault`() async throws {
        let world = try Faulty { $0.addRandom([.loseRequest()], on: Self.creates, probability: 1, limit: 2) }
        #expect(try await world.create("a") == 0)
        #expect(try await world.create("a") == 0)
        #expect(try await world.create("a") == 201)
    }
}
