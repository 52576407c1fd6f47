import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Synchronization

extension TrainingJobController {
    /// Buckets and quotas, between a run's inputs and its machines.
    func observePreflight(_ observation: inout TrainingJobObservation) async throws(APIError) {
        guard TrainingJobPreflight.isPending(observation), let run = observation.activeRun,
            let spec = observation.runSpec
        else { return }
        var seen = PreflightObservation()
        let outputs = run.prefix.flatMap { StorageURI($0) }?.bucket
        for name in TrainingJobPreflight.buckets(run) {
            seen.buckets[name] = try await look(atBucket: name, isOutput: name == outputs, observation)
        }
        if !observation.spec.skips(.buckets) { try await observeProbe(run, &seen, observation) }
        if !observation.spec.skips(.quota), let compute, NodeSelection.policy(spec) == .createPerRun {
            let choices = (try? TrainingJobNodePool.choices(for: run, spec, observation).get()) ?? CapacityOptions()
            for name in TrainingJobPreflight.regions(choices.usable, configuration.cluster).prefix(8) {
                seen.regions[name] = try await quotas(of: name, compute)
            }
        }
        observation.preflight = seen
    }

    private func look(
        atBucket name: String, isOutput: Bool, _ observation: TrainingJobObservation
    ) async throws(APIError) -> PreflightObservation.BucketRead {
        var read = PreflightObservation.BucketRead()
        if !observation.spec.skips(.locality) || !observation.spec.skips(.buckets) {
            do throws(APIError) {
                read.location = try await storage.bucket(name).location
            } catch {
                if error.code == .cancelled { throw error }
                read.locationError = error
            }
        }
        guard isOutput, !observation.spec.skips(.iam) else { return read }
        do throws(APIError) {
            read.granted = try await storage.grantedPermissions(
                TrainingJobPreflight.outputPermissions, onBucket: name)
        } catch {
            if error.code == .cancelled { throw error }
            read.grantedError = error
        }
        return read
    }

    private func observeProbe(
        _ run: TrainingJob.Run, _ seen: inout PreflightObservation, _ observation: TrainingJobObservation
    ) async throws(APIError) {
        guard let place = TrainingJobPreflight.probePlace(observation) else { return }
        seen.probeRefusal = refusals.withLock { $0[place.description] }.flatMap { refusal in
            refusal.time >= run.startTime ?? .distantPast ? refusal.error : nil
        }
        do throws(APIError) {
            let read = try await storage.read(place.path, in: place.bucket, limit: 1024)
            seen.probe =
                read.bytes == Array(run.id.utf8) ? .there : .absent(generation: read.object.generation ?? 0)
        } catch {
            switch error.code {
            case .cancelled: throw error
            case .notFound: seen.probe = .absent(generation: 0)
            default: seen.probe = .unreadable(error)
            }
        }
    }

    private func quotas(
        of region: String, _ compute: ComputeClient
    ) async throws(APIError) -> PreflightObservation.RegionRead {
        do throws(APIError) {
            let found = try await compute.region(region, project: configuration.cluster.project)
            guard found.quotaStatusWarning == nil else { return .quotas([:]) }
            var quotas: [String: PreflightObservation.Quota] = [:]
            for quota in found.quotas ?? [] { quotas[quota.metric] = .init(limit: quota.limit, free: quota.free) }
            return .quotas(quotas)
        } catch {
            if error.code == .cancelled { throw error }
            return .unreadable(error)
        }
    }
}
