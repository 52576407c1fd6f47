import Glibc

/// How long a wait may take. The end comes sooner once somebody is in a hurry.
final class Patience {
    private var end: Double
    private let hurriedSeconds: Double
    private let isHurried: () -> Bool

    /// - Parameters:
    ///   - seconds: until the wait is given up.
    ///   - hurriedSeconds: what is left of them when `isHurried`, which is asked while nothing comes.
    init(seconds: Double, hurriedSeconds: Double = .infinity, isHurried: @escaping () -> Bool = { false }) {
        end = Patience.now + seconds
        self.hurriedSeconds = hurriedSeconds
        self.isHurried = isHurried
    }

    /// Seconds that are left; at most 0 when the wait is over.
    var left: Double { end - Patience.now }

    /// Called when a quarter of a second went by without an event.
    func nothingCame() {
        if hurriedSeconds < left, isHurried() { end = Patience.now + hurriedSeconds }
    }

    /// For `poll`: a quarter of a second at most.
    var milliseconds: Int32 { Int32(max(0, min(left, 0.25)) * 1000) + 1 }

    /// Seconds of the monotonic clock.
    static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}

/// Why a connection is of no use any more.
enum SocketFailure: Error, Hashable {
    /// The other side is gone.
    case closed
    case timedOut
    /// An `errno`.
    case system(Int32)
    /// The host's name means nothing (yet).
    case unknownHost

    var text: String {
        switch self {
        case .closed: "the connection was closed"
        case .timedOut: "no answer"
        case .system(let code): String(cString: strerror(code))
        case .unknownHost: "the name is not known"
        }
    }
}

/// A TCP socket. Every wait has an end; nothing is buffered here. Used from one thread.
final class Socket {
    private let descriptor: Int32
    /// The other side's address, for messages.
    let peer: String

    private init(_ descriptor: Int32, peer: String) {
        self.descriptor = descriptor
        self.peer = peer
        var yes: Int32 = 1
        // A vote is 20 bytes that somebody waits for.
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &yes, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { close(descriptor) }

    // MARK: Opening

    /// Listens on a port of all addresses, or of the loopback address alone when `host` is that.
    static func listening(host: String, port: UInt16) throws(SocketFailure) -> Socket {
        let isLoopback = host == "localhost" || host == "::1" || host.hasPrefix("127.")
        let addresses = try Address.all(host: isLoopback ? host : nil, port: port)
        // The version 6 wildcard takes version 4 connections too.
        var failure = SocketFailure.unknownHost
        for address in addresses.sorted(by: { $0.family == AF_INET6 && $1.family != AF_INET6 }) {
            do throws(SocketFailure) {
                return try listening(at: address)
            } catch {
                failure = error
            }
        }
        throw failure
    }

    private static func listening(at address: Address) throws(SocketFailure) -> Socket {
        let socket = try Socket(opening: address, peer: "")
        var yes: Int32 = 1
        var no: Int32 = 0
        setsockopt(socket.descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        if address.family == AF_INET6 {
            setsockopt(socket.descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &no, socklen_t(MemoryLayout<Int32>.size))
        }
        guard address.withPointer({ bind(socket.descriptor, $0, $1) }) == 0, listen(socket.descriptor, 256) == 0
        else { throw .system(errno) }
        return socket
    }

    /// The next connection; nil when none waits.
    func accepted() -> Socket? {
        var address = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let connection = withUnsafeMutableBytes(of: &address) {
            accept(descriptor, $0.baseAddress?.assumingMemoryBound(to: sockaddr.self), &length)
        }
        guard connection >= 0 else { return nil }
        _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
        _ = fcntl(connection, F_SETFL, O_NONBLOCK)
        let peer = withUnsafeBytes(of: &address) {
            Socket.text($0.baseAddress?.assumingMemoryBound(to: sockaddr.self), length)
        }
        return Socket(connection, peer: peer)
    }

    /// One try of each of the host's addresses.
    static func connected(host: String, port: UInt16, _ patience: Patience) throws(SocketFailure) -> Socket {
        var failure = SocketFailure.unknownHost
        for address in try Address.all(host: host, port: port) {
            let socket = try Socket(opening: address, peer: address.text)
            do throws(SocketFailure) {
                if address.withPointer({ connect(socket.descriptor, $0, $1) }) != 0 {
                    guard errno == EINPROGRESS else { throw .system(errno) }
                    try socket.wait(POLLOUT, patience)
                    var code: Int32 = 0
                    var length = socklen_t(MemoryLayout<Int32>.size)
                    getsockopt(socket.descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
                    guard code == 0 else { throw .system(code) }
                }
                return socket
            } catch {
                failure = error
            }
        }
        throw failure
    }

    private convenience init(opening address: Address, peer: String) throws(SocketFailure) {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.family, kind, 0)
        guard descriptor >= 0 else { throw .system(errno) }
        self.init(descriptor, peer: peer)
    }

    fileprivate static func text(_ address: UnsafePointer<sockaddr>?, _ length: socklen_t) -> String {
        var host = [CChar](repeating: 0, count: 64)
        var port = [CChar](repeating: 0, count: 16)
        let flags = NI_NUMERICHOST | NI_NUMERICSERV
        guard let address,
            getnameinfo(address, length, &host, socklen_t(host.count), &port, socklen_t(port.count), flags) == 0
        else { return "an unknown address" }
        let parts = [host, port].map { String(decoding: $0.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self) }
        let name = parts[0].hasPrefix("::ffff:") ? String(parts[0].dropFirst(7)) : parts[0]
        return name.contains(":") ? "[\(name)]:\(parts[1])" : "\(name):\(parts[1])"
    }

    /// A port of the loopback address that nobody listens on now.
    static func freePort() throws(SocketFailure) -> UInt16 {
        let socket = try listening(host: "127.0.0.1", port: 0)
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutableBytes(of: &address) {
            getsockname(socket.descriptor, $0.baseAddress?.assumingMemoryBound(to: sockaddr.self), &length)
        }
        guard status == 0 else { throw .system(errno) }
        return UInt16(bigEndian: address.sin_port)
    }

    // MARK: Bytes

    /// Sends all of it.
    func send(_ bytes: UnsafeRawBufferPointer, _ patience: Patience) throws(SocketFailure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = UnsafeRawBufferPointer(rebasing: rest).withMemoryRebound(to: UInt8.self) {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                try wait(POLLOUT, patience)
            } else if errno != EINTR {
                throw errno == EPIPE || errno == ECONNRESET ? .closed : .system(errno)
            }
        }
    }

    /// Fills the buffer.
    func receive(into bytes: UnsafeMutableRawBufferPointer, _ patience: Patience) throws(SocketFailure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = UnsafeMutableRawBufferPointer(rebasing: rest)
            let count = recv(descriptor, part.baseAddress, part.count, 0)
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count == 0 || errno == ECONNRESET {
                throw .closed
            } else if errno == EAGAIN {
                try wait(POLLIN, patience)
            } else if errno != EINTR {
                throw .system(errno)
            }
        }
    }

    private func wait(_ events: Int32, _ patience: Patience) throws(SocketFailure) {
        while patience.left > 0 {
            var polled = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            if poll(&polled, 1, patience.milliseconds) > 0 { return }
            patience.nothingCame()
        }
        throw .timedOut
    }

    /// Waits until one of these has something to read, a quarter of a second at most.
    static func readable(_ sockets: [Socket], _ patience: Patience) -> [Bool] {
        var polled = sockets.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        if poll(&polled, nfds_t(polled.count), patience.milliseconds) <= 0 { patience.nothingCame() }
        return polled.map { $0.revents != 0 }
    }

    /// Whether bytes wait; they stay. False at the other side's end.
    var hasBytes: Bool {
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, Int32(MSG_PEEK)) == 1
    }

    /// Says that nothing more comes, and reads to the other side's end: a connection that is closed with unread bytes
    /// takes back what was sent last.
    func finish(_ patience: Patience) {
        shutdown(descriptor, Int32(SHUT_WR))
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while patience.left > 0 {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) { return }
            if count < 0 { _ = Socket.readable([self], patience) }
        }
    }
}

/// An address of a host.
private struct Address {
    let family: Int32
    private let bytes: [UInt8]

    var text: String {
        withPointer { Socket.text($0, $1) }
    }

    func withPointer<Value>(_ body: (UnsafePointer<sockaddr>?, socklen_t) -> Value) -> Value {
        bytes.withUnsafeBytes { body($0.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count)) }
    }

    /// All of a host; nil: the wildcards to listen on.
    static func all(host: String?, port: UInt16) throws(SocketFailure) -> [Address] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV | (host == nil ? AI_PASSIVE : 0)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &found) == 0, let first = found else { throw .unknownHost }
        defer { freeaddrinfo(first) }
        return sequence(first: first) { $0.pointee.ai_next }.map { entry in
            Address(
                family: entry.pointee.ai_family,
                bytes: Array(UnsafeRawBufferPointer(start: entry.pointee.ai_addr, count: Int(entry.pointee.ai_addrlen)))
            )
        }
    }
}
