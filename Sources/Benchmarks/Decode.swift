import CAllocations
import Encoding
import Kubernetes
import Operator

/// Decoding a list of 10 MB of TrainingJobs, as the pages of a list are decoded: indexed, then each item as a typed
/// object. In this process, on one task; by CPU time, so that other processes do not count.
enum Decode {
    static func run(into results: inout Results) throws {
        let fixture = try JobFixture()
        let size = fixture.object(0, version: 1).serialized().count
        let items = (0..<(10_000_000 / size)).map { fixture.object($0, version: $0) }
        let list: JSONValue = ["metadata": ["resourceVersion": "1"], "items": .array(items)]
        let bytes = list.serialized()
        results.remark("an object has \(size) bytes, the list \(bytes.count)")
        _ = try decoded(bytes)
        var count = 0
        let start = Machine.cpuSeconds
        while Machine.cpuSeconds - start < 2 {
            guard try decoded(bytes).count == items.count else { throw BenchmarkError("objects were lost") }
            count += 1
        }
        results.set(.decodeMBPerSecond, Double(bytes.count * count) / (Machine.cpuSeconds - start) / 1e6)
        results.set(.decodeAllocationsPerObject, try allocations(bytes) / Double(items.count))
    }

    private static func decoded(_ bytes: [UInt8]) throws -> [TrainingJob] {
        let elements = try JSONText(parsing: bytes).root["items"]?.elements ?? []
        return try elements.map { try $0.decode(TrainingJob.self) }
    }

    /// Every malloc, calloc and realloc of this process while the list is decoded once.
    private static func allocations(_ bytes: [UInt8]) throws -> Double {
        let before = trainyard_allocation_count()
        let objects = try decoded(bytes)
        let after = trainyard_allocation_count()
        withExtendedLifetime(objects) {}
        return Double(after - before)
    }
}
