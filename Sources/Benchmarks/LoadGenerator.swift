import Glibc

/// Clients that send one request after the other over connections that stay open, from one thread.
struct LoadGenerator {
    struct Result {
        var requestsPerSecond: Double
        /// Sorted.
        var milliseconds: [Double]
        /// Replies that were not 200.
        var failures: Int

        func percentile(_ share: Double) -> Double {
            milliseconds.isEmpty
                ? .nan : milliseconds[min(milliseconds.count - 1, Int(Double(milliseconds.count) * share))]
        }
    }

    var port: UInt16
    /// The whole request, head and body.
    var request: [UInt8]
    var connections: Int

    private struct Connection {
        var socket: Int32
        var sent = 0
        var reply: [UInt8] = []
        var start: Int64
    }

    /// - Throws: when the server cannot be reached or breaks a connection.
    func run(seconds: Double) throws -> Result {
        var open: [Connection] = []
        defer { for connection in open { close(connection.socket) } }
        let start = Machine.nanoseconds
        for _ in 0..<connections { open.append(Connection(socket: try connect(), start: Machine.nanoseconds)) }
        let end = start + Int64(seconds * 1e9)
        var result = Result(requestsPerSecond: 0, milliseconds: [], failures: 0)
        var polled = [pollfd](repeating: pollfd(), count: connections)
        while Machine.nanoseconds < end {
            for (index, connection) in open.enumerated() {
                let events = connection.sent < request.count ? POLLOUT : POLLIN
                polled[index] = pollfd(fd: connection.socket, events: Int16(events), revents: 0)
            }
            guard poll(&polled, nfds_t(connections), 1000) >= 0 else { throw BenchmarkError("poll failed") }
            for index in open.indices where polled[index].revents != 0 { try advance(&open[index], &result) }
        }
        let elapsed = Double(Machine.nanoseconds - start) * 1e-9
        result.requestsPerSecond = Double(result.milliseconds.count) / elapsed
        result.milliseconds.sort()
        return result
    }

    /// One request on a connection of its own; nil where the server is not there yet.
    func once() -> Int? {
        var single = self
        single.connections = 1
        guard let socket = try? single.connect() else { return nil }
        defer { close(socket) }
        var connection = Connection(socket: socket, start: Machine.nanoseconds)
        var result = Result(requestsPerSecond: 0, milliseconds: [], failures: 0)
        while result.milliseconds.isEmpty {
            let events = Int16(connection.sent < request.count ? POLLOUT : POLLIN)
            var polled = pollfd(fd: socket, events: events, revents: 0)
            guard poll(&polled, 1, 30_000) == 1, (try? single.advance(&connection, &result)) != nil else { return nil }
        }
        return result.failures == 0 ? 200 : 503
    }

    private func connect() throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else {
            close(descriptor)
            throw BenchmarkError("no server listens on port \(port)")
        }
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        return descriptor
    }

    private func advance(_ connection: inout Connection, _ result: inout Result) throws {
        if connection.sent < request.count {
            let count = request[connection.sent...].withUnsafeBytes {
                send(
                    connection.socket, $0.baseAddress, $0.count,
                    Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            }
            guard count > 0 || errno == EAGAIN else { throw BenchmarkError("the server breaks connections") }
            connection.sent += max(0, count)
            return
        }
        var buffer = [UInt8](repeating: 0, count: 16384)
        let count = recv(connection.socket, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        guard count > 0 else { throw BenchmarkError("the server breaks connections") }
        connection.reply += buffer[..<count]
        guard Self.isComplete(connection.reply) else { return }
        let now = Machine.nanoseconds
        result.milliseconds.append(Double(now - connection.start) * 1e-6)
        if !connection.reply.starts(with: Array("HTTP/1.1 200".utf8)) { result.failures += 1 }
        connection.reply = []
        connection.sent = 0
        connection.start = now
    }

    /// Whether the head and as many bytes as its Content-Length says are there.
    private static func isComplete(_ reply: [UInt8]) -> Bool {
        guard let end = reply.firstRange(of: Array("\r\n\r\n".utf8)) else { return false }
        let head = String(decoding: reply[..<end.lowerBound], as: UTF8.self).lowercased()
        for line in head.split(separator: "\r\n") where line.hasPrefix("content-length:") {
            let length = line.drop { $0 != ":" }.dropFirst().drop { $0 == " " }
            return reply.count - end.upperBound >= Int(length) ?? 0
        }
        return false
    }
}
