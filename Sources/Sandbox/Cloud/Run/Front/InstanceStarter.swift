internal import Encoding
internal import Glibc
internal import Synchronization

/// Starts a revision's container as a process of this machine.
final class InstanceStarter: Sendable {
    /// A process, and how it is looked at.
    struct Started: Sendable {
        let process: LocalProcess
        let port: UInt16
        let probe: StartupProbe
        /// Where it says what it does.
        let logPath: String
    }

    /// Below the ports of pods and of the kernel's outgoing connections.
    private static let ports: Range<UInt16> = 12_000..<20_000
    /// One for all worlds of this program: a port is free until its instance listens, a moment after it was chosen.
    /// Programs side by side begin at different places.
    private static let nextPort = Mutex(
        ports.lowerBound + UInt16(truncatingIfNeeded: UInt32(truncatingIfNeeded: getpid()) &* 97 % 8000))

    private let configuration: FrontConfiguration
    private let cloud: SimulatedCloud

    init(_ configuration: FrontConfiguration, cloud: SimulatedCloud) {
        self.configuration = configuration
        self.cloud = cloud
    }

    /// - Parameter number: of the instance, among those of its revision.
    /// - Throws: what the revision's condition then says.
    func start(
        _ revision: RunService.Revision, of service: RunService, number: Int, environment: [String: String]
    ) throws(RunFailure) -> Started {
        let prefix = "Revision '\(revision.name)' is not ready and cannot serve traffic. "
        let containers = revision.template["containers"]?.arrayValue ?? []
        guard let container = containers.first, containers.count == 1 else {
            throw RunFailure(
                revisionReason: "HEALTH_CHECK_CONTAINER_ERROR",
                message: prefix + "The sandbox runs one container in an instance, not \(containers.count).")
        }
        let image = container["image"]?.stringValue ?? ""
        guard case .process(let entry)? = configuration.images[image] else {
            let known = configuration.images.keys.sorted().joined(separator: ", ")
            throw RunFailure(
                reason: "CONTAINER_MISSING",
                message: prefix + "Image '\(image)' not found. (The sandbox can run \(known.isEmpty ? "none" : known).)"
            )
        }
        do throws(ContainerStartError) {
            return try start(
                container, entry, of: revision, service, folder: folder(of: revision, service), number: number,
                environment)
        } catch {
            throw RunFailure(revisionReason: "HEALTH_CHECK_CONTAINER_ERROR", message: prefix + error.message)
        }
    }

    /// Where the instances of a revision have their files.
    private func folder(of revision: RunService.Revision, _ service: RunService) -> String {
        "\(configuration.stateDirectory)/run/\(service.id)_\(service.uid.prefix(8))/\(revision.name)"
    }

    private func start(
        _ container: JSONValue, _ entry: [String], of revision: RunService.Revision, _ service: RunService,
        folder: String, number: Int, _ environment: [String: String]
    ) throws(ContainerStartError) -> Started {
        let (home, temporary) = ("\(folder)/home", "\(folder)/tmp")
        guard LocalFiles.makeDirectories(home), LocalFiles.makeDirectories(temporary) else {
            throw ContainerStartError(message: "cannot make the folder \(folder)")
        }
        guard let port = freePort() else { throw ContainerStartError(message: "no port of 127.0.0.1 is free") }
        var variables = EntryPoint.baseVariables(home: home, temporary: temporary)
        variables.merge(configuration.environment) { _, new in new }
        variables.merge(environment) { _, new in new }
        variables["PORT"] = String(port)
        variables["K_SERVICE"] = service.id
        variables["K_REVISION"] = revision.name
        variables["K_CONFIGURATION"] = service.id
        for entry in container["env"]?.arrayValue ?? [] {
            guard let name = entry["name"]?.stringValue else { continue }
            if let secret = entry.value(at: ["valueSource", "secretKeyRef", "secret"])?.stringValue {
                throw ContainerStartError(message: "the sandbox has no Secret Manager: there is no secret \(secret)")
            }
            variables[name] = Expansion.expanded(entry["value"]?.stringValue ?? "", variables)
        }
        let paths = try mounts(of: container, revision, folder: folder)
        let arguments = try EntryPoint(entry).arguments(container, variables: variables).map(paths.rewritten)
        let log = "\(folder)/\(number).log"
        let process = try LocalProcess(
            LocalProcess.Command(
                arguments: arguments, environment: variables.mapValues(paths.rewritten), directory: home, logPath: log))
        return Started(process: process, port: port, probe: StartupProbe(container: container), logPath: log)
    }

    /// The volumes of a revision: filled by its first instance, and what they are for all that follow.
    private func mounts(
        of container: JSONValue, _ revision: RunService.Revision, folder: String
    ) throws(ContainerStartError) -> LocalPaths {
        let volumes = revision.template["volumes"]?.arrayValue ?? []
        var mounts: [LocalPaths.Mount] = []
        for mount in container["volumeMounts"]?.arrayValue ?? [] {
            let name = mount["name"]?.stringValue ?? ""
            guard let volume = volumes.first(where: { $0["name"]?.stringValue == name }) else {
                throw ContainerStartError(message: "volume \"\(name)\" not found")
            }
            let path = "\(folder)/volumes/\(name)"
            if !LocalFiles.isDirectory(path) { try fill(volume, at: path) }
            mounts.append(LocalPaths.Mount(mountPath: mount["mountPath"]?.stringValue ?? "/", localPath: path))
        }
        return LocalPaths(mounts)
    }

    private func fill(_ volume: JSONValue, at path: String) throws(ContainerStartError) {
        var files: [(name: String, bytes: [UInt8])] = []
        if let source = volume["gcs"] {
            let bucket = source["bucket"]?.stringValue ?? ""
            guard cloud.bucketExists(bucket) else {
                throw ContainerStartError(message: "mounting the bucket \"\(bucket)\" failed: it does not exist")
            }
            let options = (source["mountOptions"]?.arrayValue ?? []).compactMap(\.stringValue)
            files = try BucketFiles.read(bucket, mountOptions: options, from: cloud)
        } else if volume["emptyDir"] == nil {
            let kind = volume.objectValue?.keys.first { $0 != "name" } ?? "unknown"
            throw ContainerStartError(message: "the sandbox has no volumes of kind \(kind)")
        }
        guard LocalFiles.makeDirectories(path) else {
            throw ContainerStartError(message: "cannot make the folder \(path)")
        }
        for file in files { try VolumeFile.write(file.bytes, to: "\(path)/\(file.name)") }
    }

    private func freePort() -> UInt16? {
        Self.nextPort.withLock { next in
            for _ in 0..<Self.ports.count {
                let port = next
                next = port + 1 < Self.ports.upperBound ? port + 1 : Self.ports.lowerBound
                if LocalPort.isFree(port) { return port }
            }
            return nil
        }
    }
}
