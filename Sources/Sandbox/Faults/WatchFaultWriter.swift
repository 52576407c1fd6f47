import Encoding
import HTTP
import Synchronization
import Telemetry

/// Breaks a body after a number of bytes.
final class CuttingWriter: HTTPBodyWriter {
    static let cut = APIError(.cancelled, operation: "fault", message: "the connection is cut here")

    private let writer: any HTTPBodyWriter
    private let left: Mutex<Int>

    init(_ writer: any HTTPBodyWriter, afterBytes count: Int) {
        self.writer = writer
        left = Mutex(max(0, count))
    }

    func write(_ bytes: [UInt8]) async throws(APIError) {
        let count = left.withLock { left -> Int in
            defer { left -= min(left, bytes.count) }
            return min(left, bytes.count)
        }
        if count > 0 { try await writer.write(Array(bytes[..<count])) }
        if count < bytes.count { throw CuttingWriter.cut }
    }
}

/// Stands between a watch and its client and does to the events what a fault says. One task writes.
final class WatchFaultWriter: HTTPBodyWriter {
    private struct State {
        /// An event whose end has not come.
        var rest: [UInt8] = []
        /// Events that came, bookmarks left out.
        var count = 0
        var random: FaultRandom

        mutating func takeLines(_ bytes: [UInt8]) -> [Line] {
            rest += bytes
            var lines: [Line] = []
            while let end = rest.firstIndex(of: 0x0A) {
                lines.append(Line(bytes: Array(rest[...end])))
                rest = Array(rest[(end + 1)...])
            }
            return lines
        }
    }

    private let writer: any HTTPBodyWriter
    private let fault: WatchFault
    private let call: FaultCall
    private let clock: any WallClock
    private let state: Mutex<State>

    private init(
        _ writer: any HTTPBodyWriter, _ fault: WatchFault, _ call: FaultCall, _ clock: any WallClock, _ seed: UInt64
    ) {
        self.writer = writer
        self.fault = fault
        self.call = call
        self.clock = clock
        state = Mutex(State(random: FaultRandom(seed: seed)))
    }

    /// The reply with the fault in its stream; an error reply stays as it is.
    static func wrapped(
        _ reply: HTTPReply, _ fault: WatchFault, _ call: FaultCall, clock: any WallClock, seed: UInt64
    ) -> HTTPReply {
        guard case .stream(let produce) = reply.body else { return reply }
        return HTTPReply(
            status: reply.status, headers: reply.headers,
            body: .stream { writer throws(APIError) in
                if case .cut(let count) = fault {
                    try await produce(CuttingWriter(writer, afterBytes: count))
                    return
                }
                let faulty = WatchFaultWriter(writer, fault, call, clock, seed)
                do throws(APIError) {
                    try await faulty.eventWasTold(0)
                    try await produce(faulty)
                } catch {
                    if error != WatchFaultWriter.regularEnd { throw error }
                }
            })
    }

    /// Thrown through the producer so that it stops; the client sees a regular end.
    private static let regularEnd = APIError(.cancelled, operation: "fault", message: "the stream ends here")

    func write(_ bytes: [UInt8]) async throws(APIError) {
        var events = state.withLock { $0.takeLines(bytes) }
        if case .reorder = fault { events = state.withLock { WatchFaultWriter.reordered(events, &$0.random) } }
        for event in events {
            guard !event.isBookmark else {
                try await writer.write(event.bytes)
                continue
            }
            let number = state.withLock { state in
                state.count += 1
                return state.count
            }
            for _ in 0..<copies(number) { try await writer.write(event.bytes) }
            try await eventWasTold(number)
        }
    }

    private func copies(_ number: Int) -> Int {
        switch fault {
        case .skip(let numbers): numbers.contains(number) ? 0 : 1
        case .duplicate(let numbers): numbers.contains(number) ? 2 : 1
        default: 1
        }
    }

    private func eventWasTold(_ number: Int) async throws(APIError) {
        switch fault {
        case .hold(number, let wait):
            // A cancelled wait ends early: the caller has gone, and the next write says so.
            try? await clock.sleep(until: clock.now + wait)
        case .end(number): throw WatchFaultWriter.regularEnd
        case .error(let status, number):
            try await writer.write(FaultReplies.errorEvent(call, status: status).serialized() + [0x0A])
            throw WatchFaultWriter.regularEnd
        default: return
        }
    }

    /// Another order in which each object's own events keep theirs, and nothing passes a bookmark.
    private static func reordered(_ events: [Line], _ random: inout FaultRandom) -> [Line] {
        var result: [Line] = []
        for part in events.split(omittingEmptySubsequences: false, whereSeparator: \.isBookmark) {
            var shuffled = Array(part)
            shuffled.shuffle(using: &random)
            var queues: [String: [Line]] = [:]
            for line in part.reversed() { queues[line.object, default: []].append(line) }
            for line in shuffled { if let next = queues[line.object]?.popLast() { result.append(next) } }
            if part.endIndex < events.endIndex { result.append(events[part.endIndex]) }
        }
        return result
    }
}

/// One event of a stream, with its line break.
private struct Line: Equatable {
    let bytes: [UInt8]
    let isBookmark: Bool
    /// Of which object it tells.
    let object: String

    init(bytes: [UInt8]) {
        self.bytes = bytes
        let event = try? JSONValue(parsing: bytes)  // The stream is the cluster's own.
        isBookmark = event?["type"]?.stringValue == "BOOKMARK"
        object = event?.value(at: ["object", "metadata", "uid"])?.stringValue ?? ""
    }
}
