import Encoding
import Glibc
import HTTP
import Testing

@testable import TrainyardCommand

@Suite struct `Files of objects` {
    private static let job = """
        apiVersion: trainyard.dev/v1alpha1
        kind: TrainingJob
        metadata: {name: a}
        spec:
          trainer:
            hyperparameters:
              epochs: 5
          capacity:
            candidates:
            - name: spot
            - name: Bad_Name
        """

    @Test func `objects are read in order, empty documents are skipped`() throws {
        let documents = try ManifestFile.read(
            "f.yaml",
            text: "---\n# nothing\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: team}\n---\n" + Self.job)
        #expect(documents.map(\.title) == ["namespace/team", "trainingjob/a"])
        #expect(documents.map(\.namespace) == ["default", "default"])
        #expect(try ManifestFile.trainingJob(in: documents) == 1)
    }

    @Test func `a file is read to its end from a pipe, as standard input is`() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let bytes = Array(Self.job.utf8)
        #expect(write(ends[1], bytes, bytes.count) == bytes.count)
        close(ends[1])
        defer { close(ends[0]) }
        #expect(try LocalFiles.text(descriptor: ends[0], path: "standard input") == Self.job)
    }

    @Test(arguments: [
        ("syntax", "a: [1\nb: 2", "f.yaml:2:"),
        ("duplicate", "kind: A\nkind: B", "f.yaml:2:1: "),
        ("nothing", "# only a comment\n", "f.yaml holds no object"),
        ("a list", "- 1\n", "f.yaml:1:1: expected an object"),
        ("no kind", "apiVersion: v1\n", "f.yaml:1:1: the object has no apiVersion or no kind"),
        (
            "typing error", "apiVersion: trainyard.dev/v1alpha1\nkind: TrainingJb\n",
            "f.yaml:2:7: trainyard does not know trainyard.dev/v1alpha1 TrainingJb; did you mean "
                + "'trainyard.dev/v1alpha1 TrainingJob'?"
        ),
        (
            "a name that YAML reads as false", "apiVersion: v1\nkind: Secret\nmetadata: {name: no}\n",
            "f.yaml:3:18: metadata.name must be a string: write it in quotes"
        ),
        ("no name", "apiVersion: v1\nkind: Secret\n", "f.yaml:1:1: the Secret has no metadata.name"),
    ])
    func `are refused with their place`(_ name: String, _ text: String, _ prefix: String) {
        let error = #expect(throws: RunError.self) { try ManifestFile.read("f.yaml", text: text) }
        #expect(error?.message.hasPrefix(prefix) == true, "\(error?.message ?? "")")
        #expect(error?.exitStatus == 65)
    }

    @Test func `one TrainingJob is followed, not none and not two`() throws {
        let two = try ManifestFile.read("f.yaml", text: Self.job + "\n---\n" + Self.job)
        #expect(
            throws: RunError(
                .badData,
                "f.yaml:13:1: a second TrainingJob; `sandbox run` follows one (`sandbox up` and kubectl take many)")
        ) { try ManifestFile.trainingJob(in: two) }
        #expect(throws: RunError(.badData, "there is no TrainingJob in f.yaml")) {
            let none = try ManifestFile.read("f.yaml", text: "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n")
            _ = try ManifestFile.trainingJob(in: none)
        }
    }

    @Test func `a missing file is named`() {
        #expect(throws: RunError(.missingInput, "cannot read /nowhere/f.yaml: No such file or directory")) {
            try ManifestFile.read(["/nowhere/f.yaml"])
        }
    }

    @Test(arguments: [
        (
            "an unquoted number",
            #"TrainingJob.trainyard.dev "a" is invalid: spec.trainer.hyperparameters.epochs: Invalid value: "integer": "#
                + #"spec.trainer.hyperparameters.epochs in body must be of type string: "integer""#,
            "f.yaml:7:15",
            "\n  spec.trainer.hyperparameters.epochs takes a string: write \"5\", in quotes"
        ),
        (
            "a list's element",
            #"TrainingJob.trainyard.dev "a" is invalid: spec.capacity.candidates[1].name: Invalid value: "Bad_Name""#,
            "f.yaml:11:13", ""
        ),
        (
            "an unknown field", #"strict decoding error: unknown field "spec.foo""#, "f.yaml:5:3", ""
        ),
        ("something else", "the server is busy", "f.yaml:1", ""),
    ])
    func `the server's refusal is shown with its place`(
        _ name: String, _ message: String, _ place: String, _ advice: String
    ) throws {
        let document = try #require(try ManifestFile.read("f.yaml", text: Self.job).first)
        let error = APIError(.invalid, operation: "POST trainingjobs", message: message)
        #expect(
            ManifestApply.explained(error, document)
                == "\(place): the API server refuses trainingjob/a: \(message)\(advice)")
    }

    @Test(arguments: [
        ("plain", "crds/a.yaml", "crds/a.yaml"), ("space", "my file", "'my file'"), ("quote", "a'b", "'a'\\''b'"),
        ("empty", "", "''"),
    ])
    func `commands to paste are quoted`(_ name: String, _ text: String, _ quoted: String) {
        #expect(NextCommands.quoted(text) == quoted)
    }

    @Test(
        arguments: [
            ("2", nil, 2, "about 3 minutes for 2 epochs of 60,000 images on two cores"),
            ("5", nil, 1, "about 13 minutes for 5 epochs of 60,000 images on one core"),
            ("1", "500", 8, "less than a minute for 1 epoch of 500 images on two cores"),
        ] as [(String, String?, Int, String)])
    func `the opening says about how long it takes`(
        _ epochs: String, _ images: String?, _ cores: Int, _ duration: String
    ) {
        var job: JSONValue = ["spec": ["trainer": ["hyperparameters": ["epochs": .string(epochs)]]]]
        if let images { job.set(.string(images), at: ["spec", "trainer", "hyperparameters", "trainImages"]) }
        #expect(Opening.lines(for: job, cores: cores)[4] == "  duration    \(duration)")
    }
}
