import Testing
import Training
import TrainingContract

@testable import TrainerCommand

struct OptionsTests {
    private let pod = [
        "ML_RUN_ID": "job-12345-r1", "ML_ATTEMPT": "2", "ML_WORLD_SIZE": "1", "ML_RANK": "0",
        "ML_INPUT_FASHION_MNIST_URI": "gs://data-bucket/", "ML_OUTPUT_URI": "gs://runs-bucket/runs/r1",
        "ML_CHECKPOINT_URI": "gs://runs-bucket/checkpoints/r1/",
        "ML_PROGRESS_URI": "gs://runs-bucket/progress/r1.json", "ML_CHECKPOINT_KEEP_LAST": "3", "HP_EPOCHS": "4",
    ]

    private func plan(_ arguments: [String], _ environment: [String: String]) throws(TrainingError) -> RunPlan {
        try RunPlan(try Options(["train"] + arguments), environment: environment)
    }

    @Test func `a pod's environment says everything`() throws {
        let plan = try plan([], pod)
        #expect(plan.runID == "job-12345-r1" && plan.attempt == 2 && plan.keepLastCheckpoints == 3)
        #expect(plan.configuration.epochs == 4)
        #expect(
            plan.places == [
                "gs://data-bucket/", "gs://runs-bucket/runs/r1/", "gs://runs-bucket/checkpoints/r1/",
                "gs://runs-bucket/progress/r1.json",
            ])
    }

    @Test func `by hand, folders are enough`() throws {
        let plan = try plan(["--data", "/data", "--output", "out", "--set", "trainImages=10"], [:])
        #expect(plan.places == ["/data/", "out/", "out/checkpoints/", "out/progress.json"])
        #expect(plan.configuration.trainImages == 10)
        #expect(plan.runID == "local" && plan.attempt == 1)
    }

    @Test func `a model is a name, a description, or the place of one`() async throws {
        let text = #"{"layers": [{"type": "flatten"}, {"type": "linear", "outFeatures": 10}]}"#
        let described = try ModelDescription(parsing: Array(text.utf8), name: "")
        let storage = TrainingStorage(
            read: { uri in uri == "gs://models/m.json" || uri == "/m.json" ? Array(text.utf8) : nil },
            write: { _, _, _ in }, list: { _ in [] }, delete: { _ in })
        func model(_ arguments: [String], _ environment: [String: String] = [:]) async throws -> ModelDescription {
            let plan = try plan(arguments, pod.merging(environment) { $1 })
            if environment["HP_MODEL"]?.hasPrefix("gs:") == true { #expect(plan.places.contains("gs://models/m.json")) }
            return try await plan.model(storage).0
        }
        #expect(try await model([]) == .cnn)
        #expect(try await model(["--model", "mlp"]) == .mlp)
        #expect(try await model(["--model", "/m.json"]) == described)
        #expect(try await model([], ["HP_MODEL": "gs://models/m.json"]) == described)
        #expect(try await model([], ["HP_MODEL": text]) == described)
        let lost = await #expect(throws: TrainingError.self) { try await model(["--model", "lost.json"]) }
        #expect(lost?.code == .missingInput)
        #expect(lost?.message.hasSuffix("/lost.json") == true)
        let wrong = await #expect(throws: TrainingError.self) { try await model([], ["HP_MODEL": "resnet"]) }
        #expect(wrong?.code == .usage)
        #expect(wrong?.message.contains("it must be one of cnn, mlp, a description in JSON") == true)
    }

    @Test func `an input that is mounted is read there`() throws {
        let environment = pod.merging(["ML_INPUT_FASHION_MNIST_PATH": "/data/in"]) { $1 }
        #expect(try plan([], environment).inputURI == "/data/in/")
    }

    @Test func `empty variables count as absent`() throws {
        var environment = pod
        environment["ML_RESUME_URI"] = ""
        environment["ML_CHECKPOINT_URI"] = ""
        let plan = try plan([], environment)
        #expect(plan.resumeURI == nil && plan.checkpointURI == nil)
    }

    @Test(
        arguments: [
            ("no input", "ML_INPUT_FASHION_MNIST_URI", nil, "there is no input"),
            ("two inputs", "ML_INPUT_OTHER_URI", "gs://other-bucket/", "there are 2 inputs"),
            ("no output", "ML_OUTPUT_URI", nil, "there is no place for the outputs"),
            ("wrong place", "ML_OUTPUT_URI", "s3://bucket/x", "ML_OUTPUT_URI is \"s3://bucket/x\""),
            ("wrong bucket", "ML_OUTPUT_URI", "gs://B/x", "ML_OUTPUT_URI is \"gs://B/x\""),
            ("too many processes", "ML_WORLD_SIZE", "257", "ML_WORLD_SIZE is 257: this trainer runs in at most 256"),
            ("no coordinator", "ML_WORLD_SIZE", "2", "ML_WORLD_SIZE is 2, so ML_RANK and ML_COORDINATOR must be set"),
            ("a fault unknown", "TRAINYARD_FAULT", "sleep=1", "TRAINYARD_FAULT is for tests and has \"sleep=1\""),
            ("no grace", "ML_GRACE_PERIOD_SECONDS", "0", "ML_GRACE_PERIOD_SECONDS is \"0\""),
            ("wrong attempt", "ML_ATTEMPT", "0", "ML_ATTEMPT is \"0\""),
            ("wrong epochs", "HP_EPOCHS", "x", "HP_EPOCHS is \"x\""),
        ] as [(String, String, String?, String)])
    func `a wrong environment is refused with a sentence`(
        name: String, variable: String, value: String?, message: String
    ) {
        var environment = pod
        environment[variable] = value
        let error = #expect(throws: TrainingError.self) { try plan([], environment) }
        #expect(error?.code == .usage)
        #expect(error?.message.hasPrefix(message) == true)
    }

    @Test(arguments: [
        ([], "a command is missing"), (["deploy"], "\"deploy\" is no command"),
        (["train", "--x"], "\"--x\" is no flag"),
        (["download", "--data", "x"], "\"--data\" is no flag of download"),
        (["kernels", "--json"], "\"--json\" is no flag"),
        (["train", "--processes", "0"], "--processes needs a number from 1 to 64"),
        (["train", "--data"], "--data needs a value"), (["train", "--set", "x"], "--set needs NAME=VALUE"),
        (["train", "--set", "=1"], "--set needs NAME=VALUE"),
    ])
    func `a wrong command line is refused with a sentence`(arguments: [String], message: String) {
        let error = #expect(throws: TrainingError.self) { try Options(arguments) }
        #expect(error?.code == .usage)
        #expect(error?.message.hasPrefix(message) == true)
    }

    @Test func `help is help wherever it stands`() throws {
        for arguments in [["--help"], ["help"], ["train", "-h"]] {
            #expect(try Options(arguments).command == .help)
        }
    }
}
