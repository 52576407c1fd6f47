import CSystem
import Glibc
import Training
import TrainingContract

/// What must hold before anything starts.
enum MachineCheck {
    /// 1 GB: the trainer itself takes less than 600 MiB, and a machine that is this short kills processes at random.
    static let minimumMemoryBytes = 1_000_000_000
    /// For model, metrics and checkpoints on a local disk.
    static let minimumDiskBytes = 100_000_000

    /// - Parameter folder: where outputs go, when that is a local folder.
    /// - Throws: `.unsupportedMachine` or `.localStorage` with a sentence.
    static func run(outputFolder folder: String?) throws(TrainingError) {
        guard trainyard_cpu_has_kernel_features() != 0 else {
            throw TrainingError(
                .unsupportedMachine,
                "this processor has no AVX2 and FMA, which the kernels need (amd64 machines since 2013 have them)")
        }
        if let available = availableMemory(), available < minimumMemoryBytes {
            throw TrainingError(
                .unsupportedMachine,
                "only \(available / 1_000_000) MB of memory are available; training needs 1 GB: "
                    + "close something, or raise the container's memory limit")
        }
        if let folder, let free = FolderStorage.freeBytes(folder), free < minimumDiskBytes {
            throw TrainingError(
                .localStorage, "only \(free / 1_000_000) MB are free on the disk of \(folder); 100 MB are needed")
        }
    }

    /// Bytes that this process can still get: of the machine, or of its control group where that is less.
    static func availableMemory() -> Int? {
        let machine = text("/proc/meminfo").flatMap { memoryAvailable(meminfo: $0) }
        let group =
            groupAvailable(
                limit: text("/sys/fs/cgroup/memory.max"), usage: text("/sys/fs/cgroup/memory.current"),
                statistics: text("/sys/fs/cgroup/memory.stat"))
            ?? groupAvailable(
                limit: text("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
                usage: text("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
                statistics: text("/sys/fs/cgroup/memory/memory.stat"))
        return [machine, group].compactMap { $0 }.min()
    }

    /// `MemAvailable` of /proc/meminfo, in bytes.
    static func memoryAvailable(meminfo: String) -> Int? {
        for line in meminfo.split(separator: "\n") where line.hasPrefix("MemAvailable:") {
            let fields = line.split(separator: " ")
            return fields.count >= 2 ? Int(fields[1]).map { $0 * 1024 } : nil
        }
        return nil
    }

    /// What a control group's limit leaves; file pages that the kernel can drop count as free. Nil without a limit.
    static func groupAvailable(limit: String?, usage: String?, statistics: String?) -> Int? {
        guard let limit = limit.flatMap(number), let usage = usage.flatMap(number), limit < 1 << 60 else { return nil }
        var droppable = 0
        for line in statistics?.split(separator: "\n") ?? [] where line.hasPrefix("inactive_file ") {
            droppable = number(String(line.dropFirst(14))) ?? 0
        }
        return max(0, limit - max(0, usage - droppable))
    }

    /// The most that this process's control group has used, in bytes; nil where the kernel does not count it.
    @Sendable static func memoryPeak() -> Int? {
        text("/sys/fs/cgroup/memory.peak").flatMap(number)
            ?? text("/sys/fs/cgroup/memory/memory.max_usage_in_bytes").flatMap(number)
    }

    private static func number(_ text: String) -> Int? { Int(text.filter { $0 != "\n" && $0 != " " }) }

    private static func text(_ path: String) -> String? {
        // A file that is not there or cannot be read tells nothing: the check is then left out.
        guard let bytes = (try? FolderStorage.read(path)) ?? nil else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
