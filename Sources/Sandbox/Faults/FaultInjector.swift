import Encoding
public import HTTP
import Synchronization
public import Telemetry

/// Plays a script in front of a handler: of a client in process (`HandlerTransport(FaultInjector(…))`), of a server, or,
/// by `SandboxWorld.setFaults`, of everybody who calls a world.
public final class FaultInjector: HTTPHandler {
    private struct State {
        var script: FaultScript
        /// Requests that matched and times that it happened, by fault.
        var matched: [Int]
        var happened: [Int]
        /// How often each request came, by fault.
        var occurrences: [Occurrence: Int] = [:]
        var fired: [FiredFault] = []
        var firedCount = 0
        var late = LateObjects()
        var lingering = LingeringObjects()

        mutating func draw(_ index: Int, _ call: FaultCall, mayHappen: Bool) -> (FaultAction, UInt64)? {
            let fault = script.faults[index]
            guard fault.match.matches(call) else { return nil }
            let actions = fault.actions.filter { $0.isFor(call) }
            guard !actions.isEmpty else { return nil }
            matched[index] += 1
            var random = FaultRandom(seed: script.seed)
            if fault.probability < 1 || actions.count > 1 {
                let occurrence = Occurrence(fault: index, call: call)
                let count = (occurrences[occurrence] ?? 0) + 1
                occurrences[occurrence] = count
                random = FaultRandom(seed: script.seed, fault: index, call: call, occurrence: count)
            }
            guard mayHappen, fault.calls?.contains(matched[index]) ?? true, happened[index] < fault.limit ?? .max,
                fault.probability >= 1 || random.unit() < fault.probability
            else { return nil }
            happened[index] += 1
            return (actions[Int(random.next() % UInt64(actions.count))], random.next())
        }

        mutating func record(_ fault: FiredFault) {
            firedCount += 1
            fired.append(fault)
            if fired.count > 2 * FaultInjector.firedLimit { fired.removeFirst(FaultInjector.firedLimit) }
        }
    }

    private struct Occurrence: Hashable {
        var fault: Int
        var call: FaultCall
    }

    /// The last faults that are kept for `fired`.
    private static let firedLimit = 10_000

    private let handler: any HTTPHandler
    private let clock: any WallClock
    private let state: Mutex<State>

    /// Delays are of that clock.
    public init(_ handler: any HTTPHandler, script: FaultScript, clock: any WallClock) {
        self.handler = handler
        self.clock = clock
        state = Mutex(FaultInjector.fresh(script))
    }

    private static func fresh(_ script: FaultScript) -> State {
        let zeros = Array(repeating: 0, count: script.faults.count)
        return State(script: script, matched: zeros, happened: zeros)
    }

    /// Starts another script; all counts begin again. What is under way ends as it began.
    public func setScript(_ script: FaultScript) { state.withLock { $0 = FaultInjector.fresh(script) } }

    /// What happened since the script was set, in order; of more than 10,000 the last ones.
    public var fired: [FiredFault] { state.withLock { $0.fired } }

    /// How often something happened since the script was set.
    public var firedCount: Int { state.withLock { $0.firedCount } }

    public func respond(to request: HTTPRequest) async -> HTTPReply {
        let call = FaultCall(request)
        guard let (action, seed) = next(call) else { return await respond(request, call) }
        switch action {
        case .loseRequest(let wait):
            await pause(wait)
            return .disconnect
        case .loseReply(let wait):
            // A watch that nobody reads would wait in the cluster for its end.
            if !call.isWatch { _ = await respond(request, call) }
            await pause(wait)
            return .disconnect
        case .delayRequest(let wait):
            await pause(wait)
            return await respond(request, call)
        case .delayReply(let wait):
            let reply = await respond(request, call)
            await pause(wait)
            return reply
        case .duplicate:
            if !call.isWatch { _ = await respond(request, call) }
            return await respond(request, call)
        case .fail(let status, let reason, let message, let retryAfter):
            return FaultReplies.reply(call, status: status, reason: reason, message: message, retryAfter: retryAfter)
        case .cutReply(let count): return FaultInjector.cut(await respond(request, call), afterBytes: count)
        case .staleRead(let changes): return await respond(request, call, ServingOptions(changesBack: changes))
        case .watch(let fault): return await watch(request, call, fault, seed)
        case .keepOnly(let count): return await respond(request, call, ServingOptions(chunkKeeps: count))
        case .appearLate(let wait): return await respondLate(request, call, wait)
        case .lingerInLists(let wait): return await respondLingering(request, call, wait)
        case .change(let change): return change.changed(await respond(request, call))
        }
    }

    /// The handler's reply, without what is not seen yet and with what lists still tell.
    private func respond(
        _ request: HTTPRequest, _ call: FaultCall, _ options: ServingOptions = ServingOptions()
    ) async -> HTTPReply {
        let (late, lingering) = state.withLock { ($0.late, $0.lingering) }
        if !late.isEmpty, late.hides(call, now: clock.now) {
            return FaultReplies.reply(call, status: 404, reason: nil, message: nil, retryAfter: nil)
        }
        let reply: HTTPReply
        if let server = handler as? any OptionServing, options != ServingOptions() {
            reply = await server.respond(to: request, options: options)
        } else {
            reply = await handler.respond(to: request)
        }
        let seen = late.isEmpty ? reply : late.filtered(reply, call, now: clock.now)
        return lingering.isEmpty ? seen : lingering.added(to: seen, of: request, call, now: clock.now)
    }

    private func watch(_ request: HTTPRequest, _ call: FaultCall, _ fault: WatchFault, _ seed: UInt64) async
        -> HTTPReply
    {
        var options = ServingOptions()
        if case .reorder(let window) = fault { options.watchCollects = window }
        let reply = await respond(request, call, options)
        return WatchFaultWriter.wrapped(reply, fault, call, clock: clock, seed: seed)
    }

    private func respondLate(_ request: HTTPRequest, _ call: FaultCall, _ wait: Duration) async -> HTTPReply {
        let reply = await respond(request, call)
        if (200..<300).contains(reply.status) {
            let now = clock.now
            state.withLock { $0.late.add(call, until: now + wait, now: now) }
        }
        return reply
    }

    /// What is deleted is read before and after: where the delete takes a while, lists tell how it ended up.
    private func respondLingering(_ request: HTTPRequest, _ call: FaultCall, _ wait: Duration) async -> HTTPReply {
        let read = HTTPRequest(
            .get, HTTPURL(origin: request.url.origin, path: request.url.path), headers: request.headers)
        let before = await item(read)
        let reply = await respond(request, call)
        let after = await item(read)
        if (200..<300).contains(reply.status), let item = after ?? before {
            let now = clock.now
            state.withLock { $0.lingering.add(path: request.url.path, item: item, until: now + wait, now: now) }
        }
        return reply
    }

    private func item(_ read: HTTPRequest) async -> JSONValue? {
        let reply = await handler.respond(to: read)
        guard reply.status == 200, case .bytes(let bytes) = reply.body else { return nil }
        return try? JSONValue(parsing: bytes)  // What is no JSON is in no list.
    }

    /// A cancelled wait ends early: the caller has gone.
    private func pause(_ wait: Duration) async {
        guard wait > .zero else { return }
        try? await clock.sleep(until: clock.now + wait)
    }

    private static func cut(_ reply: HTTPReply, afterBytes count: Int) -> HTTPReply {
        let body = reply.body
        return HTTPReply(
            status: reply.status, headers: reply.headers,
            body: .stream { writer throws(APIError) in
                let cutter = CuttingWriter(writer, afterBytes: count)
                switch body {
                case .bytes(let bytes): try await cutter.write(bytes)
                case .stream(let produce): try await produce(cutter)
                }
                throw CuttingWriter.cut
            })
    }

    // MARK: Choosing

    /// The action for a call, and a seed for what it draws. Every fault counts every request that it is for.
    private func next(_ call: FaultCall) -> (FaultAction, UInt64)? {
        state.withLock { state in
            var chosen: (FaultAction, UInt64)?
            for index in state.script.faults.indices {
                let drawn = state.draw(index, call, mayHappen: chosen == nil)
                chosen = chosen ?? drawn
            }
            if let chosen { state.record(FiredFault(call: call.description, action: chosen.0)) }
            return chosen
        }
    }
}

/// How a request is served when a script asks for it.
struct ServingOptions: Sendable, Equatable {
    /// A read shows its collection as it was before that many changes.
    var changesBack = 0
    /// A watch collects events for that time before it tells them.
    var watchCollects = Duration.zero
    /// A chunk of an upload keeps only so many bytes, and the connection breaks.
    var chunkKeeps: Int?
}

/// A handler that knows `ServingOptions`.
protocol OptionServing: HTTPHandler {
    func respond(to request: HTTPRequest, options: ServingOptions) async -> HTTPReply
}

/// SplitMix64 over a hash that is the same in every process.
struct FaultRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    init(seed: UInt64, fault: Int, call: FaultCall, occurrence: Int) {
        // FNV-1a.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in "\(fault) \(occurrence) \(call.description)".utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
        }
        state = hash ^ seed &* 0x9E37_79B9_7F4A_7C15
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }

    /// 0 ..< 1.
    mutating func unit() -> Double { Double(next() >> 11) / 9_007_199_254_740_992 }
}
