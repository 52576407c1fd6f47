import Encoding
import Glibc
import System
import Testing

@testable import TrainyardCommand

/// `trainyard sandbox run` as a process, with the real operator and trainer, on a few images.
@Suite(.serialized) struct `Sandbox run` {
    private let folder: TestFolder
    private let data: String
    private let trainyard: String

    init() throws {
        folder = try TestFolder()
        data = "\(folder.path)/data"
        try CommandDataset.write(to: data)
        trainyard = try BuiltPrograms.trainyard()
    }

    private func start(
        _ name: String, _ yaml: String, _ options: [String] = [], program: String? = nil
    ) throws -> CommandProcess {
        let file = "\(folder.path)/\(name).yaml"
        try LocalFiles.write(Array(yaml.utf8), to: file)
        let state = "\(folder.path)/tmp-\(name)"
        try LocalFiles.makeFolder(state)
        return try CommandProcess(
            trainyard, ["sandbox", "run", file] + options, in: folder.path, name: name, environment: ["TMPDIR": state])
    }

    /// What is left below the folder in which a run makes its state.
    private func leftovers(_ name: String) -> [String] { LocalFiles.names(in: "\(folder.path)/tmp-\(name)") }

    @Test func `two runs side by side end with one JSON object and files that match it`() async throws {
        let runs = try ["one", "two"].map { name in
            (name, try start(name, TinyRun.yaml(seed: data), ["--json", "--out", "\(folder.path)/out-\(name)"]))
        }
        for (name, run) in runs {
            #expect(await run.exit(within: .seconds(120)) == .status(0), "\(run.errors)")
            let last = try #require(run.output.split(separator: "\n").last)
            let result = try JSONValue(parsing: String(last))
            #expect(
                result.objectValue.map { $0.keys.sorted() } == [
                    "attempts", "capacityAttempts", "cloudResourcesRemaining", "cost", "imagesPerSecond", "metrics",
                    "outputDirectory", "outputs", "reason", "restarts", "restartsCountTowardsMax", "runID", "state",
                ])
            #expect(result["reason"] == "Succeeded")
            #expect(result["restarts"] == 0)
            #expect(result["restartsCountTowardsMax"] == 0)
            #expect(
                result["attempts"] == [["number": 1, "cause": "Succeeded", "fromStep": 0, "toStep": 20]])
            #expect(result["state"] == "Complete")
            #expect(result["cloudResourcesRemaining"] == 0)
            #expect(result.value(at: ["metrics", "epoch"]) == 1)
            let outputs = result["outputs"]?.arrayValue ?? []
            #expect(outputs.compactMap { $0["path"]?.stringValue }.sorted() == ["metrics.json", "model.safetensors"])
            #expect(outputs.allSatisfy { $0["verified"] == true })
            let files = LocalFiles.names(in: "\(folder.path)/out-\(name)")
            #expect(files == ["curves.svg", "metrics.json", "model.safetensors"])
            #expect(leftovers(name) == [])
            #expect(!run.errors.contains("\u{1B}"))
        }
    }

    @Test func `a file with an endpoint is trained, served, asked and deleted`() async throws {
        let endpoint = """

            ---
            apiVersion: trainyard.dev/v1alpha1
            kind: ModelEndpoint
            metadata: {name: tiny}
            spec:
              backend: {type: CloudRun, cloudRun: {location: us-central1}}
              model:
                artifactRef: {name: tiny-runs, alias: production}
                requirements: [{metric: test_accuracy, operator: GreaterThanOrEqual, value: "50"}]
            """
        let yaml = TinyRun.yaml(seed: data).replacing(
            "  layout: ByRun", with: "  layout: ByRun\n  aliases: [{name: production, policy: LatestVerified}]")
        let run = try start("serve", yaml + endpoint, ["--json", "--out", "\(folder.path)/out-serve"])
        #expect(await run.exit(within: .seconds(120)) == .status(0), "\(run.errors)")
        let result = try JSONValue(parsing: String(try #require(run.output.split(separator: "\n").last)))
        let answers = try #require(result["endpoint"])
        #expect(
            answers.objectValue.map { $0.keys.sorted() } == [
                "accuracy", "coldStartMilliseconds", "modelVersion", "p50Milliseconds", "p99Milliseconds",
                "predictions", "url",
            ])
        #expect(answers["predictions"] == 100)
        #expect(answers["accuracy"]?.doubleValue.map { $0 >= 50 } == true, "\(answers)")
        #expect(answers["coldStartMilliseconds"]?.doubleValue.map { $0 > 0 } == true, "\(answers)")
        #expect(answers["modelVersion"] == result["runID"])
        #expect(result["cloudResourcesRemaining"] == 0)
        #expect(run.errors.contains("0 cloud resources remain"))
        #expect(run.errors.contains("predict    image 0: class "))
        #expect(leftovers("serve") == [])
    }

    @Test func `Ctrl-C suspends, releases and says where it stopped`() async throws {
        let run = try start(
            "stop", TinyRun.yaml(seed: data, epochs: #""5000""#), ["--out", "\(folder.path)/out"])
        #expect(await until(.seconds(60)) { run.output.contains("epoch      1 of 5000") }, "\(run.output)")
        run.interrupt()
        #expect(await run.exit(within: .seconds(60)) == .status(130))
        let pattern = /stopped at epoch \d+, checkpoint at gs:\/\/\S+, 0 cloud resources remain/
        #expect(run.output.contains(pattern), "\(run.output)\n\(run.errors)")
    }

    @Test func `a second Ctrl-C ends it at once and leaves no process`() async throws {
        let run = try start("force", TinyRun.yaml(seed: data, epochs: #""5000""#))
        #expect(await until(.seconds(60)) { run.output.contains(" of 5000") }, "\(run.output)")
        run.interrupt()
        await Pause.milliseconds(250)  // Two signals at the same moment would be one.
        run.interrupt()
        #expect(await run.exit(within: .seconds(60)) == .status(130))
        #expect(await until(.seconds(60)) { processes(naming: folder.path).isEmpty })
    }

    @Test func `a plan is printed, and nothing is made`() async throws {
        let yaml = TinyRun.yaml(seed: data).replacing("spec:\n  trainer:", with: "spec:\n  mode: Plan\n  trainer:")
        let run = try start("plan", yaml, ["--json"])
        #expect(await run.exit(within: .seconds(60)) == .status(0), "\(run.errors)")
        #expect(run.errors.contains("nothing stands in the way"), "\(run.errors)")
        #expect(run.errors.contains("Nothing was created: spec.mode is Plan."))
        let result = try JSONValue(parsing: String(try #require(run.output.split(separator: "\n").last)))
        #expect(result["state"] == "Planned")
        #expect(result["reason"] == "Planned")
        #expect(result["attempts"] == [])
        #expect(leftovers("plan") == [])
    }

    @Test func `an assertion that does not hold fails the run, releases and keeps the evidence`() async throws {
        let run = try start("fail", TinyRun.yaml(seed: data, accuracyAtLeast: "101"), ["--json"])
        #expect(await run.exit(within: .seconds(120)) == .status(1))
        #expect(run.errors.contains("trainyard: the run failed: AssertionFailed"), "\(run.errors)")
        let result = try JSONValue(parsing: String(try #require(run.output.split(separator: "\n").last)))
        #expect(result["state"] == "Failed")
        #expect(result["cloudResourcesRemaining"] == 0)
        for label in ["pod's log", "operator's log", "sandbox's state"] {
            let line = try #require(run.errors.split(separator: "\n").last { $0.contains("  \(label) ") })
            let path = try #require(line.split(separator: " ").last)
            #expect(LocalFiles.isReadable(String(path)), "\(line)")
        }
    }

    @Test(
        arguments: [
            (
                "unquoted", ("\"1\"", "5"), 65,
                "]\n  spec.trainer.hyperparameters.epochs takes a string: write \"5\", in quotes"
            ),
            ("unknown", ("accelerator:", "acelerator:"), 65, "unknown field \"spec.acelerator\""),
            ("rule", ("type: nvidia-l4", "type: Nvidia"), 65, "spec.accelerator.gpu.type: Invalid value"),
            ("syntax", ("kind: TrainingJob", "kind: [TrainingJob"), 65, ".yaml:"),
            ("dataset", ("seed: \"", "seed: \"/nowhere"), 66, "the dataset folder /nowhere"),
        ] as [(String, (String, String), Int32, String)])
    func `bad input is refused with its place`(
        _ name: String, _ change: (from: String, to: String), _ status: Int32, _ message: String
    ) async throws {
        let yaml = TinyRun.yaml(seed: data).replacing(change.from, with: change.to)
        let run = try start(name, yaml)
        #expect(await run.exit(within: .seconds(60)) == .status(status))
        #expect(run.errors.contains(message), "\(run.errors)")
        #expect(leftovers(name) == [])
    }

    /// The command lines of processes that mention a folder of ours.
    private func processes(naming folder: String) -> [String] {
        LocalFiles.names(in: "/proc").compactMap { name in
            guard Int(name) != nil, name != String(getpid()),
                let text = try? LocalFiles.text("/proc/\(name)/cmdline"), text.contains(folder)
            else { return nil }
            return text
        }
    }
}
