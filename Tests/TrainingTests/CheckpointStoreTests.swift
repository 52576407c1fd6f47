import Testing
import TrainingContract

@testable import Training

struct CheckpointStoreTests {
    private let memory = MemoryStorage()
    private let prefix = "gs://b/checkpoints/r/"
    private let identity = CheckpointManifest.Identity(
        seed: 1, batchSize: 2, trainImages: 3, parameters: ["w": [1]])

    private func store(keepLast: Int = 2) -> CheckpointStore {
        CheckpointStore(prefix: prefix, storage: memory.storage, keepLast: keepLast)
    }

    private func state(_ step: Int) -> TrainingState {
        var state = TrainingState()
        state.step = step
        state.lossSum = 0.1 + 1 / 3
        return state
    }

    @discardableResult
    private func write(_ step: Int, keepLast: Int = 2) async throws -> String {
        try await store(keepLast: keepLast).write(
            runID: "r", identity: identity, state: state(step),
            model: Safetensors([.init(name: "w", shape: [1], values: [Float(step)])]), optimizer: Safetensors([]))
    }

    private func newest() async throws -> (step: Int, weight: Float?, skipped: [String])? {
        var skipped: [String] = []
        guard let found = try await store().newest(skipped: { skipped.append($0) }) else { return nil }
        return (found.contents.manifest.state.step, found.contents.model["w"]?.values.first, skipped)
    }

    @Test func `the manifest is written last, and the newest is found`() async throws {
        #expect(try await newest() == nil)
        #expect(try await write(9) == prefix + "step-00000009/")
        try await write(10)
        #expect(
            memory.writes.prefix(3) == [
                prefix + "step-00000009/model.safetensors", prefix + "step-00000009/optimizer.safetensors",
                prefix + "step-00000009/manifest.json",
            ])
        let found = try #require(try await newest())
        #expect(found.step == 10 && found.weight == 10 && found.skipped.isEmpty)
    }

    @Test func `the state is read back exactly`() async throws {
        try await write(5)
        let contents = try await store().newest(skipped: { _ in })?.contents
        #expect(contents?.manifest.state == state(5))
        #expect(contents?.manifest.identity == identity)
    }

    @Test func `only the last ones stay`() async throws {
        for step in [1, 2, 3, 4] { try await write(step, keepLast: 2) }
        let folders = Set(memory.objects.keys.map { $0.dropFirst(prefix.count).prefix(13) })
        #expect(folders == ["step-00000003", "step-00000004"])
    }

    @Test func `what is no checkpoint is neither read nor deleted`() async throws {
        let foreign = [prefix + "notes.txt", prefix + "step-1/manifest.json", prefix + "other/step-00000001/x"]
        for uri in foreign { memory.objects[uri] = [1] }
        for step in [1, 2, 3] { try await write(step, keepLast: 1) }
        #expect(try await newest()?.step == 3)
        #expect(foreign.allSatisfy { memory.objects[$0] == [1] })
    }

    @Test func `without its manifest a checkpoint does not count`() async throws {
        try await write(1)
        memory.failWrites(endingIn: "step-00000002/manifest.json")
        await #expect(throws: TrainingError.self) { try await write(2) }
        #expect(try await newest()?.step == 1)
    }

    @Test(arguments: ["model.safetensors", "optimizer.safetensors", "manifest.json"])
    func `a damaged checkpoint is skipped with a sentence`(file: String) async throws {
        try await write(1)
        let uri = try await write(2)
        memory.objects[uri + file]?[3] ^= 0x40
        let found = try #require(try await newest())
        #expect(found.step == 1 && found.skipped.count == 1)
        #expect(found.skipped.first?.hasPrefix(uri + file) == true)
    }

    @Test func `a checkpoint with a missing file is skipped`() async throws {
        try await write(1)
        let uri = try await write(2)
        memory.objects[uri + "model.safetensors"] = nil
        #expect(try await newest()?.step == 1)
    }
}
