import Testing
import Training
import TrainingContract

@testable import TrainerCommand

struct HyperparametersTests {
    private func read(
        _ file: String?, _ environment: [String: String] = [:], flags: [String: String] = [:]
    ) async throws -> Hyperparameters {
        var result: Hyperparameters?
        try await withTemporaryFolder { folder in
            var environment = environment
            if let file {
                try FolderStorage.write(folder + "hp.json", Array(file.utf8))
                environment[TrainingEnvironment.hyperparametersFile] = folder + "hp.json"
            }
            result = try Hyperparameters(flags: flags, environment: environment)
        }
        return try #require(result)
    }

    @Test func `the file gives what the environment does not`() async throws {
        let read = try await read(#"{"batchSize": "32", "epochs": "3"}"#, ["HP_EPOCHS": "3", "PATH": "/bin"])
        #expect(read.variables == ["HP_BATCHSIZE": "32", "HP_EPOCHS": "3"])
        #expect(read.remarks == [])
    }

    @Test func `the environment wins, and a contradiction is told`() async throws {
        let read = try await read(#"{"batchSize": "32"}"#, ["HP_BATCH_SIZE": "64"])
        #expect(read.variables == ["HP_BATCH_SIZE": "64"])
        #expect(read.remarks.count == 1)
        #expect(
            read.remarks.first?.hasSuffix("says batchSize=32, the environment 64: the environment's counts") == true)
    }

    @Test func `flags win over both`() async throws {
        let read = try await read(
            #"{"batchSize": "32", "seed": "1"}"#, ["HP_BATCH_SIZE": "64"], flags: ["HP_BATCHSIZE": "8"])
        #expect(read.variables == ["HP_BATCHSIZE": "8", "HP_SEED": "1"])
    }

    @Test(arguments: [
        ("[]", "is not a JSON object"), ("{", "is not a JSON object"),
        (#"{"seed": 1}"#, "the value of seed must be a string"),
    ])
    func `a wrong file is refused with a sentence`(file: String, message: String) async {
        let error = await #expect(throws: TrainingError.self) { try await read(file) }
        #expect(error?.code == .usage && error?.message.contains(message) == true)
    }

    @Test func `a file that is not there is named`() {
        let error = #expect(throws: TrainingError.self) {
            try Hyperparameters(flags: [:], environment: [TrainingEnvironment.hyperparametersFile: "/no/such/file"])
        }
        #expect(error?.code == .missingInput && error?.message.contains("/no/such/file") == true)
    }

    @Test func `an unknown name of the file is refused as one of the environment is`() async throws {
        let read = try await read(#"{"momentum": "0.9"}"#)
        let error = #expect(throws: TrainingError.self) { try TrainingConfiguration(environment: read.variables) }
        #expect(error?.message.contains("HP_MOMENTUM") == true)
    }
}
