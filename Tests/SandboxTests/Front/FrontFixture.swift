import CloudChecks
import Encoding
import Glibc
import HTTP
import Sandbox
import Synchronization
import Testing

/// A simulated cloud on a virtual clock whose Cloud Run services are processes behind addresses of loopback.
final class FrontFixture: Sendable {
    static let image = "stand-in:1"
    static let services = APIFixture.services

    let clock = VirtualClock()
    let cloud: SimulatedCloud
    let front: RunFront
    private let transport: CurlTransport
    private let temporary: TemporaryDirectory

    private init(_ change: (inout FrontConfiguration) -> Void) throws {
        temporary = try TemporaryDirectory()
        let program = try Self.program("StandInServer")
        cloud = SimulatedCloud(
            CloudConfiguration(project: "p1", projectNumber: 42, clock: clock, inspection: .ofTests))
        let arguments: [(String, [String])] = [
            (Self.image, []), ("stand-in:2", []), ("exits:1", ["--exit", "3"]), ("deaf:1", ["--deaf"]),
            ("unhealthy:1", ["--unhealthy"]), ("stubborn:1", ["--stubborn"]), ("late:1", ["--after", "150"]),
        ]
        var configuration = FrontConfiguration(
            images: Dictionary(uniqueKeysWithValues: arguments.map { ($0, .process(argv: [program] + $1)) }),
            stateDirectory: temporary.path)
        change(&configuration)
        front = try RunFront(configuration, cloud: cloud, clock: clock)
        transport = try CurlTransport()
    }

    /// Runs a test with a front that ticks in real time, and ends all that was started.
    static func with(
        _ change: (inout FrontConfiguration) -> Void = { _ in }, _ body: (FrontFixture) async throws -> Void
    ) async throws {
        let fixture = try FrontFixture(change)
        let ticks = Task { await fixture.front.run() }
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(fixture))
        } catch {
            result = .failure(error)
        }
        ticks.cancel()
        await ticks.value
        await fixture.front.stop()
        await fixture.transport.shutDown()
        try result.get()
    }

    /// A program that was built beside this test.
    private static func program(_ name: String) throws -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let own = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // swift-testing's helper of the toolchain loads the bundle from the build folder, which is then argument 1.
        let paths = ([own] + CommandLine.arguments).map { candidate in
            candidate.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
                + "/\(name)"
        }
        return try #require(paths.first { access($0, X_OK) == 0 }, "\(name) is not built")
    }

    // MARK: The API

    typealias Reply = CloudFixture.Reply

    func call(_ method: HTTPMethod, _ url: String, _ body: JSONValue? = nil) async throws -> Reply {
        let request = HTTPRequest(
            method, try #require(HTTPURL(url)), headers: ["Content-Type": "application/json"],
            body: body?.serialized() ?? [])
        let response = try await HandlerTransport(cloud).send(request)
        return Reply(status: response.status, json: (try? JSONValue(parsing: response.body)) ?? .null)
    }

    func service(_ id: String = "web") async throws -> JSONValue {
        try await call(.get, "\(Self.services)/\(id)").json
    }

    /// A service of one container; `template` and `container` add to theirs.
    static func body(
        _ image: String = FrontFixture.image, template: JSONValue = [:], container: JSONValue = [:],
        more: JSONValue = [:]
    ) -> JSONValue {
        var inner: JSONValue = ["image": .string(image)]
        for (key, value) in container.objectValue ?? [:] { inner[key] = value }
        var outer: JSONValue = ["containers": [inner]]
        for (key, value) in template.objectValue ?? [:] { outer[key] = value }
        var body: JSONValue = ["template": outer, "invokerIamDisabled": true]
        for (key, value) in more.objectValue ?? [:] { body[key] = value }
        return body
    }

    /// Makes a service, or changes it, and waits until its reconciliation has ended.
    @discardableResult
    func deploy(
        _ body: JSONValue = FrontFixture.body(), mask: String? = nil, passing: Duration = .milliseconds(50)
    ) async throws -> JSONValue {
        let exists = try await call(.get, "\(Self.services)/web").status == 200
        let reply =
            if exists {
                try await call(.patch, "\(Self.services)/web" + (mask.map { "?updateMask=\($0)" } ?? ""), body)
            } else {
                try await call(.post, "\(Self.services)?serviceId=web", body)
            }
        try #require(reply.status == 200, "\(reply.json.serializedText())")
        return try await until("the end of the reconciliation", passing: passing) {
            let service = try await self.service()
            // `? service : nil` would be a JSON null.
            if service["reconciling"] == nil { return service }
            return Optional<JSONValue>.none
        }
    }

    /// Waits at most a minute; virtual time passes by so much at each look.
    func until<Value>(
        _ what: String, passing: Duration = .zero, _ look: () async throws -> Value?
    ) async throws -> Value {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            if let value = try await look() { return value }
            try #require(ContinuousClock.now < deadline, "\(what) does not come")
            clock.advance(by: passing)
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    // MARK: Traffic

    struct Answer: Equatable {
        var status: Int
        var text: String
    }

    func get(_ url: String?, token: String? = nil) async throws -> Answer {
        var headers = HTTPHeaders()
        if let token { headers["Authorization"] = "Bearer \(token)" }
        let text = try #require(url)
        let url = try #require(HTTPURL(text))
        let response = try await transport.send(HTTPRequest(.get, url, headers: headers, timeout: .seconds(60)))
        return Answer(status: response.status, text: String(decoding: response.body, as: UTF8.self))
    }

    /// What comes back from so many requests, one after the other.
    func tally(_ url: String, _ count: Int) async throws -> [String: Int] {
        var found: [String: Int] = [:]
        for _ in 0..<count {
            let answer = try await get(url)
            found[answer.status == 200 ? answer.text : String(answer.status), default: 0] += 1
        }
        return found
    }

    static func weights(_ percents: [(String, Int64)], tag: (String, String)? = nil) -> JSONValue {
        var traffic: [JSONValue] = percents.map { revision, percent in
            [
                "type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": .string(revision),
                "percent": .integer(percent),
            ]
        }
        if let tag {
            traffic.append([
                "type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": .string(tag.1), "tag": .string(tag.0),
            ])
        }
        return ["traffic": .array(traffic)]
    }
}

/// Requests one after the other in several tasks, until they are told to end.
final class ConstantLoad: Sendable {
    private let answers = Mutex<[FrontFixture.Answer]>([])
    private let isEnding = Mutex(false)

    /// Runs `body` under load.
    ///
    /// - Returns: all that was answered.
    static func during(
        _ fixture: FrontFixture, _ url: String, clients: Int = 4, _ body: (ConstantLoad) async throws -> Void
    ) async throws -> [FrontFixture.Answer] {
        let load = ConstantLoad()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<clients {
                group.addTask {
                    while !load.isEnding.withLock({ $0 }) {
                        let answer = try await fixture.get(url)
                        load.answers.withLock { $0.append(answer) }
                    }
                }
            }
            defer { load.isEnding.withLock { $0 = true } }
            try await body(load)
            load.isEnding.withLock { $0 = true }
            try await group.waitForAll()
        }
        return load.answers.withLock { $0 }
    }

    var count: Int { answers.withLock { $0.count } }
}
