import Encoding
import Glibc
import HTTP

/// Cold start and memory of the real `trainyard-operator` process against the canned server.
struct Footprint: Sendable {
    let objectCount: Int

    /// coldStartSeconds: from starting the process to its first `/readyz` 200 (every kind of both controllers read),
    /// the mean of three. emptyResidentMB: VmRSS without objects, at rest. bytesPerObject: VmRSS with the objects, at
    /// rest after every object's first round, less empty, per object. relistPeakRatio: VmHWM while everything is read
    /// again after a 410, divided by VmRSS before; the worst of four: watch or pages, all objects as before or all
    /// changed.
    func run(into results: inout Results) async throws {
        let empty = try await ServerProcess.with(objects: 0) { server in
            try await atRest(server) { child in try child.memory("VmRSS") }
        }
        results.set(.emptyResidentMB, empty / 1e6)
        var starts: [Double] = []
        for _ in 0..<3 { starts.append(try await coldStart()) }
        results.set(.coldStartSeconds, starts.reduce(0, +) / Double(starts.count))
        var ratios: [Double] = []
        for streams in [true, false] {
            try await ServerProcess.with(objects: objectCount, streams: streams) { server in
                try await atRest(server) { child in
                    let full = try child.memory("VmRSS")
                    if streams { results.set(.bytesPerObject, (full - empty) / Double(objectCount)) }
                    for change in ["none", "all"] {
                        let ratio = try await relist(server, child, change: change)
                        results.remark(
                            "relist by \(streams ? "watch" : "pages"), \(change) changed: peak ÷ steady "
                                + Text.number(ratio))
                        ratios.append(ratio)
                    }
                }
            }
        }
        results.set(.relistPeakRatio, ratios.max() ?? .nan)
    }

    private func coldStart() async throws -> Double {
        try await ServerProcess.with(objects: objectCount) { server in
            let start = Machine.nanoseconds
            let running = try started(server)
            try await running.waitUntilReady()
            let seconds = Double(Machine.nanoseconds - start) * 1e-9
            let reads = try await server.requests().filter {
                $0.path == JobFixture.collection && ($0.verb == "GET" || $0.verb == "WATCH")
            }
            guard reads.count == 1 else { throw BenchmarkError("\(reads.count) reads of the jobs for one start") }
            return seconds
        }
    }

    private func started(_ server: ServerProcess) throws -> OperatorChild {
        try OperatorChild(
            kubeconfig: try server.kubeconfig(user: "one"), googleEndpoint: server.origin,
            log: server.folder + "/operator.log")
    }

    private func atRest<Result>(
        _ server: ServerProcess, _ body: (Child) async throws -> Result
    ) async throws -> Result {
        let running = try started(server)
        try await running.waitUntilReady()
        try await running.child.settle()
        let changes = try await server.requests().filter(\.isChange)
        guard changes.isEmpty else {
            throw BenchmarkError("the finished jobs were not finished: \(changes.count) changes, \(changes[0].path)")
        }
        return try await body(running.child)
    }

    private func relist(_ server: ServerProcess, _ child: Child, change: String) async throws -> Double {
        let steady = try child.memory("VmRSS")
        let reads = try await reads(server)
        try child.resetPeak()
        try await server.control("expire?change=\(change)")
        _ = try await server.wait("a new reading", within: .seconds(60)) { log in
            log.count { $0.path == JobFixture.collection } > reads
        }
        try await child.settle()
        return try child.memory("VmHWM") / steady
    }

    private func reads(_ server: ServerProcess) async throws -> Int {
        try await server.requests().count { $0.path == JobFixture.collection }
    }
}
