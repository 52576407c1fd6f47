/// Sends requests to a handler in the same process: the simulated world without sockets.
///
/// Enforces what a real transport enforces on replies (size limit, cancellation, cut connections), but no timeouts:
/// the simulated world runs on a clock of its own.
public struct HandlerTransport: HTTPTransport {
    private static let streamBufferBytes = 256 << 10
    private let handler: any HTTPHandler

    public init(_ handler: any HTTPHandler) { self.handler = handler }

    public func send(_ request: HTTPRequest) async throws(APIError) -> HTTPResponse {
        let reply = try await reply(to: request)
        switch reply.body {
        case .bytes(var bytes):
            if reply.status >= 400 { bytes = Array(bytes.prefix(request.maximumResponseBytes)) }
            guard bytes.count <= request.maximumResponseBytes else { throw tooLarge(request) }
            return HTTPResponse(
                status: reply.status, headers: reply.headers, body: request.method == .head ? [] : bytes)
        case .stream:
            let stream = stream(reply, for: request)
            var body: [UInt8] = []
            while let chunk = try await stream.next() {
                body.append(contentsOf: chunk)
                if body.count > request.maximumResponseBytes {
                    stream.cancel()
                    throw tooLarge(request)
                }
            }
            return HTTPResponse(status: reply.status, headers: reply.headers, body: body)
        }
    }

    public func open(_ request: HTTPRequest) async throws(APIError) -> HTTPStream {
        stream(try await reply(to: request), for: request)
    }

    private func reply(to request: HTTPRequest) async throws(APIError) -> HTTPReply {
        try request.validate()
        if Task.isCancelled { throw cancelled(request) }
        let reply = await handler.respond(to: request)
        if Task.isCancelled { throw cancelled(request) }
        if reply.isDisconnect {
            throw APIError(
                .unavailable, operation: request.operation, message: "the connection was closed before a reply came")
        }
        return reply
    }

    /// The task that writes the body ends with the body, or when the stream is cancelled or dropped.
    private func stream(_ reply: HTTPReply, for request: HTTPRequest) -> HTTPStream {
        let pipe = BytePipe(capacity: HandlerTransport.streamBufferBytes, operation: request.operation)
        var writer: Task<Void, Never>?
        switch reply.body {
        case .bytes(let bytes):
            _ = pipe.offer(request.method == .head ? [] : bytes)
            pipe.finish(.success(()))
        case .stream(let write):
            writer = Task {
                do throws(APIError) {
                    try await write(pipe)
                    pipe.finish(.success(()))
                } catch {
                    pipe.finish(
                        .failure(
                            APIError(
                                .unavailable, operation: request.operation, message: "the connection was cut")))
                }
            }
        }
        let lease = StreamLease { [writer] in
            pipe.close()
            writer?.cancel()
        }
        return HTTPStream(
            status: reply.status, headers: reply.headers,
            next: { () async throws(APIError) -> [UInt8]? in
                defer { withExtendedLifetime(lease) {} }
                return try await pipe.next()
            },
            cancel: { lease.end() })
    }

    private func tooLarge(_ request: HTTPRequest) -> APIError {
        APIError(
            .tooLarge, operation: request.operation,
            message: "the reply has more than \(request.maximumResponseBytes) bytes")
    }

    private func cancelled(_ request: HTTPRequest) -> APIError {
        APIError(.cancelled, operation: request.operation, message: "the request was cancelled")
    }
}

/// Ends a stream when its last holder drops it without reading to the end.
final class StreamLease: Sendable {
    private let onEnd: @Sendable () -> Void

    init(onEnd: @escaping @Sendable () -> Void) { self.onEnd = onEnd }

    func end() { onEnd() }

    deinit { onEnd() }
}
