import Encoding
import Glibc

/// Starts containers: finds the image's program, resolves the environment, makes the folders.
struct ContainerStarter: Sendable {
    /// Why a container does not run.
    enum Failure: Error, Sendable, Hashable {
        /// The image is none that the sandbox can run.
        case image(String)
        /// A variable cannot be resolved.
        case configuration(String)
        /// The program cannot be started.
        case start(String)
    }

    let images: [String: PodProgram]
    let stateDirectory: String
    let cloud: SimulatedCloud
    let cluster: ClusterAccess
    /// What the sandbox adds for every container.
    let environment: [String: String]
    /// How pods find one another.
    let addresses: PodAddresses

    func start(
        _ container: JSONValue, of pod: PodView, restartCount: Int, now: Timestamp
    ) async throws(Failure) -> any RunningContainer {
        let image = container["image"]?.stringValue ?? ""
        guard let program = images[image] else { throw .image(refusal(of: image)) }
        let folder = PodFolder(stateDirectory: stateDirectory, pod: pod)
        let name = container["name"]?.stringValue ?? ""
        guard folder.make(container: name) else {
            throw .start("cannot make the folder \(folder.path)")
        }
        let resolver = ContainerEnvironment(pod: pod, base: base(for: pod, folder: folder), cluster: cluster)
        var variables: [String: String]
        let paths: LocalPaths
        do {
            variables = try await resolver.variables(of: container)
            let volumes = PodVolumes(pod: pod, folder: folder, cloud: cloud, environment: resolver)
            paths = try await volumes.paths(for: container)
        } catch {
            throw .configuration(error.message)
        }
        variables = variables.mapValues(paths.rewritten)
        let log = folder.logPath(container: name, restartCount: restartCount)
        switch program {
        case .process(let entry):
            variables = variables.mapValues { addresses.rewritten($0, for: pod) }
            let arguments = try self.arguments(container, entry: entry, variables: variables).map {
                addresses.rewritten(paths.rewritten($0), for: pod)
            }
            do {
                return try LocalProcess(
                    LocalProcess.Command(
                        arguments: arguments, environment: variables, directory: folder.home, logPath: log))
            } catch {
                throw .start(error.message)
            }
        case .scripted(let script):
            let context = PodContext(
                namespace: pod.namespace, podName: pod.name, podUID: pod.uid, nodeName: pod.nodeName ?? "",
                containerName: name, restartCount: restartCount,
                arguments: Self.words(container["command"], variables) + Self.words(container["args"], variables),
                environment: variables, startedAt: now, cloud: cloud)
            let result = await script(context)
            LocalFiles.append(Array(result.log.utf8), to: log)
            return ScriptedContainer(
                identifier: "sandbox://script-\(pod.uid)-\(name)-\(restartCount)", startedAt: now, result: result)
        }
    }

    private func refusal(of image: String) -> String {
        let known = images.keys.sorted().joined(separator: ", ")
        return "Failed to pull image \"\(image)\": pods of the sandbox are processes of this machine, and it can run"
            + " only \(known.isEmpty ? "no image" : known)"
    }

    private func base(for pod: PodView, folder: PodFolder) -> [String: String] {
        var variables = ["PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": folder.home, "TMPDIR": folder.temporary]
        // The toolchain's libraries may lie in a place that only the caller's environment names.
        for name in ["PATH", "LD_LIBRARY_PATH", "LANG"] {
            if let value = getenv(name) { variables[name] = String(cString: value) }
        }
        variables["HOSTNAME"] = pod.object.value(at: ["spec", "hostname"])?.stringValue ?? pod.name
        return variables.merging(environment) { _, added in added }
    }

    /// `command` replaces the image's entry point and its arguments, `args` only its arguments.
    private func arguments(
        _ container: JSONValue, entry: [String], variables: [String: String]
    ) throws(Failure) -> [String] {
        let command = Self.words(container["command"], variables)
        let arguments = Self.words(container["args"], variables)
        guard let program = command.first else {
            guard let path = entry.first else { throw .start("the image has no entry point") }
            return [try resolved(path, entry: entry, variables: variables)] + entry.dropFirst() + arguments
        }
        return [try resolved(program, entry: entry, variables: variables)] + command.dropFirst() + arguments
    }

    /// Finds a program: the image's own by its name (wherever the image has it), an absolute path, else in PATH.
    private func resolved(
        _ program: String, entry: [String], variables: [String: String]
    ) throws(Failure) -> String {
        let name = program.split(separator: "/").last ?? ""
        if let own = entry.first, own.split(separator: "/").last == name, own.hasPrefix("/") { return own }
        if program.contains("/") { return program }
        for folder in (variables["PATH"] ?? "").split(separator: ":") {
            let path = "\(folder)/\(program)"
            if LocalFiles.isExecutable(path) { return path }
        }
        throw .start("exec: \"\(program)\": executable file not found in $PATH")
    }

    private static func words(_ list: JSONValue?, _ variables: [String: String]) -> [String] {
        (list?.arrayValue ?? []).compactMap(\.stringValue).map { Expansion.expanded($0, variables) }
    }
}

/// A pod's own folder below the sandbox's state: home, temporary files and logs.
struct PodFolder: Sendable {
    let path: String

    init(stateDirectory: String, pod: PodView) {
        path = "\(stateDirectory)/pods/\(pod.namespace)_\(pod.name)_\(pod.uid)"
    }

    var home: String { path + "/home" }
    var temporary: String { path + "/tmp" }

    func volume(_ name: String) -> String { "\(path)/volumes/\(name)" }

    func logPath(container: String, restartCount: Int) -> String { "\(path)/\(container)/\(restartCount).log" }

    func make(container: String) -> Bool {
        [home, temporary, "\(path)/\(container)"].allSatisfy(LocalFiles.makeDirectories)
    }
}
