public import Encoding
import GoogleCloud
public import HTTP

/// What the bucket remembers of a run that succeeded, for the day when the object is made again without its status:
/// after a restore, in another cluster, by a GitOps repository. The same spec is not trained, and paid for, twice.
public struct CompletionMarker: Codable, Sendable, Hashable {
    public var namespace: String
    public var name: String
    public var specHash: String
    /// The run that did it.
    public var runID: String
    /// `gs://bucket/prefix/` of its outputs.
    public var prefix: String
    public var startTime: Timestamp?
    public var completionTime: Timestamp?
    /// As they were verified.
    public var outputs: TrainingJob.OutputsStatus
    public var metrics: [TrainingJob.NamedValue]

    /// Of a status whose run has succeeded; nil where something of it is missing.
    init?(of status: TrainingJob.Status, namespace: String, name: String) {
        guard let run = status.run, let hash = run.specHash, let prefix = run.prefix else { return nil }
        self.namespace = namespace
        self.name = name
        specHash = hash
        runID = run.id
        self.prefix = prefix
        startTime = run.startTime
        completionTime = run.completionTime
        outputs = status.outputs ?? TrainingJob.OutputsStatus()
        metrics = status.trainerStatus?.metrics ?? []
    }

    /// Below the place of the run's outputs, keyed by object and spec; nil where that is no place.
    ///
    /// - Parameter base: `gs://bucket/prefix/` of the outputs' artifact.
    static func place(below base: String, namespace: String, name: String, specHash: String) -> StorageURI? {
        let key = specHash.split(separator: ":").filter { $0 != "sha256" }.joined(separator: "-")
        return StorageURI(base)?.appending("\(folder)\(namespace)/\(name)/\(key).json")
    }

    /// Where markers are, below an artifact's place.
    static let folder = "\(OperatorFolder.path)completed/"
    /// No marker has more bytes.
    static let sizeLimit = 1 << 16
}

/// What is in the place of a run's marker.
public enum MarkerObservation: Sendable, Hashable {
    /// Nobody needs it now.
    case notLooked
    case absent
    /// The bucket could not be read: not the user's fault yet.
    case unreadable(APIError)
    /// Something is there that is no marker of this object and spec: a sentence.
    case unusable(String, generation: Int64)
    case found(CompletionMarker, generation: Int64)

    /// Reads the bytes that are there.
    init(_ bytes: [UInt8], generation: Int64, namespace: String, name: String, specHash: String) {
        do throws(JSONError) {
            let marker = try JSONValue(parsing: bytes).decode(CompletionMarker.self)
            guard marker.namespace == namespace, marker.name == name, marker.specHash == specHash else {
                self = .unusable("it is of another object or spec", generation: generation)
                return
            }
            self = .found(marker, generation: generation)
        } catch {
            self = .unusable("it cannot be understood: \(error.message)", generation: generation)
        }
    }
}

extension TrainingJob {
    /// The run's completion marker.
    public struct Marker: Codable, Sendable, Hashable {
        public var uri: String
        /// `Pending`, `Written` or `Failed`.
        public var state: String
        public var message: String?

        static let pending = "Pending"
        static let written = "Written"
        static let failed = "Failed"
    }
}
