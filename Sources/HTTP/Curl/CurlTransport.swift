import Synchronization

/// Requests over the network by libcurl, all on one event thread.
///
/// Redirects are not followed, certificates always verified (unless the options say otherwise by name), a reply in
/// gzip is unpacked, connections are reused. Of a reply with status 400 or more the first mebibyte is kept.
/// Requests carrying credentials over plain http to another machine are refused.
public final class CurlTransport: HTTPTransport {
    private let options: CurlOptions
    private let mailbox: CurlMailbox
    private let lastID = Atomic<UInt64>(0)

    /// - Throws: `.unavailable` when the event thread cannot be started, `.invalid` when HTTPS_PROXY is no proxy.
    public init(options: CurlOptions = CurlOptions()) throws(APIError) {
        self.options = options
        mailbox = try CurlEventLoop.start(options: options)
    }

    deinit { mailbox.stop() }

    /// Ends all transfers as cancelled and waits for the event thread; later requests fail as cancelled.
    public func shutDown() async {
        mailbox.stop()
        await mailbox.ended.value()
    }

    public func send(_ request: HTTPRequest) async throws(APIError) -> HTTPResponse {
        let transfer = try start(request, kind: .collected)
        return try await withTaskCancellationHandler {
            await transfer.wholeResponse()
        } onCancel: {
            cancel(transfer)
        }.get()
    }

    public func open(_ request: HTTPRequest) async throws(APIError) -> HTTPStream {
        let transfer = try start(request, kind: .streamed)
        let head = try await withTaskCancellationHandler {
            await transfer.responseHead()
        } onCancel: {
            cancel(transfer)
        }.get()
        let lease = StreamLease { transfer.closeStream() }
        return HTTPStream(
            status: head.status, headers: head.headers,
            next: { () async throws(APIError) -> [UInt8]? in
                defer { withExtendedLifetime(lease) {} }
                return try await transfer.next()
            },
            cancel: { lease.end() })
    }

    private func start(_ request: HTTPRequest, kind: CurlTransfer.Kind) throws(APIError) -> CurlTransfer {
        try request.validate()
        try refuseCredentialsInTheClear(request)
        let id = lastID.add(1, ordering: .relaxed).newValue
        let mailbox = mailbox
        let transfer = CurlTransfer(id: id, request: request, kind: kind, bufferBytes: options.streamBufferBytes) {
            switch $0 {
            case .readable: break
            case .writable: _ = mailbox.post(.resume(id))
            case .closed: _ = mailbox.post(.cancel(id))
            }
        }
        if Task.isCancelled || !mailbox.post(.start(transfer)) { throw CurlEventLoop.cancelled(transfer) }
        return transfer
    }

    private func refuseCredentialsInTheClear(_ request: HTTPRequest) throws(APIError) {
        guard request.headers["Authorization"] != nil, request.url.origin.hasPrefix("http://"),
            !Loopback.contains(authority: request.url.authority),
            !options.overrides.contains(where: { $0.covers(authority: request.url.authority) })
        else { return }
        throw APIError(
            .insecure, operation: request.operation, message: "credentials are not sent over plain http")
    }

    /// A transfer that is not on its way any more ignores this.
    private func cancel(_ transfer: CurlTransfer) {
        if !mailbox.post(.cancel(transfer.id)) { transfer.finish(.failure(CurlEventLoop.cancelled(transfer))) }
    }
}
