import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes

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
        } catch {
            switch error.code {
            case .cancelled: throw error
            case .notFound: observation.marker = .absent
            default: observation.marker = .unreadable(error)
            }
        }
    }

    /// Stores a marker. That it cannot be stored is remembered and no error: the run has succeeded all the same, and the
    /// next observation says what is there.
    func write(_ write: MarkerWrite) async throws(APIError) {
        let place = write.place
        do throws(APIError) {
            _ = try await storage.upload(
                try write.bytes(), to: place.path, in: place.bucket,
                options: UploadOptions(contentType: "application/json", ifGenerationMatch: write.generation))
        } catch {
            switch error.code {
            case .cancelled: throw error
            case .preconditionFailed: return  // Somebody was first.
            default: refuse(place.description, error)
            }
        }
    }
}

extension MarkerWrite {
    fileprivate func bytes() throws(APIError) -> [UInt8] {
        do throws(JSONError) {
            return try JSONValue(encoding: marker).serialized()
        } catch {
            throw APIError(.invalid, operation: "storage.objects.insert", message: error.message)
        }
    }
}
