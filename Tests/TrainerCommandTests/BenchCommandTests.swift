import Encoding
@testable import Kernels
import Testing

@testable import TrainerCommand

struct BenchCommandTests {
    @Test func `each operation is compared with the nearer ceiling`() {
        let bench = BenchCommand(
            isa: "cpu-avx2", threads: 2,
            rows: [
                // 100 of 200 GFLOP/s; 2 of 20 GB/s.
                KernelBench.Row(operation: "conv2 forward", seconds: 0.1, operations: 1e10, bytes: 2e8),
                // 1 of 200 GFLOP/s; 10 of 20 GB/s.
                KernelBench.Row(operation: "adam", seconds: 0.06, operations: 6e7, bytes: 6e8),
            ], operationsPerSecond: 200e9, memoryBytesPerSecond: 20e9)
        #expect(
            bench.text == """
                cpu-avx2, 2 threads: 200.0 GFLOP/s in cache, 20.0 GB/s of memory
                operation          ms  GFLOP/s  GB/s  of ceiling
                conv2 forward  100.00    100.0   2.0        50 %
                adam            60.00      1.0  10.0        50 %
                a step of 64 images: 160.0 ms at best, 400 images/s
                GFLOP/s count the formula's operations; conv2 needs fewer (Winograd), so it can be above its ceiling.
                """)
        #expect(bench.json["operations"]?[1]?["fractionOfCeiling"] == 0.5)
        #expect(abs((bench.json["imagesPerSecond"]?.doubleValue ?? 0) - 400) < 1e-9 && bench.json["isa"] == "cpu-avx2")
    }

    @Test func `the step has all its operations`() {
        let rows = KernelBench.measure(CPUBackend(threadCount: 1), batch: 2, seconds: 0)
        #expect(
            rows.map(\.operation) == [
                "conv1 forward", "conv1 backward", "conv2 forward", "conv2 backward", "fc1 forward", "fc1 backward",
                "fc2 forward", "fc2 backward", "adam",
            ])
        #expect(rows.allSatisfy { $0.seconds > 0 && $0.seconds.isFinite })
        // Without Adam: 71.6 million multiplications and additions an image.
        #expect(abs(rows.dropLast().reduce(0) { $0 + $1.operations } / 2 - 71.6e6) < 0.1e6)
    }
}
