import Glibc
import System

/// An HTTP/1.1 server for health pages, metrics and the simulated world: keep-alive, chunks both ways, streamed
/// replies with backpressure, limits. No TLS.
///
/// One thread moves all bytes; each request's handler runs as a task, which is cancelled when its client goes away.
/// Requests on one connection are answered one after the other.
public final class HTTPServer: Sendable {
    /// The port that the server listens on, also when 0 was asked for.
    public let port: UInt16
    /// The address that was asked for.
    public let host: String
    private let mailbox: ServerMailbox

    /// Listens and serves from now on.
    ///
    /// - Parameters:
    ///   - host: an IP address, or "localhost".
    ///   - port: 0 takes a free one.
    /// - Throws: `.unavailable` when the port is in use or the system gives no socket, `.invalid` for a wrong address.
    public init(
        host: String = "127.0.0.1", port: UInt16 = 0, handler: any HTTPHandler,
        limits: HTTPServerLimits = HTTPServerLimits()
    ) throws(APIError) {
        let (listener, bound) = try ListeningSocket.open(host: host, port: port)
        self.host = host
        self.port = bound
        var pair: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &pair) == 0 else {
            close(listener)
            throw APIError(.unavailable, operation: "starting the HTTP server", message: "no socket is free")
        }
        let (wakeReader, wakeWriter) = (pair[0], pair[1])
        let mailbox = ServerMailbox(wakeSocket: wakeWriter)
        self.mailbox = mailbox
        let isStarted = Thread.start {
            ServerEventLoop(
                listener: listener, wakeSocket: wakeReader, handler: handler, limits: limits, mailbox: mailbox
            ).run()
            close(wakeWriter)
        }
        guard isStarted else {
            for descriptor in [listener, wakeReader, wakeWriter] { close(descriptor) }
            throw APIError(.unavailable, operation: "starting the HTTP server", message: "no thread can be started")
        }
    }

    deinit { mailbox.stop(by: .now) }

    /// `http://host:port`.
    public var origin: String {
        host.contains(":") ? "http://[\(host)]:\(port)" : "http://\(host):\(port)"
    }

    /// Takes no more connections, lets requests end for as long as `grace`, then cuts them; returns when no handler
    /// runs any more.
    public func stop(grace: Duration = .seconds(1)) async {
        mailbox.stop(by: .now + grace)
        await mailbox.ended.value()
        await mailbox.tasksEnded()
    }
}
