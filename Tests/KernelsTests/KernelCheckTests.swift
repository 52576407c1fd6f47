import Testing

@testable import Kernels

struct KernelCheckTests {
    @Test(arguments: [1, 3]) func `the CPU computes what the specification says`(threads: Int) {
        let findings = KernelCheck.compare(CPUBackend(threadCount: threads))
        #expect(findings.count == 17)
        #expect(findings.filter { !$0.isGood } == [])
    }

    @Test func `a result that is not finite is never good`() {
        #expect(!KernelCheck.Finding(operation: "x", error: .infinity).isGood)
        #expect(!KernelCheck.Finding(operation: "x", error: 1e-4).isGood)
    }

    @Test func `speeds are positive`() {
        #expect(MachineSpeed.memoryBytesPerSecond(threads: 1) > 1e8)
        #expect(MachineSpeed.operationsPerSecond(threads: 1) > 1e8)
    }
}
