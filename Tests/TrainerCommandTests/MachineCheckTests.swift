import Testing

@testable import TrainerCommand

struct MachineCheckTests {
    @Test func `available memory is read as the kernel writes it`() {
        let text = "MemTotal:       24000000 kB\nMemFree:  1 kB\nMemAvailable:   12000000 kB\n"
        #expect(MachineCheck.memoryAvailable(meminfo: text) == 12_288_000_000)
        #expect(MachineCheck.memoryAvailable(meminfo: "") == nil)
    }

    @Test(
        arguments: [
            ("no limit", "max\n", "5\n", "", nil), ("old no limit", "9223372036854771712\n", "5\n", "", nil),
            ("limit", "1000\n", "400\n", "", 600),
            ("file pages count as free", "1000\n", "400\n", "inactive_file 100\n", 700),
            ("over the limit", "1000\n", "1400\n", "anon 3\n", 0), ("unreadable", nil, nil, nil, nil),
        ] as [(String, String?, String?, String?, Int?)])
    func `a control group's limit leaves what is not used`(
        name: String, limit: String?, usage: String?, statistics: String?, expected: Int?
    ) {
        #expect(MachineCheck.groupAvailable(limit: limit, usage: usage, statistics: statistics) == expected)
    }

    @Test(arguments: [(0.0, 0, "0"), (1234.5, 0, "1235"), (93.1, 2, "93.10"), (0.0456, 3, "0.046"), (-0.5, 1, "-0.5")])
    func `numbers have a fixed count of digits`(value: Double, digits: Int, expected: String) {
        #expect(TrainerLog.decimal(value, digits) == expected)
    }
}
