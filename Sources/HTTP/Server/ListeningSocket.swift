import Glibc

/// The socket calls of the server, with Swift's types.
enum ListeningSocket {
    /// Binds and listens on an IP address; port 0 takes any free one.
    ///
    /// - Throws: `.unavailable` when the port is taken, `.invalid` for an address that is none.
    static func open(host: String, port: UInt16) throws(APIError) -> (socket: Int32, port: UInt16) {
        let operation = "listening on \(host):\(port)"
        let isVersion6 = host.contains(":")
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(isVersion6 ? AF_INET6 : AF_INET, kind, 0)
        guard descriptor >= 0 else { throw failure(operation) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        do throws(APIError) {
            try bind(descriptor, host: host, port: port, isVersion6: isVersion6, operation: operation)
            guard listen(descriptor, 1024) == 0 else { throw failure(operation) }
            return (descriptor, try boundPort(descriptor, operation: operation))
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// The next waiting connection; nil when there is none, or when the process has no descriptor left.
    static func accept(_ listener: Int32) -> Int32? {
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else { return nil }
        // Glibc's module has no accept4. A child spawned just now may hold a copy: `ServerConnection` ends a connection
        // by shutdown before close, which needs no last copy.
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        var yes: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        return descriptor
    }

    private static func bind(
        _ descriptor: Int32, host: String, port: UInt16, isVersion6: Bool, operation: String
    ) throws(APIError) {
        let result: Int32
        if isVersion6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            guard inet_pton(AF_INET6, host, &address.sin6_addr) == 1 else { throw notAnAddress(operation) }
            result = withSocketAddress(&address) { Glibc.bind(descriptor, $0, $1) }
        } else {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            guard inet_pton(AF_INET, host == "localhost" ? "127.0.0.1" : host, &address.sin_addr) == 1 else {
                throw notAnAddress(operation)
            }
            result = withSocketAddress(&address) { Glibc.bind(descriptor, $0, $1) }
        }
        guard result == 0 else { throw failure(operation) }
    }

    private static func boundPort(_ descriptor: Int32, operation: String) throws(APIError) -> UInt16 {
        // Large enough for both families, whose ports lie at the same place.
        var address = sockaddr_in6()
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let result = withSocketAddress(&address) { pointer, _ in getsockname(descriptor, pointer, &length) }
        guard result == 0 else { throw failure(operation) }
        return UInt16(bigEndian: address.sin6_port)
    }

    private static func withSocketAddress<Address>(
        _ address: inout Address, _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<Address>.size))
            }
        }
    }

    private static func failure(_ operation: String) -> APIError {
        let code = errno
        return APIError(
            .unavailable, operation: operation,
            message: code == EADDRINUSE ? "the port is in use" : String(cString: strerror(code)))
    }

    private static func notAnAddress(_ operation: String) -> APIError {
        APIError(.invalid, operation: operation, message: "not an IP address")
    }
}
