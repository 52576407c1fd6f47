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
        if !observation.spec.skips(.image) { seen.image = try await image(of: run) }
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
        guard let place = TrainingJobPreflight.probePlace(run, observation) else { return }
        seen.probeRefusal = refusals.withLock { $0[place.description] }.flatMap { refusal in
            refusal.time >= run.startTime ?? .distantPast ? refusal.error : nil
        }
        let memory = probes.withLock { $0[place.description] }
        guard let memory, memory.runID == run.id else {
            seen.probe = .untried
            return
        }
        seen.probe = memory.readError.map { .unreadable($0) } ?? .passed
    }

    /// Stores a small object, reads it back and deletes it. What cannot be done is remembered and no error: the plan says
    /// what follows.
    func probe(_ probe: ObjectWrite) async throws(APIError) {
        let place = probe.place
        var generation: Int64?
        do throws(APIError) {
            generation = try await storage.upload(
                Array(probe.text.utf8), to: place.path, in: place.bucket,
                options: UploadOptions(contentType: probe.contentType, ifGenerationMatch: 0)
            ).generation
        } catch {
            if error.code == .cancelled { throw error }
            // What has the run's name is the run's: an earlier process stored it, and did not come to delete it.
            guard error.code == .preconditionFailed else { return refuse(place.description, error) }
        }
        var memory = PreflightObservation.ProbeMemory(runID: probe.text, time: clock.now)
        do throws(APIError) {
            let read = try await storage.read(place.path, in: place.bucket, generation: generation, limit: 1024)
            generation = read.object.generation
        } catch {
            if error.code == .cancelled { throw error }
            memory.readError = error
        }
        do throws(APIError) {
            try await storage.deleteObject(place.path, in: place.bucket, ifGenerationMatch: generation)
        } catch {
            // It stays where a retention policy keeps it, or nobody may delete: a few bytes, in nobody's way.
            if error.code == .cancelled { throw error }
        }
        probes.withLock { probes in
            probes = probes.filter { memory.time - $0.value.time < .seconds(3600) }
            probes[place.description] = memory
        }
    }

    /// Asked once for each run: what was found is remembered until the plan has written it.
    func image(of run: TrainingJob.Run) async throws(APIError) -> PreflightObservation.ImageRead {
        guard let name = run.image, let image = RegistryImage(name) else {
            return .notAsked("only Artifact Registry is asked; an image that cannot be pulled ends the attempt")
        }
        guard let registry else { return .notAsked("nobody may be asked") }
        let place = "\(run.id) \(name)"
        let now = clock.now
        if let known = images.withLock({ $0[place] }) { return .found(known.digest) }
        do throws(APIError) {
            let digest = try await registry.digest(of: image)
            images.withLock { images in
                images = images.filter { now - $0.value.time < .seconds(3600) }
                images[place] = (digest, now)
            }
            return .found(digest)
        } catch {
            switch error.code {
            case .cancelled: throw error
            case .notFound: return .missing(error)
            default: return .unreadable(error)
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
