internal import Encoding
internal import Glibc
internal import HTTP

/// How Cloud Run finds out that an instance is up.
struct StartupProbe: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        /// Something listens.
        case listens
        /// A path is answered with a status from 200 to 399.
        case answers(path: String, headers: [String: String])
    }

    /// Between two looks no time is lost: they are taken more often than the probe's period. Its patience is kept.
    private static let attemptLimit = Duration.seconds(2)

    var kind: Kind
    /// From the start to the last try.
    var patience: Duration
    /// Of one try.
    var attempt: Duration

    init(container: JSONValue) {
        let probe = container["startupProbe"] ?? [:]
        if let get = probe["httpGet"] {
            var headers: [String: String] = [:]
            for header in get["httpHeaders"]?.arrayValue ?? [] {
                if let name = header["name"]?.stringValue { headers[name] = header["value"]?.stringValue ?? "" }
            }
            let path = get["path"]?.stringValue ?? ""
            kind = .answers(path: path.hasPrefix("/") ? path : "/" + path, headers: headers)
        } else {
            kind = .listens
        }
        let period = probe["periodSeconds"]?.integerValue ?? 10
        let threshold = probe["failureThreshold"]?.integerValue ?? 3
        patience = .seconds((probe["initialDelaySeconds"]?.integerValue ?? 0) + period * threshold)
        attempt = min(.seconds(max(1, probe["timeoutSeconds"]?.integerValue ?? 1)), Self.attemptLimit)
    }

    /// One look at a port of this machine.
    func passes(port: UInt16, _ transport: any HTTPTransport) async -> Bool {
        switch kind {
        case .listens: return LocalPort.listens(port)
        case .answers(let path, let fields):
            // A server that does not even listen is not worth a request.
            guard LocalPort.listens(port) else { return false }
            var headers: HTTPHeaders = ["User-Agent": "GoogleHC/1.0"]
            for (name, value) in fields { headers[name] = value }
            let url = HTTPURL(origin: "http://127.0.0.1:\(port)", path: path)
            let request = HTTPRequest(.get, url, headers: headers, timeout: attempt, maximumResponseBytes: 1 << 20)
            // No reply is a failed try, like a wrong one.
            guard let reply = try? await transport.send(request) else { return false }
            return (200..<400).contains(reply.status)
        }
    }
}

/// Ports of this machine's loopback.
enum LocalPort {
    /// Whether something takes connections there.
    static func listens(_ port: UInt16) -> Bool {
        withSocket(port) { file, address, size in
            if connect(file, address, size) == 0 { return true }
            guard errno == EINPROGRESS else { return false }
            var entry = pollfd(fd: file, events: Int16(POLLOUT), revents: 0)
            guard poll(&entry, 1, 20) == 1 else { return false }
            var failure: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            return getsockopt(file, SOL_SOCKET, SO_ERROR, &failure, &length) == 0 && failure == 0
        }
    }

    /// Whether a server could listen there now.
    static func isFree(_ port: UInt16) -> Bool { withSocket(port) { bind($0, $1, $2) == 0 } }

    private static func withSocket(
        _ port: UInt16, _ body: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Bool
    ) -> Bool {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let file = socket(AF_INET, kind, 0)
        guard file >= 0 else { return false }
        defer { close(file) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body(file, $0, size) }
        }
    }
}
