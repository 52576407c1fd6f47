import Encoding
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
            }, threads: 2, memoryBytesPerSecond: 12.34e9, operationsPerSecond: 87.65e9, bucket: bucket)
    }

    @Test func `a good machine passes`() {
        let test = test()
        #expect(test.code == .success)
        #expect(test.json["ok"] == true && test.json["cuda"] == "not built" && test.json["bucket"] == nil)
        #expect(test.json["memoryGBPerSecond"] == 12.3 && test.json["multiplyGFLOPPerSecond"] == 87.7)
        #expect(test.text.contains("cuda: not built") && test.text.contains("ML_OUTPUT_URI is not set"))
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

    @Test func `the kernels are told in the words of the spec`() {
        #expect(KernelList.json["cpu"]?["architectures"]?.arrayValue?.count == 1)
        #expect(KernelList.json["cuda"] == nil)
    }
}
