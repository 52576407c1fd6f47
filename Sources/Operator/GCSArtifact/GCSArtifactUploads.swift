import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes

/// Versions that somebody uploads: each folder at the place becomes one, named as the folder, when its marker is there or
/// nothing came for a while.
enum GCSArtifactUploads {
    static let producerKind = "Upload"
    /// How often the place is looked at.
    static let interval: Duration = .seconds(60)
    /// Folders that are ours or TrainingJobs'.
    static let reserved: Set<String> = [
        "manifests", "checkpoints", "runs", String(OperatorFolder.path.dropLast()),
    ]

    /// What a folder is now.
    enum State: Sendable, Equatable {
        /// Its files, without the marker, and when the last of them came.
        case whole(files: [String: OutputFile], time: Timestamp)
        /// Until then at least, if nothing more comes; nil: the marker is waited for.
        case arriving(until: Timestamp?)
    }

    /// - Parameter objects: below the folder.
    static func state(
        _ objects: [StorageObject], below folder: StorageURI, _ upload: GCSArtifact.Source.Upload, now: Timestamp
    ) -> State {
        var files: [String: OutputFile] = [:]
        var time = Timestamp.distantPast
        var hasMarker = false
        for object in objects {
            let path = String(object.name.dropFirst(folder.path.count))
            time = max(time, (object.timeCreated ?? object.updated).flatMap { Timestamp($0) } ?? now)
            if path == upload.markerFile {
                hasMarker = true
            } else if !path.isEmpty, GCSArtifactVersions.isVersioned(path) {
                files[path] = OutputFile(
                    sizeBytes: object.size, crc32c: object.crc32c ?? "", generation: object.generation)
            }
        }
        if files.isEmpty { return .arriving(until: nil) }
        if hasMarker { return .whole(files: files, time: time.wholeSeconds) }
        guard let quiet = upload.quietSeconds else { return .arriving(until: nil) }
        let end = time + .seconds(quiet)
        return end <= now ? .whole(files: files, time: time.wholeSeconds) : .arriving(until: end)
    }

    /// Whether a folder's name can be a version's: as the CRD has it for aliases.
    static func isVersionName(_ name: String) -> Bool {
        let isAlphanumeric: (UInt8) -> Bool = {
            (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
        }
        let bytes = Array(name.utf8)
        return (1...63).contains(bytes.count) && bytes.first.map(isAlphanumeric) == true
            && bytes.allSatisfy { isAlphanumeric($0) || "-_.".utf8.contains($0) }
    }
}
