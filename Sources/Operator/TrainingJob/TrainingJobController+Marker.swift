import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Synchronization

extension TrainingJobController {
    /// What the bucket remembers, where the plan asks.
    func observeMarker(_ observation: inout TrainingJobObservation) async throws(APIError) {
        guard let place = TrainingJobMarker.place(observation), let run = observation.status.run else { return }
        let metadata = observation.job.metadata
        observation.markerRefusal = refusals.withLock { $0[place.description] }.map {
            MarkerRefusal(error: $0.error, time: $0.time)
        }
        do throws(APIError) {
            let read = try await storage.read(place.path, in: place.bucket, limit: CompletionMarker.sizeLimit)
            observation.marker = MarkerObservation(
                read.bytes, generation: read.object.generation ?? 0, namespace: metadata.namespace ?? "",
                name: metadata.name, specHash: run.specHash ?? "")
            // A run that is yet to be decided on: what the marker speaks of must still be there.
            if run.result == nil, case .found(let marker, let generation) = observation.marker,
                let lost = try await lostOutput(of: marker)
            {
                observation.marker = .unusable("\(lost) is not there any more", generation: generation)
            }
        } catch {
            switch error.code {
            case .cancelled: throw error
            case .notFound: observation.marker = .absent
            default: observation.marker = .unreadable(error)
            }
        }
    }

    /// The first output that is gone or another file by now; nil when all are as they were verified.
    private func lostOutput(of marker: CompletionMarker) async throws(APIError) -> StorageURI? {
        for file in marker.outputs.files where file.verified != false {
            guard let place = StorageURI(marker.prefix)?.appending(file.path) else { continue }
            do throws(APIError) {
                let object = try await storage.object(place.path, in: place.bucket)
                guard file.crc32c == nil || object.crc32c == file.crc32c else { return place }
            } catch {
                guard error.code == .notFound else { throw error }
                return place
            }
        }
        return nil
    }

    /// Stores a text. That it cannot be stored is remembered and no error: the next observation says what is there, and the
    /// plan what follows.
    func write(_ write: ObjectWrite) async throws(APIError) {
        let place = write.place
        do throws(APIError) {
            _ = try await storage.upload(
                Array(write.text.utf8), to: place.path, in: place.bucket,
                options: UploadOptions(contentType: write.contentType, ifGenerationMatch: write.generation))
        } catch {
            switch error.code {
            case .cancelled: throw error
            case .preconditionFailed: return  // Somebody was first.
            default: refuse(place.description, error)
            }
        }
    }
}
