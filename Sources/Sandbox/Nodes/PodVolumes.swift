import Encoding

/// A pod's volumes as folders of this machine, below the pod's own folder.
///
/// A process sees this machine's files, so a volume cannot lie where the pod mounts it: paths in variables and arguments
/// are rewritten instead (`LocalPaths`). What cannot be had this way is refused with a sentence.
struct PodVolumes: Sendable {
    private static let fuseDriver = "gcsfuse.csi.storage.gke.io"

    let pod: PodView
    let folder: PodFolder
    let cloud: SimulatedCloud
    let environment: ContainerEnvironment

    /// Makes what a container mounts, and tells where it is.
    func paths(for container: JSONValue) async throws(ContainerStartError) -> LocalPaths {
        let volumes = pod.object.value(at: ["spec", "volumes"])?.arrayValue ?? []
        var paths: [LocalPaths.Mount] = []
        for mount in container["volumeMounts"]?.arrayValue ?? [] {
            let name = mount["name"]?.stringValue ?? ""
            guard let volume = volumes.first(where: { $0["name"]?.stringValue == name }) else {
                throw ContainerStartError(message: "volume \"\(name)\" not found")
            }
            var path = folder.volume(name)
            if !LocalFiles.isDirectory(path) { try await make(volume, at: path) }
            if let sub = mount["subPath"]?.stringValue { path += "/" + sub }
            paths.append(LocalPaths.Mount(mountPath: mount["mountPath"]?.stringValue ?? "/", localPath: path))
        }
        return LocalPaths(paths)
    }

    private func make(_ volume: JSONValue, at path: String) async throws(ContainerStartError) {
        var files: [(name: String, bytes: [UInt8])] = []
        if volume["emptyDir"] != nil {
            files = []
        } else if let source = volume["downwardAPI"] {
            for item in source["items"]?.arrayValue ?? [] {
                let text = try environment.field(item.value(at: ["fieldRef", "fieldPath"])?.stringValue ?? "")
                files.append((item["path"]?.stringValue ?? "", Array(text.utf8)))
            }
        } else if let source = volume["configMap"] {
            files = try await texts(source, named: source["name"], plural: "configmaps")
        } else if let source = volume["secret"] {
            files = try await texts(source, named: source["secretName"], plural: "secrets")
        } else if let source = volume["csi"], source["driver"]?.stringValue == PodVolumes.fuseDriver {
            files = try bucketFiles(source)
        } else {
            let kind = volume.objectValue?.keys.first { $0 != "name" } ?? "unknown"
            throw ContainerStartError(
                message: "pods of the sandbox are processes of this machine: it has no volumes of kind \(kind)")
        }
        guard LocalFiles.makeDirectories(path) else {
            throw ContainerStartError(message: "cannot make the folder \(path)")
        }
        for file in files { try VolumeFile.write(file.bytes, to: path + "/" + file.name) }
    }

    private func texts(
        _ source: JSONValue, named name: JSONValue?, plural: String
    ) async throws(ContainerStartError) -> [(name: String, bytes: [UInt8])] {
        var reference = source
        reference["name"] = name
        let entries = try await environment.entries(reference, plural: plural) ?? [:]
        let items = source["items"]?.arrayValue
        return entries.sorted { $0.key < $1.key }.compactMap { key, text in
            guard let items else { return (key, Array(text.utf8)) }
            let item = items.first { $0["key"]?.stringValue == key }
            return item.map { ($0["path"]?.stringValue ?? key, Array(text.utf8)) }
        }
    }

    /// The objects as they are now: what is written to the bucket later is not seen.
    private func bucketFiles(_ source: JSONValue) throws(ContainerStartError) -> [(name: String, bytes: [UInt8])] {
        let prefix = "MountVolume.SetUp failed:"
        guard pod.annotations["gke-gcsfuse/volumes"]?.stringValue == "true" else {
            throw ContainerStartError(message: "\(prefix) the pod lacks the annotation gke-gcsfuse/volumes: \"true\"")
        }
        let attributes = source["volumeAttributes"]
        let bucket = attributes?["bucketName"]?.stringValue ?? ""
        guard cloud.bucketExists(bucket) else {
            throw ContainerStartError(message: "\(prefix) bucket \"\(bucket)\" does not exist")
        }
        let options = (attributes?["mountOptions"]?.stringValue ?? "").split(separator: ",").map(String.init)
        do {
            return try BucketFiles.read(bucket, mountOptions: options, from: cloud)
        } catch {
            throw ContainerStartError(message: "\(prefix) \(error.message)")
        }
    }
}

/// Where the folders lie that a container mounts.
struct LocalPaths: Sendable, Hashable {
    struct Mount: Sendable, Hashable {
        /// In the container.
        var mountPath: String
        /// On this machine.
        var localPath: String
    }

    /// Longest path first: the innermost mount is the one that is seen.
    private let mounts: [Mount]

    init(_ mounts: [Mount]) {
        self.mounts = mounts.map { mount in
            guard mount.mountPath.count > 1, mount.mountPath.hasSuffix("/") else { return mount }
            return Mount(mountPath: String(mount.mountPath.dropLast()), localPath: mount.localPath)
        }.sorted { $0.mountPath.count > $1.mountPath.count }
    }

    /// A text that is a path below a mount, or has one after its first "=" (`--data=/data`), with this machine's path.
    func rewritten(_ text: String) -> String {
        if let path = local(text) { return path }
        guard let equals = text.firstIndex(of: "=") else { return text }
        let value = text.index(after: equals)
        return local(String(text[value...])).map { text[..<value] + $0 } ?? text
    }

    private func local(_ text: String) -> String? {
        guard
            let mount = mounts.first(where: { text == $0.mountPath || text.hasPrefix($0.mountPath + "/") })
        else { return nil }
        return mount.localPath + text.dropFirst(mount.mountPath.count)
    }
}
