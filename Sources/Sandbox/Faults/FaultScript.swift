/// What goes wrong with requests, and when: one value for both APIs of the sandbox, in process and over HTTP.
///
/// The first fault that wants a request gets it; all others pass. The same script does the same to the same requests,
/// whatever order concurrent ones come in: chance depends on the seed, the request and how often it came before.
///
/// ```swift
/// var script = FaultScript()
/// script.add(.loseReply(), on: RequestMatch(verb: "create", resource: "nodePools"), calls: 1...1)
/// script.add(.fail(status: 429, retryAfter: .seconds(3)), on: RequestMatch(side: .cluster), calls: 5...8)
/// script.add(.watch(.error(status: 410, after: 2)), on: RequestMatch(resource: "trainingjobs"))
/// script.addRandom([.loseReply(), .fail(status: 503)], on: RequestMatch(side: .cloud), probability: 0.2)
/// ```
public struct FaultScript: Sendable, Hashable {
    public var faults: [ScriptedFault]
    /// Of everything that is drawn.
    public var seed: UInt64

    public init(faults: [ScriptedFault] = [], seed: UInt64 = 1) {
        self.faults = faults
        self.seed = seed
    }

    /// Adds a fault to those calls that match, counted from 1; nil is every call.
    public mutating func add(_ action: FaultAction, on match: RequestMatch, calls: ClosedRange<Int>? = nil) {
        faults.append(ScriptedFault(match: match, calls: calls, actions: [action]))
    }

    /// Adds a fault that meets a share of the calls that match, at most `limit` of them; one of `actions` is drawn.
    public mutating func addRandom(
        _ actions: [FaultAction], on match: RequestMatch, probability: Double, limit: Int? = nil
    ) {
        faults.append(ScriptedFault(match: match, probability: probability, limit: limit, actions: actions))
    }
}

/// One entry of a script.
public struct ScriptedFault: Sendable, Hashable {
    public var match: RequestMatch
    /// Which of the requests that match, counted from 1 since the script was set; nil is every one.
    public var calls: ClosedRange<Int>?
    /// 0 … 1.
    public var probability: Double
    /// How often it happens at most.
    public var limit: Int?
    /// One is drawn each time. Those that are not for such a request (stale reads of a create) are left out, and a fault
    /// without any for it does not count it.
    public var actions: [FaultAction]

    public init(
        match: RequestMatch = RequestMatch(), calls: ClosedRange<Int>? = nil, probability: Double = 1,
        limit: Int? = nil, actions: [FaultAction]
    ) {
        self.match = match
        self.calls = calls
        self.probability = probability
        self.limit = limit
        self.actions = actions
    }
}

/// Which requests a fault is for; what is nil is any.
public struct RequestMatch: Sendable, Hashable {
    public var side: SandboxSide?
    /// RBAC's word on the cluster (`get list watch create update patch delete deletecollection`), the last part of the
    /// method's id in the cloud (`create`, `insert`, `setSize`, …). `change` is every verb that may change something.
    public var verb: String?
    /// The plural on the cluster, with its subresource after a slash (`trainingjobs/status`); in the cloud the
    /// method's collection (`nodePools`, `operations`, `buckets`, `objects`).
    public var resource: String?
    public var namespace: String?
    /// The object's name, which a create has in its body. A trailing `*` stands for any rest.
    public var name: String?

    public init(
        side: SandboxSide? = nil, verb: String? = nil, resource: String? = nil, namespace: String? = nil,
        name: String? = nil
    ) {
        self.side = side
        self.verb = verb
        self.resource = resource
        self.namespace = namespace
        self.name = name
    }

    func matches(_ call: FaultCall) -> Bool {
        guard side == nil || side == call.side, resource == nil || resource == call.resource,
            namespace == nil || namespace == call.namespace
        else { return false }
        if let verb, verb != call.verb, !(verb == "change" && call.isChange) { return false }
        guard let name else { return true }
        return name.hasSuffix("*") ? call.name.hasPrefix(name.dropLast()) : call.name == name
    }
}

/// What happens to one request.
public enum FaultAction: Sendable, Hashable {
    /// It never arrives. The caller sees its connection break, after that time.
    case loseRequest(after: Duration = .zero)
    /// It is done. The caller sees its connection break, after that time.
    case loseReply(after: Duration = .zero)
    case delayRequest(Duration)
    case delayReply(Duration)
    /// It is handled twice, as a proxy's retry does it: the caller gets the second reply.
    case duplicate
    /// It is not handled; the caller gets an error as the real API would write it.
    ///
    /// `reason` and `message` are the service's words, nil for the usual ones of that status. 429 and 503 of the
    /// cluster come with `Retry-After: 1` unless told otherwise.
    case fail(status: Int, reason: String? = nil, message: String? = nil, retryAfter: Duration? = nil)
    /// The reply stops after so many bytes of its body, and the connection breaks.
    case cutReply(afterBytes: Int)
    /// GET and LIST of the cluster are answered from the collection as it was before its last changes.
    case staleRead(changes: Int)
    /// Watches only.
    case watch(WatchFault)
    /// Of a chunk of a resumable upload only that many bytes are kept, then the connection breaks.
    case keepOnly(bytes: Int)
    /// Creates of the cloud: what is made is missing from its reads and lists for that time.
    case appearLate(after: Duration)
    /// Deletes of the cloud: what is gone stays in its lists for that time, as it was last read.
    case lingerInLists(for: Duration)
    /// Replies of the cloud.
    case change(ReplyChange)

    /// Whether such a request can meet it.
    func isFor(_ call: FaultCall) -> Bool {
        switch self {
        case .staleRead: call.side == .cluster && ["get", "list"].contains(call.verb)
        case .watch: call.isWatch
        case .keepOnly: call.side == .cloud && call.verb == "insert.chunk"
        case .appearLate: call.side == .cloud && ["create", "insert"].contains(call.verb)
        case .lingerInLists: call.side == .cloud && call.verb == "delete"
        case .change(.incompleteList): call.side == .cloud && call.verb == "list"
        // Bytes are the user's, also where they happen to be JSON.
        case .change: call.side == .cloud && call.verb != "get.media"
        default: true
        }
    }
}

/// What happens to the stream of a watch. Events are counted from 1; bookmarks do not count.
public enum WatchFault: Sendable, Hashable {
    case skip(ClosedRange<Int>)
    case duplicate(ClosedRange<Int>)
    /// Events are collected for that time, then told in another order; those of one object keep theirs, and none passes
    /// a bookmark.
    case reorder(within: Duration)
    /// After so many events nothing is told for that time.
    case hold(after: Int, for: Duration)
    /// The connection breaks after so many bytes, wherever that is.
    case cut(afterBytes: Int)
    /// The stream ends regularly after so many events.
    case end(after: Int)
    /// After so many events comes an ERROR event with that status (410: Expired), and the stream ends.
    case error(status: Int, after: Int)

    /// Bookmarks go on, and nothing else is told.
    public static let bookmarksOnly = WatchFault.skip(1...Int.max)
}

/// A fault that happened.
public struct FiredFault: Sendable, Hashable {
    /// `cluster create trainingjobs ml/mnist`, `cloud setSize nodePools pool-1`.
    public var call: String
    public var action: FaultAction

    public init(call: String, action: FaultAction) {
        self.call = call
        self.action = action
    }
}
