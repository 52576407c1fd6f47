import Glibc

/// One accepted connection. Lives on the event thread only.
final class ServerConnection {
    /// What the event thread waits for on this socket.
    static let readHangUp: Int16 = 0x2000  // POLLRDHUP, which Glibc's module does not export.
    private static let readBytes = 64 << 10
    private static let lingerTime: Duration = .seconds(1)

    let id: UInt64
    let socket: Int32
    private let limits: HTTPServerLimits
    private let startExchange: (RequestParser.Parsed) -> ServerExchange
    private var parser: RequestParser
    private var exchange: ServerExchange?
    private var output: [UInt8] = []
    private var written = 0
    private var closesAfterOutput = false
    private var isLingering = false
    private var lastProgress: ContinuousClock.Instant
    /// When the first byte of a request that is not complete yet came.
    private var requestBegan: ContinuousClock.Instant?
    private(set) var isClosed = false

    init(
        id: UInt64, socket: Int32, limits: HTTPServerLimits, now: ContinuousClock.Instant,
        startExchange: @escaping (RequestParser.Parsed) -> ServerExchange
    ) {
        self.id = id
        self.socket = socket
        self.limits = limits
        self.startExchange = startExchange
        parser = RequestParser(limits: limits)
        lastProgress = now
    }

    deinit {
        shutdown(socket, Int32(SHUT_RDWR))
        Glibc.close(socket)
    }

    /// Whether nothing is under way: such connections are closed first when the server stops.
    var isIdle: Bool { exchange == nil && !hasOutput && parser.isIdle }

    private var hasOutput: Bool { written < output.count }

    /// The events to poll for.
    var interest: Int16 {
        var events = ServerConnection.readHangUp
        if isLingering || exchange == nil && !closesAfterOutput { events |= Int16(POLLIN) }
        if hasOutput { events |= Int16(POLLOUT) }
        return events
    }

    func ready(_ events: Int16, scratch: UnsafeMutableBufferPointer<UInt8>, now: ContinuousClock.Instant) {
        if events & Int16(POLLIN) != 0 { read(scratch, now: now) }
        if !isClosed, events & Int16(POLLOUT) != 0 { flush(now: now) }
        if isClosed { return }
        let gone = events & (Int16(POLLERR) | Int16(POLLHUP)) != 0
        let halfClosed = events & ServerConnection.readHangUp != 0 && events & Int16(POLLIN) == 0
        if gone || halfClosed { close() }
    }

    /// The handler wrote something, or ended.
    func pump(now: ContinuousClock.Instant) {
        while let exchange, !hasOutput, !isClosed {
            let (bytes, end) = exchange.pipe.takeAvailable()
            if bytes.isEmpty {
                guard let end else { return }
                finish(exchange, end, now: now)
                return
            }
            queue(bytes)
            lastProgress = now
            flushOutput(now: now)
        }
    }

    func close() {
        if isClosed { return }
        isClosed = true
        exchange?.cancel()
        exchange = nil
    }

    /// Closes or answers a connection that has waited too long.
    func expire(now: ContinuousClock.Instant) {
        let silence = now - lastProgress
        if isLingering || closesAfterOutput && !hasOutput {
            if silence > ServerConnection.lingerTime { close() }
        } else if hasOutput {
            if silence > limits.stallTimeout { close() }
        } else if exchange == nil {
            let age = requestBegan.map { now - $0 } ?? .zero
            if parser.isInHead, age > limits.headerTimeout {
                fail(status: 408, reason: "the request's headers took too long", now: now)
            } else if age > limits.requestTimeout {
                fail(status: 408, reason: "the request took too long", now: now)
            } else if silence > (parser.isIdle ? limits.idleTimeout : limits.stallTimeout) {
                close()
            }
        }
    }

    // MARK: Reading

    private func read(_ scratch: UnsafeMutableBufferPointer<UInt8>, now: ContinuousClock.Instant) {
        let count = recv(socket, scratch.baseAddress, scratch.count, 0)
        if count == 0 {
            close()
            return
        }
        if count < 0 {
            if errno != EAGAIN && errno != EINTR { close() }
            return
        }
        if isLingering { return }
        lastProgress = now
        parser.append(UnsafeBufferPointer(rebasing: scratch[..<count]))
        parse(now: now)
    }

    private func parse(now: ContinuousClock.Instant) {
        while exchange == nil, !closesAfterOutput, !isClosed {
            switch parser.next() {
            case .needsMore:
                requestBegan = parser.isIdle ? nil : requestBegan ?? now
                return
            case .expectsContinue:
                queue(ReplyEncoder.continueLine)
                flushOutput(now: now)
            case .request(let parsed):
                requestBegan = nil
                exchange = startExchange(parsed)
            case .failure(let status, let reason):
                fail(status: status, reason: reason, now: now)
            }
        }
    }

    private func fail(status: Int, reason: String, now: ContinuousClock.Instant) {
        let body = Array("\(reason)\n".utf8)
        queue(
            ReplyEncoder.head(
                status: status, headers: ["Content-Type": "text/plain; charset=utf-8"], bodyLength: body.count,
                keepsAlive: false, usesChunks: false) + body)
        closesAfterOutput = true
        lastProgress = now
        flush(now: now)
    }

    // MARK: Writing

    private func queue(_ bytes: [UInt8]) {
        if hasOutput {
            output.append(contentsOf: bytes)
        } else {
            output = bytes
            written = 0
        }
    }

    private func flush(now: ContinuousClock.Instant) {
        flushOutput(now: now)
        if hasOutput || isClosed { return }
        if closesAfterOutput {
            linger(now: now)
        } else {
            pump(now: now)
        }
    }

    private func flushOutput(now: ContinuousClock.Instant) {
        while hasOutput {
            let count = output.withUnsafeBytes { bytes in
                send(socket, bytes.baseAddress?.advanced(by: written), bytes.count - written, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                written += count
                lastProgress = now
            } else {
                if errno == EAGAIN || errno == EINTR { return }
                close()
                return
            }
        }
        output = []
        written = 0
    }

    private func finish(_ exchange: ServerExchange, _ end: Result<Void, APIError>, now: ContinuousClock.Instant) {
        self.exchange = nil
        lastProgress = now
        guard case .success = end else {
            close()
            return
        }
        if exchange.allowsNext {
            parse(now: now)
        } else {
            closesAfterOutput = true
            linger(now: now)
        }
    }

    /// Ends our side and reads away what the client still sends: closing at once would reset the connection, and the
    /// client might lose the reply.
    private func linger(now: ContinuousClock.Instant) {
        shutdown(socket, Int32(SHUT_WR))
        isLingering = true
        lastProgress = now
    }
}
