import Encoding

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
        // A digest pins what the name says already.
        guard let program = images[image] ?? images[String(image.prefix { $0 != "@" })] else {
            throw .image(refusal(of: image))
        }
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
            do {
                let arguments = try EntryPoint(entry).arguments(container, variables: variables).map {
                    addresses.rewritten(paths.rewritten($0), for: pod)
                }
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
                arguments: EntryPoint.words(container["command"], variables)
                    + EntryPoint.words(container["args"], variables),
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
        var variables = EntryPoint.baseVariables(home: folder.home, temporary: folder.temporary)
        variables["HOSTNAME"] = pod.object.value(at: ["spec", "hostname"])?.stringValue ?? pod.name
        return variables.merging(environment) { _, added in added }
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
