import Glibc
import Synchronization
import System
import Testing

/// A proxy on a free port of 127.0.0.1: CONNECT or SOCKS5, one thread a connection.
final class ProxyServer: Sendable {
    enum Kind: String, Sendable, CustomStringConvertible {
        case http, socks5
        /// Answers CONNECT with 407.
        case locked

        var description: String { rawValue }
    }

    let port: UInt16
    private let listener: Int32
    private let record = Record()

    private final class Record: Sendable {
        let targets = Mutex<[String]>([])
        let heads = Mutex<[String]>([])
    }

    init(_ kind: Kind) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let (descriptor, bound) = (listener, ProxyServer.listen(listener))
        port = try #require(bound)
        let isStarted = Thread.start { [record] in
            while true {
                let connection = accept(descriptor, nil, nil)
                if connection < 0 { break }
                let isServed = Thread.start { ProxyServer.serve(connection, kind, record) }
                if !isServed { close(connection) }
            }
            close(descriptor)
        }
        try #require(isStarted)
    }

    deinit { shutdown(listener, Int32(SHUT_RDWR)) }

    /// Where clients wanted to go.
    var targets: [String] { record.targets.withLock { $0 } }
    /// The heads of CONNECT requests.
    var heads: [String] { record.heads.withLock { $0 } }

    private static func serve(_ client: Int32, _ kind: Kind, _ record: Record) {
        defer { close(client) }
        let target = kind == .socks5 ? acceptSocks(client) : acceptConnect(client, kind == .locked, record)
        guard let target,
            let port = target.split(separator: ":").last.flatMap({ UInt16($0) })
        else { return }
        record.targets.withLock { $0.append(target) }
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(server) }
        guard ProxyServer.withLoopback(port: port, { connect(server, $0, $1) }) == 0 else { return }
        relay(client, server)
    }

    private static func acceptConnect(_ client: Int32, _ isLocked: Bool, _ record: Record) -> String? {
        var head = ""
        while !head.hasSuffix("\r\n\r\n"), let byte = ProxyServer.read(client, 1) {
            head += String(decoding: byte, as: UTF8.self)
        }
        record.heads.withLock { $0.append(head) }
        RawServer.write(
            client,
            isLocked
                ? "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n" : "HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n"
        )
        let words = head.split(separator: " ")
        return isLocked || words.count < 2 ? nil : String(words[1])
    }

    private static func acceptSocks(_ client: Int32) -> String? {
        guard let greeting = ProxyServer.read(client, 2), ProxyServer.read(client, Int(greeting[1])) != nil else {
            return nil
        }
        ProxyServer.write(client, [5, 0])
        guard let head = ProxyServer.read(client, 4) else { return nil }
        var host = ""
        if head[3] == 1, let address = ProxyServer.read(client, 4) {
            host = address.map(String.init).joined(separator: ".")
        } else if let length = ProxyServer.read(client, 1), let name = ProxyServer.read(client, Int(length[0])) {
            host = String(decoding: name, as: UTF8.self)
        }
        guard let port = ProxyServer.read(client, 2) else { return nil }
        ProxyServer.write(client, [5, 0, 0, 1, 127, 0, 0, 1, 0, 0])
        return "\(host):\(Int(port[0]) << 8 | Int(port[1]))"
    }

    private static func relay(_ client: Int32, _ server: Int32) {
        var waiting = [client, server].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while poll(&waiting, 2, 60_000) > 0 {
            for (index, other) in [(0, server), (1, client)] where waiting[index].revents != 0 {
                let count = recv(waiting[index].fd, &buffer, buffer.count, 0)
                if count <= 0 { return }
                write(other, Array(buffer[..<count]))
            }
        }
    }

    private static func read(_ descriptor: Int32, _ count: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: max(count, 1))
        while bytes.count < count {
            let read = recv(descriptor, &buffer, count - bytes.count, 0)
            if read <= 0 { return nil }
            bytes += buffer[..<read]
        }
        return bytes
    }

    private static func write(_ descriptor: Int32, _ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress?.advanced(by: sent), bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            sent += count
        }
    }

    private static func listen(_ descriptor: Int32) -> UInt16? {
        guard withLoopback(port: 0, { bind(descriptor, $0, $1) }) == 0, Glibc.listen(descriptor, 16) == 0 else {
            return nil
        }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        return result == 0 ? UInt16(bigEndian: address.sin_port) : nil
    }

    private static func withLoopback(
        port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
