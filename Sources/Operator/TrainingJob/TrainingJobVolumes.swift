import Encoding
import GoogleCloud
import TrainingContract

/// What a pod sees as files: inputs, hyperparameters, hosts, shared memory.
enum TrainingJobVolumes {
    /// Files of ours, read-only.
    static let folder = "/etc/ml"
    static let hyperparametersPath = folder + "/hyperparameters.json"
    static let hostfilePath = folder + "/hostfile"
    static let sharedMemoryPath = "/dev/shm"

    private static let hyperparametersAnnotation = "trainyard.dev/hyperparameters"
    private static let hostfileAnnotation = "trainyard.dev/hostfile"

    /// A volume, and where the trainer sees it.
    private struct Volume {
        var name: String
        var source: [String: JSONValue]
        var path: String
        var isReadOnly = false

        var volume: JSONValue { .object(source.merging(["name": .string(name)]) { source, _ in source }) }

        var mount: JSONValue {
            var mount: JSONValue = ["name": .string(name), "mountPath": .string(path)]
            if isReadOnly { mount["readOnly"] = true }
            return mount
        }
    }

    /// Of the pod's template: the texts that become files, and the request for Cloud Storage FUSE.
    ///
    /// The files come by the downward API and not from a ConfigMap: they are as fixed as the Job, go with it, and need no
    /// right of the operator.
    static func annotations(_ slice: TrainingJobSlice) -> [String: JSONValue] {
        var annotations = files(slice).reduce(into: [String: JSONValue]()) { annotations, file in
            annotations[file.annotation] = .string(file.text)
        }
        if (slice.spec.inputs ?? []).contains(where: { $0.mode == .mount }) {
            annotations["gke-gcsfuse/volumes"] = "true"
        }
        return annotations
    }

    static func volumes(_ slice: TrainingJobSlice) -> [JSONValue] { all(slice).map(\.volume) }

    /// Of the trainer's container.
    static func mounts(_ slice: TrainingJobSlice) -> [JSONValue] { all(slice).map(\.mount) }

    /// One after the other: the trainer image fetches what is to be there as files.
    static func initContainers(_ slice: TrainingJobSlice) -> [JSONValue] {
        inputs(slice).compactMap { input, uri, volume in
            guard input.mode == .download else { return nil }
            return [
                "name": .string("\(downloadContainerPrefix)\(volume.name)"),
                "image": .string(slice.observation.configuration.trainerImage),
                "args": ["download", "--uri", .string(uri), "--to", .string(volume.path)],
                "volumeMounts": [["name": .string(volume.name), "mountPath": .string(volume.path)]],
                "terminationMessagePolicy": "FallbackToLogsOnError",
            ]
        }
    }

    /// Names of containers that fetch inputs begin so.
    static let downloadContainerPrefix = "download-"

    private static func all(_ slice: TrainingJobSlice) -> [Volume] {
        var volumes = inputs(slice).map(\.volume)
        let files = files(slice)
        if !files.isEmpty {
            let items = files.map { file -> JSONValue in
                [
                    "path": .string(file.name),
                    "fieldRef": ["fieldPath": .string("metadata.annotations['\(file.annotation)']")],
                ]
            }
            volumes.append(
                Volume(
                    name: "ml", source: ["downwardAPI": ["items": .array(items)]], path: folder, isReadOnly: true))
        }
        if let memory = slice.spec.trainer?.sharedMemory {
            volumes.append(
                Volume(
                    name: "shared-memory",
                    source: ["emptyDir": ["medium": "Memory", "sizeLimit": memory.sizeLimit]],
                    path: sharedMemoryPath))
        }
        return volumes
    }

    /// The inputs that are to be seen as files, with the place of their data.
    private static func inputs(
        _ slice: TrainingJobSlice
    ) -> [(input: TrainingJob.Input, uri: String, volume: Volume)] {
        (slice.spec.inputs ?? []).enumerated().compactMap { index, input in
            guard input.mode != .stream, let path = input.mountPath,
                let uri = slice.run.inputs.first(where: { $0.name == input.name })?.uri,
                let place = StorageURI(uri)
            else { return nil }
            // An input's name may be as long as a volume's: the number is shorter.
            let volume = Volume(
                name: "input-\(index)", source: input.mode == .mount ? fuse(place) : ["emptyDir": [:]], path: path,
                isReadOnly: input.mode == .mount)
            return (input, uri, volume)
        }
    }

    /// Cloud Storage FUSE's driver of GKE; the service account of the pod reads.
    private static func fuse(_ place: StorageURI) -> [String: JSONValue] {
        var options = ["implicit-dirs"]
        let folder = place.path.hasSuffix("/") ? String(place.path.dropLast()) : place.path
        if !folder.isEmpty { options.append("only-dir=\(folder)") }
        return [
            "csi": [
                "driver": "gcsfuse.csi.storage.gke.io", "readOnly": true,
                "volumeAttributes": [
                    "bucketName": .string(place.bucket), "mountOptions": .string(options.joined(separator: ",")),
                ],
            ]
        ]
    }

    // MARK: Files

    private static func files(_ slice: TrainingJobSlice) -> [(name: String, annotation: String, text: String)] {
        var files: [(name: String, annotation: String, text: String)] = []
        if let values = slice.spec.trainer?.hyperparameters, !values.isEmpty {
            let text = JSONValue.object(values.mapValues { .string($0) }).serializedText()
            files.append(("hyperparameters.json", hyperparametersAnnotation, text))
        }
        if slice.spec.rendezvous == .mpi {
            let lines = slice.allHosts.map { "\($0) slots=\(slice.shape.processesPerNode)\n" }
            files.append(("hostfile", hostfileAnnotation, lines.joined()))
        }
        return files
    }
}
