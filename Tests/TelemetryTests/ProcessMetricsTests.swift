import Testing

@testable import Telemetry

struct ProcessMetricsTests {
    @Test func `the fields are found behind a name with spaces and parentheses`() {
        let stat =
            "4711 (a (b) c) S 1 4711 4711 0 -1 4194304 100 0 0 0 250 150 0 0 20 0 9 0 123400 104857600 2560 "
            + "18446744073709551615 1 1\n"
        let usage = ProcessUsage(
            stat: stat, system: "cpu 1 2 3\nbtime 1700000000\nprocesses 7\n", ticksPerSecond: 100, pageSize: 4096)
        #expect(usage?.cpuSeconds == 4)
        #expect(usage?.residentBytes == 10_485_760)
        #expect(usage?.virtualBytes == 104_857_600)
        #expect(usage?.startTime == 1_700_001_234)
    }

    @Test(arguments: ["", "4711", "1 (x) S", "1 (x) S 1 2 3 4 5 6 7 8 9 10 x y"])
    func `a file of another form gives nothing`(text: String) {
        #expect(ProcessUsage(stat: text, system: "") == nil)
    }

    @Test func `the limit of descriptors is the soft one`() {
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n"
        #expect(ProcessUsage.maximumDescriptors(limits: limits) == 1024)
        #expect(ProcessUsage.maximumDescriptors(limits: "Max open files   unlimited   unlimited   files") == nil)
        #expect(ProcessUsage.maximumDescriptors(limits: "") == nil)
    }

    @Test func `this process has memory, descriptors and a start`() {
        let registry = MetricsRegistry()
        _ = ProcessMetrics(registry, version: "1.2.3")
        let page = registry.text
        func value(_ name: String) -> Double? {
            page.split(separator: "\n").first { $0.hasPrefix(name + " ") }?.split(separator: " ").last
                .flatMap { Double($0) }
        }
        #expect((1e6...1e11).contains(value("process_resident_memory_bytes") ?? 0))
        #expect(value("process_virtual_memory_bytes") ?? 0 >= value("process_resident_memory_bytes") ?? 1)
        #expect((3...1e6).contains(value("process_open_fds") ?? 0))
        #expect(value("process_max_fds") ?? 0 > value("process_open_fds") ?? 0)
        #expect((1.6e9...5e9).contains(value("process_start_time_seconds") ?? 0))
        #expect(value("process_cpu_seconds_total") ?? -1 >= 0)
        #expect(page.contains("trainyard_build_info{version=\"1.2.3\"} 1\n"))
    }
}
