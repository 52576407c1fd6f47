import CSystem
import Encoding
import Kernels
import TrainingContract

/// `trainyard-trainer bench`: how fast this machine does a step of the published network, operation by operation.
struct BenchCommand: Sendable {
    var isa: String
    var threads: Int
    var rows: [KernelBench.Row]
    /// The ceilings: matrix products in the first-level cache, and memory.
    var operationsPerSecond: Double
    var memoryBytesPerSecond: Double

    /// A step's images.
    static let batch = 64

    static func run(isJSON: Bool) -> TrainerExitCode {
        guard trainyard_cpu_has_kernel_features() != 0 else {
            Trainer.put("this processor lacks \(CarriedKernels.features.joined(separator: " or "))\n")
            return .unsupportedMachine
        }
        let threads = Processors.usableCount
        let backend = CPUBackend(threadCount: threads)
        let bench = BenchCommand(
            isa: backend.name, threads: threads, rows: KernelBench.measure(backend, batch: batch),
            operationsPerSecond: MachineSpeed.operationsPerSecond(threads: threads),
            memoryBytesPerSecond: MachineSpeed.memoryBytesPerSecond(threads: threads))
        Trainer.put((isJSON ? bench.json.serializedText() : bench.text) + "\n")
        return .success
    }

    private var stepSeconds: Double { rows.reduce(0) { $0 + $1.seconds } }

    private func fraction(_ row: KernelBench.Row) -> Double {
        row.fractionOfCeiling(operationsPerSecond: operationsPerSecond, bytesPerSecond: memoryBytesPerSecond)
    }

    var json: JSONValue {
        [
            "isa": .string(isa), "threads": .integer(Int64(threads)),
            "peakGFLOPPerSecond": .number(operationsPerSecond / 1e9),
            "memoryGBPerSecond": .number(memoryBytesPerSecond / 1e9),
            "imagesPerSecond": .number(Double(Self.batch) / stepSeconds),
            "operations": .array(
                rows.map { row in
                    [
                        "operation": .string(row.operation), "milliseconds": .number(row.seconds * 1e3),
                        "gflopPerSecond": .number(row.operationsPerSecond / 1e9),
                        "gbPerSecond": .number(row.bytesPerSecond / 1e9), "fractionOfCeiling": .number(fraction(row)),
                    ]
                }),
        ]
    }

    var text: String {
        let cells = rows.map { row in
            [
                row.operation, TrainerLog.decimal(row.seconds * 1e3, 2),
                TrainerLog.decimal(row.operationsPerSecond / 1e9, 1), TrainerLog.decimal(row.bytesPerSecond / 1e9, 1),
                TrainerLog.decimal(100 * fraction(row), 0) + " %",
            ]
        }
        let table = [["operation", "ms", "GFLOP/s", "GB/s", "of ceiling"]] + cells
        let widths = (0..<5).map { column in table.map { $0[column].count }.max() ?? 0 }
        let lines = table.map { row in
            row.enumerated().map { index, cell in
                let gap = String(repeating: " ", count: widths[index] - cell.count)
                return index == 0 ? cell + gap : gap + cell
            }.joined(separator: "  ")
        }
        return """
            \(isa), \(threads) threads: \(TrainerLog.decimal(operationsPerSecond / 1e9, 1)) GFLOP/s in cache, \
            \(TrainerLog.decimal(memoryBytesPerSecond / 1e9, 1)) GB/s of memory
            \(lines.joined(separator: "\n"))
            a step of \(Self.batch) images: \(TrainerLog.decimal(stepSeconds * 1e3, 1)) ms at best, \
            \(TrainerLog.decimal(Double(Self.batch) / stepSeconds, 0)) images/s
            GFLOP/s count the formula's operations; conv2 needs fewer (Winograd), so it can be above its ceiling.
            """
    }
}
