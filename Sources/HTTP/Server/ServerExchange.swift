import Synchronization

/// One request and its reply: the handler's task writes the reply's wire bytes into a pipe, the event thread moves
/// them to the socket.
final class ServerExchange: Sendable {
    let parsed: RequestParser.Parsed
    let pipe: BytePipe
    private let isStopping: @Sendable () -> Bool
    private let keepsAlive = Mutex(false)
    private let task = Mutex<Task<Void, Never>?>(nil)

    init(
        _ parsed: RequestParser.Parsed, bufferBytes: Int, isStopping: @escaping @Sendable () -> Bool,
        onReadable: @escaping @Sendable () -> Void
    ) {
        self.parsed = parsed
        self.isStopping = isStopping
        pipe = BytePipe(capacity: bufferBytes, operation: parsed.request.operation) { change in
            if case .readable = change { onReadable() }
        }
    }

    /// Whether another request may follow; known once the reply is complete.
    var allowsNext: Bool { keepsAlive.withLock { $0 } }

    /// Starts the handler. The task is awaited by `HTTPServer.stop` through `onEnd`.
    func start(_ handler: any HTTPHandler, onEnd: @escaping @Sendable () -> Void) {
        let running = Task {
            await self.send(await handler.respond(to: self.parsed.request))
            onEnd()
        }
        task.withLock { $0 = running }
    }

    /// The client has gone or the server stops: the handler is cancelled, its writes fail.
    func cancel() {
        pipe.close()
        task.withLock { $0 }?.cancel()
    }

    private func send(_ reply: HTTPReply) async {
        do throws(APIError) {
            try await write(reply)
            pipe.finish(.success(()))
        } catch {
            pipe.finish(.failure(error))
        }
    }

    private func write(_ reply: HTTPReply) async throws(APIError) {
        let cut = APIError(.cancelled, operation: parsed.request.operation, message: "the connection was cut")
        if reply.isDisconnect { throw cut }
        let isBodyWanted = parsed.request.method != .head && ReplyEncoder.mayHaveBody(reply.status)
        switch reply.body {
        case .bytes(let bytes):
            let head = head(of: reply, bodyLength: bytes.count, keepsAlive: parsed.keepsAlive)
            try await pipe.write(isBodyWanted ? head + bytes : head)
        case .stream(let produce):
            let usesChunks = parsed.understandsChunks
            let keepsAlive = parsed.keepsAlive && usesChunks
            try await pipe.write(head(of: reply, bodyLength: nil, keepsAlive: keepsAlive))
            guard isBodyWanted else { return }
            try await produce(usesChunks ? ChunkWriter(pipe: pipe) : pipe)
            if usesChunks { try await pipe.write(ReplyEncoder.lastChunk) }
        }
    }

    private func head(of reply: HTTPReply, bodyLength: Int?, keepsAlive wanted: Bool) -> [UInt8] {
        let keepsAlive = wanted && !isStopping()
        self.keepsAlive.withLock { $0 = keepsAlive }
        return ReplyEncoder.head(
            status: reply.status, headers: reply.headers, bodyLength: bodyLength, keepsAlive: keepsAlive,
            usesChunks: parsed.understandsChunks)
    }
}

/// Frames each write as one chunk; an empty write is none, as an empty chunk would end the body.
private struct ChunkWriter: HTTPBodyWriter {
    let pipe: BytePipe

    func write(_ bytes: [UInt8]) async throws(APIError) {
        if !bytes.isEmpty { try await pipe.write(ReplyEncoder.chunk(bytes)) }
    }
}
