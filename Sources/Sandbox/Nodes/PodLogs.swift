import Encoding
import HTTP
import Telemetry

/// Answers `pods/log` from the containers' log files.
struct PodLogs: Sendable {
    /// How much of a log one request may get without following.
    private static let limitBytes = 64 << 20
    /// How often a followed log is looked at.
    private static let followInterval = Duration.milliseconds(200)

    let cluster: ClusterAccess
    let stateDirectory: String
    let clock: any WallClock

    func reply(to request: PodLogRequest) async -> HTTPReply {
        guard let object = await cluster.get(ClusterPath.pods(request.namespace) + [request.name]) else {
            return Self.failure(404, "NotFound", "pods \"\(request.name)\" not found")
        }
        if request.timestamps || request.sinceSeconds != nil {
            return Self.failure(
                400, "BadRequest", "the sandbox keeps no time for each log line: use neither timestamps nor since")
        }
        let pod = PodView(object: object)
        guard let (container, status) = Self.container(of: pod, named: request.container) else {
            return Self.failure(
                400, "BadRequest", "container \(request.container ?? "") is not valid for pod \(pod.name)")
        }
        let restarts = Int(status?["restartCount"]?.integerValue ?? 0)
        if request.previous, restarts == 0 {
            return Self.failure(
                400, "BadRequest",
                "previous terminated container \"\(container)\" in pod \"\(pod.name)\" not found")
        }
        let folder = PodFolder(stateDirectory: stateDirectory, pod: pod)
        let path = folder.logPath(container: container, restartCount: request.previous ? restarts - 1 : restarts)
        guard LocalFiles.size(path) != nil else { return Self.notStarted(container, pod, status) }
        return text(of: path, request, pod: pod, container: container)
    }

    private func text(
        of path: String, _ request: PodLogRequest, pod: PodView, container: String
    ) -> HTTPReply {
        let headers: HTTPHeaders = ["Content-Type": "text/plain"]
        let size = LocalFiles.size(path) ?? 0
        let begin = request.tailLines.map { PodLogText.start(ofLast: $0, in: path, size: size) } ?? 0
        let limit = max(0, request.limitBytes ?? Self.limitBytes)
        guard request.follow, !request.previous else {
            let bytes = LocalFiles.read(path, from: begin, limit: min(limit, Self.limitBytes)) ?? []
            return HTTPReply(status: 200, headers: headers, body: bytes)
        }
        let total = request.limitBytes
        return HTTPReply(
            status: 200, headers: headers,
            body: .stream { writer async throws(APIError) in
                try await follow(path, from: begin, total: total, pod: pod, container: container, into: writer)
            })
    }

    /// Writes what the log grows by, until the container has ended and all was written.
    private func follow(
        _ path: String, from begin: Int, total: Int?, pod: PodView, container: String, into writer: any HTTPBodyWriter
    ) async throws(APIError) {
        var offset = begin
        var rest = total ?? .max
        while rest > 0 {
            let hasEnded = await hasEnded(pod, container)  // Before the read: nothing comes after it.
            if let size = LocalFiles.size(path), size < offset { offset = 0 }  // It was rotated.
            while rest > 0, let bytes = LocalFiles.read(path, from: offset, limit: min(rest, 1 << 18)), !bytes.isEmpty {
                try await writer.write(bytes)
                offset += bytes.count
                rest -= bytes.count
            }
            if hasEnded { return }
            do {
                try await clock.sleep(until: clock.now + Self.followInterval)
            } catch {
                throw APIError(.cancelled, operation: "GET pods/log", message: "the client has gone")
            }
        }
    }

    private func hasEnded(_ pod: PodView, _ container: String) async -> Bool {
        guard let object = await cluster.get(ClusterPath.pod(pod)) else { return true }
        let now = PodView(object: object)
        guard now.uid == pod.uid, let (_, status) = Self.container(of: now, named: container) else { return true }
        return status?["state"]?["terminated"] != nil || now.isTerminal
    }

    /// The container's name, and its status where it has one.
    private static func container(of pod: PodView, named name: String?) -> (name: String, status: JSONValue?)? {
        let all = pod.containers + pod.initContainers
        let names = all.compactMap { $0["name"]?.stringValue }
        let wanted = name ?? (pod.containers.count == 1 ? pod.containers[0]["name"]?.stringValue ?? "" : "")
        guard names.contains(wanted) else { return nil }
        let statuses = ["containerStatuses", "initContainerStatuses"].flatMap { pod.status[$0]?.arrayValue ?? [] }
        return (wanted, statuses.first { $0["name"]?.stringValue == wanted })
    }

    private static func notStarted(_ container: String, _ pod: PodView, _ status: JSONValue?) -> HTTPReply {
        let waiting = status?.value(at: ["state", "waiting"])
        let why = waiting?["message"]?.stringValue ?? waiting?["reason"]?.stringValue ?? "ContainerCreating"
        return failure(
            400, "BadRequest", "container \"\(container)\" in pod \"\(pod.name)\" is waiting to start: \(why)")
    }

    private static func failure(_ status: Int, _ reason: String, _ message: String) -> HTTPReply {
        let body: JSONValue = [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure",
            "message": .string(message), "reason": .string(reason), "code": .integer(Int64(status)),
        ]
        return HTTPReply(status: status, headers: ["Content-Type": "application/json"], body: body.serialized())
    }
}

/// Parts of a log file.
enum PodLogText {
    /// Where the last `count` lines begin; looks at the last 16 MiB at most.
    static func start(ofLast count: Int, in path: String, size: Int) -> Int {
        let window = max(0, size - (16 << 20))
        guard count > 0, let bytes = LocalFiles.read(path, from: window, limit: size - window) else { return size }
        var lines = 0
        for index in bytes.indices.reversed().dropFirst() where bytes[index] == UInt8(ascii: "\n") {
            lines += 1
            if lines == count { return window + index + 1 }
        }
        return window
    }

    /// The last lines as text, within both limits; nil when there are none.
    static func tail(of path: String, lines: Int, limitBytes: Int) -> String? {
        guard let size = LocalFiles.size(path), size > 0 else { return nil }
        let begin = max(start(ofLast: lines, in: path, size: size), size - limitBytes)
        let bytes = LocalFiles.read(path, from: begin, limit: limitBytes) ?? []
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }
}
