import Sandbox
import Testing

/// Thousands of worlds are told stories in one process.
@Suite struct WorldMemoryTests {
    @Test func `a world that nobody holds any more is freed`() async throws {
        weak var cluster: SimulatedCluster?
        weak var cloud: SimulatedCloud?
        weak var nodes: SimulatedNodes?
        let temporary = try TemporaryDirectory()
        do {
            let world = try SandboxWorld(
                WorldConfiguration(crds: [], adminToken: "admin", clock: VirtualClock(), stateDirectory: temporary.path)
            )
            (cluster, cloud, nodes) = (world.cluster, world.cloud, world.nodes)
            await world.tick()
        }
        #expect(cluster == nil)
        #expect(cloud == nil)
        #expect(nodes == nil)
    }
}
