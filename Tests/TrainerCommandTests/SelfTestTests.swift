import Encoding
import Glibc
import Kernels
import Sandbox
import Telemetry
import Testing
import Training
import TrainingContract

@testable import TrainerCommand

struct SelfTestTests {
    private func test(error: Double = 0, bucket: SelfTest.Probe? = nil) -> SelfTest {
        SelfTest(
            kernels: KernelCheck.compare(CPUBackend(threadCount: 1)).map { finding in
                var finding = finding
                finding.error = error
                return finding
            }, isa: "cpu-avx2", threads: 2, memoryBytesPerSecond: 12.34e9, operationsPerSecond: 87.65e9,
            graphics: GraphicsDriver(version: "580.95.05", models: ["NVIDIA H200"]), bucket: bucket)
    }

    @Test func `a good machine passes`() {
        let test = test()
        #expect(test.code == .success)
        #expect(test.json["ok"] == true && test.json["cuda"] == "not built" && test.json["bucket"] == nil)
        #expect(test.json["memoryGBPerSecond"] == 12.3 && test.json["multiplyGFLOPPerSecond"] == 87.7)
        #expect(test.json["isa"] == "cpu-avx2" && test.json["driver"] == "580.95.05")
        #expect(test.json["gpus"] == ["NVIDIA H200"] && test.text.contains("gpu: NVIDIA H200, driver 580.95.05"))
        #expect(
            test.text.contains("cpu-avx2, 2 threads") && test.text.contains("cuda: not built")
                && test.text.contains("ML_OUTPUT_URI is not set"))
    }

    @Test(arguments: [1e-3, .infinity, .nan]) func `a machine that computes wrong fails`(error: Double) {
        let test = test(error: error)
        #expect(test.code == .unsupportedMachine && test.json["ok"] == false && test.text.contains("FAILED"))
    }

    @Test func `the bucket is written, read and deleted`() async throws {
        let cloud = try await CloudFixture.cloud()
        try await CloudFixture.serving(cloud) { origin in
            let environment = ["STORAGE_EMULATOR_HOST": origin, "ML_OUTPUT_URI": "gs://runs-bucket/runs/r1"]
            #expect(await Trainer.main(arguments: ["selftest"], environment: environment) { false } == .success)
            let missing = environment.merging(["ML_OUTPUT_URI": "gs://no-such-bucket/"]) { $1 }
            #expect(
                await Trainer.main(arguments: ["selftest", "--json"], environment: missing) { false }
                    == .storageUnavailable)
        }
    }

    @Test func `the driver is read as it writes itself below proc`() throws {
        let closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC"
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (root@x)"
        #expect(GraphicsDriver.version(in: closed) == "535.183.01")
        #expect(GraphicsDriver.version(in: open) == "580.95.05")
        #expect(GraphicsDriver.version(in: "NVRM version: Module") == nil && GraphicsDriver.version(in: "") == nil)
        #expect(GraphicsDriver.model(in: "Model: \t\t NVIDIA H200\nIRQ:   \t\t 16\n") == "NVIDIA H200")
        let root = "/tmp/trainyard-driver-\(getpid())"
        #expect(GraphicsDriver.read(root: root) == nil)
        try FolderStorage.write(root + "/version", Array(open.utf8))
        try FolderStorage.write(root + "/gpus/0000:01:00.0/information", Array("Model: NVIDIA L4\n".utf8))
        #expect(GraphicsDriver.read(root: root) == GraphicsDriver(version: "580.95.05", models: ["NVIDIA L4"]))
        try FolderStorage.delete(root + "/gpus/0000:01:00.0/information")
        try FolderStorage.delete(root + "/version")
        rmdir(root + "/gpus")
        rmdir(root)
    }

    @Test func `the kernels are told in the words of the spec`() {
        #expect(KernelList.json["cpu"]?["architectures"]?.arrayValue?.count == 1)
        #expect(KernelList.json["cuda"] == nil)
    }
}
