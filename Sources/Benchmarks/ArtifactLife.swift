import Encoding
import Glibc
import GoogleCloud
import HTTP
import Kubernetes
import Operator
import Sandbox
import Telemetry

/// The figures of `Benchmarks googlecloud`: the real operator as a process, with the limits of production, against a
/// simulated cluster and cloud of this process over loopback sockets; in real time.
///
/// 1. Homes, a bucket each, are created; the operator is killed (SIGKILL) when half of the buckets are, before their
///    replies come, and some homes are deleted before it is started again.
/// 2. Prefixes in the homes' buckets are created: the rate.
/// 3. They are deleted; the operator is killed at half of them.
/// 4. They are created again; the operator is killed at half of them.
/// 5. They are deleted, then the homes; the operator is killed at half of those.
///
/// All along, decoys look like ours. At the end nothing of ours is there, and they are as they were.
struct ArtifactLife: Sendable {
    var objectCount = 2_000
    var latency: Duration = .milliseconds(200)
    var inFlight = 64
    /// The folder with Google's discovery documents; nil checks nothing.
    var discovery: String?

    func run(into results: inout Results) async throws {
        let load = ArtifactLoad(homeCount: max(8, objectCount / 50), prefixCount: objectCount)
        let inspection = try discovery.map { folder in
            RequestInspection(checker: try DiscoveryChecker(folder: folder)) { say("refused: \($0)") }
        }
        let world = try CloudWorld(latency: latency, inspection: inspection)
        let server = try HTTPServer(handler: world, limits: HTTPServerLimits(connectionCount: 1024))
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let stage = ArtifactStage(
            load: load, world: world, server: server.origin, folder: folder.path, inFlight: inFlight)
        async let _: Void = stage.tick()  // Until this function ends, however it does.
        do {
            try await measure(stage, into: &results)
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
        if inspection == nil {
            results.remark("requests were not checked: name the folder with --discovery, or TRAINYARD_DISCOVERY")
        }
    }

    private func measure(_ stage: ArtifactStage, into results: inout Results) async throws {
        let world = stage.world
        try await stage.prepare()
        let planted = (world.cloud.inspectedRequestCount, world.cloud.refusedRequestCount)
        var orphans = 0

        let homes = try await stage.createHomes(orphans: &orphans)
        try stage.plantDecoyObjects(homes: homes)
        world.set(ours: stage.load.places(homes: homes))

        let created = try await stage.createPrefixes(homes: homes, isKilled: false)
        results.set(.artifactsPerSecond, created)
        let requests = Double(world.seen.cloudRequestCount) / Double(objectCount)
        results.remark(
            "\(objectCount) artifacts in \(homes.count) buckets, \(Text.number(requests)) calls to the cloud each, "
                + "\(inFlight) in flight, \(latency / .milliseconds(1)) ms a call: at most "
                + "\(Text.number(Double(inFlight) / (max(requests, 0.001) * (latency / .seconds(1))))) a second")

        try stage.plantData(homes: homes)
        let deleted = try await stage.deletePrefixes(homes: homes, isKilled: true)
        results.remark("deleted, with a restart in the middle: \(Text.number(deleted)) a second")
        orphans += stage.leftData(homes: homes)

        let again = try await stage.createPrefixes(homes: homes, isKilled: true)
        results.remark("created again, with a restart in the middle: \(Text.number(again)) a second")
        try stage.plantData(homes: homes)
        _ = try await stage.deletePrefixes(homes: homes, isKilled: false)
        orphans += stage.leftData(homes: homes)

        var touched = try stage.touchedDecoyObjects(homes: homes)
        try await stage.removeDecoyObjects(homes: homes)
        orphans += try await stage.deleteHomes(homes)
        results.set(.requestsChecked, Double(world.cloud.inspectedRequestCount - planted.0))
        results.set(.requestsRefused, Double(world.cloud.refusedRequestCount - planted.1))
        touched += try await stage.touchedDecoyBuckets()

        let seen = world.seen
        for line in (seen.foreign + touched).prefix(20) { results.remark("touched: \(line)") }
        results.set(.foreignTouched, Double(seen.foreign.count + touched.count))
        results.set(.orphans, Double(orphans))
        results.set(.duplicates, Double(seen.inserts.values.reduce(0) { $0 + $1 - 1 }))
    }
}
