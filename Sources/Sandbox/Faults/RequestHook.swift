public import HTTP

/// Which of the sandbox's APIs a request goes to.
public enum SandboxSide: String, Sendable, Hashable {
    case cluster, cloud
}

/// Looks at every request before it is handled and at every reply before it is sent, on both APIs: how tests drop,
/// delay and break, and act at an exact moment (such as killing the operator).
public struct RequestHook: Sendable {
    /// What happens to a request.
    public enum Action: Sendable {
        case pass
        /// It is not handled; this is the answer (`HTTPReply.disconnect`: none).
        case respond(HTTPReply)
    }

    /// What happens to a reply.
    public enum ReplyAction: Sendable {
        case pass
        /// The request was handled, and this is sent instead (`HTTPReply.disconnect`: the reply is lost).
        case replace(HTTPReply)
    }

    /// May take time: the request waits.
    public var before: @Sendable (SandboxSide, HTTPRequest) async -> Action
    /// May take time: the reply waits. A streamed body has not begun.
    public var after: @Sendable (SandboxSide, HTTPRequest, HTTPReply) async -> ReplyAction

    public init(
        before: @escaping @Sendable (SandboxSide, HTTPRequest) async -> Action = { _, _ in .pass },
        after: @escaping @Sendable (SandboxSide, HTTPRequest, HTTPReply) async -> ReplyAction = { _, _, _ in .pass }
    ) {
        self.before = before
        self.after = after
    }

    /// The handler's reply, with the hook around it.
    func apply(
        _ side: SandboxSide, _ request: HTTPRequest, handler: any HTTPHandler
    ) async -> HTTPReply {
        if case .respond(let reply) = await before(side, request) { return reply }
        let reply = await handler.respond(to: request)
        if case .replace(let other) = await after(side, request, reply) { return other }
        return reply
    }
}
