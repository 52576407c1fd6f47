import Encoding
import HTTP
import Synchronization

extension CannedServer {
    /// A watch of any kind: the jobs first where they are asked for, then what happens.
    func watch(_ request: HTTPRequest) -> HTTPReply {
        let fromStart = request.url.queryValue("sendInitialEvents") == "true"
        guard settings.streams || !fromStart else {
            return Self.failure(
                422, "Invalid",
                "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature "
                    + "gate is enabled")
        }
        let path = request.url.path
        let start = request.url.queryValue("resourceVersion").flatMap { Int($0) }
        let (stream, continuation) = AsyncStream<[UInt8]>.makeStream()
        let (number, initial, version) = state.withLock { state -> (Int, [[UInt8]], Int) in
            state.watcherCount += 1
            state.watchers[path, default: [:]][state.watcherCount] = continuation
            // A watch that resumes gets what it may have missed; older states of the same objects change nothing.
            var initial = path == JobFixture.collection ? state.fresh.values.map { $0.serialized() } : []
            if fromStart, path == JobFixture.collection { initial = state.jobs + initial }
            if let start, start >= state.revision { initial = [] }
            return (state.watcherCount, initial, state.revision)
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { _ = $0.watchers[path]?.removeValue(forKey: number) }
        }
        return HTTPReply(
            status: 200, headers: ["Content-Type": "application/json"],
            body: .stream { writer throws(APIError) in
                try await Self.send(initial, to: writer)
                if fromStart { try await writer.write(Self.bookmark(version)) }
                for await line in stream { try await writer.write(line) }
            })
    }

    private static func send(_ objects: [[UInt8]], to writer: any HTTPBodyWriter) async throws(APIError) {
        var chunk: [UInt8] = []
        for object in objects {
            chunk += line("ADDED", object)
            if chunk.count > 128 << 10 {
                try await writer.write(chunk)
                chunk = []
            }
        }
        try await writer.write(chunk)
    }

    private static func bookmark(_ version: Int) -> [UInt8] {
        let object: JSONValue = [
            "kind": "TrainingJob",
            "metadata": [
                "resourceVersion": .string(String(version)), "annotations": ["k8s.io/initial-events-end": "true"],
            ],
        ]
        return line("BOOKMARK", object.serialized())
    }
}
