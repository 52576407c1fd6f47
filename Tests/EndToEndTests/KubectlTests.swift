import Glibc
import System
import Testing

@testable import TrainyardCommand

/// The kubectls that the tests use: those of TRAINYARD_KUBECTL, separated by colons, else the first in PATH.
enum Kubectl {
    static let paths: [String] = {
        let named = (Environment.value("TRAINYARD_KUBECTL") ?? "").split(separator: ":").map(String.init)
        let executable = named.filter(LocalFiles.isExecutable)
        if !executable.isEmpty { return executable }
        let folders = (Environment.value("PATH") ?? "").split(separator: ":")
        return folders.map { "\($0)/kubectl" }.first(where: LocalFiles.isExecutable).map { [$0] } ?? []
    }()

    static var path: String? { paths.first }
}

/// `trainyard sandbox up` as a process, and an unmodified kubectl against it.
final class KubectlWorld: Sendable {
    let folder: TestFolder
    private let program: String?
    private let up: CommandProcess
    private let kubeconfig: String

    init(options: [String] = [], program: String? = Kubectl.path) async throws {
        self.program = program
        folder = try TestFolder()
        let up = try CommandProcess(
            try BuiltPrograms.trainyard(), ["sandbox", "up", "--state-dir", "\(folder.path)/state"] + options,
            in: folder.path, name: "up")
        let isUp = await until(.seconds(60)) { up.output.contains("\n") }
        let prefix = "export KUBECONFIG="
        let line = try #require(up.output.split(separator: "\n").first, "\(isUp) \(up.errors)")
        try #require(line.hasPrefix(prefix))
        self.up = up
        kubeconfig = String(line.dropFirst(prefix.count))
    }

    /// Starts kubectl with a home of its own, so that no cache of another cluster is in the way.
    func start(
        _ name: String, _ arguments: [String], environment: [String: String] = [:]
    ) throws -> CommandProcess {
        let own = ["KUBECONFIG": kubeconfig, "HOME": folder.path]
        return try CommandProcess(
            try #require(program), arguments, in: folder.path, name: name,
            environment: own.merging(environment) { $1 })
    }

    /// Runs kubectl to its end; both streams.
    @discardableResult
    func kubectl(
        _ arguments: String..., status: Int32 = 0, environment: [String: String] = [:],
        within timeout: Duration = .seconds(60)
    ) async throws -> String {
        let name = "kubectl-\(UInt64.random(in: 0 ... .max))"
        let run = try start(name, arguments, environment: environment)
        let exit = await run.exit(within: timeout)
        let text = run.output + run.errors
        #expect(exit == .status(status), "kubectl \(arguments.joined(separator: " ")): \(text)")
        return text
    }

    func write(_ name: String, _ text: String) throws -> String {
        let path = "\(folder.path)/\(name)"
        try LocalFiles.write(Array(text.utf8), to: path)
        return path
    }

    func end() async {
        up.interrupt()
        #expect(await up.exit(within: .seconds(60)) == .status(0), "\(up.errors)")
    }
}

@Suite(
    .serialized,
    .enabled(if: Kubectl.path != nil, "kubectl is not there: put it into PATH or name it in TRAINYARD_KUBECTL"))
struct `kubectl against sandbox up` {
    @Test func `drives a run from apply to delete`() async throws {
        let world = try await KubectlWorld()
        let data = "\(world.folder.path)/data"
        try CommandDataset.write(to: data, trainCount: 640)
        let file = try world.write("run.yaml", TinyRun.yaml(seed: data, epochs: #""3""#))
        let applied = try await world.kubectl("apply", "-f", file)
        #expect(
            applied.split(separator: "\n") == [
                "gcsartifact.trainyard.dev/tiny-data created", "gcsartifact.trainyard.dev/tiny-runs created",
                "trainingjob.trainyard.dev/tiny created",
            ])
        let watching = try world.start("watch", ["get", "trainingjobs", "-w"])
        // "configured", as on a real server: kubectl sends lists whose items have defaults again. Nothing changes by it.
        _ = try await world.kubectl("apply", "-f", file)
        let generation = try await world.kubectl("get", "tj", "tiny", "-o", "jsonpath={.metadata.generation}")
        #expect(generation == "1")
        try await logsAppear(world)
        _ = try await world.kubectl(
            "wait", "--for=condition=Complete", "--timeout=90s", "trainingjob/tiny", within: .seconds(100))
        _ = try await world.kubectl(
            "wait", "--for=condition=ComputeReleased", "--timeout=30s", "trainingjob/tiny", within: .seconds(40))
        let yaml = try await world.kubectl("get", "tj", "tiny", "-o", "yaml")
        #expect(yaml.contains("state: Complete"))
        #expect(try await world.kubectl("get", "tj").contains(/tiny\s+Complete/))
        #expect(await until(.seconds(60)) { watching.output.contains("Complete") }, "\(watching.output)")
        await watching.process.stop(grace: .seconds(1))
        let described = try await world.kubectl("describe", "trainingjob", "tiny")
        #expect(described.contains("Events:") && !described.contains("Events:  <none>"), "\(described)")
        let patched = try await world.kubectl(
            "patch", "tj", "tiny", "--type=merge", "-p", #"{"metadata":{"labels":{"team":"a"}}}"#)
        #expect(patched.contains("trainingjob.trainyard.dev/tiny patched"))
        #expect(
            try await world.kubectl("get", "tj", "-l", "team=a", "-o", "name") == "trainingjob.trainyard.dev/tiny\n")
        let deleted = try await world.kubectl("delete", "-f", file, "--wait", "--timeout=60s")
        #expect(deleted.contains(#"trainingjob.trainyard.dev "tiny" deleted"#))
        #expect(try await world.kubectl("get", "tj").contains("No resources found"))
        await world.end()
    }

    private func logsAppear(_ world: KubectlWorld) async throws {
        let found = try await until(.seconds(60)) {
            let name = try await world.kubectl("get", "pods", "-o", "name")
            guard let pod = name.split(separator: "\n").first, pod.hasPrefix("pod/") else { return false }
            // The container may not have started yet.
            let run = try world.start("logs-\(UInt64.random(in: 0 ... .max))", ["logs", String(pod)])
            return await run.exit(within: .seconds(60)) == .status(0) && !run.output.isEmpty
        }
        #expect(found, "the pod's log did not appear")
    }

    @Test func `applies on the server's side, explains, lists and refuses`() async throws {
        let world = try await KubectlWorld(options: ["--no-operator"])
        let file = try world.write("run.yaml", TinyRun.yaml(seed: "/nowhere"))
        let applied = try await world.kubectl("apply", "--server-side", "-f", file)
        #expect(applied.contains("trainingjob.trainyard.dev/tiny serverside-applied"))
        let other = try await world.kubectl(
            "apply", "--server-side", "--field-manager=other", "-f",
            try world.write("other.yaml", TinyRun.yaml(seed: "/nowhere", epochs: #""2""#)), status: 1)
        #expect(other.contains("conflict"))
        let explained = try await world.kubectl("explain", "trainingjob.spec.trainer")
        #expect(explained.contains("hyperparameters") && explained.contains("DESCRIPTION:"))
        let resources = try await world.kubectl("api-resources", "--api-group=trainyard.dev")
        #expect(resources.contains(/trainingjobs\s+tj\s+trainyard.dev\/v1alpha1\s+true\s+TrainingJob/))
        #expect(resources.contains(/gcsartifacts\s+gcsa\s+trainyard.dev\/v1alpha1\s+true\s+GCSArtifact/))
        let wrong = try await world.kubectl(
            "apply", "-f", try world.write("wrong.yaml", TinyRun.yaml(seed: "/nowhere", epochs: "5", name: "wrong")),
            status: 1)
        #expect(wrong.contains("spec.trainer.hyperparameters.epochs") && wrong.contains("must be of type string"))
        let unknown = TinyRun.yaml(seed: "/nowhere", name: "other").replacing("accelerator:", with: "acelerator:")
        let refused = try await world.kubectl("apply", "-f", try world.write("unknown.yaml", unknown), status: 1)
        #expect(refused.contains(#"unknown field "spec.acelerator""#))
        #expect(try await world.kubectl("get", "trainyard", "-o", "name").contains("trainingjob.trainyard.dev/tiny"))
        _ = try await world.kubectl("delete", "trainingjob", "tiny", "--wait")
        _ = try await world.kubectl("get", "tj", "tiny", status: 1)
        await world.end()
    }
}
