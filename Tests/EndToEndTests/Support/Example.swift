import Encoding
import Glibc
import HTTP
import Sandbox
import Testing

/// A file of `crds/examples`, made small enough for a test: a tiny data set, short epochs, one thread.
struct Example {
    /// What is put into `spec.trainer.hyperparameters`, beside what the file says: 20 steps an epoch.
    static let small: [String: String] = ["batchSize": "16", "threads": "1"]

    let name: String
    private(set) var documents: [JSONValue]
    private let job: Int

    /// - Parameter seed: the folder of the tiny data set.
    init(_ name: String, seed: String, hyperparameters: [String: String] = [:]) throws {
        self.name = name
        let documents = try BuiltProducts.documents("crds/examples/\(name).yaml")
        guard let job = documents.firstIndex(where: { $0["kind"] == "TrainingJob" }) else {
            throw MissingPart("there is no TrainingJob in \(name).yaml")
        }
        self.documents = documents
        self.job = job
        for index in documents.indices {
            self.documents[index].set("default", at: ["metadata", "namespace"])
            let seedPath = ["metadata", "annotations", "sandbox.trainyard.dev/seed"]
            if documents[index].value(at: seedPath) != nil { self.documents[index].set(.string(seed), at: seedPath) }
        }
        for (key, value) in Self.small.merging(hyperparameters, uniquingKeysWith: { $1 }) {
            set(.string(value), at: ["trainer", "hyperparameters", key])
        }
    }

    /// The names of the files that hold a TrainingJob, without ".yaml".
    static func names() throws -> Set<String> {
        let folder = "\(BuiltProducts.root)/crds/examples"
        guard let directory = opendir(folder) else { throw MissingPart("there is no \(folder)") }
        defer { closedir(directory) }
        var names: Set<String> = []
        while let entry = readdir(directory) {
            let file = withUnsafeBytes(of: entry.pointee.d_name) { buffer in
                String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard file.hasSuffix(".yaml") else { continue }
            let kinds = try BuiltProducts.documents("crds/examples/\(file)").map { $0["kind"] }
            if kinds.contains("TrainingJob") { names.insert(String(file.dropLast(".yaml".count))) }
        }
        return names
    }

    var jobName: String { documents[job].value(at: ["metadata", "name"])?.stringValue ?? "" }

    /// The bucket of the outputs.
    var runsBucket: String {
        documents.first { $0.value(at: ["spec", "artifactType"]) == "RunOutput" }?
            .value(at: ["spec", "bucket", "name"])?.stringValue ?? ""
    }

    /// Changes the job's spec.
    mutating func set(_ value: JSONValue, at path: [String]) { documents[job].set(value, at: ["spec"] + path) }

    /// Changes an annotation that the simulated cloud reads.
    mutating func annotate(_ name: String, _ value: String) {
        documents[job].set(.string(value), at: ["metadata", "annotations", "sandbox.trainyard.dev/\(name)"])
    }

    /// Lets the trainer play faults.
    mutating func play(_ faults: String) {
        set([["name": "TRAINYARD_FAULT", "value": .string(faults)]], at: ["trainer", "env"])
    }

    /// With another text wherever one stands: places that the simulated cluster does not have.
    func replacing(_ old: String, with new: String) throws -> Example {
        var other = self
        other.documents = try documents.map { try JSONValue(parsing: $0.serializedText().replacing(old, with: new)) }
        return other
    }

    /// The job's object, as `kubectl apply` would send it once more.
    var jobDocument: JSONValue { documents[job] }
}

extension Story {
    /// Creates what is not there yet: examples share their data.
    func apply(_ example: Example) async throws {
        for document in example.documents {
            let reply = try await call(.post, Story.collection(document["kind"]?.stringValue ?? ""), document)
            let isThere = reply.status == 409 && document["kind"] == "GCSArtifact"
            try #require(reply.status == 201 || isThere, "\(example.name): \(reply.body.serializedText())")
        }
    }

    /// Waits until the run has ended and holds no machine.
    func end(of example: Example, atMost limit: Duration = .seconds(120)) async throws -> JSONValue {
        try await waitForJob("the end of \(example.name)", named: example.jobName, atMost: limit) { job in
            job.isDone || job.hasFailed
        }
    }

    func patch(_ example: Example, _ spec: JSONValue) async throws {
        let reply = try await call(.patch, Story.collection("TrainingJob") + "/" + example.jobName, ["spec": spec])
        try #require(reply.status == 200, "\(reply.body.serializedText())")
    }

    /// An output of the job's latest run.
    func output(_ path: String, of job: JSONValue, _ example: Example) throws -> [UInt8] {
        let runID = try #require(job.value(at: ["status", "run", "id"])?.stringValue)
        let name = "runs/\(runID)/\(path)"
        return try #require(
            try world.cloud.readObject(bucket: example.runsBucket, name: name),
            "\(world.cloud.objectNames(bucket: example.runsBucket))")
    }
}

/// What one process makes of the same data and settings when nobody disturbs it.
struct Reference {
    let model: [UInt8]
    let metrics: JSONValue

    init(in story: Story, hyperparameters: [String: String]) async throws {
        let output = try story.makeFolder("reference")
        let settings = hyperparameters.sorted { $0.key < $1.key }.flatMap { ["--set", "\($0.key)=\($0.value)"] }
        let log = "\(story.directory)/reference.log"
        let trainer = try TestProcess(
            try BuiltProducts.path("trainyard-trainer"),
            ["train", "--data", "\(story.directory)/seed", "--output", output] + settings, log: log)
        let deadline = ContinuousClock.now + .seconds(60)
        while trainer.exitStatus() == nil, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(20))
        }
        let status = trainer.exitStatus()
        trainer.kill()
        try #require(status == 0, "\(FileText.tail(log, lines: 20))")
        model = try #require(FileBytes.read("\(output)/model.safetensors"))
        metrics = try JSONValue(parsing: try #require(FileBytes.read("\(output)/metrics.json")))
    }
}

/// What `status.attempts` says of one start of the pods.
struct AttemptEnd: Equatable, CustomStringConvertible {
    var cause: String
    var fromStep: Int64
    var toStep: Int64

    var description: String { "\(cause) \(fromStep)–\(toStep)" }
}

extension JSONValue {
    var result: String? { value(at: ["status", "run", "result"])?.stringValue }

    var attemptEnds: [AttemptEnd] {
        (value(at: ["status", "attempts"])?.arrayValue ?? []).map { attempt in
            AttemptEnd(
                cause: attempt["cause"]?.stringValue ?? "", fromStep: attempt["fromStep"]?.integerValue ?? -1,
                toStep: attempt["toStep"]?.integerValue ?? -1)
        }
    }
}
