import Glibc

/// The process's own figures under Prometheus' names, read from `/proc` when a page is written.
public struct ProcessMetrics: Sendable {
    private let cpuSeconds: Counter
    private let residentBytes: Gauge
    private let virtualBytes: Gauge
    private let startTime: Gauge
    private let openDescriptors: Gauge
    private let maximumDescriptors: Gauge

    /// Declares the metrics and fills them before each page. What `/proc` does not tell stays absent.
    ///
    /// - Parameter version: the program's, for `trainyard_build_info`.
    public init(_ registry: MetricsRegistry, version: String) {
        cpuSeconds = registry.counter(
            "process_cpu_seconds_total", help: "Total user and system CPU time spent in seconds.")
        residentBytes = registry.gauge("process_resident_memory_bytes", help: "Resident memory size in bytes.")
        virtualBytes = registry.gauge("process_virtual_memory_bytes", help: "Virtual memory size in bytes.")
        startTime = registry.gauge(
            "process_start_time_seconds", help: "Start time of the process since unix epoch in seconds.")
        openDescriptors = registry.gauge("process_open_fds", help: "Number of open file descriptors.")
        maximumDescriptors = registry.gauge("process_max_fds", help: "Maximum number of open file descriptors.")
        registry.gauge(
            "trainyard_build_info", help: "Always 1; the label says which version runs.",
            labels: [MetricLabel("version", [version])]
        ).set(1, version)
        registry.beforeEachPage { [self] in collect() }
    }

    private func collect() {
        if let usage = ProcessUsage(stat: Self.text("/proc/self/stat"), system: Self.text("/proc/stat")) {
            cpuSeconds.raise(to: usage.cpuSeconds)
            residentBytes.set(usage.residentBytes)
            virtualBytes.set(usage.virtualBytes)
            if let start = usage.startTime { startTime.set(start) }
        }
        if let count = Self.openDescriptorCount { openDescriptors.set(Double(count)) }
        if let limit = ProcessUsage.maximumDescriptors(limits: Self.text("/proc/self/limits")) {
            maximumDescriptors.set(limit)
        }
    }

    /// The one that reads the folder is not counted.
    private static var openDescriptorCount: Int? {
        guard let folder = opendir("/proc/self/fd") else { return nil }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        return max(0, count - 3)
    }

    /// A small file of `/proc`, which never blocks; empty when it cannot be read.
    private static func text(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while bytes.count < 1 << 20 {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// What `/proc` says about a process, proc(5).
struct ProcessUsage: Hashable {
    var cpuSeconds: Double
    var residentBytes: Double
    var virtualBytes: Double
    /// Since 1970; nil when the system's boot time is not known.
    var startTime: Double?

    /// - Parameters:
    ///   - stat: `/proc/[pid]/stat`; the program's name in it may have spaces and parentheses.
    ///   - system: `/proc/stat`.
    init?(
        stat: String, system: String, ticksPerSecond: Int = sysconf(Int32(_SC_CLK_TCK)),
        pageSize: Int = sysconf(Int32(_SC_PAGESIZE))
    ) {
        guard let end = stat.lastIndex(of: ")"), ticksPerSecond > 0 else { return nil }
        // The first one is field 3, the state.
        let fields = stat[stat.index(after: end)...].split(whereSeparator: \.isWhitespace)
        func field(_ number: Int) -> Double? { number - 3 < fields.count ? Double(fields[number - 3]) : nil }
        guard let user = field(14), let kernel = field(15), let start = field(22), let size = field(23),
            let pages = field(24)
        else { return nil }
        cpuSeconds = (user + kernel) / Double(ticksPerSecond)
        virtualBytes = size
        residentBytes = pages * Double(pageSize)
        let boot = system.split(separator: "\n").first { $0.hasPrefix("btime ") }?.split(separator: " ").last
        startTime = boot.flatMap { Double($0) }.map { $0 + start / Double(ticksPerSecond) }
    }

    /// The soft limit; nil when there is none, or `limits` (`/proc/[pid]/limits`) does not say it.
    static func maximumDescriptors(limits: String) -> Double? {
        let line = limits.split(separator: "\n").first { $0.hasPrefix("Max open files") }
        return line?.dropFirst("Max open files".count).split(separator: " ").first.flatMap { Double($0) }
    }
}
