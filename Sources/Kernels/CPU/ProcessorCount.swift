import CSystem
import Glibc

/// What of the machine this process may use.
public enum Processors {
    /// Processors that this process may use: its affinity, bounded by the CPU quota of its control group (rounded up).
    public static var usableCount: Int {
        let affinity = Int(trainyard_affinity_count())
        guard let quota = cgroupQuota() else { return affinity }
        return max(1, min(affinity, Int(quota.rounded(.up))))
    }

    /// Version 2 (`cpu.max`: "quota period" or "max period") or version 1, as containers mount them; nil: no limit.
    private static func cgroupQuota() -> Double? {
        if let text = firstLine(of: "/sys/fs/cgroup/cpu.max") { return quota(cpuMax: text) }
        guard let quota = firstLine(of: "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
            let period = firstLine(of: "/sys/fs/cgroup/cpu/cpu.cfs_period_us")
        else { return nil }
        return self.quota(cpuMax: "\(quota) \(period)")
    }

    /// Processors' worth of time per period; nil for no limit.
    static func quota(cpuMax text: String) -> Double? {
        let parts = text.split(separator: " ")
        guard parts.count == 2, let quota = Double(parts[0]), let period = Double(parts[1]), quota > 0, period > 0
        else { return nil }
        return quota / period
    }

    private static func firstLine(of path: String) -> String? {
        guard let file = fopen(path, "re") else { return nil }
        defer { fclose(file) }
        var buffer = [CChar](repeating: 0, count: 128)
        guard fgets(&buffer, Int32(buffer.count), file) != nil else { return nil }
        let bytes = buffer.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }
        return String(decoding: bytes, as: UTF8.self)
    }
}
