import CSystem

/// What must be true before anything starts, each failure a sentence that says what to do.
struct Preflight: Equatable, Sendable {
    static let minimumMemoryBytes: UInt64 = 1_000_000_000
    /// The dataset in the bucket, checkpoints, models and logs.
    static let minimumDiskBytes: UInt64 = 512 << 20
    static let datasetFolder = "/usr/share/datasets/fashion-mnist"

    /// What was measured on this machine; nil where the system does not say.
    var availableMemoryBytes: UInt64?
    var freeDiskBytes: UInt64?
    var hasKernelFeatures: Bool
    /// Where the state goes.
    var diskPath: String
    /// Folders named by seed annotations that cannot be read.
    var missingSeeds: [String]
    /// Executables that are not beside this program.
    var missingPrograms: [String]

    /// The first thing that stands in the way.
    var problem: RunError? {
        if let program = missingPrograms.first {
            return RunError(
                .software,
                "\(program) is missing beside this program; build all of it with `swift build -c release`")
        }
        if !hasKernelFeatures {
            return RunError(
                .unsupportedMachine,
                "this CPU has no AVX2 and FMA, which the trainer's kernels need (amd64 machines since 2013 have them)")
        }
        if let bytes = availableMemoryBytes, bytes < Self.minimumMemoryBytes {
            return RunError(
                .unsupportedMachine,
                "only \(Format.bytes(Int64(clamping: bytes))) of memory are free; a run needs 1 GB. Close something, "
                    + "or give the container more memory")
        }
        if let bytes = freeDiskBytes, bytes < Self.minimumDiskBytes {
            return RunError(
                .localStorage,
                "only \(Format.bytes(Int64(clamping: bytes))) are free below \(diskPath); a run needs "
                    + "\(Format.bytes(Int64(Self.minimumDiskBytes))). Free some, or name another disk with --state-dir")
        }
        return missingSeeds.first.map(Self.missingDataset)
    }

    private static func missingDataset(_ folder: String) -> RunError {
        let isKnown = folder == datasetFolder || folder.hasPrefix(datasetFolder + "/")
        let advice =
            isKnown
            ? "Install it: apt-get install dataset-fashion-mnist"
            : "The annotation sandbox.trainyard.dev/seed of the GCSArtifact names it; correct the path"
        return RunError(.missingInput, "the dataset folder \(folder) is not there. \(advice)")
    }
}

extension Preflight {
    /// Measures this machine.
    static func measured(stateParent: String, seeds: [String], programs: Programs) -> Preflight {
        Preflight(
            availableMemoryBytes: availableMemory(), freeDiskBytes: LocalFiles.freeBytes(stateParent),
            hasKernelFeatures: trainyard_cpu_has_kernel_features() != 0, diskPath: stateParent,
            missingSeeds: seeds.filter { !LocalFiles.isFolder($0) || !LocalFiles.isReadable($0) },
            missingPrograms: programs.missing)
    }

    /// The smaller of the machine's available memory and what the control group still grants.
    private static func availableMemory() -> UInt64? {
        let machine = (try? LocalFiles.text("/proc/meminfo")).flatMap(memoryAvailable)
        guard let limit = groupBytes("/sys/fs/cgroup/memory.max"),
            let used = groupBytes("/sys/fs/cgroup/memory.current")
        else { return machine }
        // Page cache counts as used there, though it can be given back.
        let cache = (try? LocalFiles.text("/sys/fs/cgroup/memory.stat")).flatMap { field("inactive_file", in: $0) } ?? 0
        let busy = used > cache ? used - cache : 0
        let group = limit > busy ? limit - busy : 0
        return machine.map { min($0, group) } ?? group
    }

    /// `MemAvailable` of /proc/meminfo in bytes.
    static func memoryAvailable(_ text: String) -> UInt64? {
        field("MemAvailable:", in: text).map { $0 * 1024 }
    }

    private static func field(_ name: String, in text: String) -> UInt64? {
        for line in text.split(separator: "\n") where line.hasPrefix(name) {
            let words = line.dropFirst(name.count).split(whereSeparator: { $0 == " " || $0 == "\t" })
            return words.first.flatMap { UInt64($0) }
        }
        return nil
    }

    /// A control group file that holds one number; nil for "max" and where there is no such file.
    private static func groupBytes(_ path: String) -> UInt64? {
        guard let text = try? LocalFiles.text(path) else { return nil }
        return text.split(separator: "\n").first.flatMap { UInt64($0) }
    }
}

/// The other programs of the project, found beside this one.
struct Programs: Equatable, Sendable {
    var trainyardOperator: String
    var trainer: String

    /// Those beside the running program.
    static func besideThisOne() throws(RunError) -> Programs {
        guard let folder = LocalFiles.programFolder() else {
            throw RunError(.software, "the system does not say where this program lies (/proc is not mounted)")
        }
        return Programs(
            trainyardOperator: "\(folder)/trainyard-operator", trainer: "\(folder)/trainyard-trainer")
    }

    var missing: [String] { [trainyardOperator, trainer].filter { !LocalFiles.isExecutable($0) } }
}
