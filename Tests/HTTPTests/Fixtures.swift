import Glibc
import HTTP
import Synchronization
import Testing

/// A handler from a closure.
struct ClosureHandler: HTTPHandler {
    let body: @Sendable (HTTPRequest) async -> HTTPReply

    init(_ body: @escaping @Sendable (HTTPRequest) async -> HTTPReply) { self.body = body }

    func respond(to request: HTTPRequest) async -> HTTPReply { await body(request) }
}

/// A server and a client for one test, both stopped at its end.
struct Loop {
    let server: HTTPServer
    let client: CurlTransport

    /// Runs `body` with a fresh server and client.
    static func run(
        limits: HTTPServerLimits = HTTPServerLimits(), options: CurlOptions = CurlOptions(),
        handler: @escaping @Sendable (HTTPRequest) async -> HTTPReply, body: (Loop) async throws -> Void
    ) async throws {
        let loop = Loop(
            server: try HTTPServer(handler: ClosureHandler(handler), limits: limits),
            client: try CurlTransport(options: options))
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(loop))
        } catch {
            result = .failure(error)
        }
        await loop.client.shutDown()
        await loop.server.stop(grace: .milliseconds(10))
        try result.get()
    }

    func url(_ path: String = "/") -> HTTPURL { HTTPURL(origin: server.origin, path: path) }

    func get(_ path: String = "/", timeout: Duration = .seconds(90)) -> HTTPRequest {
        HTTPRequest(.get, url(path), timeout: timeout)
    }
}

/// A plain TCP connection, for what no HTTP client would send.
struct RawSocket: ~Copyable {
    private let descriptor: Int32

    init(port: UInt16) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        var timeout = timeval(tv_sec: 90, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        try #require(result == 0)
    }

    deinit { close(descriptor) }

    func send(_ text: String) {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress?.advanced(by: sent), bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            sent += count
        }
    }

    /// Bytes until the other side ends the connection, or until `text` was seen; waits on a thread of its own, as a
    /// blocked test would keep the handlers from running.
    func receive(until text: String? = nil) async -> String {
        let descriptor = descriptor
        return await onThread { RawSocket.receive(descriptor, until: text) }
    }

    private static func receive(_ descriptor: Int32, until text: String?) -> String {
        var received: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            if let text, String(decoding: received, as: UTF8.self).contains(text) { break }
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count <= 0 { break }
            received.append(contentsOf: buffer[..<count])
        }
        return String(decoding: received, as: UTF8.self)
    }
}

/// Runs a blocking call on a thread of its own.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
        let box = Unmanaged.passRetained(Blocking { continuation.resume(returning: body()) })
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { pointer in
                if let pointer { Unmanaged<Blocking>.fromOpaque(pointer).takeRetainedValue().run() }
                return nil
            }, box.toOpaque())
        pthread_detach(thread)
    }
}

private final class Blocking {
    let run: () -> Void

    init(_ run: @escaping () -> Void) { self.run = run }
}

/// A TCP server for one connection that behaves badly in a scripted way, on a thread of its own.
final class RawServer: Sendable {
    let port: UInt16
    private let listener: Int32

    /// Accepts connections one after the other; each reads one request head, gets `script` and is closed.
    init(_ script: @escaping @Sendable (Int32) -> Void) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = listener
        let isOpen = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && listen(descriptor, 16) == 0
                    && getsockname(descriptor, $0, &length) == 0
            }
        }
        try #require(isOpen)
        port = UInt16(bigEndian: address.sin_port)
        let loop = Blocking {
            while true {
                let connection = accept(descriptor, nil, nil)
                if connection < 0 { break }
                var buffer = [UInt8](repeating: 0, count: 65536)
                _ = recv(connection, &buffer, buffer.count, 0)
                script(connection)
                close(connection)
            }
            close(descriptor)
        }
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { pointer in
                if let pointer { Unmanaged<Blocking>.fromOpaque(pointer).takeRetainedValue().run() }
                return nil
            }, Unmanaged.passRetained(loop).toOpaque())
        pthread_detach(thread)
    }

    deinit { shutdown(listener, Int32(SHUT_RDWR)) }

    var origin: String { "http://127.0.0.1:\(port)" }

    /// Sends all of it, or as much as the client takes.
    static func write(_ descriptor: Int32, _ text: String) { write(descriptor, Array(text.utf8)) }

    static func write(_ descriptor: Int32, _ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress?.advanced(by: sent), bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            sent += count
        }
    }

    /// Keeps the connection until the client closes it.
    static func waitForEnd(_ descriptor: Int32) {
        var byte: UInt8 = 0
        _ = recv(descriptor, &byte, 1, 0)
    }
}

/// A number that tasks count together and a test waits for, without sleeping.
final class Counter: Sendable {
    private struct State {
        var value = 0
        var waiters: [(Int, CheckedContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())

    var value: Int { state.withLock { $0.value } }

    func increment() {
        let ready: [CheckedContinuation<Void, Never>] = state.withLock { state in
            state.value += 1
            let value = state.value
            let ready = state.waiters.filter { $0.0 <= value }.map(\.1)
            state.waiters.removeAll { $0.0 <= value }
            return ready
        }
        ready.forEach { $0.resume() }
    }

    func reached(_ value: Int) async {
        await withCheckedContinuation { continuation in
            let isReached = state.withLock { state in
                if state.value >= value { return true }
                state.waiters.append((value, continuation))
                return false
            }
            if isReached { continuation.resume() }
        }
    }
}

/// The error code of a call that is expected to fail; nil when it does not.
func failure<Value>(_ body: () async throws(APIError) -> Value) async -> APIError? {
    do throws(APIError) {
        _ = try await body()
        return nil
    } catch {
        return error
    }
}
