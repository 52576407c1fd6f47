import HTTP
import Sandbox
import Synchronization
import Testing

@testable import ControllerRuntime

/// Keeps what reached it.
private final class Server: HTTPHandler {
    private let methods = Mutex<[HTTPMethod]>([])

    var reached: [HTTPMethod] { methods.withLock { $0 } }

    func respond(to request: HTTPRequest) async -> HTTPReply {
        methods.withLock { $0.append(request.method) }
        return HTTPReply(status: 200)
    }
}

private let url = HTTPURL(origin: "http://127.0.0.1:1", path: "/")

@Suite struct MutationGateTests {
    @Test func `at its deadline the gate is closed already`() throws {
        let clock = VirtualClock()
        let gate = MutationGate(clock: .virtual(clock))
        gate.open(until: .seconds(10))
        clock.advance(by: .milliseconds(9_999))
        #expect(gate.isOpen)
        try gate.check("POST pods")
        clock.advance(by: .milliseconds(1))
        #expect(!gate.isOpen)
        let refusal = APIError(.cancelled, operation: "POST pods", message: "this replica does not lead")
        #expect(throws: refusal) { try gate.check("POST pods") }
    }

    @Test func `nothing but reads gets through a closed gate, sent whole or as a stream`() async {
        let server = Server()
        let transport = GatedTransport(HandlerTransport(server), gate: MutationGate(clock: .virtual(VirtualClock())))
        for method in HTTPMethod.allCases {
            _ = try? await transport.send(HTTPRequest(method, url))
            (try? await transport.open(HTTPRequest(method, url)))?.cancel()
        }
        #expect(server.reached == [.get, .get, .head, .head])
    }
}
